package class

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Plain makes text of a submission's fit to be shown: what does not print, directs text or is no UTF-8 is escaped, so
// that it drives no terminal and reads as it is. Lines and tabs stay.
func Plain(text string) string {
	return escape(text, "\n\t")
}

// escape writes what does not print as Go would, but for the characters to keep.
func escape(text, keep string) string {
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
