package main

import (
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"

	"github.com/google/pprof/profile"
)

// The promises of a profile by otel-profiling-cpp. Each function reports every breach.

const maxFrames = 512

var (
	spanID     = regexp.MustCompile(`^[0-9a-f]{16}$`)
	traceID    = regexp.MustCompile(`^[0-9a-f]{32}$`)
	namedFrame = regexp.MustCompile(`^\[.+\]$`)
	library    = regexp.MustCompile(`\.so(\.|$)`)
)

type reporter func(format string, args ...any)

func check(out io.Writer, p *profile.Profile, raw []byte, rate int64, mainBinary string) error {
	const most = 50
	broken := 0
	report := func(format string, args ...any) {
		if broken++; broken <= most {
			fmt.Fprintf(out, format+"\n", args...)
		}
	}
	checkStrings(raw, report)
	checkTypes(p, rate, report)
	checkMappings(p, mainBinary, report)
	checkFlags(p, report)
	for i, s := range p.Sample {
		checkSample(p, s, func(format string, args ...any) {
			report("sample %d: "+format, append([]any{i}, args...)...)
		})
	}
	if broken > most {
		fmt.Fprintf(out, "and %d more\n", broken-most)
	}
	if broken > 0 {
		return errBroken
	}
	fmt.Fprintf(out, "ok: %d samples, %d locations, %d mappings\n",
		len(p.Sample), len(p.Location), len(p.Mapping))
	return nil
}

func checkTypes(p *profile.Profile, rate int64, report reporter) {
	types := ""
	for _, t := range p.SampleType {
		types += t.Type + "/" + t.Unit + " "
	}
	if types != "samples/count cpu/nanoseconds " {
		report("sample types are %s", types)
	}
	if p.DefaultSampleType != "cpu" {
		report("default_sample_type is %q", p.DefaultSampleType)
	}
	if p.PeriodType == nil || p.PeriodType.Type != "cpu" || p.PeriodType.Unit != "nanoseconds" {
		report("period_type is not cpu/nanoseconds")
	}
	checkPeriod(p.Period, rate, report)
	if p.TimeNanos <= 0 {
		report("time_nanos is %d", p.TimeNanos)
	}
	if p.DurationNanos <= 0 {
		report("duration_nanos is %d", p.DurationNanos)
	}
}

// The period is 1e9/rate for a whole rate of 1 to 1000.
func checkPeriod(period, rate int64, report reporter) {
	if period <= 0 {
		report("period is %d", period)
		return
	}
	if rate == 0 {
		rate = int64(math.Round(1e9 / float64(period)))
	}
	if rate < 1 || rate > 1000 || 1_000_000_000/rate != period {
		report("period %d does not stand for %d Hz", period, rate)
	}
}

func checkMappings(p *profile.Profile, mainBinary string, report reporter) {
	for i, m := range p.Mapping {
		if m.ID != uint64(i)+1 {
			report("mapping %d has id %d", i, m.ID)
		}
		if m.Start >= m.Limit {
			report("mapping %s is empty: %x-%x", m.File, m.Start, m.Limit)
		}
		if m.BuildID != strings.ToLower(m.BuildID) {
			report("mapping %s: build id %q is not lower case", m.File, m.BuildID)
		}
	}
	if len(p.Mapping) > 0 {
		first := p.Mapping[0].File
		if first == "" || strings.HasPrefix(first, "[") || library.MatchString(first) {
			report("mapping[0] is %q, not the main binary", first)
		}
		if mainBinary != "" && first != mainBinary {
			report("mapping[0] is %q, not %q", first, mainBinary)
		}
	} else if mainBinary != "" {
		report("no mapping")
	}
	for _, l := range p.Location {
		if m := l.Mapping; m != nil && (l.Address < m.Start || l.Address >= m.Limit) {
			report("location %d: %x is outside %s %x-%x", l.ID, l.Address, m.File, m.Start, m.Limit)
		}
		if l.Mapping == nil && l.Address == 0 && len(l.Line) == 0 {
			report("location %d says nothing", l.ID)
		}
	}
}

// has_* of a mapping are promises about all its locations.
func checkFlags(p *profile.Profile, report reporter) {
	for _, l := range p.Location {
		m := l.Mapping
		if m == nil {
			continue
		}
		if len(l.Line) > 1 && !m.HasInlineFrames {
			report("location %d has inlined frames, %s says there are none", l.ID, m.File)
		}
		if len(l.Line) == 0 && (m.HasFunctions || m.HasFilenames || m.HasLineNumbers) {
			report("location %d has no line, %s promises one", l.ID, m.File)
		}
		for _, line := range l.Line {
			if m.HasFunctions && line.Function.Name == "" {
				report("location %d has no function, %s promises one", l.ID, m.File)
			}
			if m.HasFilenames && line.Function.Filename == "" {
				report("location %d has no file, %s promises one", l.ID, m.File)
			}
			if m.HasLineNumbers && line.Line == 0 {
				report("location %d has no line number, %s promises one", l.ID, m.File)
			}
		}
	}
}

func checkSample(p *profile.Profile, s *profile.Sample, report reporter) {
	if len(s.Value) == 2 {
		if s.Value[0] <= 0 {
			report("count is %d", s.Value[0])
		}
		if s.Value[1] != s.Value[0]*p.Period {
			report("cpu %d is not %d periods of %d", s.Value[1], s.Value[0], p.Period)
		}
	}
	checkStack(s, report)
	for key, values := range s.Label {
		if key == "" {
			report("a label without a key")
		}
		if len(values) != 1 {
			report("label %q has values %q", key, values)
		}
		if _, both := s.NumLabel[key]; both {
			report("label %q is text and number", key)
		}
	}
	for key, values := range s.NumLabel {
		if len(values) != 1 {
			report("label %q has values %d", key, values)
		}
		if key == "span_id" || key == "trace_id" {
			report("label %q is a number", key)
		}
	}
	checkID(s, "span_id", spanID, report)
	checkID(s, "trace_id", traceID, report)
}

func checkID(s *profile.Sample, key string, form *regexp.Regexp, report reporter) {
	for _, value := range s.Label[key] {
		if !form.MatchString(value) || strings.Trim(value, "0") == "" {
			report("%s is %q", key, value)
		}
	}
}

func checkStack(s *profile.Sample, report reporter) {
	frames := len(s.Location)
	if frames == 0 {
		report("no stack")
		return
	}
	if frames > maxFrames {
		root := s.Location[frames-1]
		named := root.Mapping == nil && len(root.Line) == 1 &&
			namedFrame.MatchString(root.Line[0].Function.Name)
		if frames > maxFrames+1 || !named {
			report("%d frames", frames)
		}
	}
}
