package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/google/pprof/profile"
)

// Truth of labels. A test program opens a scope for label value K in a function outer_K and works
// inside it in a function inner_K. So, on every complete stack:
//
//  1. the leaf-most of all inner_* and outer_* frames is inner_K  =>  the label is K;
//  2. the label is K  =>  outer_K is on the stack.
//
// The K of options.none stands for "no label": inner_none => the sample has no such label.
type truthOptions struct {
	key     string // of the label
	root    string // regexp: a stack with such a function is complete
	mapFile string // JSON object from label values (span ids) to K; a value that it lacks is a breach
	none    string
	min     int64
}

const defaultRoot = `^(_start|__libc_start_main.*|__libc_start_call_main|main|start_thread|__?clone3?)$`

var scopeFunction = regexp.MustCompile(`(?:^|::|\s)(inner|outer)_([A-Za-z0-9]+)`)

// Weights, not records: one sample is one delivery or several with the same stack and labels.
type truthResult struct {
	Checked    int64    `json:"checked"`
	Labelled   int64    `json:"labelled"`
	Inner      int64    `json:"inner"`      // with inner_K leaf-most
	Incomplete int64    `json:"incomplete"` // not checked
	Violations int64    `json:"violations"`
	Examples   []string `json:"examples"`
}

func truth(out io.Writer, p *profile.Profile, options truthOptions) error {
	root, err := regexp.Compile(options.root)
	if err != nil {
		return err
	}
	names, err := readNames(options.mapFile)
	if err != nil {
		return err
	}
	result := truthResult{Examples: []string{}}
	for _, s := range p.Sample {
		result.look(s, options, root, names)
	}
	if err := printJSON(out, result); err != nil {
		return err
	}
	if result.Violations > 0 || result.Checked < options.min {
		return errBroken
	}
	return nil
}

func readNames(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	names := make(map[string]string)
	if err := json.Unmarshal(data, &names); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return names, nil
}

func (r *truthResult) look(s *profile.Sample, options truthOptions, root *regexp.Regexp,
	names map[string]string) {
	weight := s.Value[0]
	stack := readStack(s, root)
	if !stack.complete {
		r.Incomplete += weight
		return
	}
	r.Checked += weight
	if stack.inner != "" {
		r.Inner += weight
	}
	label, labelled := options.none, false
	if values := s.Label[options.key]; len(values) > 0 {
		label, labelled = values[0], true
		r.Labelled += weight
	}
	if names != nil && labelled {
		name, known := names[label]
		if !known {
			r.violation(weight, "%s=%s is in no map", options.key, label)
			return
		}
		label = name
	}
	if stack.inner != "" && stack.inner != label {
		r.violation(weight, "inner_%s runs with %s=%s", stack.inner, options.key, label)
	}
	if labelled && !stack.outer[label] {
		r.violation(weight, "%s=%s outside outer_%s, leaf %s", options.key, label, label, stack.leaf)
	}
}

func (r *truthResult) violation(weight int64, format string, args ...any) {
	const most = 20
	r.Violations += weight
	if len(r.Examples) < most {
		r.Examples = append(r.Examples, fmt.Sprintf(format, args...))
	}
}

type scopeStack struct {
	complete bool
	leaf     string
	inner    string          // K of the leaf-most inner_K; empty if an outer_K comes before it
	outer    map[string]bool // all K of outer_K
}

func readStack(s *profile.Sample, root *regexp.Regexp) scopeStack {
	stack := scopeStack{outer: make(map[string]bool)}
	first := true
	for i, f := range frames(s) {
		if i == 0 {
			stack.leaf = f.name
		}
		stack.complete = stack.complete || root.MatchString(f.name)
		match := scopeFunction.FindStringSubmatch(f.name)
		if match == nil {
			continue
		}
		if match[1] == "outer" {
			stack.outer[match[2]] = true
		} else if first {
			stack.inner = match[2]
		}
		first = false
	}
	return stack
}
