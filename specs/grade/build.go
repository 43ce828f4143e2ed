package main

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/cage"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/intake"
	"daemonlab/specs/harness"
)

// Paths of the programs after a build.
const (
	serverProgram = "bin/mqfiled"
	clientProgram = "bin/mqfile"
)

const (
	removeBuilt = "rm -rf bin/mqfiled bin/mqfile; "
	// A program may be a link to a file inside the cage; the judge gets the file. One that ld.so(8) cannot load does
	// not count.
	checkBuilt = `for p in bin/mqfiled bin/mqfile; do
	if [ -f $p ] && [ -x $p ]; then
		[ ! -h $p ] || cp --remove-destination "$(readlink -f $p)" $p
		! ldd $p 2>&1 | grep -e '=> not found' -e 'version .* not found' || rm -f $p
	elif [ -e $p ] || [ -h $p ]; then
		echo "$p is no program, and leads to none:" && ls -ld $p && rm -rf $p
	fi
done >&2`
	maxBuildOutput = 64 << 10 // bytes
)

// build builds the programs. If only one exists the submission is still judged on it.
func (a *attempt) build(ctx context.Context) error {
	command := cmp.Or(a.as, intake.Build[a.Language])
	a.Build.Command = command
	if a.as == "" && a.Language == "go" && a.toolchain.env == nil {
		return errors.New("there is no go command on this machine to build with")
	}
	if err := cage.PackFile(a.files, a.handed.Dir); err != nil {
		return err
	}
	limited, cancel := harness.WithTimeout(ctx, a.o.timeout)
	defer cancel()
	output := &capped{limit: maxBuildOutput}
	launch := append([]string{a.cages.Tool(launchTool)}, a.cages.Confine()...)
	job := cage.Job{
		Command: append(launch, "--", "/bin/sh", "-c", removeBuilt+"("+command+"\n); status=$?\n"+checkBuilt+"\nexit $status"),
		Env:     cage.Environment(a.toolchain.env...), Files: a.files, Result: a.built, Build: true,
		Stdout: output, Stderr: output,
	}
	begin := time.Now()
	exit, err := a.cages.Run(limited, job)
	a.Build.Seconds = time.Since(begin).Round(time.Millisecond).Seconds()
	a.Build.Output = strings.ToValidUTF8(output.kept.String(), "\uFFFD")
	if keepErr := a.keep("build.log", output.kept.Bytes()); keepErr != nil {
		return keepErr
	}
	switch {
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return fault{class.NoBuild, finding.Say("the build did not finish within %v", a.o.timeout)}
	case errors.Is(err, cage.ErrTooLarge):
		return fault{class.NoBuild, finding.Say("the build makes more files than a submission may have")}
	case err != nil:
		return err
	}
	return a.findPrograms(exit)
}

// findPrograms checks what the build produced.
func (a *attempt) findPrograms(exit int) error {
	file, err := os.Open(a.built)
	if err != nil {
		return err
	}
	defer file.Close()
	a.Hashes = map[string]string{}
	built := intake.Built{Exit: exit, Output: a.Build.Output}
	for archive := tar.NewReader(file); ; {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		name := filepath.Clean(header.Name)
		if header.Typeflag == tar.TypeReg && header.Mode&0o111 != 0 && (name == serverProgram || name == clientProgram) {
			hash := sha256.New()
			if _, err := io.Copy(hash, archive); err != nil {
				return err
			}
			a.Hashes[filepath.Base(name)] = hex.EncodeToString(hash.Sum(nil))
		} else if header.Mode&0o100 != 0 && !strings.Contains(filepath.Base(name), ".so") {
			begin := make([]byte, 8)
			if n, _ := io.ReadFull(archive, begin); intake.IsBuilt(begin[:n]) {
				built.Programs = append(built.Programs, name)
			}
		}
	}
	for _, program := range []string{serverProgram, clientProgram} {
		if !a.has(program) {
			built.Missing = append(built.Missing, program)
		}
	}
	if built.Missing == nil {
		return nil
	}
	why := finding.Say("the build did not make %s", strings.Join(built.Missing, ", "))
	if exit != 0 {
		why = finding.Say("%s: exit status %d", firstWord(a.Build.Command), exit)
	}
	if g := a.handed.Misbuilt(built); g != nil && a.as == "" {
		a.guess(*g)
		why = g.Why
	}
	if len(a.Hashes) == 0 {
		return fault{class.NoBuild, why}
	}
	a.Why = why.EN
	a.note(why)
	return nil
}

func firstWord(command string) string {
	if strings.HasPrefix(command, "go ") {
		return "go build"
	}
	return command
}

func (a *attempt) has(program string) bool {
	_, ok := a.Hashes[filepath.Base(program)]
	return ok
}
