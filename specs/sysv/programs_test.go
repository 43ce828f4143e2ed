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
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

// build makes the programs that the specs start.
func build(dir string) error {
	for name, pkg := range map[string]string{"svfiled": "server", "svfile": "client"} {
		cmd := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, name), "daemonlab/lab/sysv/"+pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// program is the path of one.
func program(name string) string { return filepath.Join(os.Getenv(placeVariable), name) }

var proc = procfs.New("/proc")

// process is a program that was started, and reaped at the latest when the spec ends.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it was reaped
	text  string        // file that gets stderr
}

// start starts a program that is killed when the spec ends, and before if that takes too long.
func start(cmd *exec.Cmd) *process {
	GinkgoHelper()
	stderr, err := os.CreateTemp(GinkgoT().TempDir(), "stderr")
	Expect(err).NotTo(HaveOccurred())
	defer stderr.Close()
	cmd.Stderr = stderr
	Expect(cmd.Start()).To(Succeed())
	p := &process{cmd: cmd, ended: make(chan struct{}), text: stderr.Name()}
	killing := time.AfterFunc(2*patience, func() { cmd.Process.Kill() })
	go func() {
		cmd.Wait()
		close(p.ended)
	}()
	DeferCleanup(func() {
		killing.Stop()
		cmd.Process.Kill()
		<-p.ended
	})
	return p
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stderr is what the program has said.
func (p *process) stderr() string {
	text, err := os.ReadFile(p.text)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (p *process) signal(sig os.Signal) {
	GinkgoHelper()
	Expect(p.cmd.Process.Signal(sig)).To(Succeed())
}

// status waits for the end and tells the exit status, 128 plus the number of a signal that was the end.
func (p *process) status() int {
	GinkgoHelper()
	Eventually(p.ended).Should(BeClosed(), p.stderr)
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
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
	cmd := exec.Command(program("svfiled"), append([]string{"--root", root, "--key", key.String()}, more...)...)
	out, err := cmd.StdoutPipe()
	Expect(err).NotTo(HaveOccurred())
	// The queue goes after the process that serves it, so that its children end, too.
	DeferCleanup(func() {
		if q, err := sysv.Get(key, 0, 0); err == nil {
			remove(q)
		}
	})
	s := &server{process: start(cmd), key: key, root: root}
	line, err := bufio.NewReader(out).ReadString('\n')
	Expect(err).NotTo(HaveOccurred(), s.stderr)
	Expect(line).To(HavePrefix(fmt.Sprintf("svfiled: PID %d serves %s on queue ", s.pid(), root)))
	s.queue, err = sysv.Get(key, 0, 0)
	Expect(err).NotTo(HaveOccurred())
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
	stats, err := proc.Stats()
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
	pids, err := s.children()
	Expect(err).NotTo(HaveOccurred())
	Eventually(aThreadSleeps).WithArguments(pids[0], unix.SYS_MSGSND).Should(BeTrue())
	return pids[0]
}

// aThreadSleeps tells whether one of the process's threads sleeps in a system call.
func aThreadSleeps(pid, call int) (bool, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	return slices.ContainsFunc(tasks, func(task string) bool {
		asleep, err := sleepsIn(task, call)
		return err == nil && asleep
	}), err
}

// command prepares a svfile for this server.
func (s *server) command(args ...string) *exec.Cmd {
	return exec.Command(program("svfile"), append([]string{"--key", s.key.String()}, args...)...)
}

// fetch runs svfile to its end.
func (s *server) fetch(args ...string) (status int, stdout, stderr string) {
	GinkgoHelper()
	cmd := s.command(args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	p := start(cmd)
	status = p.status()
	return status, out.String(), p.stderr()
}

// mustServe proves that the server goes on.
func (s *server) mustServe() {
	GinkgoHelper()
	s.put("still", []byte("still here\n"))
	status, out, said := s.fetch("still")
	Expect(out).To(Equal("still here\n"), said)
	Expect(status).To(BeZero())
}

// request sends a request as a client of the spec's own, which receives when the spec wants it to.
func (s *server) request(path string) sysv.Queue {
	GinkgoHelper()
	q, err := sysv.Get(sysv.Private, sysv.Create, wire.QueueMode)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(remove, q)
	s.ask(q.ID(), path)
	return q
}

func (s *server) ask(queue int, path string) {
	GinkgoHelper()
	Expect(s.send(wire.Request{Queue: queue, Path: path}.Append(nil))).To(Succeed())
}

func (s *server) send(message []byte, err error) error {
	if err != nil {
		return err
	}
	return s.sendRaw(wire.RequestType, message)
}

// sendRaw sends anything. A server that does not empty its queue loses it at last.
func (s *server) sendRaw(mtype int, message []byte) error {
	defer time.AfterFunc(patience, func() { s.queue.Remove() }).Stop()
	return s.queue.Send(mtype, message, 0)
}

// exchange receives to the end of one. What ends a wait that lasts too long is the queue's removal.
func exchange(q sysv.Queue) (content []byte, failure string, err error) {
	defer time.AfterFunc(patience, func() { q.Remove() }).Stop()
	buf := make([]byte, 64<<10)
	for {
		n, kind, err := q.Receive(buf, -wire.End, 0)
		switch {
		case err != nil || kind == wire.End:
			return content, "", err
		case kind == wire.Failure:
			return content, string(buf[:n]), nil
		}
		content = append(content, buf[:n]...)
	}
}

// stuckClient is a svfile in mid-transfer that cannot write what it gets.
type stuckClient struct {
	*process
	out   *os.File // where the rest of the file can be read
	queue sysv.Queue
}

func (s *server) stuck(path string) stuckClient {
	GinkgoHelper()
	r, w, err := os.Pipe()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { r.Close() })
	cmd := s.command(path)
	cmd.Stdout = w
	p := start(cmd)
	Expect(w.Close()).To(Succeed())
	s.onlyChild() // sleeps as soon as the client takes nothing any more
	Eventually(aThreadSleeps).WithArguments(p.pid(), unix.SYS_WRITE).Should(BeTrue(), p.stderr)
	return stuckClient{p, r, p.receivesFrom()}
}

// receivesFrom finds the queue that the process has received from. A receiver that slept is noted by its thread's
// number, any other by its process's (pipelined_send and do_msgrcv in the kernel's ipc/msg.c).
func (p *process) receivesFrom() sysv.Queue {
	GinkgoHelper()
	queues, err := sysv.Queues()
	Expect(err).NotTo(HaveOccurred())
	for _, q := range queues {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", p.pid(), q.LastReceiver)); err == nil {
			return sysv.ByID(q.ID)
		}
	}
	Fail("the client has no queue")
	panic("unreachable")
}

// goOn lets the client write, and returns what it writes.
func (c stuckClient) goOn() []byte {
	GinkgoHelper()
	content, err := io.ReadAll(c.out)
	Expect(err).NotTo(HaveOccurred())
	return content
}

// says is for Eventually: the log has the text.
func (p *process) says(text string) func() bool {
	return func() bool { return strings.Contains(p.stderr(), text) }
}
