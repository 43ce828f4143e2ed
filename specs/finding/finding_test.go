package finding_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"daemonlab/lab/procfs"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

func TestPartsOfAFindingAreBounded(t *testing.T) {
	for _, text := range []string{strings.Repeat("\"\", ", 100_000), strings.Repeat("a line\n", 5_000), "x" + strings.Repeat("ñ", 100_000)} {
		part := finding.Same("%s", text)
		f := finding.Finding{Did: part, Wants: part, Saw: part, Cause: part}
		whole, brief := f.Whole(rubric.Row{}, "en", 0), f.Brief(rubric.Row{}, "es", 80)
		if len(whole) > 20_000 || strings.Count(whole, "\n") > 200 || strings.Count(brief, "\n") > 25 || !utf8.ValidString(whole+brief) {
			t.Errorf("parts of %d bytes come to %d bytes in %d lines, %d lines in brief", len(text), len(whole),
				strings.Count(whole, "\n"), strings.Count(brief, "\n"))
		}
	}
	f := finding.Finding{Did: finding.Same("one\ntwo and more words than fit"), Facts: []finding.Fact{{Text: "a long line of a log"}}}
	if text := f.Whole(rubric.Row{}, "en", 0); !strings.Contains(text, "one\n          two and more words than fit\n") {
		t.Errorf("a short part is not whole: %q", text)
	}
	if text := f.Whole(rubric.Row{}, "en", 30); !strings.Contains(text, "two and more words\n          than fit\n--- ") ||
		!strings.Contains(text, "a long line of a log") {
		t.Errorf("a whole finding is not laid out in columns, its facts as they are: %q", text)
	}
}

func TestAProgramWithoutASlashIsLookedUpOnThePath(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := exec.LookPath("mqfiled")
	said := finding.Words(err)
	for _, text := range []string{said.EN, said.ES} {
		if !strings.Contains(text, "PATH") || !strings.Contains(text, "./mqfiled") {
			t.Errorf("%v: %q does not tell how to name a file here", err, text)
		}
	}
}

func TestArgumentsAreQuotedAndTruncated(t *testing.T) {
	for want, args := range map[string][]string{
		`--root /srv file`:             {"--root", "/srv", "file"},
		`"" "two words" "it's"`:        {"", "two words", "it's"},
		strings.Repeat("p", 199) + "…": {strings.Repeat("p", 4095)},
	} {
		if got := finding.Args(args); got != want {
			t.Errorf("%q: %s, not %s", args, got, want)
		}
	}
}

func TestOneThingIsSaidInTheSingular(t *testing.T) {
	for n, want := range []rubric.Text{
		{EN: "0 bytes of priority 1", ES: "0 bytes of priority 1"}, {EN: "1 byte of priority 1", ES: "1 byte of priority 1"},
	} {
		if got := finding.Say("%d bytes of priority %d", n, 1); got != want {
			t.Errorf("%+v", got)
		}
	}
	if got := finding.Say("%.20q, %d bytes", "1 bytes", 2).EN; got != `"1 bytes", 2 bytes` {
		t.Error(got)
	}
}

func TestLinesAreFoldedBetweenWords(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"12345678901 2", []string{"12345678901", "2"}},
		{"saw: /proc/1/fd", []string{"saw:", "/proc/1/fd"}},
		{"/proc/12345/fd/3", []string{"/proc/12345", "/fd/3"}},
		{"O_RDWR|O_APPEND|O_SYNC", []string{"O_RDWR|", "O_APPEND|", "O_SYNC"}},
		{"    señal señal", []string{"    señal", "señal"}},
	} {
		if got := finding.Fold(c.line, 11); !slices.Equal(got, c.want) {
			t.Errorf("%q became %q", c.line, got)
		}
	}
}

func TestWhatProcShowsIsSaidInBothLanguages(t *testing.T) {
	got := finding.Same("%v; %v; %v", procfs.SignalSet(0), ^procfs.SignalSet(1<<31), procfs.IDs{0, 1, 1, 1})
	want := rubric.Text{
		EN: "0000000000000000 (none); ffffffff7fffffff (all but signal 32); real 0, effective 1, saved 1, file system 1",
		ES: "0000000000000000 (ninguna); ffffffff7fffffff (todas menos señal 32); real 0, efectivo 1, guardado 1, de ficheros 1",
	}
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
