package sysv_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
	"daemonlab/lab/tool"
	"daemonlab/specs/inside"
)

// process is a svfiled or svfile, reaped at the latest when the spec ends.
type process struct {
	cmd   *exec.Cmd
	out   *os.File      // the end for reading of a pipe that is its stdout
	ended chan struct{} // closed when it was reaped
	log   string        // the file that gets its stderr
}

// start starts "server" or "client". It is killed when the spec ends, and before if that takes too long.
func start(program string, args ...string) *process {
	GinkgoHelper()
	stderr := must(os.CreateTemp(GinkgoT().TempDir(), "stderr"))
	defer stderr.Close()
	r, w, err := os.Pipe()
	Expect(err).NotTo(HaveOccurred())
	defer w.Close()
	p := &process{exec.Command(filepath.Join(inside.Place(), program), args...), r, make(chan struct{}), stderr.Name()}
	p.cmd.Stdout, p.cmd.Stderr = w, stderr
	Expect(p.cmd.Start()).To(Succeed())
	killing := time.AfterFunc(2*inside.Patience, func() { p.cmd.Process.Kill() })
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	DeferCleanup(func() {
		killing.Stop()
		p.cmd.Process.Kill()
		<-p.ended
		r.Close()
	})
	return p
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// said is what the program has written to stderr.
func (p *process) said() string {
	text, _ := os.ReadFile(p.log)
	return string(text)
}

func (p *process) signal(sig os.Signal) {
	GinkgoHelper()
	Expect(p.cmd.Process.Signal(sig)).To(Succeed())
}

// status waits for the end and tells the exit status, 128 plus the number of a signal that was the end.
func (p *process) status() int {
	GinkgoHelper()
	Eventually(p.ended).Should(BeClosed(), p.said)
	return tool.ExitStatus(p.cmd.ProcessState)
}

// end reads what the program writes to stdout, and waits for its end.
func (p *process) end() (status int, stdout []byte) {
	GinkgoHelper()
	stdout = must(io.ReadAll(p.out))
	return p.status(), stdout
}

// aThreadSleeps reports whether one of the process's threads sleeps in a system call.
func aThreadSleeps(pid, call int) (bool, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	return slices.ContainsFunc(tasks, func(task string) bool {
		asleep, err := inside.SleepsIn(task, call)
		return err == nil && asleep
	}), err
}

// server is a svfiled that is ready.
type server struct {
	*process
	key   sysv.Key
	root  string
	queue sysv.Queue
}

func startServer(more ...string) *server {
	GinkgoHelper()
	root := filepath.Join(GinkgoT().TempDir(), "root")
	Expect(os.Mkdir(root, 0o755)).To(Succeed())
	return startServerAt(newKey(), root, more...)
}

func startServerAt(key sysv.Key, root string, more ...string) *server {
	GinkgoHelper()
	// The queue goes after the process that serves it, so that its children end, too.
	DeferCleanup(func() {
		if q, err := sysv.Get(key, 0, 0); err == nil {
			remove(q)
		}
	})
	s := &server{process: start("server", append([]string{"--root", root, "--key", key.String()}, more...)...), key: key, root: root}
	line, err := bufio.NewReader(s.out).ReadString('\n')
	Expect(err).NotTo(HaveOccurred(), s.said)
	Expect(line).To(HavePrefix(fmt.Sprintf("svfiled: PID %d serves %s on queue ", s.pid(), root)))
	s.queue = must(sysv.Get(key, 0, 0))
	return s
}

// put makes a file that the server serves.
func (s *server) put(name string, content []byte) {
	GinkgoHelper()
	file := filepath.Join(s.root, name)
	Expect(os.MkdirAll(filepath.Dir(file), 0o755)).To(Succeed())
	Expect(os.WriteFile(file, content, 0o644)).To(Succeed())
}

// children are the server's, zombies among them.
func (s *server) children() (pids []int, err error) {
	stats, err := procfs.New("/proc").Stats()
	for _, st := range stats {
		if st.PPid == s.pid() {
			pids = append(pids, st.Pid)
		}
	}
	return pids, err
}

// onlyChild waits until the server has one child, and that sleeps in msgsnd.
func (s *server) onlyChild() int {
	GinkgoHelper()
	Eventually(s.children).Should(HaveLen(1))
	child := must(s.children())[0]
	Eventually(aThreadSleeps).WithArguments(child, unix.SYS_MSGSND).Should(BeTrue())
	return child
}

func (s *server) client(path string) *process {
	GinkgoHelper()
	return start("client", "--key", s.key.String(), "--", path)
}

// mustServe proves that the server goes on, and that it has no other child or request left.
func (s *server) mustServe() {
	GinkgoHelper()
	s.put("still", []byte("still here\n"))
	client := s.client("still")
	code, out := client.end()
	Expect(string(out), code).To(Equal("still here\n"), client.said)
	Expect(client.said()).To(Equal("Received 11 bytes (1 messages)\n"))
	Eventually(s.children).Should(BeEmpty(), "children, zombies among them")
	Expect(status(s.queue).Messages).To(BeZero())
}

// request sends a request as a client of the spec's own, which receives when the spec wants it to.
func (s *server) request(path string) sysv.Queue {
	GinkgoHelper()
	q := newSysV()
	s.ask(q, path)
	return q
}

func (s *server) ask(q sysv.Queue, path string) {
	GinkgoHelper()
	s.send(wire.RequestType, must(wire.Request{Queue: q, Path: path}.Append(nil)))
}

// send sends anything. A server that does not empty its queue loses it at last.
func (s *server) send(mtype int, message []byte) {
	GinkgoHelper()
	defer time.AfterFunc(inside.Patience, func() { s.queue.Remove() }).Stop()
	Expect(s.queue.Send(mtype, message, 0)).To(Succeed())
}

// exchange receives to the end of one. What ends a wait that lasts too long is the queue's removal.
func exchange(q sysv.Queue) (content []byte, failure string) {
	GinkgoHelper()
	defer time.AfterFunc(inside.Patience, func() { q.Remove() }).Stop()
	buf := make([]byte, 64<<10)
	for {
		n, kind, err := q.Receive(buf, -wire.End, 0)
		Expect(err).NotTo(HaveOccurred())
		switch kind {
		case wire.End:
			return content, ""
		case wire.Failure:
			return content, string(buf[:n])
		}
		content = append(content, buf[:n]...)
	}
}

// mustGet proves that the exchange brings this content.
func mustGet(q sysv.Queue, want []byte) {
	GinkgoHelper()
	got, failure := exchange(q)
	Expect(failure).To(BeEmpty())
	Expect(bytes.Equal(got, want)).To(BeTrue(), "%d bytes came of %d", len(got), len(want))
}

// busyServer is a server with a child that waits for the client of a large file.
func busyServer(more ...string) (*server, sysv.Queue) {
	GinkgoHelper()
	s := startServer(more...)
	s.put("large", large)
	q := s.request("large")
	s.onlyChild()
	return s, q
}

// stuckClient is a server with a svfile that cannot write what it gets of a large file, and its queue.
func stuckClient(more ...string) (*server, *process, sysv.Queue) {
	GinkgoHelper()
	s := startServer(more...)
	s.put("large", large)
	p := s.client("large")
	Eventually(aThreadSleeps).WithArguments(p.pid(), unix.SYS_WRITE).Should(BeTrue(), p.said)
	queues := must(sysv.Queues())
	i := slices.IndexFunc(queues, func(q sysv.Status) bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", p.pid(), q.LastReceiver))
		return err == nil && q.LastReceiver != 0
	})
	Expect(i).NotTo(Equal(-1), "the client's queue")
	return s, p, queues[i].ID
}

// mustBeGone waits until there is no such queue.
func mustBeGone(q sysv.Queue) {
	GinkgoHelper()
	Eventually(func() error {
		_, err := q.Status()
		return err
	}).Should(MatchError(os.ErrNotExist))
}
