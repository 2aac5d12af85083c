package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
)

// Limits are the server's defaults for a tenant, by the names of its flags.
type Limits struct {
	RateBytes       float64  `json:"rate_bytes"`  // distributor.ingestion-rate-limit-mb
	BurstBytes      float64  `json:"burst_bytes"` // distributor.ingestion-burst-size-mb
	MaxBytes        int      `json:"max_bytes"`   // validation.max-profile-size-bytes
	MaxSamples      int      `json:"max_samples"`
	MaxSampleLabels int      `json:"max_sample_labels"`
	MaxDepth        int      `json:"max_depth"`        // deeper stacks lose frames
	MaxStringBytes  int      `json:"max_string_bytes"` // longer strings are cut
	MaxLabels       int      `json:"max_labels"`
	MaxLabelName    int      `json:"max_label_name"`
	MaxLabelValue   int      `json:"max_label_value"`
	OlderThan       Duration `json:"older_than"`
	NewerThan       Duration `json:"newer_than"`
}

// Duration is a time.Duration that reads "1h" in JSON.
type Duration time.Duration

// UnmarshalJSON reads a string such as "90s".
func (d *Duration) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(s)
	*d = Duration(parsed)
	return err
}

// MarshalJSON writes what UnmarshalJSON reads.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

func defaultLimits() Limits {
	return Limits{
		RateBytes: 4 << 20, BurstBytes: 2 << 20, MaxBytes: 4 << 20,
		MaxSamples: 16000, MaxSampleLabels: 100, MaxDepth: 1000, MaxStringBytes: 65535,
		MaxLabels: 30, MaxLabelName: 1024, MaxLabelValue: 2048,
		OlderThan: Duration(time.Hour), NewerThan: Duration(10 * time.Minute),
	}
}

// bucket is the token bucket in front of everything else: full at the start, refilled at a rate.
type bucket struct {
	mutex  sync.Mutex
	tokens float64
	filled time.Time
}

// take is true when n tokens were there, which are then gone.
func (b *bucket) take(n int, limits Limits, now time.Time) bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.filled.IsZero() {
		b.tokens = limits.BurstBytes
	} else {
		b.tokens = min(limits.BurstBytes, b.tokens+limits.RateBytes*now.Sub(b.filled).Seconds())
	}
	b.filled = now
	if float64(n) > b.tokens {
		return false
	}
	b.tokens -= float64(n)
	return true
}

// refusal is why the server takes a profile's shape for wrong: always "invalid argument", status 400.
type refusal struct{ reason, text string }

func (r *refusal) Error() string { return r.text }

func refuse(reason, format string, args ...any) error {
	return &refusal{reason, fmt.Sprintf(format, args...)}
}

// checkLabels judges the labels of one series, promoted sample labels included.
func checkLabels(labels []*typesv1.LabelPair, l Limits) error {
	sorted := append([]*typesv1.LabelPair(nil), labels...)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].Name < sorted[j].Name })
	if len(sorted) > l.MaxLabels {
		return refuse("max_label_names_per_series", "profile series has %d label names; limit %d", len(sorted), l.MaxLabels)
	}
	name := labelValue(sorted, "__name__")
	if name == "" || !utf8.ValidString(name) {
		return refuse("invalid_labels", "invalid labels: invalid metric name")
	}
	for i, label := range sorted {
		switch {
		case len(label.Name) > l.MaxLabelName:
			return refuse("label_name_too_long", "label name too long: %.80q", label.Name)
		case len(label.Value) > l.MaxLabelValue:
			return refuse("label_value_too_long", "label value too long: %.80q", label.Value)
		case label.Name == "" || !utf8.ValidString(label.Name):
			return refuse("invalid_labels", "invalid label name %q", label.Name)
		case !utf8.ValidString(label.Value):
			return refuse("invalid_labels", "invalid label value %q", label.Value)
		case i > 0 && sorted[i-1].Name == label.Name:
			return refuse("duplicate_label_names", "duplicate label name %q", label.Name)
		}
	}
	return nil
}

func labelValue(labels []*typesv1.LabelPair, name string) string {
	for _, label := range labels {
		if label.Name == name {
			return label.Value
		}
	}
	return ""
}

func labelBytes(labels []*typesv1.LabelPair) int {
	n := 0
	for _, label := range labels {
		n += len(label.Name) + len(label.Value)
	}
	return n
}

// checkProfile judges one message; size is without compression. It may set the time.
func checkProfile(p *googlev1.Profile, size int, l Limits, now time.Time) error {
	if len(p.SampleType) == 0 {
		return refuse("malformed_profile", "empty profile")
	}
	if p.TimeNanos <= 0 {
		p.TimeNanos = now.UnixNano()
	}
	age := now.Sub(time.Unix(0, p.TimeNanos))
	if age >= time.Duration(l.OlderThan) || -age >= time.Duration(l.NewerThan) {
		return refuse("not_in_ingestion_window", "profile is outside of ingestion window (%s old)", age)
	}
	if size > l.MaxBytes {
		return refuse("profile_size_limit", "the profile exceeds the size limit (actual: %d, limit: %d)", size, l.MaxBytes)
	}
	if len(p.Sample) > l.MaxSamples {
		return refuse("samples_limit", "the profile exceeds the samples count limit (actual: %d, limit: %d)", len(p.Sample), l.MaxSamples)
	}
	if err := checkTables(p); err != nil {
		return err
	}
	return checkSamples(p, l)
}

func checkTables(p *googlev1.Profile) error {
	if len(p.StringTable) == 0 || p.StringTable[0] != "" {
		return refuse("malformed_profile", "string 0 should be empty string")
	}
	for _, s := range p.StringTable {
		if !utf8.ValidString(s) {
			return refuse("malformed_profile", "invalid utf8 string hex: %x", s)
		}
	}
	inside := func(indices ...int64) bool {
		for _, i := range indices {
			if i < 0 || i >= int64(len(p.StringTable)) {
				return false
			}
		}
		return true
	}
	for _, t := range p.SampleType {
		if !inside(t.Type, t.Unit) || strings.Contains(p.StringTable[t.Type], "-") {
			return refuse("malformed_profile", "bad sample type")
		}
	}
	for _, f := range p.Function {
		if f.Id == 0 || !inside(f.Name, f.SystemName, f.Filename) {
			return refuse("malformed_profile", "bad function %d", f.Id)
		}
	}
	for _, m := range p.Mapping {
		if !inside(m.Filename, m.BuildId) {
			return refuse("malformed_profile", "bad mapping %d", m.Id)
		}
	}
	for _, s := range p.Sample {
		for _, label := range s.Label {
			if !inside(label.Key, label.Str) {
				return refuse("malformed_profile", "sample label string index out of range")
			}
		}
	}
	return nil
}

func checkSamples(p *googlev1.Profile, l Limits) error {
	for _, location := range p.Location {
		if location.Id == 0 {
			return refuse("malformed_profile", "location id is 0")
		}
	}
	for _, s := range p.Sample {
		if len(s.Label) > l.MaxSampleLabels {
			return refuse("sample_labels_limit", "the profile exceeds the sample labels limit (actual: %d, limit: %d)", len(s.Label), l.MaxSampleLabels)
		}
		if len(s.Value) != len(p.SampleType) {
			return refuse("malformed_profile", "sample value length mismatch")
		}
	}
	return nil
}
