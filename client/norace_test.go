//go:build !race

package main_test

var buildFlags []string

const raced = false

// crowd is how many clients queue up.
const crowd = 1000
