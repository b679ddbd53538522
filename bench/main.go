// Command bench measures Tenon against its targets, the peer that others use (the
// server of moto) and the bare floor of the machine, all in one run. It guarantees
// that what is compared was measured in turns within the same minutes by the same
// driver, that figures are medians of repeated rounds, and that a failed call or
// run makes the measurement fail instead of looking fast.
//
// The verdicts that it prints inform; they fail nothing. Machines differ, so only
// ratios within one run say something. It speaks to loopback addresses only, and
// everything in it is bounded in number or time.
//
//	bench [flags]          measure (bench/run builds what it needs first)
//	bench profile [flags]  load a server that writes a CPU profile (bench/profile)
//	bench serve [flags]    that server
//	bench bare [flags]     the floor of signed, durable calls: a server without a database
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tenon"
	"tenon/bench/drive"
)

// options say what is measured, how often and with what.
type options struct {
	rounds  int
	span    time.Duration // of one measurement under load
	clients []int
	chains  int // chains in a round
	runs    int // stored runs
	quick   bool
	parts   []string
	results string // folder; empty: print only

	tenon     string
	tenonArgs []string
	moto      string
	python    string
	tick      string
	work      string
}

// parts of a run, in their order.
var parts = []string{"calls", "chains", "footprint", "stored"}

func main() {
	if len(os.Args) > 1 && os.Args[1] == tenon.LauncherCommand {
		os.Exit(tenon.LauncherMain(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := dispatch(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "serve":
			return serve(ctx, args[1:])
		case "bare":
			return bare(ctx, args[1:])
		case "profile":
			return profile(ctx, args[1:])
		}
	}
	return measure(ctx, args)
}

// shared are the flags of every command that starts servers.
func (o *options) shared(f *flag.FlagSet) {
	f.StringVar(&o.tenon, "tenon", "bin/tenon", "release binary")
	f.StringVar(&o.moto, "moto", ".cache/bench/bin/moto_server", "the peer")
	f.StringVar(&o.python, "python", ".cache/clients/bin/python", "interpreter of Python jobs")
	f.StringVar(&o.tick, "tick", ".cache/bench-bin/tick", "job that writes down when it lived")
	f.StringVar(&o.work, "work", ".cache/bench-work", "folder for data, on the disk that is measured; emptied")
}

// prepare makes paths absolute and the work folder new.
func (o *options) prepare() error {
	for _, p := range []*string{&o.tenon, &o.moto, &o.python, &o.tick, &o.work} {
		abs, err := filepath.Abs(*p)
		if err != nil {
			return fmt.Errorf("find %s: %w", *p, err)
		}
		*p = abs
	}
	if err := os.RemoveAll(o.work); err != nil {
		return fmt.Errorf("empty work folder: %w", err)
	}
	if err := os.MkdirAll(o.work, 0o700); err != nil {
		return fmt.Errorf("make work folder: %w", err)
	}
	return nil
}

func parse(args []string) (*options, error) {
	o := &options{clients: []int{1, 8, 64}}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	o.shared(f)
	f.IntVar(&o.rounds, "rounds", 5, "rounds that medians are taken of")
	f.DurationVar(&o.span, "for", 2*time.Second, "time of one measurement under load")
	f.IntVar(&o.chains, "chains", 6, "chains of each kind in a round")
	f.IntVar(&o.runs, "runs", 300_000, "runs stored for the last part")
	f.StringVar(&o.results, "results", "bench/results", "folder that keeps results; empty: print only")
	f.BoolVar(&o.quick, "quick", false, "every part once and briefly, nothing kept: shows that the benchmark works")
	only := f.String("parts", strings.Join(parts, ","), "parts to measure")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	o.parts = strings.Split(*only, ",")
	for _, p := range o.parts {
		if !slices.Contains(parts, p) {
			return nil, fmt.Errorf("there is no part %q; the parts are %v", p, parts)
		}
	}
	if o.quick {
		o.rounds, o.span, o.chains, o.runs, o.results = 1, 200*time.Millisecond, 1, 2000, ""
	}
	if o.rounds < 1 || o.chains < 1 || o.runs < 1000 || o.span <= 0 {
		return nil, errors.New("rounds and chains must be at least 1, runs at least 1000, and the time positive")
	}
	return o, o.prepare()
}

// measure makes all measurements and the report.
func measure(ctx context.Context, args []string) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.work)) }()
	began := time.Now()
	r, err := newReport(ctx, o, args)
	if err != nil {
		return err
	}
	for _, p := range []struct {
		name string
		run  func(context.Context, *options, *report) error
	}{{"calls", calls}, {"chains", chains}, {"footprint", footprint}, {"stored", stored}} {
		if !slices.Contains(o.parts, p.name) {
			continue
		}
		note("%s …", p.name)
		if err := p.run(ctx, o, r); err != nil {
			return fmt.Errorf("measure %s: %w", p.name, err)
		}
	}
	r.took = time.Since(began)
	fmt.Println(r.markdown())
	if o.results == "" {
		return nil
	}
	return r.save(o.results)
}

// note tells a waiting person what is going on.
func note(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }

// medians keeps the results of rounds by number of clients.
type medians map[int][]drive.Result

func (m medians) of(clients int) drive.Result { return drive.MedianResult(m[clients]) }

// ratio is the median of the ratios of each round, not of medians: both halves of
// a round share the machine's mood.
func (m medians) ratio(to medians, clients int) float64 {
	var ratios []float64
	for i, r := range m[clients] {
		ratios = append(ratios, r.Rate()/to[clients][i].Rate())
	}
	return drive.Median(ratios)
}
