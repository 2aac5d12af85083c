package main

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"github.com/google/pprof/profile"
)

// Samples and CPU time of some records.
type total struct {
	Records int64 `json:"records"`
	Samples int64 `json:"samples"`
	CPU     int64 `json:"cpu_ns"`
}

func (t *total) add(s *profile.Sample) {
	t.Records++
	t.Samples += s.Value[0]
	t.CPU += s.Value[1]
}

// selectSamples: those with all the labels key=value, and without the given keys.
func selectSamples(p *profile.Profile, labels, without []string) ([]*profile.Sample, error) {
	if len(p.SampleType) != 2 {
		return nil, fmt.Errorf("%d sample types instead of 2", len(p.SampleType))
	}
	want := make(map[string]string)
	for _, label := range labels {
		key, value, ok := strings.Cut(label, "=")
		if !ok {
			return nil, fmt.Errorf("-label %q is not key=value", label)
		}
		want[key] = value
	}
	var selected []*profile.Sample
	for _, s := range p.Sample {
		matches := true
		for key, value := range want {
			matches = matches && slices.Contains(s.Label[key], value)
		}
		for _, key := range without {
			matches = matches && len(s.Label[key]) == 0
		}
		if matches {
			selected = append(selected, s)
		}
	}
	return selected, nil
}

func sum(samples []*profile.Sample) total {
	var all total
	for _, s := range samples {
		all.add(s)
	}
	return all
}

type labelTotal struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	total
}

func labelTotals(samples []*profile.Sample) []labelTotal {
	totals := make(map[[2]string]*labelTotal)
	for _, s := range samples {
		for key, values := range s.Label {
			for _, value := range values {
				entry := [2]string{key, value}
				if totals[entry] == nil {
					totals[entry] = &labelTotal{Key: key, Value: value}
				}
				totals[entry].add(s)
			}
		}
	}
	result := make([]labelTotal, 0, len(totals))
	for _, t := range totals {
		result = append(result, *t)
	}
	sort.Slice(result, func(i, j int) bool {
		if result[i].Key != result[j].Key {
			return result[i].Key < result[j].Key
		}
		return result[i].Value < result[j].Value
	})
	return result
}

// Flat: CPU time with the function at the leaf; cumulative: anywhere on the stack, once a sample.
type functionTotal struct {
	Name string `json:"name"`
	File string `json:"file"`
	Line int64  `json:"line"` // the one with most CPU time
	Flat int64  `json:"flat_ns"`
	Cum  int64  `json:"cum_ns"`

	lines map[int64]int64
}

func (f *functionTotal) hottestLine() int64 {
	best := int64(0)
	for line, cpu := range f.lines {
		if cpu > f.lines[best] || cpu == f.lines[best] && line < best {
			best = line
		}
	}
	return best
}

func functions(samples []*profile.Sample) []functionTotal {
	totals := make(map[[2]string]*functionTotal)
	for _, s := range samples {
		seen := make(map[*functionTotal]bool)
		for i, frame := range frames(s) {
			key := [2]string{frame.name, frame.file}
			if totals[key] == nil {
				totals[key] = &functionTotal{Name: frame.name, File: frame.file, lines: map[int64]int64{}}
			}
			t := totals[key]
			if i == 0 {
				t.Flat += s.Value[1]
			}
			if !seen[t] {
				t.Cum += s.Value[1]
				t.lines[frame.line] += s.Value[1]
			}
			seen[t] = true
		}
	}
	result := make([]functionTotal, 0, len(totals))
	for _, t := range totals {
		t.Line = t.hottestLine()
		result = append(result, *t)
	}
	sort.Slice(result, func(i, j int) bool {
		if result[i].Cum != result[j].Cum {
			return result[i].Cum > result[j].Cum
		}
		return result[i].Name < result[j].Name
	})
	return result
}

type frame struct {
	name, file string
	line       int64
}

// frames of a sample, leaf first, inlined ones by themselves. Without a name: the address.
func frames(s *profile.Sample) []frame {
	var result []frame
	for _, l := range s.Location {
		for _, line := range l.Line {
			result = append(result, frame{line.Function.Name, line.Function.Filename, line.Line})
		}
		if len(l.Line) == 0 {
			result = append(result, frame{name: fmt.Sprintf("%#x", l.Address)})
		}
	}
	return result
}

func printStacks(out io.Writer, samples []*profile.Sample) error {
	counts := make(map[string]int64)
	for _, s := range samples {
		var names []string
		for _, f := range frames(s) {
			names = append(names, strings.ReplaceAll(f.name, ";", ":"))
		}
		slices.Reverse(names)
		counts[strings.Join(names, ";")] += s.Value[0]
	}
	lines := make([]string, 0, len(counts))
	for stack, count := range counts {
		lines = append(lines, fmt.Sprintf("%s %d\n", stack, count))
	}
	sort.Strings(lines)
	_, err := io.WriteString(out, strings.Join(lines, ""))
	return err
}
