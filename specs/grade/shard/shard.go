// Package shard divides a class among machines.
package shard

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Shard is one part of a class.
type Shard struct {
	Index, Count int // Index from 1
}

// Whole is the only part of an undivided class.
var Whole = Shard{1, 1}

// Parse reads I/N, or auto for the part that the environment names.
func Parse(text string) (Shard, error) {
	if text == "auto" {
		return fromEnvironment()
	}
	i, n, _ := strings.Cut(text, "/")
	index, indexErr := strconv.Atoi(i)
	count, countErr := strconv.Atoi(n)
	s := Shard{index, count}
	if indexErr != nil || countErr != nil || !s.valid() {
		return s, fmt.Errorf("shard %q: must be I/N with I from 1 to N, or auto", text)
	}
	return s, nil
}

func (s Shard) valid() bool {
	return s.Index >= 1 && s.Index <= s.Count
}

// fromEnvironment supports Slurm array tasks (sbatch(1), --array), numbered from any start in steps, and the pods of a
// Kubernetes indexed Job, numbered from 0 without a total, which GRADE_SHARDS gives.
func fromEnvironment() (s Shard, err error) {
	number := func(name, unset string) int {
		n, convErr := strconv.Atoi(cmp.Or(os.Getenv(name), unset))
		if convErr != nil {
			err = errors.Join(err, fmt.Errorf("%s=%q is not a number", name, os.Getenv(name)))
		}
		return n
	}
	switch {
	case os.Getenv("SLURM_ARRAY_TASK_ID") != "":
		step := number("SLURM_ARRAY_TASK_STEP", "1")
		away := number("SLURM_ARRAY_TASK_ID", "") - number("SLURM_ARRAY_TASK_MIN", "")
		s.Count = number("SLURM_ARRAY_TASK_COUNT", "")
		// An irregular array has no step, so a task cannot tell its index.
		if step >= 1 && away%step == 0 {
			s.Index = away/step + 1
		}
	case os.Getenv("JOB_COMPLETION_INDEX") != "":
		s = Shard{number("JOB_COMPLETION_INDEX", "") + 1, number("GRADE_SHARDS", "")}
	default:
		return s, errors.New("shard: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is in the environment")
	}
	if err == nil && !s.valid() {
		err = fmt.Errorf("there is no part %d/%d: number the array without gaps", s.Index, s.Count)
	}
	if err != nil {
		return s, fmt.Errorf("shard: the environment: %w", err)
	}
	return s, nil
}

// Of returns this part of the class. Neighbours go to different parts, to balance the load.
func Of[T any](s Shard, class []T) []T {
	var part []T
	for i := s.Index - 1; i < len(class); i += s.Count {
		part = append(part, class[i])
	}
	return part
}
