package page_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"daemonlab/specs/grade/class/classtest"
)

// browser is a headless Chromium that looks at the page of a class as a server on this machine hands it out.
type browser struct {
	program, url string
	mu           sync.Mutex
	asked        []string // paths that the page was asked for, or asks for
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: it starts a browser several times")
	}
	b := &browser{}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			b.program = path
			break
		}
	}
	if b.program == "" {
		t.Skip("there is no chromium on the PATH (apt install chromium)")
	}
	file := written(t, classtest.Class(100))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.asked = append(b.asked, r.URL.Path)
		b.mu.Unlock()
		http.ServeFile(w, r, file)
	}))
	t.Cleanup(server.Close)
	b.url = server.URL + "/page"
	return b
}

// dom is what the page has become once its script has run, as the browser writes it down.
func (b *browser) dom(t *testing.T, fragment string) string {
	t.Helper()
	var console bytes.Buffer
	cmd := exec.Command(b.program, "--headless", "--disable-gpu", "--no-sandbox", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "--enable-logging=stderr", "--lang=en-US",
		// Whatever the page asks for outside this machine fails, and is logged.
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--dump-dom", b.url+fragment)
	cmd.Env = append(os.Environ(), "LANGUAGE=en")
	cmd.Stderr = &console
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, console.Bytes())
	}
	for line := range strings.Lines(console.String()) {
		if strings.Contains(line, ":CONSOLE") {
			t.Errorf("on the console: %s", line)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, path := range b.asked {
		if path != "/page" && path != "/favicon.ico" { // which a browser asks for by itself
			t.Errorf("the page made the browser ask for %s", path)
		}
	}
	return string(output)
}

var (
	rowsOf  = regexp.MustCompile(`(?s)<tbody>(.*?)</tbody>`)
	totalOf = regexp.MustCompile(`<td class="total"[^>]* data-v="(-?\d+)"`)
	nameOf  = regexp.MustCompile(`<th scope="row" class="name"><a href="#s\d+">(.*?)</a>`)
)

// column is what the expression finds in each line of the heat map, from top to bottom.
func column(dom string, in *regexp.Regexp) []string {
	var all []string
	for _, found := range in.FindAllStringSubmatch(rowsOf.FindString(dom), -1) {
		all = append(all, found[1])
	}
	return all
}

func numbers(t *testing.T, texts []string) []int {
	t.Helper()
	var all []int
	for _, text := range texts {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

func TestTheBrowserSortsAndSwitchesLanguage(t *testing.T) {
	b := newBrowser(t)
	plain := b.dom(t, "")
	unsorted, names := column(plain, totalOf), column(plain, nameOf)
	if len(unsorted) != 100 || len(names) != 100 {
		t.Fatalf("%d totals and %d names in the page as it comes", len(unsorted), len(names))
	}
	if regexp.MustCompile(`<th [^>]*aria-sort`).MatchString(plain) || !strings.Contains(plain, `<html lang="en">`) {
		t.Error("the page as it comes is sorted, or not in English")
	}
	dom := b.dom(t, "#sort=total&desc&lang=es")
	if !strings.Contains(dom, `<html lang="es">`) || !strings.Contains(dom, `data-key="total" aria-sort="descending"`) {
		t.Error("it does not say that it is in Spanish and sorted")
	}
	totals := numbers(t, column(dom, totalOf))
	if !slices.IsSortedFunc(totals, func(a, b int) int { return b - a }) || len(totals) != 100 {
		t.Errorf("sorted by total: %v", totals)
	}
	if slices.IsSortedFunc(numbers(t, unsorted), func(a, b int) int { return b - a }) {
		t.Error("the totals were sorted from the start, so that sorting shows nothing")
	}
	failed := regexp.MustCompile(`(?s)<tr>(.*?)</tr>`).FindAllString(rowsOf.FindString(b.dom(t, "#sort=rearm")), -1)
	passedBefore := false
	for _, row := range failed {
		passes := !strings.Contains(row, `-rearm"`)
		if passedBefore && strings.Contains(row, `-rearm">✗`) {
			t.Error("sorted by rearm, one that passed is above one that failed")
		}
		passedBefore = passedBefore || passes
	}
}

func TestTheBrowserOpensWhatALinkLeadsTo(t *testing.T) {
	b := newBrowser(t)
	html := content(t, classtest.Class(100))
	target := regexp.MustCompile(`<a href="#(s(\d+)-\w+)">✗`).FindStringSubmatch(html)
	dom := b.dom(t, "#"+target[1])
	if open := regexp.MustCompile(`<details [^>]*id="(s\d+)"[^>]* open=""`).FindAllStringSubmatch(dom, -1); len(open) != 1 ||
		open[0][1] != "s"+target[2] {
		t.Errorf("#%s unfolds %q", target[1], open)
	}
}
