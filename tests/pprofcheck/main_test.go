package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// builder makes a profile that keeps every promise; tests then break one.
type builder struct {
	*profile.Profile
	functions map[string]*profile.Location
}

func newBuilder() *builder {
	main := &profile.Mapping{ID: 1, Start: 0x1000, Limit: 0x9000, File: "/bin/app", BuildID: "ab12",
		HasFunctions: true, HasFilenames: true, HasLineNumbers: true}
	library := &profile.Mapping{ID: 2, Start: 0x10000, Limit: 0x20000, File: "/lib/libc.so.6"}
	cpu := profile.ValueType{Type: "cpu", Unit: "nanoseconds"}
	return &builder{
		Profile: &profile.Profile{
			SampleType:        []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
			DefaultSampleType: "cpu",
			PeriodType:        &cpu,
			Period:            10_000_000,
			TimeNanos:         1_700_000_000_000_000_000,
			DurationNanos:     1_000_000_000,
			Mapping:           []*profile.Mapping{main, library},
		},
		functions: make(map[string]*profile.Location),
	}
}

// add appends a sample; stack is leaf first, separated by blanks.
func (b *builder) add(count int64, stack string, labels ...string) *profile.Sample {
	s := &profile.Sample{Value: []int64{count, count * b.Period}, Label: map[string][]string{}}
	for _, name := range strings.Fields(stack) {
		s.Location = append(s.Location, b.location(name))
	}
	for i := 0; i < len(labels); i += 2 {
		s.Label[labels[i]] = []string{labels[i+1]}
	}
	b.Sample = append(b.Sample, s)
	return s
}

func (b *builder) location(name string) *profile.Location {
	if known := b.functions[name]; known != nil {
		return known
	}
	id := uint64(len(b.Location)) + 1
	f := &profile.Function{ID: id, Name: name, SystemName: name, Filename: name + ".cc"}
	b.Function = append(b.Function, f)
	l := &profile.Location{ID: id, Mapping: b.Mapping[0], Address: 0x1000 + id,
		Line: []profile.Line{{Function: f, Line: int64(id) * 10}}}
	if strings.HasPrefix(name, "[") {
		l.Mapping, l.Address = nil, 0
	}
	b.Location = append(b.Location, l)
	b.functions[name] = l
	return l
}

