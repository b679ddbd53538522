package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"

	"tenon"
	"tenon/bench/drive"
)

// embedded is a server in this process.
type embedded struct {
	drive.Server
	data   string
	cancel context.CancelFunc
	done   chan error
	log    *os.File
}

// embed starts a server with what c injects.
func embed(ctx context.Context, c tenon.Config) (_ *embedded, err error) {
	e := &embedded{data: c.Data, done: make(chan error, 1)}
	if e.log, err = os.Create(c.Data + ".log"); err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	c.Listen, c.Account, c.Region = "127.0.0.1:0", account, drive.Region
	c.Logger = slog.New(slog.NewTextHandler(e.log, nil))
	c.MaxLocalJobs = 64 // a fan-out of fifty must not wait for slots
	s, err := tenon.New(ctx, c)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start server: %w", err), e.log.Close())
	}
	ctx, e.cancel = context.WithCancel(ctx)
	go func() { e.done <- s.Run(ctx) }()
	e.URL = s.URL()
	if e.Key, e.Secret, err = s.Credentials(); err != nil {
		return nil, errors.Join(fmt.Errorf("read credentials: %w", err), e.stop())
	}
	return e, nil
}

func (e *embedded) stop() error {
	e.cancel()
	return errors.Join(<-e.done, e.log.Close(), endLauncher(e.data))
}

// serve runs a server with its own CPU profile until a signal ends it. Its flags
// are those of the release that the benchmark uses, and the profiles.
func serve(ctx context.Context, args []string) (err error) {
	var c tenon.Config
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	f.StringVar(&c.Data, "data", "", "data directory")
	f.StringVar(&c.Listen, "listen", "", "address")
	f.StringVar(&c.Python, "python", "", "interpreter of Python jobs")
	cpu := f.String("cpuprofile", "", "write a CPU profile of the whole life to this `file`")
	memory := f.String("memprofile", "", "write a profile of all allocations to this `file`")
	if err := f.Parse(args); err != nil {
		return err
	}
	c.Account, c.Region = account, drive.Region
	if *cpu != "" {
		file, err := os.Create(*cpu)
		if err != nil {
			return fmt.Errorf("make profile: %w", err)
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return fmt.Errorf("start profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	if *memory != "" {
		defer func() { err = errors.Join(err, writeAllocations(*memory)) }()
	}
	s, err := tenon.New(ctx, c)
	if err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	return s.Run(ctx)
}

func writeAllocations(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make profile: %w", err)
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
}
