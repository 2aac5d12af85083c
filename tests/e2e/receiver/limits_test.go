package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
)

// target is the server under test: this receiver, or the one that PYROSCOPE_URL names, which shows that
// the receiver judges as a real server does.
func target(t *testing.T) string {
	if url := os.Getenv("PYROSCOPE_URL"); url != "" {
		time.Sleep(700 * time.Millisecond) // lets the bucket of a real server fill up
		return url
	}
	server := httptest.NewServer(newReceiver().handler)
	t.Cleanup(server.Close)
	return server.URL
}

// service names a service that no other test and no earlier run used.
func service(t *testing.T) string { return fmt.Sprintf("%s-%d", t.Name(), time.Now().UnixNano()) }

// newProfile has n samples, each of its own function, span and trace.
func newProfile(n int, nameBytes int) *profile.Profile {
	mapping := &profile.Mapping{ID: 1, Start: 0x1000, Limit: 0x20000000, File: "/bin/x", HasFunctions: true}
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 1e7,
		TimeNanos: time.Now().UnixNano(), DurationNanos: 1e10, Mapping: []*profile.Mapping{mapping},
	}
	for i := range n {
		f := &profile.Function{ID: uint64(i + 1), Name: fmt.Sprintf("f%d_%s", i, strings.Repeat("x", nameBytes))}
		l := &profile.Location{ID: uint64(i + 1), Mapping: mapping, Address: 0x2000 + uint64(i)*16, Line: []profile.Line{{Function: f, Line: 3}}}
		p.Function, p.Location = append(p.Function, f), append(p.Location, l)
		p.Sample = append(p.Sample, &profile.Sample{
			Location: []*profile.Location{l}, Value: []int64{1, 1e7},
			Label: map[string][]string{"span_id": {fmt.Sprintf("%016x", i+1)}, "trace_id": {fmt.Sprintf("%032x", i+1)}},
		})
	}
	return p
}

func encode(p *profile.Profile) []byte {
	var buffer bytes.Buffer
	if err := p.Write(&buffer); err != nil {
		panic(err)
	}
	return buffer.Bytes()
}

func labels(names ...string) []*typesv1.LabelPair {
	var list []*typesv1.LabelPair
	for i := 0; i+1 < len(names); i += 2 {
		list = append(list, &typesv1.LabelPair{Name: names[i], Value: names[i+1]})
	}
	return list
}

func push(url string, series []*typesv1.LabelPair, body []byte) error {
	client := pushv1connect.NewPusherServiceClient(http.DefaultClient, url, connect.WithSendGzip())
	_, err := client.Push(context.Background(), connect.NewRequest(&pushv1.PushRequest{Series: []*pushv1.RawProfileSeries{{
		Labels: series, Samples: []*pushv1.RawSample{{ID: "7c9e6679-7425-40de-944b-e07fc1f90ae7", RawProfile: body}},
	}}}))
	return err
}

func numbered(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("l%d", i), "v")
	}
	return names
}

