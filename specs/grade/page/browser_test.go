package page_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"daemonlab/specs/check"
	"daemonlab/specs/grade/class/classtest"
)

// browser is a headless Chromium that loads the page of a class from a local server. It is driven by the DevTools
// protocol over its descriptors 3 and 4 (--remote-debugging-pipe), in messages terminated by NUL.
type browser struct {
	url     string
	in      *os.File
	out     *bufio.Reader
	calls   int
	session string // of the tab
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	check.Slow(t)
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("there is no chromium on the PATH (apt install chromium)")
	}
	file := written(t, classtest.Class(100))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/page" && r.URL.Path != "/favicon.ico" { // browsers ask for it unprompted
			t.Errorf("the page made the browser ask for %s", r.URL.Path)
		}
		http.ServeFile(w, r, file)
	}))
	t.Cleanup(server.Close)
	toRead, in, err := os.Pipe()
	must(t, err)
	out, toWrite, err := os.Pipe()
	must(t, err)
	cmd := exec.Command(program, "--headless", "--disable-gpu", "--no-sandbox", "--disable-dev-shm-usage", "--remote-debugging-pipe",
		"--user-data-dir="+t.TempDir(), "--lang=en-US",
		// Any request that leaves this machine fails and is logged.
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
	cmd.Env = append(os.Environ(), "LANGUAGE=en")
	cmd.ExtraFiles = []*os.File{toRead, toWrite}
	must(t, cmd.Start())
	toRead.Close()
	toWrite.Close()
	b := &browser{url: server.URL + "/page", in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		b.session = ""
		b.call(t, "Browser.close", nil, nil)
		cmd.Wait()
	})
	return b
}

func (b *browser) call(t *testing.T, method string, params, result any) {
	t.Helper()
	b.calls++
	call := map[string]any{"id": b.calls, "method": method, "params": params}
	if b.session != "" {
		call["sessionId"] = b.session
	}
	text, err := json.Marshal(call)
	must(t, err)
	_, err = b.in.Write(append(text, 0))
	must(t, err)
	b.wait(t, method, func(m message) bool { return m.ID == b.calls }, result)
}

type message struct {
	ID             int
	Method         string
	Params, Result json.RawMessage
	Error          json.RawMessage
}

