package procfs

import "testing"

// FuzzParsers gives any text to every parser, and puts it between the parentheses of a stat: as a name it must come out
// again and change no other field.
func FuzzParsers(f *testing.F) {
	for _, text := range append(hostileComms, statusText, statText("cat"),
		"pos:\t0\nflags:\t0100000\nlock:\t1: FLOCK  ADVISORY  WRITE 708 00:13:13361 0 EOF\n",
		"1: -> FLOCK  ADVISORY  WRITE 708 00:13:13361 0 EOF\n",
		"7f88d70e0000-7f88d7106000 r--p 00000000 fe:00 326269    /usr/lib/libc.so.6\n") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parseStatus(text)
		parseStat(text)
		parseFDInfo(text)
		parseLocks(text)
		parseMaps(text)
		s, err := parseStat(statText(text))
		must(t, err)
		equal(t, "Comm", s.Comm, text)
		equal(t, "Session", s.Session, 2153)
	})
}
