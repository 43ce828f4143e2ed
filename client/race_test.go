//go:build race

package main_test

import "os"

// buildFlags let the race detector see the program too.
var buildFlags = []string{"-race"}

const raced = true

// crowd is how many clients queue up. Each takes ten times as long under the race detector.
const crowd = 100

// A program under the race detector would linger for a second at its end.
func init() { os.Setenv("GORACE", "atexit_sleep_ms=0") }
