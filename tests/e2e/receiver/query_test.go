package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
)

const cpuType = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"

// flat is a flame graph as "name total self" lines, in any server's order of levels.
func flat(graph *querierv1.FlameGraph) map[string]bool {
	lines := map[string]bool{}
	for depth, level := range graph.GetLevels() {
		for i := 0; i+3 < len(level.Values); i += 4 {
			v := level.Values[i : i+4]
			lines[fmt.Sprintf("%d %s %d %d", depth, graph.Names[v[3]], v[1], v[2])] = true
		}
	}
	return lines
}

func wantLines(t *testing.T, graph *querierv1.FlameGraph, lines ...string) {
	t.Helper()
	got := flat(graph)
	for _, line := range lines {
		if !got[line] {
			t.Errorf("no line %q in %v", line, got)
		}
	}
}

// pushThree stores main -> work under span 1 and 2 and main alone under span 3, each with its own trace.
func pushThree(t *testing.T, url, name string) {
	p := newProfile(3, 0)
	p.Function[0].Name, p.Function[1].Name = "main", "work"
	p.Sample[0].Location = p.Location[1:2:2]
	p.Sample[0].Location = append(p.Sample[0].Location, p.Location[0])
	p.Sample[1].Location, p.Sample[2].Location = p.Sample[0].Location, p.Location[:1:1]
	p.Sample[1].Value = []int64{2, 2e7}
	for i, operation := range []string{"GET /a", "GET /b", "GET /b"} {
		p.Sample[i].Label["span_name"] = []string{operation}
	}
	if err := push(url, labels("__name__", "process_cpu", "service_name", name), encode(p)); err != nil {
		t.Fatal(err)
	}
}

// The same answers as a real server's, which PYROSCOPE_URL may name.
func TestQueriesFindSpansTracesAndOperations(t *testing.T) {
	url, name := target(t), service(t)
	pushThree(t, url, name)
	client := querierv1connect.NewQuerierServiceClient(http.DefaultClient, url)
	start, end := time.Now().Add(-time.Minute).UnixMilli(), time.Now().Add(time.Minute).UnixMilli()
	selector := fmt.Sprintf("{service_name=%q}", name)
	span, err := client.SelectMergeSpanProfile(context.Background(), connect.NewRequest(&querierv1.SelectMergeSpanProfileRequest{
		ProfileTypeID: cpuType, LabelSelector: selector, Start: start, End: end, SpanSelector: []string{"0000000000000002"}}))
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, span.Msg.Flamegraph, "0 total 20000000 0", "1 main 20000000 0", "2 work 20000000 20000000")
	stacks := func(selector string, traces ...string) *querierv1.FlameGraph {
		answer, err := client.SelectMergeStacktraces(context.Background(), connect.NewRequest(&querierv1.SelectMergeStacktracesRequest{
			ProfileTypeID: cpuType, LabelSelector: selector, Start: start, End: end, TraceIdSelector: traces}))
		if err != nil {
			t.Fatal(err)
		}
		return answer.Msg.Flamegraph
	}
	wantLines(t, stacks(selector), "0 total 40000000 0", "1 main 40000000 10000000", "2 work 30000000 30000000")
	wantLines(t, stacks(selector, fmt.Sprintf("%032x", 3)), "1 main 10000000 10000000")
	wantLines(t, stacks(fmt.Sprintf("{service_name=%q, span_name=~\"GET /b\"}", name)), "1 main 30000000 10000000")
	if graph := stacks(selector, fmt.Sprintf("%032x", 9)); graph.GetTotal() != 0 {
		t.Errorf("an unknown trace has %v", graph)
	}
}

// client of the admin port and of the push path.
type harness struct {
	t         *testing.T
	addresses map[string]string
	http      *http.Client
}

func newHarness(t *testing.T) *harness {
	addresses, err := newReceiver().listen("")
	if err != nil {
		t.Fatal(err)
	}
	return &harness{t: t, addresses: addresses, http: &http.Client{Timeout: 2 * time.Second}}
}

func (h *harness) post(path, body string) {
	h.t.Helper()
	answer, err := h.http.Post("http://"+h.addresses["admin"]+path, "application/json", strings.NewReader(body))
	if err != nil || answer.StatusCode != http.StatusOK {
		h.t.Fatal(answer, err)
	}
	answer.Body.Close()
}

