package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"connectrpc.com/connect"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
)

// querier answers what Grafana asks for a span, over what the pusher stored.
type querier struct {
	querierv1connect.UnimplementedQuerierServiceHandler
	store *store
}

// request is what the query methods have in common. Times are milliseconds, the end is not part of it.
type request struct {
	profileType, selector string
	start, end            int64
	spans, traces         []string
}

func invalid(format string, args ...any) error {
	return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf(format, args...))
}

func hexSet(ids []string, digits int) (map[string]bool, error) {
	set := map[string]bool{}
	for _, id := range ids {
		if len(id) != digits || strings.Trim(strings.ToLower(id), "0123456789abcdef") != "" {
			return nil, invalid("invalid id %q: %d hex digits expected", id, digits)
		}
		set[strings.ToLower(id)] = true
	}
	return set, nil
}

// visit calls back for every sample that the request selects, with its value.
func (q *querier) visit(r request, found func(*stored, *sample, int64)) error {
	matchers, err := parseSelector(r.selector)
	if err != nil {
		return invalid("%v", err)
	}
	spans, err := hexSet(r.spans, 16)
	if err != nil {
		return err
	}
	traces, err := hexSet(r.traces, 32)
	if err != nil {
		return err
	}
	for _, p := range q.store.all() {
		value := p.typeIndex(r.profileType)
		if ms := p.timeNanos / 1e6; value < 0 || ms < r.start || ms >= r.end {
			continue
		}
		for i := range p.samples {
			s := &p.samples[i]
			if selects(matchers, s.series) && (len(spans) == 0 || spans[s.span]) && (len(traces) == 0 || traces[s.trace]) {
				found(p, s, s.values[value])
			}
		}
	}
	return nil
}

func (s *stored) typeIndex(id string) int {
	for i, t := range s.types {
		if t == id {
			return i
		}
	}
	return -1
}

func (q *querier) merge(r request) (*querierv1.FlameGraph, error) {
	root := newNode("total")
	if err := q.visit(r, func(_ *stored, s *sample, value int64) { root.add(s.stack, value) }); err != nil {
		return nil, err
	}
	return flameGraph(root), nil
}

// SelectMergeSpanProfile is what Grafana calls for a span.
func (q *querier) SelectMergeSpanProfile(_ context.Context, c *connect.Request[querierv1.SelectMergeSpanProfileRequest]) (*connect.Response[querierv1.SelectMergeSpanProfileResponse], error) {
	m := c.Msg
	graph, err := q.merge(request{m.ProfileTypeID, m.LabelSelector, m.Start, m.End, m.SpanSelector, nil})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&querierv1.SelectMergeSpanProfileResponse{Flamegraph: graph}), nil
}

// SelectMergeStacktraces answers as a flame graph only.
func (q *querier) SelectMergeStacktraces(_ context.Context, c *connect.Request[querierv1.SelectMergeStacktracesRequest]) (*connect.Response[querierv1.SelectMergeStacktracesResponse], error) {
	m := c.Msg
	if len(m.SpanSelector) > 0 && len(m.TraceIdSelector) > 0 {
		return nil, invalid("span_selector and trace_id_selector cannot be combined")
	}
	if m.Format > querierv1.ProfileFormat_PROFILE_FORMAT_FLAMEGRAPH {
		return nil, connect.NewError(connect.CodeUnimplemented, errors.New("only flame graphs"))
	}
	graph, err := q.merge(request{m.ProfileTypeID, m.LabelSelector, m.Start, m.End, m.SpanSelector, m.TraceIdSelector})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&querierv1.SelectMergeStacktracesResponse{Flamegraph: graph}), nil
}

// SelectSeries sums values by labels and time.
func (q *querier) SelectSeries(_ context.Context, c *connect.Request[querierv1.SelectSeriesRequest]) (*connect.Response[querierv1.SelectSeriesResponse], error) {
	m := c.Msg
	step := int64(m.Step * 1000)
	if step <= 0 {
		return nil, invalid("step must be positive")
	}
	sums, labels := map[string]map[int64]float64{}, map[string]map[string]string{}
	err := q.visit(request{m.ProfileTypeID, m.LabelSelector, m.Start, m.End, nil, nil}, func(p *stored, s *sample, value int64) {
		group := map[string]string{}
		for _, name := range m.GroupBy {
			if v := s.series[name]; v != "" {
				group[name] = v
			}
		}
		key := seriesKey(group)
		if sums[key] == nil {
			sums[key], labels[key] = map[int64]float64{}, group
		}
		ms := p.timeNanos / 1e6
		sums[key][m.Start+(ms-m.Start+step-1)/step*step] += float64(value)
	})
	if err != nil {
		return nil, err
	}
	response := &querierv1.SelectSeriesResponse{}
	for key, points := range sums {
		series := &typesv1.Series{Labels: pairs(labels[key])}
		for at, value := range points {
			series.Points = append(series.Points, &typesv1.Point{Timestamp: at, Value: value})
		}
		sort.Slice(series.Points, func(i, j int) bool { return series.Points[i].Timestamp < series.Points[j].Timestamp })
		response.Series = append(response.Series, series)
	}
	return connect.NewResponse(response), nil
}

// ProfileTypes names what was stored.
func (q *querier) ProfileTypes(context.Context, *connect.Request[querierv1.ProfileTypesRequest]) (*connect.Response[querierv1.ProfileTypesResponse], error) {
	response, seen := &querierv1.ProfileTypesResponse{}, map[string]bool{}
	for _, p := range q.store.all() {
		for _, id := range p.types {
			if part := strings.Split(id, ":"); !seen[id] && len(part) == 5 {
				seen[id] = true
				response.ProfileTypes = append(response.ProfileTypes, &typesv1.ProfileType{
					ID: id, Name: part[0], SampleType: part[1], SampleUnit: part[2], PeriodType: part[3], PeriodUnit: part[4],
				})
			}
		}
	}
	return connect.NewResponse(response), nil
}

// LabelValues gives the values of one label over all series.
func (q *querier) LabelValues(_ context.Context, c *connect.Request[typesv1.LabelValuesRequest]) (*connect.Response[typesv1.LabelValuesResponse], error) {
	seen := map[string]bool{}
	for _, p := range q.store.all() {
		for _, s := range p.samples {
			if value := s.series[c.Msg.Name]; value != "" {
				seen[value] = true
			}
		}
	}
	response := &typesv1.LabelValuesResponse{}
	for value := range seen {
		response.Names = append(response.Names, value)
	}
	sort.Strings(response.Names)
	return connect.NewResponse(response), nil
}
