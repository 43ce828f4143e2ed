package main

import (
	"fmt"
	"maps"
	"slices"
)

// report prints everything and reports whether all is well.
func (s *session) report() bool {
	fmt.Println("\ndone:")
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		fmt.Printf("  %9d  %s\n", s.counts[what], what)
	}
	fmt.Printf("\nlost: %d\n", len(s.losses))
	for _, loss := range s.losses {
		fmt.Println("  " + loss)
	}
	allowed := uint64(moreMemory)
	if s.race {
		allowed = moreMemoryRace
		fmt.Printf("\nraces: %d\n", s.races)
	}
	grown := s.growth.grown(allowed)
	if len(s.growth.sights) > 1 {
		fmt.Printf("\none server, first seen: %v\n             last seen: %v\n", s.growth.sights[0], s.growth.sights[len(s.growth.sights)-1])
	}
	if grown != "" {
		fmt.Printf("grown: %s\n", grown)
	} else {
		fmt.Println("grown: nothing")
	}
	return len(s.losses) == 0 && grown == "" && s.races == 0
}
