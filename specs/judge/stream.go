package main

import (
	"encoding/json"
	"sync"

	"daemonlab/specs/rubric"
)

// stream is a progress that tells of each row when it begins and when it is judged, for who may have to end the judge
// before it has judged all. On stdout it is this process's alone: the programs under test and the suite have others.
type stream struct {
	mu  sync.Mutex
	out *json.Encoder
}

func (s *stream) begin(row rubric.Row) {
	r := newResult(row)
	r.Status = statusBegun
	s.end(r)
}

func (s *stream) end(r result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Encode(r) // nobody may be listening any more
}
