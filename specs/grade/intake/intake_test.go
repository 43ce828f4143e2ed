package intake_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"daemonlab/specs/check"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/intake"
)

var must = check.Must

func tarOf(t *testing.T, headers ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := "all:\n"
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(content))
		}
		must(t, w.WriteHeader(&h))
		if h.Size > 0 {
			_, err := w.Write([]byte(content))
			must(t, err)
		}
	}
	must(t, w.Close())
	return b.String()
}

func zipOf(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range files {
		f, err := w.Create(name)
		must(t, err)
		_, err = f.Write([]byte(content))
		must(t, err)
	}
	must(t, w.Close())
	return b.String()
}

// encrypted is a zip whose files say that they are encrypted.
func encrypted(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	_, err := w.CreateRaw(&zip.FileHeader{Name: "Makefile", Flags: 1})
	must(t, errors.Join(err, w.Close()))
	return b.String()
}

func TestClassesOfPlatforms(t *testing.T) {
	for name, test := range map[string]struct{ files, want []string }{
		"plain": {[]string{"ana/Makefile", "luis.tar.gz", "notes.txt", ".git/HEAD"},
			[]string{".git !", "ana", "luis.tar.gz", "notes.txt !"}},
		"moodle": {[]string{"Ana Núñez_12_assignsubmission_file_/lab.zip", "Ana Núñez_12_assignsubmission_onlinetext_/onlinetext.html",
			"Li_3_assignsubmission_file/Makefile", "Bo_7_assignsubmission_file_lab.zip"},
			[]string{"Ana Núñez_12_assignsubmission_file_ moodle Ana Núñez 12", "Bo_7_assignsubmission_file_ moodle Bo 7",
				"Li_3_assignsubmission_file_ moodle Li 3"}},
		"canvas": {[]string{"nunezana_12_345_lab-1.zip", "nunezana_12_346_report.pdf", "bo_LATE_7_8_main.c"},
			[]string{"bo_7 canvas bo 7", "nunezana_12 canvas nunezana 12"}},
		"like canvas":   {[]string{"lab_2026_11_ana.zip", "lab_2026_11_bo.zip"}, []string{"lab_2026_11_ana.zip", "lab_2026_11_bo.zip"}},
		"a name twice":  {[]string{"bo_7/Makefile", "bo_7_8_lab.zip", "eva"}, []string{"bo_7 canvas bo 7", "eva !"}},
		"gradescope":    {[]string{"submission_12/Makefile", "submission_metadata.yml"}, []string{"submission_12 gradescope Ana, Bo 12"}},
		"no gradescope": {[]string{"submission_12/Makefile"}, []string{"submission_12"}},
		"Mac": {[]string{"._Li_3_assignsubmission_file_lab.zip", "Li_3_assignsubmission_file_lab.zip", "._bo_7_8_lab.zip", "bo_7_8_lab.zip", "._a.zip"},
			[]string{"._Li_3_assignsubmission_file_lab.zip !", "._a.zip !", "._bo_7_8_lab.zip !",
				"Li_3_assignsubmission_file_ moodle Li 3", "bo_7 canvas bo 7"}},
		"github": {[]string{"lab-ana/.git/HEAD", "lab-ana/go.mod"}, []string{"lab-ana"}},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			dir, archive := filepath.Join(top, "export"), filepath.Join(t.TempDir(), "class.zip")
			check.Files(t, dir, "all:\n", 0o644, test.files...)
			if slices.Contains(test.files, "submission_metadata.yml") {
				must(t, os.WriteFile(filepath.Join(dir, "submission_metadata.yml"), []byte("---\nsubmission_12:\n  :submitters:\n"+
					"  - :name: Ana\n    :sid: '1'\n    :email: a@x\n  - :name: Bo\n    :sid: '2'\n    :email: b@x\n  :status: processed\n"), 0o644))
			}
			check.Zip(t, archive, top)
			for _, class := range []string{dir, archive} {
				items, err := intake.Class(class, "", t.TempDir())
				must(t, err)
				var got []string
				for _, i := range items {
					text := strings.TrimSpace(fmt.Sprintf("%s %s %s %s", i.Name, i.Student.Platform, i.Student.Name, i.Student.ID))
					if i.Stray.EN != "" {
						text += " !"
					}
					got = append(got, text)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("of %s: %q, want %q", class, got, test.want)
				}
			}
		})
	}
}

