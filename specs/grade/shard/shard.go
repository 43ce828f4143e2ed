// Package shard divides a class among machines.
package shard

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Shard is one of the parts of a class.
type Shard struct {
	Index, Count int // Index from 1
}

// Whole is the only part of a class that is not divided.
var Whole = Shard{1, 1}

// Automatic asks for the part that the environment says.
const Automatic = "auto"

// Parse reads I/N, or [Automatic].
func Parse(text string, env func(string) string) (Shard, error) {
	if text == Automatic {
		return fromEnvironment(env)
	}
	i, n, ok := strings.Cut(text, "/")
	s, err := numbers(i, n)
	if !ok || err != nil || !s.valid() {
		return s, fmt.Errorf("shard %q: it is I/N with I from 1 to N, or %s", text, Automatic)
	}
	return s, nil
}

func (s Shard) valid() bool {
	return s.Index >= 1 && s.Index <= s.Count
}

func (s Shard) String() string {
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// CountVariable says into how many parts a Kubernetes indexed Job divides the class: it tells a pod its index only.
const CountVariable = "GRADE_SHARDS"

// fromEnvironment knows the tasks of a Slurm array (sbatch(1), --array), whose numbers may begin anywhere and go in
// steps, and the pods of a Kubernetes indexed Job, which count from 0.
func fromEnvironment(env func(string) string) (Shard, error) {
	var s Shard
	var err error
	switch {
	case env("SLURM_ARRAY_TASK_ID") != "":
		s, err = fromSlurm(env)
	case env("JOB_COMPLETION_INDEX") != "":
		s, err = numbers(env("JOB_COMPLETION_INDEX"), env(CountVariable))
		s.Index++
	default:
		return s, errors.New("shard: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is in the environment")
	}
	if err == nil && !s.valid() {
		err = fmt.Errorf("there is no part %v", s)
	}
	if err != nil {
		err = fmt.Errorf("shard: the environment: %w", err)
	}
	return s, err
}

func fromSlurm(env func(string) string) (Shard, error) {
	id, errID := number(env, "SLURM_ARRAY_TASK_ID")
	least, errMin := number(env, "SLURM_ARRAY_TASK_MIN")
	count, errCount := number(env, "SLURM_ARRAY_TASK_COUNT")
	step := 1
	var errStep error
	if env("SLURM_ARRAY_TASK_STEP") != "" {
		step, errStep = number(env, "SLURM_ARRAY_TASK_STEP")
	}
	if err := errors.Join(errID, errMin, errCount, errStep); err != nil {
		return Shard{}, err
	}
	// An array of numbers at odd distances has no step, and a task cannot tell which of them it is.
	if step < 1 || (id-least)%step != 0 {
		return Shard{}, fmt.Errorf("task %d is no step of %d away from %d: number the array without gaps", id, step,
			least)
	}
	return Shard{(id-least)/step + 1, count}, nil
}

func number(env func(string) string, name string) (int, error) {
	n, err := strconv.Atoi(env(name))
	if err != nil {
		return 0, fmt.Errorf("%s=%q is no number", name, env(name))
	}
	return n, nil
}

func numbers(index, count string) (Shard, error) {
	i, errIndex := strconv.Atoi(index)
	n, errCount := strconv.Atoi(count)
	return Shard{i, n}, errors.Join(errIndex, errCount)
}

// Of returns the part of the whole class. Neighbours in it go to different parts, so that these take about as long.
func Of[T any](s Shard, class []T) []T {
	var part []T
	for i := s.Index - 1; i < len(class); i += s.Count {
		part = append(part, class[i])
	}
	return part
}