// write stores the profile; compressed as the library does it.
func (b *builder) write(t *testing.T) string {
	t.Helper()
	var data bytes.Buffer
	if err := b.Write(&data); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cpu.pb.gz")
	if err := os.WriteFile(path, data.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func runOn(t *testing.T, b *builder, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := run(append([]string{args[0], b.write(t)}, args[1:]...), &out)
	return out.String(), err
}

const (
	id1 = "123456789012345e"
	id2 = "0000000000000123"
)

func good() *builder {
	b := newBuilder()
	b.add(3, "memcpy work main", "span_id", id1, "trace_id", strings.Repeat("0a", 16))
	b.add(1, "work main", "span_id", id2)
	b.add(2, "idle main")
	return b
}

func TestCheckAcceptsAGoodProfile(t *testing.T) {
	out, err := runOn(t, good(), "check", "-rate", "100", "-main", "/bin/app")
	if err != nil || !strings.HasPrefix(out, "ok: 3 samples, 4 locations, 2 mappings") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestCheckReportsEachBrokenPromise(t *testing.T) {
	cases := []struct {
		want    string
		corrupt func(b *builder)
	}{
		{"sample types are", func(b *builder) { b.SampleType[0].Type = "events" }},
		{"default_sample_type", func(b *builder) { b.DefaultSampleType = "samples" }},
		{"period_type", func(b *builder) { b.PeriodType.Unit = "cycles" }},
		{"does not stand for", func(b *builder) { b.Period++ }},
		{"cpu 30000000 is not 3 periods", func(b *builder) { b.Period = 20_000_000 }},
		{"period is 0", func(b *builder) { b.Period = 0 }},
		{"time_nanos", func(b *builder) { b.TimeNanos = 0 }},
		{"duration_nanos", func(b *builder) { b.DurationNanos = 0 }},
		{"count is 0", func(b *builder) { b.Sample[0].Value = []int64{0, 0} }},
		{"no stack", func(b *builder) { b.Sample[0].Location = nil }},
		{`span_id is "123"`, func(b *builder) { b.Sample[0].Label["span_id"] = []string{"123"} }},
		{"span_id is", func(b *builder) { b.Sample[0].Label["span_id"] = []string{"ABCDEF0123456789"} }},
		{"span_id is", func(b *builder) { b.Sample[0].Label["span_id"] = []string{"0000000000000000"} }},
		{"trace_id is", func(b *builder) { b.Sample[0].Label["trace_id"] = []string{id1} }},
		{"has values", func(b *builder) { b.Sample[0].Label["span_id"] = []string{id1, id2} }},
		{"text and number", func(b *builder) { b.Sample[0].NumLabel = map[string][]int64{"span_id": {1}} }},
		{"is a number", func(b *builder) { b.Sample[2].NumLabel = map[string][]int64{"span_id": {1}} }},
		{"outside /bin/app", func(b *builder) { b.Location[0].Address = 0x9000 }},
		{"has no line,", func(b *builder) { b.Location[0].Line = nil }},
		{"has no function", func(b *builder) { b.Function[0].Name = "" }},
		{"has no file", func(b *builder) { b.Function[0].Filename = "" }},
		{"has no line number", func(b *builder) { b.Location[0].Line[0].Line = 0 }},
		{"has inlined frames", func(b *builder) {
			b.Location[0].Line = append(b.Location[0].Line, b.Location[1].Line[0])
		}},
		{"says nothing", func(b *builder) {
			b.Location[0].Mapping, b.Location[0].Address, b.Location[0].Line = nil, 0, nil
		}},
		{"not the main binary", func(b *builder) { b.Mapping[0].File = "/lib/libx.so.1.2" }},
		{"not the main binary", func(b *builder) { b.Mapping[0].File = "[vdso]" }},
		{"lower case", func(b *builder) { b.Mapping[0].BuildID = "AB" }},
		{"is empty", func(b *builder) { b.Mapping[1].Limit = b.Mapping[1].Start }},
		{"is not UTF-8", func(b *builder) { b.Function[0].Name = "caf\xe9" }},
		{"513 frames", func(b *builder) { b.Sample[0].Location = deep(b, 513) }},
		{"514 frames", func(b *builder) {
			b.Sample[0].Location = append(deep(b, 513), b.location("[truncated]"))
		}},
	}
	for _, c := range cases {
		b := good()
		c.corrupt(b)
		out, err := runOn(t, b, "check")
		if !errors.Is(err, errBroken) || !strings.Contains(out, c.want) {
			t.Errorf("want %q, got %v: %s", c.want, err, out)
		}
	}
	if _, err := runOn(t, good(), "check", "-rate", "250"); !errors.Is(err, errBroken) {
		t.Errorf("a period of 100 Hz passes for 250 Hz: %v", err)
	}
	if _, err := runOn(t, good(), "check", "-main", "/bin/other"); !errors.Is(err, errBroken) {
		t.Errorf("/bin/app passes for /bin/other: %v", err)
	}
}

func deep(b *builder, frames int) []*profile.Location {
	var stack []*profile.Location
	for range frames {
		stack = append(stack, b.location("work"))
	}
	return stack
}

func TestCheckAcceptsATruncatedStackUnderANamedFrame(t *testing.T) {
	b := good()
	b.Sample[0].Location = append(deep(b, 512), b.location("[truncated]"))
	if out, err := runOn(t, b, "check"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestStringTableSeesStringsThatNothingUses(t *testing.T) {
	raw := []byte("\x32\x00\x32\x01a\x48\x05\x32\x01\xff\x32\x01a")
	var reports []string
	checkStrings(raw, func(format string, args ...any) { reports = append(reports, format) })
	if len(reports) != 2 || !strings.Contains(reports[0], "UTF-8") || !strings.Contains(reports[1], "twice") {
		t.Errorf("%q", reports)
	}
	for _, short := range []string{"\x32\x05ab", "\x32", "\x48", "\x80", "\x0c\x01"} {
		if _, err := stringTable([]byte(short)); err == nil {
			t.Errorf("%q has no error", short)
		}
	}
}

func TestSumSelectsByLabels(t *testing.T) {
	cases := []struct {
		args []string
		want total
	}{
		{nil, total{3, 6, 60_000_000}},
		{[]string{"-label", "span_id=" + id1}, total{1, 3, 30_000_000}},
		{[]string{"-label", "span_id=" + id1, "-label", "trace_id=x"}, total{}},
		{[]string{"-nolabel", "span_id"}, total{1, 2, 20_000_000}},
		{[]string{"-nolabel", "trace_id"}, total{2, 3, 30_000_000}},
	}
	for _, c := range cases {
		out, err := runOn(t, good(), append([]string{"sum"}, c.args...)...)
		var got total
		if json.Unmarshal([]byte(out), &got); err != nil || got != c.want {
			t.Errorf("%v: %v, got %+v, want %+v", c.args, err, got, c.want)
		}
	}
}

func TestLabelsAddsUpEachValue(t *testing.T) {
	got := labelTotals(good().Sample)
	if len(got) != 3 || got[0].Value != id2 || got[0].Samples != 1 || got[1].Samples != 3 || got[2].Key != "trace_id" {
		t.Errorf("%+v", got)
	}
}

func TestFunctionsCountsARecursionOnce(t *testing.T) {
	b := newBuilder()
	b.add(2, "work work main")
	b.add(1, "leaf work main")
	got := functions(b.Sample)
	want := []functionTotal{
		{Name: "main", File: "main.cc", Line: 20, Cum: 30_000_000},
		{Name: "work", File: "work.cc", Line: 10, Flat: 20_000_000, Cum: 30_000_000},
		{Name: "leaf", File: "leaf.cc", Line: 30, Flat: 10_000_000, Cum: 10_000_000},
	}
	for i := range want {
		got[i].lines = nil
		if got[i].Name != want[i].Name || got[i].Flat != want[i].Flat || got[i].Cum != want[i].Cum ||
			got[i].Line != want[i].Line || got[i].File != want[i].File {
			t.Errorf("got %+v, want %+v", got[i], want[i])
		}
	}
}

func TestStacksFoldsRootFirst(t *testing.T) {
	out, err := runOn(t, good(), "stacks")
	want := "main;idle 2\nmain;work 1\nmain;work;memcpy 3\n"
	if err != nil || out != want {
		t.Errorf("%v: %q", err, out)
	}
}

func truthOf(t *testing.T, b *builder, args ...string) (truthResult, error) {
	t.Helper()
	out, err := runOn(t, b, append([]string{"truth"}, args...)...)
	var result truthResult
	if jsonErr := json.Unmarshal([]byte(out), &result); jsonErr != nil && err == nil {
		t.Fatal(jsonErr)
	}
	return result, err
}

func TestTruthAcceptsTrueLabels(t *testing.T) {
	b := newBuilder()
	b.add(1, "f inner_1 outer_1 main", "span_name", "1")
	b.add(2, "f test::inner_2 test::outer_2 test::inner_1 test::outer_1 main", "span_name", "2")
	b.add(3, "attach outer_2 inner_1 outer_1 main", "span_name", "1") // scope 2 is not open yet
	b.add(4, "attach outer_1 main")
	b.add(5, "inner_none outer_none main")
	b.add(6, "inner_1 [truncated]") // not to the end: proves nothing
	result, err := truthOf(t, b, "-label", "span_name")
	if err != nil || result.Checked != 15 || result.Labelled != 6 || result.Incomplete != 6 || result.Inner != 8 {
		t.Errorf("%v: %+v", err, result)
	}
}

func TestTruthFindsLies(t *testing.T) {
	cases := []struct{ name, stack, label string }{
		{"wrong label", "inner_1 outer_1 main", "2"},
		{"no label", "inner_1 outer_1 main", ""},
		{"label after the scope", "f main", "1"},
		{"label where there must be none", "inner_none outer_none main", "1"},
		{"outer scope's label inside the inner one", "inner_2 outer_2 inner_1 outer_1 main", "1"},
	}
	for _, c := range cases {
		b := newBuilder()
		if c.label == "" {
			b.add(7, c.stack)
		} else {
			b.add(7, c.stack, "k", c.label)
		}
		result, err := truthOf(t, b, "-label", "k")
		if !errors.Is(err, errBroken) || result.Violations < 7 || len(result.Examples) == 0 {
			t.Errorf("%s: %v %+v", c.name, err, result)
		}
	}
}

func TestTruthTranslatesIDs(t *testing.T) {
	names := filepath.Join(t.TempDir(), "names.json")
	if err := os.WriteFile(names, []byte(`{"`+id1+`": "1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBuilder()
	b.add(1, "inner_1 outer_1 entry", "span_id", id1)
	args := []string{"-label", "span_id", "-map", names, "-complete-root", "^entry$"}
	if result, err := truthOf(t, b, args...); err != nil || result.Inner != 1 {
		t.Errorf("%v: %+v", err, result)
	}
	b.add(1, "inner_1 outer_1 entry", "span_id", id2)
	if result, err := truthOf(t, b, args...); !errors.Is(err, errBroken) || result.Violations != 1 {
		t.Errorf("an unknown id passes: %v %+v", err, result)
	}
}

func TestTruthWantsEnoughSamples(t *testing.T) {
	b := newBuilder()
	b.add(9, "inner_1 outer_1 main", "k", "1")
	if _, err := truthOf(t, b, "-label", "k", "-min", "9"); err != nil {
		t.Error(err)
	}
	if _, err := truthOf(t, b, "-label", "k", "-min", "10"); !errors.Is(err, errBroken) {
		t.Errorf("9 samples pass for 10: %v", err)
	}
}

func TestRunRefusesBadArguments(t *testing.T) {
	b := good()
	for _, args := range [][]string{{"sing"}, {"sum", "-label", "novalue"}, {"sum", "rest"}, {"truth"}, {"sum", "-x"}} {
		if _, err := runOn(t, b, args...); err == nil || errors.Is(err, errBroken) {
			t.Errorf("%v: %v", args, err)
		}
	}
	if err := run([]string{"check"}, &strings.Builder{}); err == nil {
		t.Error("no file, no error")
	}
	if err := run([]string{"check", "/nonexistent"}, &strings.Builder{}); err == nil {
		t.Error("a missing file is no error")
	}
}
