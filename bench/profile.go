package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tenon/bench/drive"
)

// profile loads one operation of a server that profiles itself. The driver is
// another process, so the profile holds the server alone.
func profile(ctx context.Context, args []string) (err error) {
	o := &options{}
	f := flag.NewFlagSet("profile", flag.ContinueOnError)
	o.shared(f)
	operation := f.String("operation", "start", "what to load: start or get")
	clients := f.Int("clients", 64, "number of clients")
	f.DurationVar(&o.span, "for", 10*time.Second, "time under load")
	cpu := f.String("cpuprofile", "cpu.pprof", "`file` for the server's CPU profile")
	memory := f.String("memprofile", "", "`file` for a profile of the server's allocations")
	if err := f.Parse(args); err != nil {
		return err
	}
	if err := o.prepare(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.work)) }()
	if o.tenon, err = os.Executable(); err != nil {
		return fmt.Errorf("find own executable: %w", err)
	}
	s, err := o.startTenon(ctx, filepath.Join(o.work, "profile"), "--cpuprofile", *cpu, "--memprofile", *memory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	get, err := oursReady(ctx, s)
	if err != nil {
		return err
	}
	load := drive.Load{Operation: "GetWorkflowRun", Body: get, Clients: *clients, For: o.span}
	switch *operation {
	case "get":
	case "start":
		load.Operation = "StartWorkflowRun"
		if load.Body, err = startBody("start"); err != nil {
			return err
		}
	default:
		return fmt.Errorf("there is no operation %q", *operation)
	}
	got, err := drive.Run(s.Server, s.pids(), load)
	if err != nil {
		return err
	}
	fmt.Printf("%s at %d clients: %.0f/s, p50 %s, p99 %s, server %.2f cores (%s and %d B written a call), driver %.2f cores\n",
		load.Operation, got.Clients, got.Rate(), show(got.P50), show(got.P99), got.ServerCPU, show(got.ServerTime()), got.Written, got.DriverCPU)
	return nil
}
