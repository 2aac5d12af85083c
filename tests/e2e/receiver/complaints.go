package main

import (
	"fmt"
	"regexp"

	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
)

var hexID = map[string]*regexp.Regexp{
	"span_id":  regexp.MustCompile(`^[0-9a-f]{16}$`),
	"trace_id": regexp.MustCompile(`^[0-9a-f]{32}$`),
}

// complaints are what the server takes in silence and then drops, cuts, ignores or counts wrongly. A
// client that knows the server sends nothing of the kind.
func complaints(p *googlev1.Profile, l Limits) []string {
	found := map[string]bool{}
	for _, s := range p.Sample {
		complainOfSample(p, s, l, found)
	}
	seen := make(map[string]bool, len(p.StringTable))
	for _, s := range p.StringTable {
		if seen[s] {
			found["a string stands twice in the string table: labels may not be found"] = true
		}
		seen[s] = true
		if len(s) > l.MaxStringBytes {
			found[fmt.Sprintf("a string of %d bytes is cut", len(s))] = true
		}
	}
	for _, location := range p.Location {
		if len(location.Line) == 0 {
			found["a location without a line vanishes from flame graphs"] = true
		}
	}
	if p.PeriodType == nil || p.StringTable[p.PeriodType.Type] != "cpu" || p.StringTable[p.PeriodType.Unit] != "nanoseconds" {
		found["without period type cpu/nanoseconds the profile type has another name"] = true
	}
	var list []string
	for text := range found {
		list = append(list, text)
	}
	return list
}

func complainOfSample(p *googlev1.Profile, s *googlev1.Sample, l Limits, found map[string]bool) {
	if len(s.LocationId) > l.MaxDepth {
		found[fmt.Sprintf("a stack of %d frames loses its leaf-most ones", len(s.LocationId))] = true
	}
	used := false
	for _, value := range s.Value {
		if value < 0 {
			found["a sample with a negative value is dropped"] = true
		}
		used = used || value > 0
	}
	if !used {
		found["a sample of nothing is dropped"] = true
	}
	keys := map[int64]bool{}
	for _, label := range s.Label {
		key, value := p.StringTable[label.Key], p.StringTable[label.Str]
		if keys[label.Key] {
			found[fmt.Sprintf("a sample has two labels %q", key)] = true
		}
		keys[label.Key] = true
		if label.Str == 0 {
			found[fmt.Sprintf("the numeric or empty label %q is dropped", key)] = true
		}
		if id := hexID[key]; id != nil && !id.MatchString(value) {
			found[fmt.Sprintf("%s %.40q is no id", key, value)] = true
		}
	}
}