// Whatever building can see makes it another submission, which is graded again.
func TestHashChanges(t *testing.T) {
	dir := t.TempDir()
	script, store := filepath.Join(dir, "ana/build.sh"), filepath.Join(dir, "ana/.DS_Store")
	check.Files(t, dir, "true\n", 0o644, "ana/build.sh")
	items, err := intake.Class(dir, "", t.TempDir())
	must(t, err)
	seen := map[string]bool{}
	had, err := items[0].Hash("")
	must(t, err)
	must(t, os.WriteFile(store, nil, 0o644))
	if hash, err := items[0].Hash(""); err != nil || hash != had {
		t.Errorf("a Mac that has only looked into it makes it another one, %v", err)
	}
	to := t.TempDir()
	_, err = items[0].Unpack(to)
	must(t, err)
	if built, _ := os.ReadDir(to); len(built) != 1 {
		t.Errorf("a build sees %v, which the hash does not tell apart", built)
	}
	for n, change := range []func() error{
		func() error { return nil },
		func() error { return os.Chmod(script, 0o755) },
		func() error { return os.WriteFile(script, []byte("false\n"), 0) },
		func() error { return os.Symlink("build.sh", script+"2") },
		func() error { return os.Rename(script, script+"3") },
	} {
		must(t, change())
		for _, as := range []string{"", "make"} {
			hash, err := items[0].Hash(as)
			if err != nil || seen[hash] {
				t.Errorf("change %d, built by %q: a hash that was there, %v", n, as, err)
			}
			seen[hash] = true
		}
	}
}

// longTar says that it has a TiB which nobody wants, and has as much of it as a submission may have read.
func longTar(t *testing.T) string {
	t.Helper()
	zipped := func(write func(io.Writer) error) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		must(t, errors.Join(write(w), w.Close()))
		return b.String()
	}
	return zipped(func(w io.Writer) error {
		return tar.NewWriter(w).WriteHeader(&tar.Header{Name: "__MACOSX/x", Typeflag: tar.TypeReg, Size: 1 << 40})
	}) + strings.Repeat(zipped(func(w io.Writer) error {
		_, err := w.Write(make([]byte, 1<<20))
		return err
	}), 128)
}

func TestHostileArchives(t *testing.T) {
	deep := tar.Header{Name: strings.Repeat("d/", 41) + "f"}
	many := slices.Repeat([]tar.Header{{Name: "d/", Typeflag: tar.TypeDir}}, 10_001)
	link := func(name, target string) tar.Header {
		return tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink}
	}
	bomb := zipOf(t, map[string]string{"Makefile": strings.Repeat("\x00", 2<<20)})
	for name, test := range map[string]struct{ content, refused string }{
		"parent":                 {tarOf(t, tar.Header{Name: "a/../../evil"}), "leads out"},
		"parent in zip":          {zipOf(t, map[string]string{"../evil": ""}), "leads out"},
		"absolute":               {tarOf(t, tar.Header{Name: "/tmp/evil"}), "leads out"},
		"through a link":         {tarOf(t, link("l", ".."), tar.Header{Name: "l/evil"}), "through a link"},
		"onto a link":            {tarOf(t, link("l", "../evil"), tar.Header{Name: "l"}), "through a link"},
		"hard link out":          {tarOf(t, tar.Header{Name: "l", Linkname: "../outside", Typeflag: tar.TypeLink}), "through a link"},
		"hard link of a link":    {tarOf(t, link("l", "../outside"), tar.Header{Name: "m", Linkname: "l", Typeflag: tar.TypeLink}), "through a link"},
		"hard link of a folder":  {tarOf(t, tar.Header{Name: "d/", Typeflag: tar.TypeDir}, tar.Header{Name: "l", Linkname: "d", Typeflag: tar.TypeLink}), "through a link"},
		"twice":                  {tarOf(t, tar.Header{Name: "Makefile"}, tar.Header{Name: "./Makefile"}), "twice"},
		"deep":                   {tarOf(t, deep), "nested too deep"},
		"long path":              {tarOf(t, tar.Header{Name: strings.Repeat(strings.Repeat("d", 250)+"/", 20) + "f"}), "nested too deep"},
		"many":                   {tarOf(t, many...), "nested too deep"},
		"bomb":                   {bomb, "MiB"},
		"bomb in an archive":     {zipOf(t, map[string]string{"in.zip": bomb}), "MiB"},
		"long":                   {longTar(t), "MiB"},
		"encrypted":              {encrypted(t), "encrypted"},
		"long name":              {tarOf(t, tar.Header{Name: strings.Repeat("n", 256)}), "too long"},
		"cut":                    {tarOf(t, tar.Header{Name: "Makefile"})[:514], "cannot be read"},
		"no archive":             {"%PDF-1.7", "cannot be read"},
		"odd bytes":              {tarOf(t, tar.Header{Name: "a\xff\n\x1b"}, tar.Header{Name: "Makefile"}), ""},
		"devices, set-user-ID":   {tarOf(t, tar.Header{Name: "sda", Typeflag: tar.TypeBlock}, tar.Header{Name: "fifo", Typeflag: tar.TypeFifo}, tar.Header{Name: "Makefile", Mode: 0o6755}), ""},
		"link that stays":        {tarOf(t, link("l", "d"), tar.Header{Name: "d/", Typeflag: tar.TypeDir}, tar.Header{Name: "l/Makefile"}), ""},
		"Windows' separators":    {strings.ReplaceAll(zipOf(t, map[string]string{"a_Makefile": "all:\n"}), "a_M", `a\M`), ""},
		"beside a Mac's":         {tarOf(t, tar.Header{Name: "._b.zip"}, tar.Header{Name: "__MACOSX/b.zip"}, tar.Header{Name: "b.zip"}), `"b.zip" cannot be read`},
		"archives in each other": {zipOf(t, map[string]string{"a.zip": zipOf(t, map[string]string{"b.zip": zipOf(t, map[string]string{"c.tar": tarOf(t, tar.Header{Name: "x/Makefile"})})})}), ""},
	} {
		t.Run(name, func(t *testing.T) { staysInside(t, test.content, test.refused) })
	}
}

