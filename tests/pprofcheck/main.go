// Command pprofcheck reads pprof files with the reference library (github.com/google/pprof/profile)
// and says whether they keep what otel-profiling-cpp promises, and what is in them. Tests run it.
//
//	pprofcheck check     FILE [-rate HZ] [-main PATH]
//	pprofcheck sum       FILE [-label key=value ...] [-nolabel key ...]
//	pprofcheck labels    FILE
//	pprofcheck functions FILE [-label key=value ...] [-nolabel key ...]
//	pprofcheck stacks    FILE [-label key=value ...] [-nolabel key ...]
//	pprofcheck truth     FILE -label key [-complete-root REGEXP] [-map FILE.json] [-none K] [-min N]
//
// check prints one line a broken promise; sum, labels, functions and truth print JSON; stacks prints
// folded stacks, root first. Exit code 0: all is well, 1: a promise is broken, 2: bad arguments or
// an unreadable file.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/pprof/profile"
)

var errBroken = errors.New("a promise is broken")

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// load reads a profile; raw is the message without gzip.
func load(path string) (p *profile.Profile, raw []byte, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	if raw, err = gunzip(data); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if p, err = profile.ParseUncompressed(raw); err == nil {
		err = p.CheckValid()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, raw, nil
}

func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// request is a command line.
type request struct {
	command, path   string
	labels, without list
	rate            int64
	mainBinary      string
	truth           truthOptions
}

func parse(args []string) (*request, error) {
	if len(args) < 2 {
		return nil, errors.New("usage: pprofcheck check|sum|labels|functions|stacks|truth FILE [flags]")
	}
	r := &request{command: args[0], path: args[1]}
	flags := flag.NewFlagSet(r.command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Var(&r.labels, "label", "key=value; for truth: key")
	flags.Var(&r.without, "nolabel", "key that samples must not have")
	flags.Int64Var(&r.rate, "rate", 0, "check: Hz that the period must stand for")
	flags.StringVar(&r.mainBinary, "main", "", "check: path of the main binary")
	flags.StringVar(&r.truth.root, "complete-root", defaultRoot, "truth: function of complete stacks")
	flags.StringVar(&r.truth.mapFile, "map", "", "truth: JSON object, label value to K")
	flags.StringVar(&r.truth.none, "none", "none", "truth: the K that means no label")
	flags.Int64Var(&r.truth.min, "min", 1, "truth: least weight that must be checked")
	if err := flags.Parse(args[2:]); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	return r, nil
}

// run is main without the process: args are "command FILE flags".
func run(args []string, out io.Writer) error {
	r, err := parse(args)
	if err != nil {
		return err
	}
	p, raw, err := load(r.path)
	if err != nil {
		return err
	}
	switch r.command {
	case "check":
		return check(out, p, raw, r.rate, r.mainBinary)
	case "truth":
		if len(r.labels) != 1 {
			return errors.New("truth needs one -label key")
		}
		r.truth.key = r.labels[0]
		return truth(out, p, r.truth)
	}
	return query(r, p, out)
}

// query answers what is in the samples that the request selects.
func query(r *request, p *profile.Profile, out io.Writer) error {
	samples, err := selectSamples(p, r.labels, r.without)
	if err != nil {
		return err
	}
	switch r.command {
	case "sum":
		return printJSON(out, sum(samples))
	case "labels":
		return printJSON(out, labelTotals(samples))
	case "functions":
		return printJSON(out, functions(samples))
	case "stacks":
		return printStacks(out, samples)
	}
	return fmt.Errorf("unknown command %q", r.command)
}

func main() {
	err := run(os.Args[1:], os.Stdout)
	if errors.Is(err, errBroken) {
		os.Exit(1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pprofcheck:", err)
		os.Exit(2)
	}
}
