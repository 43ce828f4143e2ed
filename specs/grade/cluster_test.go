package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"daemonlab/specs/check"
	"daemonlab/specs/grade/class"
)

// slurmConf describes a cluster of this machine alone, which may claim more resources than it has.
const slurmConf = `ClusterName=daemonlab
SlurmctldHost=%[1]s(127.0.0.1)
SlurmctldPort=%[3]d
SlurmdPort=%[4]d
SlurmUser=root
AuthInfo=socket=%[2]s/munge.socket
StateSaveLocation=%[2]s
SlurmdSpoolDir=%[2]s/spool
SlurmctldPidFile=%[2]s/slurmctld.pid
SlurmdPidFile=%[2]s/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SlurmdParameters=config_overrides
NodeName=%[1]s NodeAddr=127.0.0.1 CPUs=4 RealMemory=8192
PartitionName=all Nodes=ALL Default=YES
`

func cluster(t *testing.T, dir string) {
	t.Helper()
	host, err := os.Hostname()
	must(t, err)
	host, _, _ = strings.Cut(host, ".")
	conf := filepath.Join(dir, "slurm.conf")
	add(t, conf, fmt.Sprintf(slurmConf, host, dir, freePort(t), freePort(t)))
	must(t, os.WriteFile(filepath.Join(dir, "key"), []byte(strings.Repeat(t.Name(), 10)), 0o400))
	t.Setenv("SLURM_CONF", conf)
	t.Cleanup(func() { mustLeaveNothing(t) }) // slurmd leaves its steps to the subreaper
	at := func(name string) string { return filepath.Join(dir, name) }
	daemon(t, "munged", "--foreground", "--key-file="+at("key"), "--socket="+at("munge.socket"), "--pid-file="+at("munge.pid"),
		"--seed-file="+at("munge.seed"), "--log-file="+at("munge.log"))
	waitFor(t, "munged", func() bool { _, err := os.Stat(at("munge.socket")); return err == nil })
	daemon(t, "slurmctld", "-D", "-f", conf, "-L", at("slurmctld.log"))
	daemon(t, "slurmd", "-D", "-f", conf, "-L", at("slurmd.log"))
	waitFor(t, "an idle node", func() bool {
		state, _ := exec.Command("sinfo", "-h", "-o", "%T").Output()
		return string(state) == "idle\n"
	})
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().(*net.TCPAddr).Port
}

func daemon(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
}

// TestSlurm grades a class of 200, of which one in 50 builds, with the tasks of a job array.
func TestSlurm(t *testing.T) {
	check.Slow(t)
	check.Needs(t, "munged", "slurmctld", "slurmd", "sinfo", "sbatch") // munge, slurmctld, slurmd and slurm-client
	if os.Geteuid() != 0 {
		t.Skip("slurmd has to be root")
	}
	dir := check.Room(t)
	submissions, merged := filepath.Join(dir, "submissions"), filepath.Join(dir, "merged")
	for i := range 200 {
		folder := filepath.Join(submissions, fmt.Sprintf("student %d", i))
		must(t, os.MkdirAll(folder, 0o755))
		if i%50 == 0 {
			add(t, filepath.Join(folder, "Makefile"), "all:\n\tmkdir bin && cp /bin/false bin/mqfile\n")
		} else if i%10 > 0 {
			add(t, filepath.Join(folder, "Makefile"), fmt.Sprintf("all:\n\texit %d\n", i%10))
		}
	}
	cluster(t, check.Room(t))
	script, err := filepath.Abs("../../scripts/cluster/grade.sbatch")
	must(t, err)
	cmd := exec.Command("sbatch", "--wait", "--array=1-4", "--output="+dir+"/said-%a", script, submissions, dir+"/parts")
	cmd.Dir = filepath.Dir(kit) // bin/grade is relative to the project's root
	out, err := cmd.CombinedOutput()
	for i := range 4 {
		said, _ := os.ReadFile(fmt.Sprintf("%s/said-%d", dir, i+1))
		out = append(out, said...)
	}
	t.Logf("%s", out)
	must(t, err)
	parts, err := filepath.Glob(dir + "/parts/part-*")
	must(t, err)
	found := grade(t, merged, append([]string{"--merge"}, parts...)...)
	built, failed := found.Count(class.Graded), found.Count(class.NoBuild)
	if len(parts) != 4 || built != 4 || failed != 196 || len(found.Submissions) != 200 {
		t.Errorf("%d submissions in %d parts, of which %d build and %d do not",
			len(found.Submissions), len(parts), built, failed)
	}
	waitFor(t, "the end of all tasks", func() bool {
		left, err := exec.Command("squeue", "-h").Output()
		return err == nil && len(left) == 0
	})
}

// TestKubernetes validates the Job against the API's schema, which is part of the validator: go install
// sigs.k8s.io/kubectl-validate@v0.0.4.
func TestKubernetes(t *testing.T) {
	check.Needs(t, "kubectl-validate")
	out, err := exec.Command("kubectl-validate", "--version", "1.30", "../../scripts/cluster/grade.yaml").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
