// Work is bench/peers/work.cc in Go: the same cases under runtime/pprof, and what labels and spans
// (otel-profiling-go) cost.
//
//	work CASE RATE PROFILE
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"sort"
	"strconv"
	"sync"
	"time"

	otelpyroscope "github.com/grafana/otel-profiling-go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sys/unix"
)

func clockNs(clock int32) int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		panic(err)
	}
	return now.Nano()
}
func threadCPU() int64  { return clockNs(unix.CLOCK_THREAD_CPUTIME_ID) }
func processCPU() int64 { return clockNs(unix.CLOCK_PROCESS_CPUTIME_ID) }

//go:noinline
func spin(x uint64) uint64 {
	for i := 0; i < 5000; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

func burn(ns int64) {
	x := uint64(1)
	for end := threadCPU() + ns; threadCPU() < end; {
		x = spin(x)
	}
	keep(x)
}

//go:noinline
func keep(x uint64) { _ = x }

//go:noinline
func pieces(n int) {
	x := uint64(1)
	for i := 0; i < n; i++ {
		x = spin(x)
	}
	keep(x)
}

//go:noinline
func PartOne() { pieces(10) }

//go:noinline
func PartThree() { pieces(30) }

//go:noinline
func PartNine() { pieces(90) }

func shares() {
	runtime.LockOSThread()
	names := []string{"PartOne", "PartThree", "PartNine"}
	parts := []func(){PartOne, PartThree, PartNine}
	var used [3]int64
	for end := threadCPU() + 8e9; threadCPU() < end; {
		for i, part := range parts {
			before := threadCPU()
			part()
			used[i] += threadCPU() - before
		}
	}
	for i, name := range names {
		fmt.Printf("part/%s %.6f\n", name, float64(used[i])/1e9)
	}
}

// Two at a time, each on a thread of its own that ends with it.
func onThreads(f func()) {
	var both sync.WaitGroup
	for i := 0; i < 2; i++ {
		both.Add(1)
		go func() {
			defer both.Done()
			runtime.LockOSThread()
			f()
		}()
	}
	both.Wait()
}

func totals() { onThreads(func() { burn(2e9) }) }

func bursts() {
	onThreads(func() {
		for i := 0; i < 1000; i++ {
			burn(1e6)
			time.Sleep(2 * time.Millisecond)
		}
	})
}

func shortThreads() {
	for i := 0; i < 500; i++ {
		onThreads(func() { burn(2e6) })
	}
}

//go:noinline
func deep(depth int) int {
	if depth > 0 {
		return deep(depth-1) + 1
	}
	values := make([]int, 64)
	for i := range values {
		values[i] = i * 37 % 64
	}
	sort.Slice(values, func(i, j int) bool {
		keep(spin(1))
		return values[i] < values[j]
	})
	return values[0]
}

func deepStacks() {
	runtime.LockOSThread()
	for end := threadCPU() + 4e9; threadCPU() < end; {
		deep(20)
	}
}

//go:noinline
func gaps(depth int, us *[]float64) int {
	if depth > 0 {
		return gaps(depth-1, us) + 1
	}
	start := time.Now()
	for last := time.Duration(0); last < 3*time.Second; {
		now := time.Since(start)
		if now-last > 700 {
			*us = append(*us, float64(now-last)/1e3)
		}
		last = now
	}
	return 0
}

func sampleCost() {
	runtime.LockOSThread()
	us := make([]float64, 0, 1<<20)
	gaps(20, &us)
	sort.Float64s(us)
	ticks := min(len(us), 750)
	fmt.Printf("gaps %d\ngap_us %.3f\n", len(us), us[len(us)-1-ticks/2])
}

func nsEach(count int, f func()) float64 {
	before := threadCPU()
	for i := 0; i < count; i++ {
		f()
	}
	return float64(threadCPU()-before) / float64(count)
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

func labelSwitch() {
	runtime.LockOSThread()
	outer := context.Background()
	labels := pprof.Labels("operation", "search")
	labelled := pprof.WithLabels(outer, labels)
	fmt.Printf("label_switch_ns %.3f\n", nsEach(2000000, func() {
		pprof.SetGoroutineLabels(labelled)
		pprof.SetGoroutineLabels(outer)
	}))
	fmt.Printf("label_do_ns %.3f\n", nsEach(500000, func() {
		pprof.Do(outer, labels, func(context.Context) {})
	}))
}

// Drops what the SDK recorded.
type dropping struct{}

func (dropping) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (dropping) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (dropping) Shutdown(context.Context) error                  { return nil }
func (dropping) ForceFlush(context.Context) error                { return nil }

// In alternating segments: a root, and a child of a root.
func spans() {
	sdk := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(dropping{}))
	tracers := []trace.Tracer{sdk.Tracer("peers"), otelpyroscope.NewTracerProvider(sdk).Tracer("peers")}
	var root, child [2][]float64
	for i := 0; i < 100; i++ {
		for side, tracer := range tracers {
			root[side] = append(root[side], nsEach(2000, func() {
				_, span := tracer.Start(context.Background(), "operation")
				span.End()
			}))
			ctx, outer := tracer.Start(context.Background(), "operation")
			child[side] = append(child[side], nsEach(2000, func() {
				_, span := tracer.Start(ctx, "part")
				span.End()
			}))
			outer.End()
		}
	}
	for name, sides := range map[string]*[2][]float64{"root": &root, "child": &child} {
		fmt.Printf("%s_sdk_ns %.1f\n%s_bridge_ns %.1f\n", name, median(sides[0]), name, median(sides[1]))
	}
}

func main() {
	cases := map[string]func(){"shares": shares, "totals": totals, "bursts": bursts, "short_threads": shortThreads,
		"short_threads_known": shortThreads,
		"deep":                deepStacks, "sample_cost": sampleCost}
	if len(os.Args) == 2 && os.Args[1] == "label_switch" {
		labelSwitch()
		return
	}
	if len(os.Args) == 2 && os.Args[1] == "spans" {
		spans()
		return
	}
	if len(os.Args) != 4 || cases[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: work CASE RATE PROFILE")
		os.Exit(2)
	}
	rate, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	if os.Args[3] != "-" {
		file, err := os.Create(os.Args[3])
		if err != nil {
			panic(err)
		}
		defer file.Close()
		// The only way to another rate than 100; StartCPUProfile then says that it cannot set its own.
		if rate != 100 {
			runtime.SetCPUProfileRate(rate)
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			panic(err)
		}
		defer pprof.StopCPUProfile()
	}
	before := processCPU()
	cases[os.Args[1]]()
	fmt.Printf("cpu %.6f\n", float64(processCPU()-before)/1e9)
}