// wait reads until the wanted message arrives. The page must log nothing, so anything logged is an error.
func (b *browser) wait(t *testing.T, what string, is func(message) bool, result any) {
	t.Helper()
	for {
		text, err := b.out.ReadBytes(0)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var m message
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil || m.Error != nil {
			t.Fatalf("%s: %v, %s", what, err, text)
		}
		if slices.Contains([]string{"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}, m.Method) {
			t.Errorf("on the console: %s", m.Params)
		}
		if !is(m) {
			continue
		}
		if result != nil {
			must(t, json.Unmarshal(m.Result, result))
		}
		return
	}
}

func (b *browser) open(t *testing.T, fragment string) {
	t.Helper()
	b.session = ""
	var tab struct{ TargetID, SessionID string }
	b.call(t, "Target.createTarget", map[string]any{"url": "about:blank"}, &tab)
	b.call(t, "Target.attachToTarget", map[string]any{"targetId": tab.TargetID, "flatten": true}, &tab)
	b.session = tab.SessionID
	for _, domain := range []string{"Page.enable", "Runtime.enable", "Log.enable"} {
		b.call(t, domain, nil, nil)
	}
	b.call(t, "Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}, nil)
	b.call(t, "Page.navigate", map[string]any{"url": b.url + fragment}, nil)
	b.wait(t, "the page", func(m message) bool { return m.Method == "Page.loadEventFired" }, nil)
}

// is evaluates an expression in the page.
func is[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	var evaluated struct {
		Result struct{ Value T }
	}
	b.call(t, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &evaluated)
	return evaluated.Result.Value
}

func (b *browser) holds(t *testing.T, expressions ...string) {
	t.Helper()
	for _, expression := range expressions {
		if !is[bool](t, b, expression) {
			t.Errorf("false: %s", expression)
		}
	}
}

var keys = map[string]map[string]any{
	"Tab": {"windowsVirtualKeyCode": 9}, "ArrowRight": {"windowsVirtualKeyCode": 39},
	"Enter": {"windowsVirtualKeyCode": 13, "text": "\r"}, " ": {"windowsVirtualKeyCode": 32, "text": " "},
	"z": {"windowsVirtualKeyCode": 90, "text": "z"},
}

func (b *browser) press(t *testing.T, key string) {
	t.Helper()
	event := maps.Clone(keys[key])
	event["key"], event["type"] = key, "keyDown"
	b.call(t, "Input.dispatchKeyEvent", event, nil)
	event["type"] = "keyUp"
	delete(event, "text")
	b.call(t, "Input.dispatchKeyEvent", event, nil)
}

// tabTo presses Tab until the selected element has the focus, which must be visible.
func (b *browser) tabTo(t *testing.T, selector string) {
	t.Helper()
	for range 3000 {
		b.press(t, "Tab")
		if is[bool](t, b, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			b.holds(t, `[document.activeElement, document.activeElement.nextElementSibling]
				.some(e => e && getComputedStyle(e).outlineStyle === "solid")`)
			return
		}
	}
	t.Fatalf("Tab does not lead to %s", selector)
}

const totals = `[...map.tBodies[0].rows].map(row => Number(row.cells[1].dataset.v))`

func TestBrowser(t *testing.T) {
	b := newBrowser(t)
	t.Run("sorts and switches the language", b.sorts)
	t.Run("opens what a link leads to", b.follows)
	t.Run("needs no mouse", b.needsNoMouse)
}

func (b *browser) sorts(t *testing.T) {
	falling := func(a, b int) int { return b - a }
	b.open(t, "")
	unsorted := is[[]int](t, b, totals)
	b.holds(t, `map.tBodies[0].rows.length === 100`, `!document.querySelector("[aria-sort]")`, `document.documentElement.lang === "en"`)
	if slices.IsSortedFunc(unsorted, falling) {
		t.Error("the totals are sorted already: sorting proves nothing")
	}
	b.open(t, "#sort=total&desc&lang=es")
	b.holds(t, `document.documentElement.lang === "es"`, `document.querySelector("[data-key=total]").ariaSort === "descending"`)
	if sorted := is[[]int](t, b, totals); !slices.IsSortedFunc(sorted, falling) || len(sorted) != 100 {
		t.Errorf("sorted by total: %v", sorted)
	}
	b.open(t, "#sort=rearm")
	marks := is[string](t, b, `{
		const column = document.querySelector("[data-key=rearm]").cellIndex;
		[...map.tBodies[0].rows].map(row => row.cells[column].innerText).join("")
	}`)
	if first := strings.Index(marks, "✓"); first < 0 || strings.LastIndex(marks, "✗") > first {
		t.Errorf("sorted by rearm: %s", marks)
	}
}

func (b *browser) follows(t *testing.T) {
	b.open(t, "")
	target := is[string](t, b, `document.querySelector("td.f a").hash`)
	b.open(t, target)
	folder, _, _ := strings.Cut(target, "-")
	b.holds(t, `[...document.querySelectorAll(".sub[open]")].map(e => "#" + e.id).join() === "`+folder+`"`,
		`document.activeElement.id === "`+target[1:]+`"`)
}

func (b *browser) needsNoMouse(t *testing.T) {
	b.open(t, "")
	b.tabTo(t, "#en")
	b.press(t, "ArrowRight")
	b.holds(t, `document.documentElement.lang === "es"`)
	b.tabTo(t, ".looks a")
	b.tabTo(t, ".looks pre")
	b.holds(t, `getSelection().toString() === document.querySelector(".looks pre").innerText`)
	b.tabTo(t, ".more > summary")
	b.press(t, " ")
	b.holds(t, `document.querySelector(".more").open`)
	b.tabTo(t, "#filter")
	b.press(t, "z")
	b.holds(t, `[...map.tBodies[0].rows].some(row => row.hidden)`, `[...map.tBodies[0].rows].some(row => !row.hidden)`)
	b.tabTo(t, ".skip")
	b.tabTo(t, "[data-key=total] a")
	for _, order := range []string{"ascending", "descending"} {
		b.press(t, "Enter")
		b.holds(t, `document.querySelector("[data-key=total]").ariaSort === "`+order+`"`)
	}
	b.tabTo(t, "td.f a")
	b.press(t, "Enter")
	b.holds(t, `document.activeElement === document.querySelector("article:target")`, `document.activeElement.closest(".sub").open`)
	b.tabTo(t, "article summary")
	b.press(t, "Enter")
	b.holds(t, `document.activeElement.parentElement.open`)
	b.tabTo(t, `dd a[href$=".en.html"]`)
	b.tabTo(t, ".skip")
	b.press(t, "Enter")
	b.tabTo(t, "#unfold")
	b.press(t, " ")
	b.holds(t, `!document.querySelector(".sub:not([open])")`)
	b.tabTo(t, "#fold")
	b.press(t, "Enter")
	b.holds(t, `!document.querySelector(".sub[open]")`)
	b.tabTo(t, ".sub > summary")
	b.press(t, " ")
	b.holds(t, `document.activeElement.parentElement.open`)
}
