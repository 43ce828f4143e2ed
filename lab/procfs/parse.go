package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// ParseError is a line that does not have the form proc(5) gives it.
type ParseError struct {
	File string // its path, or its bare name ("status") from a parser that was given a reader
	Line int    // from 1; 0 when the fault is of the whole file
	Text string // the line, cut to a readable length
	Err  error
}

func (e *ParseError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %q: %v", e.File, e.Line, e.Text, e.Err)
}

func (e *ParseError) Unwrap() error { return e.Err }

// maxText is how much of a line a ParseError quotes, in bytes.
const maxText = 200

func lineError(file string, line int, text string, err error) error {
	return &ParseError{file, line, text[:min(len(text), maxText)], err}
}

func fileError(file string, err error) error { return &ParseError{File: file, Err: err} }

// eachLine calls f for every line of r, without its newline, and turns f's error into a ParseError.
func eachLine(file string, r io.Reader, f func(line string) error) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if err := f(line); err != nil {
			return lineError(file, n, line, err)
		}
	}
	return nil
}

// table parses a file of one value a line.
func table[T any](file string, r io.Reader, parse func(line string) (T, error)) ([]T, error) {
	var rows []T
	err := eachLine(file, r, func(line string) error {
		row, err := parse(line)
		rows = append(rows, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// load parses the file at path, whose full name a ParseError then carries.
func load[T any](path string, parse func(io.Reader) (T, error)) (T, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		var none T
		return none, err
	}
	v, err := parse(bytes.NewReader(text))
	var pe *ParseError
	if errors.As(err, &pe) {
		pe.File = path
	}
	return v, err
}

var errFields = errors.New("wrong number of fields")

// decimals parses fields that may be separated by tabs and spaces and padded.
func decimals(s string) ([]int, error) {
	var nums []int
	for field := range strings.FieldsSeq(s) {
		n, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		nums = append(nums, n)
	}
	return nums, nil
}

// hexMask parses the 16 hexadecimal digits of a signal or capability set.
func hexMask(s string) (uint64, error) {
	if len(s) != 16 {
		return 0, fmt.Errorf("%q is not 16 hexadecimal digits", s)
	}
	return strconv.ParseUint(s, 16, 64)
}
