package cage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// start is a process to be started by the thread whose mount namespace the cages begin with.
type start struct {
	cmd  *exec.Cmd
	slot int
	done chan error
}

// spawner starts cages. Root's do it in a mount namespace of its own: the directories that the cages share may lie where
// only root can reach them, so they are mounted where everybody can. An ordinary user reaches all its own anyhow.
//
// The goroutine never unlocks its thread, which so ends with it, and the mounts with the thread.
func (c *Cages) spawner(ready chan<- error) {
	runtime.LockOSThread()
	err := c.prepare()
	ready <- err
	if err != nil {
		return
	}
	for s := range c.starts {
		err := c.users.become(s.slot)
		if err == nil {
			err = s.cmd.Start()
		}
		s.done <- err
	}
}

func (c *Cages) prepare() error {
	if !c.Root() {
		return nil
	}
	if err := keepCapabilities(); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount / private: %w", err)
	}
	for i, s := range c.shares {
		dir := c.reachable(i)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(s.From, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount %s: %w", s.From, err)
		}
	}
	return nil
}

// reachable is where the cages reach a shared directory.
func (c *Cages) reachable(i int) string {
	if !c.Root() {
		return c.shares[i].From
	}
	return filepath.Join(c.private(), strconv.Itoa(i))
}

func (c *Cages) start(cmd *exec.Cmd, slot int) error {
	s := start{cmd, slot, make(chan error)}
	c.starts <- s
	return <-s.done
}
