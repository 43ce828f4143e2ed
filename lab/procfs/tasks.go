package procfs

import "strconv"

// Tasks reads the Status of every thread, leaving out those that end meanwhile. The thread-group leader, whose Pid is
// the process's, stays in the list even when it ends before the others.
func (p Process) Tasks() ([]Status, error) {
	tids, err := numbers(p.Path("task"), false)
	if err != nil {
		return nil, err
	}
	return living(tids, func(tid int) (Status, error) {
		return load(p.Path("task", strconv.Itoa(tid), "status"), ParseStatus)
	})
}
