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

// spanish has each text of the specs, a format of fmt, in Spanish.
var spanish = func() (texts map[string]string) {
	if err := json.Unmarshal(catalog, &texts); err != nil {
		panic(err) // the file is part of the program, and its test reads it
	}
	return texts
}()

// Say is a text in both languages: es.json has the Spanish one. A [rubric.Text] among the arguments is put in in its
// language, so is whatever has one, an error, a bool and what of procfs has words; everything else is as it is.
func Say(text string, args ...any) rubric.Text {
	return rubric.Text{EN: format("en", text, args), ES: format("es", cmp.Or(spanish[text], text), args)}
}

// Same is evidence in no language, such as a line of /proc.
func Same(text string, args ...any) rubric.Text {
	return rubric.Text{EN: format("en", text, args), ES: format("es", text, args)}
}

// Usage is that of a tool with a flag --lang, in its language. Where the flag is given, as a student's folder gives it,
// nothing is said of it.
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

// counted is a verb of fmt, and what it counts in English or Spanish.
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
		case nil: // an error that is none
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

// ofProcfs has the words that lab/procfs puts beside the numbers of /proc.
var ofProcfs = strings.NewReplacer(
	"(none)", "(ninguna)", "(all)", "(todas)", "(all but ", "(todas menos ",
	"signal ", "señal ", "capability ", "capacidad ", "effective ", "efectivo ", "saved ", "guardado ", "file system ", "de ficheros ",
)

// Plain makes text of a program's fit to be shown: what does not print, directs text or is no UTF-8 is escaped, so that
// it drives no terminal and reads as it is. Lines and tabs stay.
func Plain(text string) string { return Escape(text, "\n\t") }

// Escape writes what does not print as Go would, but for the characters to keep.
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

// Clip cuts a line to so many columns.
func Clip(line string, columns int) string {
	if utf8.RuneCountInString(line) <= columns {
		return line
	}
	return string([]rune(line)[:max(columns-1, 0)]) + "…"
}

// Fold breaks a line that has more columns between words. A word longer than a line is broken behind a sign that joins
// its parts, else anywhere.
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
