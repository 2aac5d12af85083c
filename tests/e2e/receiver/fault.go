package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Fault is one way of not answering a push as Pyroscope does.
//
//	status    Status with Body and Headers
//	hang      no answer until the client goes away or Release is called
//	slow      the ordinary answer, or 503 if nothing was taken, one byte every DelayMs
//	reset     half an answer, then the connection is reset
//	close     the connection is closed without an answer
//	huge      an answer of Size bytes
//	redirect  Status (307) to the port that only records
//
// With Accept the profile is taken first: only the answer is lost.
type Fault struct {
	Mode    string            `json:"mode"`
	Accept  bool              `json:"accept"`
	Count   int               `json:"count"` // requests that it hits; 0: all
	Status  int               `json:"status"`
	Body    string            `json:"body"`
	Headers map[string]string `json:"headers"`
	DelayMs int               `json:"delay_ms"`
	Size    int               `json:"size"`
	Weight  int               `json:"weight"` // among the faults of a random schedule
}

// Schedule draws a fault for each request. Its weights are relative to Pass, the weight of none.
type Schedule struct {
	Seed   int64   `json:"seed"`
	Pass   int     `json:"pass"`
	Faults []Fault `json:"faults"`
}

// Seen is one request to the push path.
type Seen struct {
	At       int64  `json:"at_ms"`
	TookMs   int64  `json:"took_ms"`
	Fault    string `json:"fault"`
	Status   int    `json:"status"` // 0: none was sent
	Bytes    int64  `json:"bytes"`
	Sent     int    `json:"sent"` // of a huge answer
	Type     string `json:"content_type"`
	Encoding string `json:"content_encoding"`
	Auth     string `json:"authorization"`
	Tenant   string `json:"tenant"`
	Agent    string `json:"user_agent"`
	Path     string `json:"path"`
}

// faulty stands before the push handler.
type faulty struct {
	inner      http.Handler
	redirectTo string

	mutex    sync.Mutex
	queue    []Fault
	schedule *Schedule
	random   *rand.Rand
	release  chan struct{}
	seen     []Seen
	active   int
	peak     int
}

func newFaulty(inner http.Handler) *faulty {
	return &faulty{inner: inner, release: make(chan struct{})}
}

func (f *faulty) set(faults []Fault) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.queue, f.schedule = faults, nil
}

func (f *faulty) setSchedule(s Schedule) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.queue, f.schedule, f.random = nil, &s, rand.New(rand.NewSource(s.Seed))
}

// letGo answers the requests that hang.
func (f *faulty) letGo() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	close(f.release)
	f.release = make(chan struct{})
}

func (f *faulty) reset() {
	f.letGo()
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.queue, f.schedule, f.seen, f.peak = nil, nil, nil, f.active
}

// next is the fault for the request that just came.
func (f *faulty) next() (Fault, chan struct{}) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.active++
	f.peak = max(f.peak, f.active)
	if f.schedule != nil {
		return f.draw(), f.release
	}
	if len(f.queue) == 0 {
		return Fault{Mode: "none"}, f.release
	}
	fault := f.queue[0]
	if fault.Count == 1 {
		f.queue = f.queue[1:]
	} else if fault.Count > 1 {
		f.queue[0].Count--
	}
	return fault, f.release
}

func (f *faulty) draw() Fault {
	total := f.schedule.Pass
	for _, fault := range f.schedule.Faults {
		total += fault.Weight
	}
	at := f.random.Intn(max(total, 1)) - f.schedule.Pass
	for _, fault := range f.schedule.Faults {
		if at >= 0 && at < fault.Weight {
			return fault
		}
		at -= fault.Weight
	}
	return Fault{Mode: "none"}
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault, release := f.next()
	start := time.Now()
	body, err := io.ReadAll(r.Body)
	seen := Seen{
		At: start.UnixMilli(), Fault: fault.Mode, Bytes: int64(len(body)), Path: r.URL.Path,
		Type: r.Header.Get("Content-Type"), Encoding: r.Header.Get("Content-Encoding"),
		Auth: r.Header.Get("Authorization"), Tenant: r.Header.Get("X-Scope-OrgID"), Agent: r.Header.Get("User-Agent"),
	}
	last := func() {}
	if err == nil {
		seen.Status, last = f.serve(w, r, body, fault, release)
	}
	if fault.Mode == "huge" {
		seen.Sent = huge(w, fault)
	}
	seen.TookMs = time.Since(start).Milliseconds()
	f.note(seen)
	last()
}

