package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"tenon/bench/drive"
	"tenon/bench/proc"
)

// idle is how long a server rests before its memory is read.
const idle = 3 * time.Second

// footprint measures start-up time, on a new and on a used data directory, and
// the memory of a server that does nothing.
func footprint(ctx context.Context, o *options, r *report) error {
	var fresh, again drive.Samples
	var memory [2][]float64
	for i := range o.rounds {
		note("footprint, round %d of %d", i+1, o.rounds)
		data := filepath.Join(o.work, fmt.Sprintf("footprint-%d", i))
		for _, to := range []*drive.Samples{&fresh, &again} {
			s, err := o.startTenon(ctx, data)
			if err != nil {
				return err
			}
			*to = append(*to, s.boot)
			if to == &again {
				err = resting(s, &memory)
			}
			if err := errors.Join(err, s.stop()); err != nil {
				return err
			}
		}
	}
	r.footprint(fresh.Median(), again.Median(), drive.Median(memory[0]), drive.Median(memory[1]))
	return nil
}

// resting reads the memory of a server and of its launcher.
func resting(s *server, memory *[2][]float64) error {
	time.Sleep(idle)
	l, err := s.launcher()
	if err != nil {
		return err
	}
	for i, pid := range []int{s.cmd.Process.Pid, l} {
		m, err := proc.RSS(pid)
		if err != nil {
			return err
		}
		memory[i] = append(memory[i], float64(m.Resident))
	}
	return nil
}

// mark is what was measured with so many runs stored.
type mark struct {
	runs       int
	start, get drive.Result
	memory     proc.Memory
	launcher   proc.Memory
	disk       int64 // bytes a run, of what came since the empty database
}

// stored fills a server with runs and measures what that does to it. All runs are
// active: each keeps two job runs waiting.
func stored(ctx context.Context, o *options, r *report) (err error) {
	data := filepath.Join(o.work, "stored")
	s, err := o.startTenon(ctx, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	get, err := oursReady(ctx, s)
	if err != nil {
		return err
	}
	body, err := startBody("start")
	if err != nil {
		return err
	}
	empty, err := proc.Disk(data)
	if err != nil {
		return err
	}
	load := drive.Load{Operation: "StartWorkflowRun", Body: body, Clients: 64, For: 10 * time.Minute}
	have := 0
	for _, runs := range slices.Compact([]int{1000, max(1000, o.runs/3), o.runs}) {
		note("stored, %d runs", runs)
		if load.Calls = runs - have; load.Calls > 0 {
			if _, err := drive.Run(s.Server, s.pids(), load); err != nil {
				return err
			}
		}
		time.Sleep(idle)
		m := mark{runs: runs}
		if err := m.read(s, empty); err != nil {
			return err
		}
		calls := 200 * o.rounds
		if m.start, err = drive.Run(s.Server, s.pids(), drive.Load{Operation: "StartWorkflowRun", Body: body, Clients: 1, For: time.Minute, Calls: calls}); err != nil {
			return err
		}
		if m.get, err = drive.Run(s.Server, s.pids(), drive.Load{Operation: "GetWorkflowRun", Body: get, Clients: 1, For: time.Minute, Calls: calls}); err != nil {
			return err
		}
		have = runs + m.start.Calls
		r.marks = append(r.marks, m)
	}
	return r.growth()
}

func (m *mark) read(s *server, empty int64) error {
	launcher, err := s.launcher()
	if err != nil {
		return err
	}
	if m.memory, err = proc.RSS(s.cmd.Process.Pid); err != nil {
		return err
	}
	if m.launcher, err = proc.RSS(launcher); err != nil {
		return err
	}
	disk, err := proc.Disk(s.data)
	if err != nil {
		return err
	}
	m.disk = (disk - empty) / int64(m.runs)
	return nil
}
