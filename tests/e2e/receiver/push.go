package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
)

// Refused is one profile that was not taken, as the admin port tells it.
type Refused struct {
	Reason string `json:"reason"`
	Status string `json:"status"`
	Text   string `json:"text"`
}

// pusher takes profiles as the server does with its default limits.
type pusher struct {
	store  *store
	bucket bucket

	mutex      sync.Mutex
	limits     Limits
	refused    []Refused
	complaints map[string]int
}

func (p *pusher) currentLimits() Limits {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.limits
}

// Push implements push.v1.PusherService. Like the server it tries every profile of the request.
func (p *pusher) Push(_ context.Context, request *connect.Request[pushv1.PushRequest]) (*connect.Response[pushv1.PushResponse], error) {
	if len(request.Msg.Series) != 1 || len(request.Msg.Series[0].Samples) != 1 {
		p.complain("a request with more than one profile is not atomic: a retry doubles what was taken")
	}
	var failed error
	count := 0
	for _, series := range request.Msg.Series {
		for _, raw := range series.Samples {
			count++
			if err := p.pushOne(series.Labels, raw); err != nil {
				failed = err
			}
		}
	}
	if count == 0 {
		failed = p.answer(refuse("no_profiles", "no profiles received"))
	}
	if failed != nil {
		return nil, failed
	}
	return connect.NewResponse(&pushv1.PushResponse{}), nil
}

// pushOne takes or refuses one profile, in the server's order: decompression, rate, shape, labels.
func (p *pusher) pushOne(labels []*typesv1.LabelPair, raw *pushv1.RawSample) error {
	limits, now := p.currentLimits(), time.Now()
	message, err := inflate(raw.RawProfile, limits.MaxBytes)
	if err != nil {
		return p.answer(err)
	}
	parsed := &googlev1.Profile{}
	if err := parsed.UnmarshalVT(message); err != nil {
		return p.answer(fmt.Errorf("not a pprof profile: %w", err))
	}
	if labelValue(labels, "service_name") == "" {
		labels = append(labels, &typesv1.LabelPair{Name: "service_name", Value: "unknown_service"})
	}
	size := len(message) + labelBytes(labels)
	if !p.bucket.take(size, limits, now) {
		return p.answer(connect.NewError(connect.CodeResourceExhausted,
			fmt.Errorf("push rate limit (%.1f MiB) exceeded while adding %d bytes", limits.RateBytes/(1<<20), size)))
	}
	if err := checkProfile(parsed, len(message), limits, now); err != nil {
		return p.answer(err)
	}
	if err := checkLabels(labels, limits); err != nil {
		return p.answer(err)
	}
	return p.keep(labels, raw, message, parsed, limits)
}

// keep has the reference reader look at the profile, checks the labels of each promoted series, stores.
func (p *pusher) keep(labels []*typesv1.LabelPair, raw *pushv1.RawSample, message []byte, parsed *googlev1.Profile, limits Limits) error {
	reference, err := profile.ParseUncompressed(message)
	if err == nil {
		err = reference.CheckValid()
	}
	if err != nil {
		return p.answer(refuse("check_valid", "the reference reader refuses the profile: %v", err))
	}
	series := map[string]string{}
	for _, label := range labels {
		series[label.Name] = label.Value
	}
	reference.TimeNanos = parsed.TimeNanos
	entry := newStored(series, reference)
	entry.rawBytes, entry.gzipBytes = len(message), len(raw.RawProfile)
	entry.contentKey = fmt.Sprintf("%x", sha256.Sum256(message))
	checked := map[string]bool{}
	for _, s := range entry.samples {
		if key := seriesKey(s.series); !checked[key] {
			checked[key] = true
			if err := checkLabels(pairs(s.series), limits); err != nil {
				return p.answer(err)
			}
		}
	}
	for _, text := range complaints(parsed, limits) {
		p.complain(text)
	}
	p.store.add(entry)
	return nil
}

// answer notes a refusal and makes it the error that the server would send.
func (p *pusher) answer(err error) error {
	var connected *connect.Error
	var shape *refusal
	reason := "unknown"
	switch {
	case errors.As(err, &shape):
		connected, reason = connect.NewError(connect.CodeInvalidArgument, err), shape.reason
	case errors.As(err, &connected):
		reason = "rate_limited"
	default:
		connected = connect.NewError(connect.CodeUnknown, err)
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.refused = append(p.refused, Refused{reason, connected.Code().String(), err.Error()})
	return connected
}

func (p *pusher) complain(text string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.complaints[text]++
}

func (p *pusher) reset() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.refused, p.complaints, p.limits = nil, map[string]int{}, defaultLimits()
	p.bucket = bucket{}
	p.store.reset()
}

// inflate gives the message of a profile, gzip or not.
func inflate(data []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		return data, nil
	}
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("gzip reset: %w", err)
	}
	message, err := io.ReadAll(io.LimitReader(reader, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("copy to buffer: %w", err)
	}
	if len(message) > limit {
		return nil, refuse("profile_size_limit", "uncompressed profile payload size exceeds limit of %d bytes", limit)
	}
	return message, nil
}
