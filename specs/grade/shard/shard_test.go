package shard_test

import (
	"testing"

	"daemonlab/specs/grade/shard"
)

func TestParse(t *testing.T) {
	slurm := func(id, least, count, step string) map[string]string {
		return map[string]string{"SLURM_ARRAY_TASK_ID": id, "SLURM_ARRAY_TASK_MIN": least, "SLURM_ARRAY_TASK_COUNT": count,
			"SLURM_ARRAY_TASK_STEP": step}
	}
	kubernetes := func(index, count string) map[string]string {
		return map[string]string{"SLURM_ARRAY_TASK_ID": "", "JOB_COMPLETION_INDEX": index, "GRADE_SHARDS": count}
	}
	none, refused := kubernetes("", ""), shard.Shard{}
	for _, test := range []struct {
		text string
		env  map[string]string
		want shard.Shard
	}{
		{"1/1", none, shard.Whole}, {"2/5", none, shard.Shard{2, 5}}, {"5/5", slurm("1", "1", "2", "1"), shard.Shard{5, 5}},
		{"0/5", none, refused}, {"6/5", none, refused}, {"5", none, refused}, {"a/b", none, refused}, {"", none, refused},
		{"-1/-1", none, refused}, {"1/2/3", none, refused}, {"auto", none, refused},
		{"auto", slurm("1", "1", "4", "1"), shard.Shard{1, 4}}, {"auto", slurm("0", "0", "4", "1"), shard.Shard{1, 4}},
		{"auto", slurm("13", "10", "4", "1"), shard.Shard{4, 4}}, {"auto", slurm("14", "10", "4", "2"), shard.Shard{3, 4}},
		{"auto", slurm("3", "0", "4", ""), shard.Shard{4, 4}}, {"auto", slurm("7", "1", "3", "1"), refused},
		{"auto", slurm("3", "0", "4", "2"), refused}, {"auto", slurm("3", "", "4", "1"), refused},
		{"auto", slurm("3", "0", "four", "1"), refused}, {"auto", slurm("3", "0", "4", "0"), refused},
		{"auto", kubernetes("0", "3"), shard.Shard{1, 3}}, {"auto", kubernetes("2", "3"), shard.Shard{3, 3}},
		{"auto", kubernetes("3", "3"), refused}, {"auto", kubernetes("0", ""), refused},
	} {
		for name, value := range test.env {
			t.Setenv(name, value)
		}
		got, err := shard.Parse(test.text)
		if (err != nil) != (test.want == refused) || err == nil && got != test.want {
			t.Errorf("%q with %v: %v, %v; not %v", test.text, test.env, got, err, test.want)
		}
	}
}
