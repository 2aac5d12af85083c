package main

import (
	"encoding/json"
	"net/http"
	"sync"
)

// Accepted is one stored profile as the admin port tells it.
type Accepted struct {
	Series     map[string]string `json:"series"`
	Key        string            `json:"key"`
	TimeNanos  int64             `json:"time_nanos"`
	Duration   int64             `json:"duration_nanos"`
	ReceivedMs int64             `json:"received_ms"`
	Entries    int               `json:"entries"`
	Samples    int64             `json:"samples"`
	CPU        int64             `json:"cpu_nanos"`
	RawBytes   int               `json:"raw_bytes"`
	GzipBytes  int               `json:"gzip_bytes"`
	SpanNames  int               `json:"span_names"`
}

// State is everything that a test may want to know.
type State struct {
	Accepted   []Accepted     `json:"accepted"`
	Distinct   int            `json:"distinct"` // by series and time_nanos
	Twins      int            `json:"twins"`
	Clashes    int            `json:"clashes"`
	Refused    []Refused      `json:"refused"`
	Complaints map[string]int `json:"complaints"`
	Requests   []Seen         `json:"requests"`
	Peak       int            `json:"peak_parallel"`
	Redirected []Seen         `json:"redirected"`
}

// recorder is the server that a redirect leads to: it takes nothing and notes who came.
type recorder struct {
	mutex sync.Mutex
	seen  []Seen
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.seen = append(r.seen, Seen{
		Path: request.URL.Path, Auth: request.Header.Get("Authorization"), Tenant: request.Header.Get("X-Scope-OrgID"),
		Type: request.Header.Get("Content-Type"), Status: http.StatusOK,
	})
	w.Header().Set("Content-Type", "application/proto")
}

func (r *recorder) reset() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.seen = nil
}

// admin switches faults and tells what came. Its port is for tests alone.
type admin struct {
	pusher   *pusher
	faulty   *faulty
	recorder *recorder
	port     *port // the one that can be down
}

func (a *admin) state() State {
	state := State{Accepted: []Accepted{}, Refused: []Refused{}, Complaints: map[string]int{}, Redirected: []Seen{}, Requests: []Seen{}}
	distinct := map[string]bool{}
	for _, p := range a.pusher.store.all() {
		names := map[string]bool{}
		for _, s := range p.samples {
			names[s.series["span_name"]] = true
		}
		entry := Accepted{
			Series: p.series, Key: p.key(), TimeNanos: p.timeNanos, Duration: p.duration, ReceivedMs: p.received.UnixMilli(),
			Entries: len(p.samples), Samples: p.sum(0), RawBytes: p.rawBytes, GzipBytes: p.gzipBytes, SpanNames: len(names),
		}
		if len(p.types) > 1 {
			entry.CPU = p.sum(1)
		}
		state.Accepted = append(state.Accepted, entry)
		distinct[entry.Key] = true
	}
	state.Distinct = len(distinct)
	state.Twins, state.Clashes = a.pusher.store.counts()
	a.fill(&state)
	return state
}

func (a *admin) fill(state *State) {
	a.pusher.mutex.Lock()
	state.Refused = append(state.Refused, a.pusher.refused...)
	for text, n := range a.pusher.complaints {
		state.Complaints[text] = n
	}
	a.pusher.mutex.Unlock()
	a.faulty.mutex.Lock()
	state.Requests = append(state.Requests, a.faulty.seen...)
	state.Peak = a.faulty.peak
	a.faulty.mutex.Unlock()
	a.recorder.mutex.Lock()
	state.Redirected = append(state.Redirected, a.recorder.seen...)
	a.recorder.mutex.Unlock()
}

// post makes a handler of a function that takes the JSON body.
func post[T any](do func(T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body T
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&body)
		if err == nil {
			err = do(body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}
}

func (a *admin) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(a.state())
	})
	mux.HandleFunc("GET /functions", func(w http.ResponseWriter, _ *http.Request) {
		names := map[string]bool{}
		for _, p := range a.pusher.store.all() {
			for name := range p.functions {
				names[name] = true
			}
		}
		json.NewEncoder(w).Encode(names)
	})
	mux.HandleFunc("POST /faults", post(func(faults []Fault) error { a.faulty.set(faults); return nil }))
	mux.HandleFunc("POST /schedule", post(func(s Schedule) error { a.faulty.setSchedule(s); return nil }))
	mux.HandleFunc("POST /release", post(func(struct{}) error { a.faulty.letGo(); return nil }))
	mux.HandleFunc("POST /listen", post(func(up bool) error {
		if up {
			return a.port.open()
		}
		a.port.close()
		return nil
	}))
	mux.HandleFunc("POST /limits", post(func(l Limits) error {
		a.pusher.mutex.Lock()
		defer a.pusher.mutex.Unlock()
		a.pusher.limits = l
		return nil
	}))
	mux.HandleFunc("GET /limits", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(a.pusher.currentLimits())
	})
	mux.HandleFunc("POST /reset", post(func(struct{}) error {
		a.pusher.reset()
		a.faulty.reset()
		a.recorder.reset()
		return a.port.open()
	}))
	return mux
}
