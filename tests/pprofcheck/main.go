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

// run is main without the process: args are "command FILE flags".
func run(args []string, out io.Writer) error {
	if len(args) < 2 {
		return errors.New("usage: pprofcheck check|sum|labels|functions|stacks|truth FILE [flags]")
	}
	command, path := args[0], args[1]
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var labels, without list
	flags.Var(&labels, "label", "key=value; for truth: key")
	flags.Var(&without, "nolabel", "key that samples must not have")
	rate := flags.Int64("rate", 0, "check: Hz that the period must stand for")
	mainBinary := flags.String("main", "", "check: path of the main binary")
	options := truthOptions{}
	flags.StringVar(&options.root, "complete-root", defaultRoot, "truth: function of complete stacks")
	flags.StringVar(&options.mapFile, "map", "", "truth: JSON object, label value to K")
	flags.StringVar(&options.none, "none", "none", "truth: the K that means no label")
	flags.Int64Var(&options.min, "min", 1, "truth: least weight that must be checked")
	if err := flags.Parse(args[2:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	p, raw, err := load(path)
	if err != nil {
		return err
	}
	switch command {
	case "check":
		return check(out, p, raw, *rate, *mainBinary)
	case "truth":
		if len(labels) != 1 {
			return errors.New("truth needs one -label key")
		}
		options.key = labels[0]
		return truth(out, p, options)
	}
	samples, err := selectSamples(p, labels, without)
	if err != nil {
		return err
	}
	switch command {
	case "sum":
		return printJSON(out, sum(samples))
	case "labels":
		return printJSON(out, labelTotals(samples))
	case "functions":
		return printJSON(out, functions(samples))
	case "stacks":
		return printStacks(out, samples)
	}
	return fmt.Errorf("unknown command %q", command)
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
