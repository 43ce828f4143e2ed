package procfs

import "strconv"

// TaskIDs lists the thread IDs of the process, ascending.
func (p Process) TaskIDs() ([]int, error) { return numbers(p.Path("task"), false) }

// Task returns one thread of the process, whose Status is the thread's own.
func (p Process) Task(tid int) Process {
	return Process{tid, p.Path("task", strconv.Itoa(tid))}
}

// Tasks reads the Status of every thread, leaving out those that end meanwhile. The thread-group leader, whose Pid is
// the process's, stays in the list even when it ends before the others.
func (p Process) Tasks() ([]Status, error) {
	tids, err := p.TaskIDs()
	if err != nil {
		return nil, err
	}
	return living(tids, func(tid int) (Status, error) { return p.Task(tid).Status() })
}