func (f *faulty) note(seen Seen) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.active--
	f.seen = append(f.seen, seen)
}

// serve does what the fault says. It tells the status that was sent and the last step of the answer,
// which waits until the request is noted: a client that has its answer finds itself in the state.
func (f *faulty) serve(w http.ResponseWriter, r *http.Request, body []byte, fault Fault, release chan struct{}) (int, func()) {
	answer := httptest.NewRecorder()
	if fault.Accept || fault.Mode == "none" {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		f.inner.ServeHTTP(answer, again)
	}
	switch fault.Mode {
	case "none":
		copyAnswer(w, answer)
		return answer.Code, func() {}
	case "status", "redirect":
		return f.status(w, r, fault), func() {}
	case "huge": // written by the caller, which counts
		return max(fault.Status, http.StatusOK), func() {}
	case "hang":
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return 0, hijack(w, "", 0, false)
	case "slow":
		if !fault.Accept {
			answer.Code = http.StatusServiceUnavailable
		}
		return answer.Code, hijack(w, rawAnswer(answer), time.Duration(fault.DelayMs)*time.Millisecond, false)
	case "reset":
		return 0, hijack(w, "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Le", 0, true)
	case "close":
		return 0, hijack(w, "", 0, false)
	default:
		http.Error(w, "no such fault: "+fault.Mode, http.StatusTeapot)
		return http.StatusTeapot, func() {}
	}
}

func (f *faulty) status(w http.ResponseWriter, r *http.Request, fault Fault) int {
	for name, value := range fault.Headers {
		w.Header().Set(name, value)
	}
	status := fault.Status
	if fault.Mode == "redirect" {
		w.Header().Set("Location", "http://"+f.redirectTo+r.URL.Path)
		if status == 0 {
			status = http.StatusTemporaryRedirect
		}
	}
	w.WriteHeader(status)
	io.WriteString(w, fault.Body)
	return status
}

// huge tells how many bytes went out before the client hung up.
func huge(w http.ResponseWriter, fault Fault) int {
	w.Header().Set("Content-Type", "application/proto")
	w.WriteHeader(max(fault.Status, http.StatusOK))
	chunk := bytes.Repeat([]byte("x"), 1<<16)
	sent := 0
	for ; sent < fault.Size; sent += len(chunk) {
		if _, err := w.Write(chunk); err != nil {
			break
		}
	}
	return sent
}

func copyAnswer(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

// rawAnswer is an answer as bytes.
func rawAnswer(answer *httptest.ResponseRecorder) string {
	var text strings.Builder
	fmt.Fprintf(&text, "HTTP/1.1 %d Slow\r\nContent-Type: application/proto\r\nContent-Length: %d\r\n\r\n%s",
		answer.Code, answer.Body.Len(), answer.Body.String())
	return text.String()
}

// hijack takes the connection and writes raw bytes, one every `pause` if that is not zero. It gives back
// the last step: the last byte and the end of the connection.
func hijack(w http.ResponseWriter, text string, pause time.Duration, reset bool) func() {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return func() {}
	}
	for i := 0; i < len(text)-1 && pause > 0; i++ {
		if _, err := connection.Write([]byte{text[i]}); err != nil {
			break
		}
		time.Sleep(pause)
	}
	if pause > 0 && text != "" {
		text = text[len(text)-1:]
	}
	return func() {
		io.WriteString(connection, text)
		if tcp, ok := connection.(*net.TCPConn); ok && reset {
			tcp.SetLinger(0)
		}
		connection.Close()
	}
}
