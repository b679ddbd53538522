// Command server is a server whose crash points work when it is built for them.
// It guarantees that its jobs are processes that leave evidence, unless it is
// told to run real Python. It reads no environment of its own.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"tenon"
	"tenon/internal/launch"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == tenon.LauncherCommand {
		os.Exit(tenon.LauncherMain(os.Args[2:]))
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// run serves until SIGTERM. When it is ready it says on standard output how to
// reach it, and closes it.
func run(args []string) error {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	data := flags.String("data", "", "data directory")
	listen := flags.String("listen", "127.0.0.1:0", "address")
	job := flags.String("job", "", "program that every job runs")
	evidence := flags.String("evidence", "", "where it leaves evidence")
	python := flags.String("python", "", "interpreter of jobs, instead of a program")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	// Short, so that retries are frequent, but not zero: their timers are tested too.
	retryDelay := 20 * time.Millisecond
	config := tenon.Config{
		Data: *data, Listen: *listen, RetryDelay: &retryDelay, StopGrace: time.Second, MaxLocalJobs: 12,
		StoreTimeout: 30 * time.Second, // of a machine that is busy with other tests
		Python:       *python, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if *job != "" {
		config.Preparers = map[string]launch.Preparer{"pythonshell": preparer{program: *job, evidence: *evidence}}
	}
	s, err := tenon.New(ctx, config)
	if err != nil {
		return err
	}
	key, secret, err := s.Credentials()
	if err != nil {
		return err
	}
	ready, err := json.Marshal(map[string]string{"url": s.URL(), "key": key, "secret": secret})
	if err != nil {
		return err
	}
	if _, err := os.Stdout.Write(append(ready, '\n')); err != nil {
		return err
	}
	return s.Run(ctx)
}

// preparer makes every attempt a run of one program, which is told its attempt,
// its job, and the job's arguments --for, --fail and --limit.
type preparer struct{ program, evidence string }

// Prepare implements launch.Preparer.
func (p preparer) Prepare(_ context.Context, spec launch.Spec, _ func(string)) (launch.Process, error) {
	argv := []string{p.program, "-attempt", spec.Attempt, "-job", spec.JobName}
	for _, a := range spec.Arguments {
		switch a.Key {
		case "--for", "--fail", "--limit":
			argv = append(argv, a.Key, a.Value)
		}
	}
	return launch.Process{Attempt: spec.Attempt, Dir: p.evidence, Argv: argv}, nil
}

// Discard implements launch.Preparer.
func (preparer) Discard(context.Context, string) error { return nil }