// staysInside unpacks an archive that holds one program, unless it is to be refused, and looks for what got out.
func staysInside(t *testing.T, archive, refused string) {
	t.Helper()
	top := t.TempDir()
	dir, in := filepath.Join(top, "to"), filepath.Join(top, "class")
	must(t, errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(in, 0o755)))
	must(t, os.WriteFile(filepath.Join(top, "outside"), []byte("secret"), 0o644))
	must(t, os.WriteFile(filepath.Join(in, "a.zip"), []byte(archive), 0o644))
	items, err := intake.Class(in, "", t.TempDir())
	must(t, err)
	handed, err := items[0].Unpack(dir)
	if r := (*intake.Refused)(nil); refused == "" && err != nil ||
		refused != "" && (!errors.As(err, &r) || !strings.Contains(r.Why.EN, refused)) {
		t.Errorf("%v, want %q", err, refused)
	}
	if refused == "" && len(handed.Roots) != 1 {
		t.Errorf("programs in %q", handed.Roots)
	}
	if left, _ := os.ReadDir(top); len(left) != 3 {
		t.Errorf("outside: %v", left)
	}
	filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if info, err := entry.Info(); err == nil && info.Mode()&(fs.ModeSetuid|fs.ModeDevice|fs.ModeNamedPipe) != 0 {
			t.Errorf("%s is %v", path, info.Mode())
		}
		if content, err := os.ReadFile(path); err == nil && string(content) == "secret" && entry.Type().IsRegular() {
			t.Errorf("%s is what is outside", path)
		}
		return err
	})
}

func TestKindsOfArchives(t *testing.T) {
	from := t.TempDir()
	check.Files(t, from, "all:\n", 0o644, "lab/Makefile")
	for name, tar := range map[string]string{
		"a.tar": "tar", "a.tar.gz": "tar", "a.tgz": "tar", "a.tar.bz2": "tar", "a.tar.xz": "tar", "a.tar.zst": "tar", "a.7z": "bsdtar",
	} {
		t.Run(name, func(t *testing.T) {
			check.Needs(t, tar)
			in := t.TempDir()
			if said, err := exec.Command(tar, "-C", from, "-caf", filepath.Join(in, name), "lab").CombinedOutput(); err != nil {
				t.Skipf("%v: %s", err, said)
			}
			items, err := intake.Class(in, "", t.TempDir())
			must(t, err)
			handed, err := items[0].Unpack(t.TempDir())
			if err != nil || handed.Below != "lab" || handed.Language != "c" {
				t.Errorf("%+v, %v", handed, err)
			}
		})
	}
}

