package finding

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"daemonlab/lab/procfs"
	"daemonlab/specs/rubric"
)

//go:embed es.json
var catalog []byte

// spanish maps each text of the specs, a format of fmt, to Spanish.
var spanish = func() (texts map[string]string) {
	if err := json.Unmarshal(catalog, &texts); err != nil {
		panic(err) // the file is embedded, and a test reads it
	}
	return texts
}()

// Say returns a text in both languages: es.json has the Spanish one. Arguments that have a Spanish form (a
// [rubric.Text], an error, a bool, values of procfs) are inserted in the text's language; others are formatted as they
// are.
func Say(text string, args ...any) rubric.Text {
	return rubric.Text{EN: format("en", text, args), ES: format("es", cmp.Or(spanish[text], text), args)}
}

// Same is evidence in no language, such as a line of /proc.
func Same(text string, args ...any) rubric.Text {
	return rubric.Text{EN: format("en", text, args), ES: format("es", text, args)}
}

// Usage returns a tool's usage in the language of --lang. Where the script gives the flag, as in a student's folder,
// the usage omits it.
func Usage(f *flag.FlagSet, usage rubric.Text) string {
	text := usage.In(f.Lookup("lang").Value.String())
	f.Visit(func(given *flag.Flag) {
		if given.Name == "lang" {
			text = langLine.ReplaceAllString(text, "")
		}
	})
	return text
}

var langLine = regexp.MustCompile(`(?m)^ *--lang .*\n`)

// counted matches a verb of fmt and the English or Spanish noun it counts.
var counted = regexp.MustCompile(`%[^a-zA-Z%]*[a-zA-Z](?: (?:bytes|messages|threads|calls|requests|descriptors|mensajes|hilos|llamadas)\b)?`)

func format(lang, text string, args []any) string {
	n := -1
	text = counted.ReplaceAllStringFunc(text, func(verb string) string {
		if n++; n < len(args) && args[n] == any(1) {
			return strings.TrimSuffix(verb, "s")
		}
		return verb
	})
	said := make([]any, len(args))
	for i, arg := range args {
		said[i] = arg
		switch arg := arg.(type) {
		case nil: // a nil error
			said[i] = rubric.Text{EN: "none", ES: "ninguno"}.In(lang)
		case rubric.Text:
			said[i] = arg.In(lang)
		case interface{ Text() rubric.Text }:
			said[i] = arg.Text().In(lang)
		case bool:
			said[i] = yesNo[arg].In(lang)
		case procfs.IDs, procfs.SignalSet, procfs.CapSet:
			if lang == "es" {
				said[i] = ofProcfs.Replace(fmt.Sprint(arg))
			}
		case error:
			said[i] = Words(arg).In(lang)
		}
	}
	return fmt.Sprintf(text, said...)
}

var yesNo = map[bool]rubric.Text{true: {EN: "yes", ES: "sí"}, false: {EN: "no", ES: "no"}}

// ofProcfs translates the words that lab/procfs puts beside numbers of /proc.
var ofProcfs = strings.NewReplacer(
	"(none)", "(ninguna)", "(all)", "(todas)", "(all but ", "(todas menos ",
	"signal ", "señal ", "capability ", "capacidad ", "effective ", "efectivo ", "saved ", "guardado ", "file system ", "de ficheros ",
)

// Plain makes a program's text safe to show: unprintable characters, direction marks and invalid UTF-8 are escaped, so
// that it cannot control the terminal and reads in order. Newlines and tabs stay.
func Plain(text string) string { return Escape(text, "\n\t") }

// Escape escapes unprintable characters as Go does, except those to keep.
func Escape(text, keep string) string {
	var b strings.Builder
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case strconv.IsPrint(r), strings.ContainsRune(keep, r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		text = text[size:]
	}
	return b.String()
}

// Args shows a program's arguments as one line, those with blanks quoted and very long ones truncated.
func Args(args []string) string {
	shown := make([]string, len(args))
	for i, arg := range args {
		if arg == "" || strings.ContainsAny(arg, " \t\n\"'") {
			arg = strconv.Quote(arg)
		}
		shown[i] = Clip(arg, 200)
	}
	return strings.Join(shown, " ")
}

// Clip truncates a line to the given width.
func Clip(line string, columns int) string {
	if utf8.RuneCountInString(line) <= columns {
		return line
	}
	return string([]rune(line)[:max(columns-1, 0)]) + "…"
}

// Fold breaks a line longer than width between words. A word longer than a line is broken after a joining sign, else
// anywhere.
func Fold(line string, columns int) (lines []string) {
	for utf8.RuneCountInString(line) > columns {
		head := string([]rune(line)[:columns])
		blank := strings.LastIndexByte(line[:len(head)+1], ' ')
		word, _, _ := strings.Cut(line[blank+1:], " ")
		if blank > 0 && strings.TrimSpace(head[:blank]) != "" && utf8.RuneCountInString(word) <= columns {
			head = head[:blank]
		} else if at := strings.LastIndexAny(head, "(|,"); at > columns/2 {
			head = head[:at+1]
		}
		lines = append(lines, head)
		line = strings.TrimLeft(line[len(head):], " ")
	}
	return append(lines, line)
}
