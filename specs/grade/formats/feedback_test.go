package formats_test

import (
	"bytes"
	"encoding/csv"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"daemonlab/specs/check"
	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/formats"
	"daemonlab/specs/rubric"
)

// one returns a class of submissions with a rubric of two rows.
func one(submissions ...class.Submission) class.Class {
	return class.Class{Rubric: []rubric.Row{
		{ID: "fds", Step: 4, Points: 60, Title: rubric.Text{EN: "Closes", ES: "Cierra"}, Hint: rubric.Text{EN: "Close all.", ES: "Cierra todo."}},
		{ID: "rearm", Step: 9, Points: 40, Title: rubric.Text{EN: "Serves", ES: "Sirve"}, Hint: rubric.Text{EN: "Register first.", ES: "Registra antes."}},
	}, Ended: time.Unix(1e9, 0), Submissions: submissions}
}

func rows(fds, rearm string) []class.Row {
	return []class.Row{{ID: "fds", Status: fds}, {ID: "rearm", Status: rearm}}
}

func TestFeedbackHasNoPathOfTheGrader(t *testing.T) {
	kit, err := filepath.Abs("../../..")
	must(t, err)
	secret := []string{kit + "/specs", t.TempDir() + "/work", "/tmp/daemonlab-grade-1/bare/x", "/home/ana/kit/bin", "/root/a/b", "/usr/local/go/src"}
	public := []string{"/proc/300/fd/4 -> /dev/null", "/spec-request-27648-1 in mqueuefs", "server/main.go:7", "3/5", "https://x.invalid"}
	text := strings.Join(public, "\n")
	for _, path := range secret {
		for _, around := range []string{"%", "-I%", "open %: no such file", `"%"`, "--root=%", "file:%,", "(%)", "% (deleted)", "%/"} {
			text += "\n" + strings.ReplaceAll(around, "%", path)
		}
	}
	said := rubric.Text{EN: text, ES: text}
	judged := rows(class.Failed, class.Failed)
	judged[0].Finding = &finding.Finding{Saw: said, Facts: []finding.Fact{{Of: said, Text: text}}}
	judged[1].Why = said
	out := written(t, one(
		class.Submission{Name: "ana", Verdict: class.Graded, Rows: judged, Notes: said, Student: class.Student{Platform: "moodle", ID: "7"}},
		class.Submission{Name: "luis", Verdict: class.NoBuild, Why: text, Build: class.Build{Command: text, Output: text}},
		class.Submission{Name: "eva", Verdict: class.GraderFailed, Why: text}))
	files := 0
	for _, pattern := range []string{"feedback/*", "moodle.*", "submissions/*/*/*.json"} {
		found, _ := filepath.Glob(filepath.Join(out, pattern))
		files += len(found)
		for _, file := range found {
			content := strings.ReplaceAll(string(read(t, file)), `\u003e`, ">")
			for _, path := range secret {
				if strings.Contains(content, path) || strings.Contains(content, filepath.Dir(path)+"/") {
					t.Errorf("%s has %s", file, path)
				}
			}
			for _, path := range public {
				path = strings.ReplaceAll(path, ">", map[bool]string{true: "&gt;", false: ">"}[filepath.Ext(file) == ".html"])
				if !strings.Contains(content, path) && filepath.Ext(file) != ".csv" && !strings.Contains(file, "classroom50") {
					t.Errorf("%s lacks %s", file, path)
				}
			}
		}
	}
	if files != 12+2+6 {
		t.Errorf("%d files", files)
	}
}

func TestFeedbackHasEvidenceBesideEachHintInItsLanguage(t *testing.T) {
	judged := rows(class.Failed, class.Failed)
	judged[0].Finding = &finding.Finding{Saw: rubric.Text{EN: "fd 3 is open", ES: "fd 3 está abierto"}}
	const name class.Name = "<b>![ana](http:x)``"
	out := written(t, one(class.Submission{Name: name, Verdict: class.Graded, Rows: judged, Runs: 1,
		Adjust: class.Adjustment{Late: 10, Reason: "a day"}}))
	for lang, want := range map[string][]string{
		"en": {"0/100", "Closes", "fd 3 is open", "Close all.", "a day"}, "es": {"0/100", "Cierra", "fd 3 está abierto", "Cierra todo.", "a day"},
	} {
		for _, ext := range []string{"md", "html"} {
			text := string(read(t, out, "feedback", name.Folder()+"."+lang+"."+ext))
			text, heading := strings.CutPrefix(text, "# ``` "+string(name)+" ```: ")
			if heading != (ext == "md") {
				t.Errorf("%s.%s has the name as Markdown:\n%s", lang, ext, text)
			}
			for _, part := range want {
				if !strings.Contains(text, part) {
					t.Errorf("%s.%s lacks %q:\n%s", lang, ext, part, text)
				}
			}
			for _, bad := range []string{"<b>", "Register first.", "Registra antes."} {
				if strings.Contains(text, bad) {
					t.Errorf("%s.%s has %q:\n%s", lang, ext, bad, text)
				}
			}
		}
	}
}