// TestCutWhereFilesEnd leaves the tar in an .xz without its end, as it may have it, and cuts the .xz behind it.
func TestCutWhereFilesEnd(t *testing.T) {
	cmd := exec.Command("xz")
	cmd.Stdin = strings.NewReader(strings.TrimSuffix(tarOf(t, tar.Header{Name: "Makefile"}), strings.Repeat("\x00", 1024)))
	packed, err := cmd.Output()
	if err != nil {
		t.Skip(err)
	}
	in := t.TempDir()
	must(t, os.WriteFile(filepath.Join(in, "a.tar.xz"), packed[:len(packed)-12], 0o644))
	items, err := intake.Class(in, "", t.TempDir())
	must(t, err)
	if h, err := items[0].Unpack(t.TempDir()); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestAdjustments(t *testing.T) {
	items := []intake.Item{{Name: "ana"}, {Name: "bo_7", Student: class.Student{Name: "Bo Ek", ID: "7"}},
		{Name: "cy_8_", Student: class.Student{Name: "Cy"}}, {Name: "cy_9_", Student: class.Student{Name: "Cy"}},
		{Name: " dan"}, {Name: "Jose\u0301"}, {Name: "Nu\u0301ñez_3", Student: class.Student{Name: "Nu\u0301ñez"}}}
	for table, want := range map[string]string{
		"name,late,points,as,reason\nana,20%,,,ill\n7,2x10,50,make all,agreed\n": "map[ana:{20 nil  ill} bo_7:{20 50 make all agreed}]",
		"\ufeffreason;name;late\r\nill;ana;150\r\n":                              "map[ana:{100 nil  ill}]",
		"name,points,reason\nBo Ek,7,oral\n":                                     "map[bo_7:{0 7  oral}]",
		"name,points,reason\ncy_9,7,oral\n":                                      "map[cy_9_:{0 7  oral}]",
		"name,late,reason\nJosé,1,Mac\nNúñez,2,Mac\n":                            "map[Jose\u0301:{1 nil  Mac} Nu\u0301ñez_3:{2 nil  Mac}]",
		"name,points,reason\nCy,7,oral\n":                                        `no submission is called "Cy"`, // two are
		"name;points;reason\nana;70,5;oral\n":                                    `points "70,5": must be a whole number`,
		"name,points,reason\nana,110,bonus\n":                                    `points "110": must be a whole number from 0 to 100`,
		"name,points,reason\nana,-5,late\n":                                      `points "-5": must be a whole number`,
		"name,points,reason\nana,7,d\xedas\n":                                    "not UTF-8",
		"name,late,reason\nana,20,\n":                                            "line 2: no reason given",
		"name,late,reason\neva,20,ill\n":                                         `line 2: no submission is called "eva"`,
		"name,late,reason\nana,20,ill\nana,10,ill\n":                             "line 3: ana appears twice",
		"name,late,reason\n\n,,\nana,20, \"ill, twice\"\n ,, \n":                 "map[ana:{20 nil  ill, twice}]",
		"name,late,reason\n\n\"ana\n\",20,ill\n,,\neva,20,ill\n":                 `line 6: no submission is called "eva"`,
		"name,late,reason\nana,20,\"ill\n":                                       "class.csv: ",
		"name,late,reason\n dan ,20,ill\n":                                       "map[ dan:{20 nil  ill}]",
		"name,late,reason\nana,-1,ill\n":                                         `late "-1"`,
		"name,late,why\nana,1,ill\n":                                             `unknown column "why"`,
		"":                                                                       "no table",
	} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "class.csv"), []byte(table), 0o644))
		adjust, err := intake.Adjustments(filepath.Join(dir, "class.tar.gz"), items)
		got := "map["
		for _, name := range []class.Name{"ana", "bo_7", "cy_9_", " dan", "Jose\u0301", "Nu\u0301ñez_3"} {
			if a, ok := adjust[name]; ok {
				points := "nil"
				if a.Points != nil {
					points = fmt.Sprint(*a.Points)
				}
				got += fmt.Sprintf("%s:{%d %s %s %s} ", name, a.Late, points, a.As, a.Reason)
			}
		}
		got = strings.TrimSpace(got) + "]"
		if err == nil && got != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s, %v, want %s", table, got, err, want)
		}
	}
}