func (h *harness) state() (state State) {
	answer, err := h.http.Get("http://" + h.addresses["admin"] + "/state")
	if err == nil {
		err = json.NewDecoder(answer.Body).Decode(&state)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return state
}

// push sends one profile as JSON without the official client, which would hide the answer.
func (h *harness) push() (*http.Response, string, error) {
	body, _ := json.Marshal(map[string]any{"series": []any{map[string]any{
		"labels":  []any{map[string]string{"name": "__name__", "value": "process_cpu"}, map[string]string{"name": "service_name", "value": "s"}},
		"samples": []any{map[string]any{"rawProfile": encode(newProfile(1, 0))}},
	}}})
	answer, err := h.http.Post("http://"+h.addresses["push"]+"/push.v1.PusherService/Push", "application/json", strings.NewReader(string(body)))
	if err != nil {
		return nil, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer, string(text), err
}

func TestFaultsHitAsManyRequestsAsAsked(t *testing.T) {
	h := newHarness(t)
	h.post("/faults", `[{"mode":"status","status":503,"body":"busy","headers":{"Retry-After":"7"},"count":2}, {"mode":"close","count":1}]`)
	for range 2 {
		answer, text, err := h.push()
		if err != nil || answer.StatusCode != 503 || text != "busy" || answer.Header.Get("Retry-After") != "7" {
			t.Fatal(answer, text, err)
		}
	}
	if _, _, err := h.push(); err == nil {
		t.Fatal("the connection was not closed")
	}
	if answer, _, err := h.push(); err != nil || answer.StatusCode != 200 {
		t.Fatal(answer, err)
	}
	if state := h.state(); len(state.Accepted) != 1 || len(state.Requests) != 4 {
		t.Fatalf("%+v", state)
	}
}

func TestAcceptedProfilesCountAlthoughTheAnswerIsLost(t *testing.T) {
	for _, fault := range []string{
		`{"mode":"reset","accept":true}`, `{"mode":"close","accept":true}`, `{"mode":"hang","accept":true}`,
		`{"mode":"slow","accept":true,"delay_ms":100}`, `{"mode":"status","status":500,"accept":true}`,
	} {
		h := newHarness(t)
		h.post("/faults", "["+fault+"]")
		if answer, _, err := h.push(); err == nil && answer.StatusCode == 200 {
			t.Fatalf("%s: answered", fault)
		}
		if state := h.state(); len(state.Accepted) != 1 || state.Distinct != 1 {
			t.Fatalf("%s: %+v", fault, state)
		}
	}
}

func TestAClosedPortComesBackAtTheSameAddress(t *testing.T) {
	h := newHarness(t)
	h.post("/listen", "false")
	if _, _, err := h.push(); err == nil {
		t.Fatal("still there")
	}
	h.post("/listen", "true")
	if answer, _, err := h.push(); err != nil || answer.StatusCode != 200 {
		t.Fatal(answer, err)
	}
}

func TestRedirectsAreRecorded(t *testing.T) {
	h := newHarness(t)
	h.post("/faults", `[{"mode":"redirect"}]`)
	if answer, _, err := h.push(); err != nil || answer.StatusCode != 200 {
		t.Fatal("Go's client follows redirects", answer, err)
	}
	if state := h.state(); len(state.Redirected) != 1 || len(state.Accepted) != 0 {
		t.Fatalf("%+v", state)
	}
}

func TestASeedMakesASchedule(t *testing.T) {
	draw := func(seed int) string {
		h := newHarness(t)
		h.post("/schedule", fmt.Sprintf(`{"seed":%d,"pass":1,"faults":[{"mode":"status","status":500,"weight":1},{"mode":"status","status":429,"weight":1}]}`, seed))
		text := ""
		for range 40 {
			answer, _, err := h.push()
			if err != nil {
				t.Fatal(err)
			}
			text += fmt.Sprint(answer.StatusCode, " ")
		}
		return text
	}
	first := draw(1)
	if first != draw(1) || first == draw(2) {
		t.Fatal("not a function of the seed")
	}
	for _, status := range []string{"200", "429", "500"} {
		if !strings.Contains(first, status) {
			t.Errorf("no %s in %s", status, first)
		}
	}
}