// What a v2.2.1 server with default limits answered to the same requests.
func TestStatusesAreTheServers(t *testing.T) {
	const ok = connect.Code(0)
	cases := []struct {
		name  string
		want  connect.Code
		text  string
		body  func() []byte
		extra []string
	}{
		{"one sample", ok, "", func() []byte { return encode(newProfile(1, 0)) }, nil},
		{"16000 samples", ok, "", func() []byte { return encode(newProfile(16000, 0)) }, nil},
		{"16001 samples", connect.CodeInvalidArgument, "samples count limit", func() []byte { return encode(newProfile(16001, 0)) }, nil},
		{"2.1 MiB", connect.CodeResourceExhausted, "push rate limit", func() []byte { return encode(newProfile(2100, 1000)) }, nil},
		{"4.3 MiB", connect.CodeInvalidArgument, "exceeds limit", func() []byte { return encode(newProfile(4300, 1000)) }, nil},
		{"30 labels", ok, "", func() []byte { return encode(newProfile(1, 0)) }, numbered(28)},
		{"31 labels", connect.CodeInvalidArgument, "limit 30", func() []byte { return encode(newProfile(1, 0)) }, numbered(29)},
		{"31 labels, one of them the sample's", connect.CodeInvalidArgument, "limit 30", func() []byte {
			p := newProfile(1, 0)
			p.Sample[0].Label["span_name"] = []string{"GET"}
			return encode(p)
		}, numbered(28)},
		{"a dot in a name", ok, "", func() []byte { return encode(newProfile(1, 0)) }, []string{"k8s.pod.name", "a b"}},
		{"a space in a name", ok, "", func() []byte { return encode(newProfile(1, 0)) }, []string{"a b", "c"}},
		{"an empty value", ok, "", func() []byte { return encode(newProfile(1, 0)) }, []string{"e", ""}},
		{"an empty name", connect.CodeInvalidArgument, "label name", func() []byte { return encode(newProfile(1, 0)) }, []string{"", "x"}},
		{"equal names", connect.CodeInvalidArgument, "duplicate", func() []byte { return encode(newProfile(1, 0)) }, []string{"d", "1", "d", "2"}},
		{"a name of 1025 bytes", connect.CodeInvalidArgument, "too long", func() []byte { return encode(newProfile(1, 0)) }, []string{strings.Repeat("n", 1025), "x"}},
		{"a value of 2049 bytes", connect.CodeInvalidArgument, "too long", func() []byte { return encode(newProfile(1, 0)) }, []string{"n", strings.Repeat("v", 2049)}},
		{"101 labels on a sample", connect.CodeInvalidArgument, "labels limit", func() []byte {
			p := newProfile(1, 0)
			for i := range 99 {
				p.Sample[0].Label[fmt.Sprintf("l%d", i)] = []string{"v"}
			}
			return encode(p)
		}, nil},
		{"a function name that is not UTF-8", connect.CodeInvalidArgument, "utf8", func() []byte {
			p := newProfile(1, 0)
			p.Function[0].Name = "a\xffb"
			return encode(p)
		}, nil},
		{"2 h old", connect.CodeInvalidArgument, "ingestion window", func() []byte {
			p := newProfile(1, 0)
			p.TimeNanos -= 2 * 3600 * 1e9
			return encode(p)
		}, nil},
		{"20 min ahead", connect.CodeInvalidArgument, "ingestion window", func() []byte {
			p := newProfile(1, 0)
			p.TimeNanos += 20 * 60 * 1e9
			return encode(p)
		}, nil},
		{"no samples", ok, "", func() []byte { return encode(newProfile(0, 0)) }, nil},
		{"no pprof", connect.CodeUnknown, "", func() []byte { return []byte("hello") }, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			series := labels(append([]string{"__name__", "process_cpu", "service_name", service(t)}, c.extra...)...)
			err := push(target(t), series, c.body())
			if c.want == ok && err != nil || c.want != ok && connect.CodeOf(err) != c.want {
				t.Fatalf("answered %v, want code %v", err, c.want)
			}
			if err != nil && !strings.Contains(strings.ToLower(err.Error()), c.text) {
				t.Errorf("answered %v, want words %q", err, c.text)
			}
		})
	}
}

func TestRateLimitRefillsWithTime(t *testing.T) {
	var b bucket
	limits, now := defaultLimits(), time.Unix(1, 0)
	if !b.take(2<<20, limits, now) || b.take(1, limits, now) {
		t.Fatal("the burst is 2 MiB")
	}
	if b.take(3<<19, limits, now.Add(250*time.Millisecond)) || !b.take(1<<20, limits, now.Add(250*time.Millisecond)) {
		t.Fatal("4 MiB flow in a second")
	}
}

func TestComplainsOfWhatTheServerDropsInSilence(t *testing.T) {
	r := newReceiver()
	server := httptest.NewServer(r.handler)
	defer server.Close()
	series := labels("__name__", "process_cpu", "service_name", "s")
	if err := push(server.URL, series, encode(newProfile(3, 0))); err != nil {
		t.Fatal(err)
	}
	if state := r.admin.state(); len(state.Complaints) > 0 || len(state.Accepted) != 1 || state.Accepted[0].Samples != 3 {
		t.Fatalf("%+v", state)
	}
	p := newProfile(4, 0)
	p.Location[0].Line = nil
	p.Sample[1].Value = []int64{0, 0}
	p.Sample[2].Label["span_id"] = []string{"00000000000000a"}
	p.Sample[3].Location = make([]*profile.Location, 1001)
	for i := range p.Sample[3].Location {
		p.Sample[3].Location[i] = p.Location[3]
	}
	if err := push(server.URL, series, encode(p)); err != nil {
		t.Fatal(err)
	}
	if state := r.admin.state(); len(state.Complaints) != 4 {
		t.Fatalf("%+v", state.Complaints)
	}
}
