package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"daemonlab/specs/grade/bundle"
	"daemonlab/specs/grade/results"
)

// The platforms that there are bundles for.
const (
	gradescope  = "gradescope"
	classroom50 = "classroom50"
)

// instead is what is to be done instead of grading, or nil.
func (o options) instead() func() error {
	switch {
	case o.rescore != "":
		return o.rescoreResults
	case o.merge:
		return o.mergeParts
	case o.alike != nil:
		return o.compare
	case o.bundle != "":
		return o.packBundle
	}
	return nil
}

func (o options) rescoreResults() error {
	c, err := results.Rescore(o.rescore, o.rows)
	if err == nil {
		printTable(os.Stdout, c)
	}
	return err
}

func (o options) mergeParts() error {
	c, err := results.Merge(o.out, o.parts)
	if err == nil {
		printTable(os.Stdout, c)
	}
	return err
}

func (o options) packBundle() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	programs := filepath.Dir(self)
	t, err := findToolchain(filepath.Dir(programs))
	if err == nil && t.root == "" {
		err = errors.New("there is no go command on the PATH, whose Go would be packed")
	}
	if err != nil {
		return err
	}
	pack := bundle.Gradescope
	if o.bundle == classroom50 {
		pack = bundle.Classroom50
	}
	if err := pack(o.out, t.kit(programs)); err != nil {
		return err
	}
	fmt.Println(o.out)
	return nil
}

// kit is what a bundle needs to build Go with, and the grader's programs.
func (t toolchain) kit(programs string) bundle.Kit {
	k := bundle.Kit{Programs: programs, GoRoot: t.root, Modules: map[string]string{}}
	for _, share := range t.shares {
		if name, ok := strings.CutPrefix(share.To, goModules+"/"); ok {
			k.Modules[share.From] = name
		}
	}
	return k
}