func TestMoodleAndCanvasImport(t *testing.T) {
	look, eighty := []class.Look{{Command: "scripts/grade"}}, 80
	for _, platform := range []string{"moodle", "canvas"} {
		who := func(id string) class.Student { return class.Student{Platform: platform, ID: id, Name: "Núñez, Ana"} }
		out := written(t, one(
			class.Submission{Name: "all", Verdict: class.Graded, Rows: rows(class.Passed, class.Passed), Student: who("11")},
			class.Submission{Name: "late", Verdict: class.Graded, Rows: rows(class.Passed, class.Failed), Student: who("12"),
				Adjust: class.Adjustment{Late: 10, Reason: "late"}},
			class.Submission{Name: "one row not judged", Verdict: class.Graded, Rows: rows(class.Failed, class.Skipped), Student: who("13")},
			class.Submission{Name: "to look at", Verdict: class.NoBuild, Student: who("14"), Look: look},
			class.Submission{Name: "looked at", Verdict: class.NoBuild, Student: who("15"), Look: look, Adjust: class.Adjustment{Points: &eighty}},
			class.Submission{Name: "failed", Verdict: class.GraderFailed, Student: who("16")},
			class.Submission{Name: "=nobody", Verdict: class.NoBuild, Student: class.Student{}}))
		if text := read(t, out, "feedback", class.Name("to look at").Folder()+".en.md"); bytes.Contains(text, []byte("/100")) {
			t.Errorf("somebody has to look at it, but the student reads %s", text)
		}
		for file, want := range imports {
			content, err := os.ReadFile(filepath.Join(out, file))
			if !strings.HasPrefix(file, platform) {
				if err == nil {
					t.Errorf("%s of a class of %s", file, platform)
				}
				continue
			}
			lines, csvErr := csv.NewReader(bytes.NewReader(content)).ReadAll()
			if err != nil || csvErr != nil || !slices.EqualFunc(lines, want, func(line []string, begin string) bool {
				return strings.HasPrefix(strings.Join(line, "|")+"|", begin+"|")
			}) {
				t.Errorf("%s:\n%q, not\n%q, %v, %v", file, lines, want, err, csvErr)
			}
		}
	}
}

// imports has the beginning of each line of a file. Canvas gets no line without a grade: an empty cell would delete
// one.
var imports = map[string][]string{
	"canvas.csv": {"Student|ID|SIS User ID|SIS Login ID|Section|daemonlab", "Points Possible|||||100",
		"Núñez, Ana|11||||100", "Núñez, Ana|12||||54", "Núñez, Ana|13||||0", "Núñez, Ana|15||||80", "'=nobody|||||0"},
	"moodle.en.csv": {"Identifier|Full name|Grade|Last modified (grade)|Feedback comments",
		"Participant 11|Núñez, Ana|100", "Participant 12|Núñez, Ana|54", "Participant 13|Núñez, Ana|0",
		"Participant 14|Núñez, Ana|", "Participant 15|Núñez, Ana|80", "Participant 16|Núñez, Ana|", "|'=nobody|0"},
	"moodle.es.csv": {
		"Identificador|Nombre completo|Calificación|Última modificación (calificación)|Comentarios de retroalimentación",
		"Participante 11|Núñez, Ana|100", "Participante 12|Núñez, Ana|54", "Participante 13|Núñez, Ana|0",
		"Participante 14|Núñez, Ana|", "Participante 15|Núñez, Ana|80", "Participante 16|Núñez, Ana|", "|'=nobody|0"},
}

func TestFormerStudentsAreRemoved(t *testing.T) {
	before := one(class.Submission{Name: "ana", Student: class.Student{Platform: "moodle"}}, class.Submission{Name: "luis", Student: class.Student{Platform: "canvas"}})
	after := one(class.Submission{Name: "luis"})
	out := written(t, before)
	must(t, os.WriteFile(filepath.Join(out, "feedback", "notes.txt"), nil, 0o644))
	must(t, formats.Write(out, after))
	must(t, os.RemoveAll(before.Submissions[0].Name.Dir(out))) // evidence stays
	must(t, os.Remove(filepath.Join(out, "feedback", "notes.txt")))
	if got, want := check.Tree(t, out), check.Tree(t, written(t, after)); !maps.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Where the decimal sign is a comma, spreadsheets separate cells at semicolons, even inside CSV's quotes.
func TestNoFormulaAfterASeparator(t *testing.T) {
	judged := rows(class.Failed, class.Passed)
	judged[0].Finding = &finding.Finding{Saw: finding.Same(`1 <=2;=2+3`)}
	out := written(t, one(
		class.Submission{Name: "a;=1+2", Verdict: class.NoBuild, Why: "no x;-1, y"},
		class.Submission{Name: "\r@b", Verdict: class.Graded, Rows: judged, Notes: finding.Same("x\n\t=1"), Student: class.Student{Platform: "moodle"}}))
	text := string(read(t, out, "grades.csv")) + string(read(t, out, "moodle.en.csv"))
	for _, want := range []string{"\na;'=1+2,", `,"no x;'-1, y"`, "1 &lt;&#61;2;&#61;2+3", "x\n\t&#61;1"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
