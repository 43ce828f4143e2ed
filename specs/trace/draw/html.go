package draw

import (
	"bytes"
	"fmt"
	"html"

	"daemonlab/specs/trace/birth"
)

const pageHead = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>%s</title>
<style>
body { font: 15px/1.45 Helvetica, Arial, sans-serif; color: #222; max-width: 1120px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 20px; overflow-wrap: anywhere }
h2 { font-size: 17px; margin-top: 2em }
svg { display: block; width: 100%%; height: auto }
table { border-collapse: collapse }
td, th { text-align: left; vertical-align: top; padding: 3px 14px 3px 0; border-bottom: 1px solid #ccc }
tr.wrong td { font-weight: bold }
pre { white-space: pre-wrap; border-left: 4px solid #888; padding-left: 1em }
@media print { body { margin: 0; max-width: none } }
</style>
</head>
<body>
`

// HTML draws the story as a page of its own: nothing in it is fetched from elsewhere, and colour says nothing that is
// not said otherwise.
func HTML(s *birth.Story) []byte {
	var page bytes.Buffer
	title, setting := heading(s)
	fmt.Fprintf(&page, pageHead, html.EscapeString(title))
	fmt.Fprintf(&page, "<h1>%s</h1>\n<p>%s Time goes down. In the margin stand the lab's step and the id of the rubric; "+
		"<b>!!</b> marks what is missing or out of order.</p>\n", html.EscapeString(title), html.EscapeString(setting))
	for _, c := range sections(s) {
		fmt.Fprintf(&page, "<h2>%s</h2>\n", html.EscapeString(c.title))
		page.Write(picture(c))
	}
	if s.LeftOut > 0 {
		fmt.Fprintf(&page, "<p>%d more calls are not shown.</p>\n", s.LeftOut)
	}
	page.WriteString("<h2>Step by step</h2>\n<table>\n<tr><th>step</th><th>id</th><th></th><th>what is wanted</th>" +
		"<th>what the trace shows</th></tr>\n")
	for _, v := range s.Verdicts {
		class := ""
		if !v.OK {
			class = ` class="wrong"`
		}
		fmt.Fprintf(&page, "<tr%s><td>%d</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", class, v.Step, v.ID,
			status(v), html.EscapeString(v.Title.EN), html.EscapeString(printable(v.Text)))
	}
	page.WriteString("</table>\n")
	if s.Stderr != "" {
		fmt.Fprintf(&page, "<h2>What it said</h2>\n<pre>%s</pre>\n", html.EscapeString(printable(s.Stderr)))
	}
	page.WriteString("</body>\n</html>\n")
	return page.Bytes()
}
