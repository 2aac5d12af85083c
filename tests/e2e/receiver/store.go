package main

import (
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
)

// sample is one entry of a stored profile: the series that it belongs to after promotion of its labels.
type sample struct {
	stack  []string // function names, root first, inlined frames included
	values []int64
	series map[string]string
	span   string
	trace  string
}

// stored is one accepted profile.
type stored struct {
	series     map[string]string
	timeNanos  int64
	types      []string // profile type id of each value
	samples    []sample
	functions  map[string]bool
	received   time.Time
	duration   int64
	rawBytes   int
	gzipBytes  int
	contentKey string
}

// key is what makes a profile one of its kind: the server drops a second one of the same key some day.
func (s *stored) key() string { return seriesKey(s.series) + "@" + time.Unix(0, s.timeNanos).String() }

func seriesKey(labels map[string]string) string {
	names := make([]string, 0, len(labels))
	for name := range labels {
		names = append(names, name)
	}
	sort.Strings(names)
	var key strings.Builder
	for _, name := range names {
		key.WriteString(name + "\x00" + labels[name] + "\x00")
	}
	return key.String()
}

type store struct {
	mutex    sync.Mutex
	profiles []*stored
	keys     map[string]string // key to the hash of the profile that has it
	twins    int               // profiles that came again, byte for byte
	clashes  int               // other profiles under the key of an earlier one: lost when the server compacts
}

func (s *store) add(p *stored) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.keys == nil {
		s.keys = map[string]string{}
	}
	if earlier, ok := s.keys[p.key()]; ok && earlier == p.contentKey {
		s.twins++
	} else if ok {
		s.clashes++
	} else {
		s.keys[p.key()] = p.contentKey
	}
	s.profiles = append(s.profiles, p)
}

func (s *store) all() []*stored {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return append([]*stored(nil), s.profiles...)
}

func (s *store) reset() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.profiles, s.keys, s.twins, s.clashes = nil, nil, 0, 0
}

// stackOf is the stack of a sample as function names, root first.
func stackOf(s *profile.Sample) []string {
	var names []string
	for i := len(s.Location) - 1; i >= 0; i-- {
		lines := s.Location[i].Line
		for j := len(lines) - 1; j >= 0; j-- {
			if lines[j].Function != nil {
				names = append(names, lines[j].Function.Name)
			}
		}
	}
	return names
}

func one(s *profile.Sample, key string) string {
	if values := s.Label[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// promote gives the series of a sample: the pushed labels, and every other string label of the sample
// that has no namesake among them.
func promote(series map[string]string, s *profile.Sample) map[string]string {
	labels := make(map[string]string, len(series)+len(s.Label))
	for name, values := range s.Label {
		if name != "span_id" && name != "trace_id" && name != "profile_id" && len(values) > 0 && values[0] != "" {
			labels[name] = values[0]
		}
	}
	for name, value := range series {
		if value != "" || labels[name] == "" {
			labels[name] = value
		}
	}
	return labels
}

func pairs(labels map[string]string) []*typesv1.LabelPair {
	var list []*typesv1.LabelPair
	for name, value := range labels {
		list = append(list, &typesv1.LabelPair{Name: name, Value: value})
	}
	return list
}

// newStored takes a checked profile apart.
func newStored(series map[string]string, p *profile.Profile) *stored {
	s := &stored{series: series, timeNanos: p.TimeNanos, duration: p.DurationNanos, received: time.Now(), functions: map[string]bool{}}
	for _, t := range p.SampleType {
		id := []string{series["__name__"], t.Type, t.Unit, "", ""}
		if p.PeriodType != nil {
			id[3], id[4] = p.PeriodType.Type, p.PeriodType.Unit
		}
		s.types = append(s.types, strings.Join(id, ":"))
	}
	for _, entry := range p.Sample {
		span := one(entry, "span_id")
		if span == "" {
			span = one(entry, "profile_id")
		}
		stack := stackOf(entry)
		for _, name := range stack {
			s.functions[name] = true
		}
		s.samples = append(s.samples, sample{
			stack: stack, values: entry.Value, series: promote(series, entry), span: span, trace: one(entry, "trace_id"),
		})
	}
	return s
}

// sum is the total of one value over a profile.
func (s *stored) sum(value int) int64 {
	var total int64
	for _, entry := range s.samples {
		total += entry.values[value]
	}
	return total
}

func (s *store) counts() (twins, clashes int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.twins, s.clashes
}
