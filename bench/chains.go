package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tenon"
	"tenon/bench/drive"
	"tenon/bench/floor"
	"tenon/bench/instant"
	"tenon/internal/launch"
)

const (
	links = 10 // jobs of a chain
	width = 50 // jobs of a fan-out

	nothing = "/bin/true"
	shell   = "pythonshell"
)

// stage is what the measurements of chains share: three servers, each with
// chains and fan-outs, and the bare floor beside them.
type stage struct {
	o       *options
	journal *floor.Journal
	stamps  string // where tick writes
	script  string // an empty Python script

	supervisor *instant.Supervisor
	servers    map[string]*embedded // instant, launcher, python
	conns      map[string]*drive.Conn

	whole   map[string]drive.Samples
	between map[string]drive.Samples
}

// chains measures the time between processes and of whole runs, in turns with
// the same processes without any server.
func chains(ctx context.Context, o *options, r *report) (err error) {
	s := &stage{
		o: o, stamps: filepath.Join(o.work, "stamps"), script: filepath.Join(o.work, "nothing.py"), supervisor: instant.NewSupervisor(),
		servers: map[string]*embedded{}, conns: map[string]*drive.Conn{}, whole: map[string]drive.Samples{}, between: map[string]drive.Samples{},
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.open(ctx); err != nil {
		return err
	}
	steps := []func() error{
		s.floorTrue, s.instantChain, s.floorTick, s.launcherChain, s.floorPython, s.pythonChain, s.instantFan, s.launcherFan,
	}
	// The first pass fills caches and is not counted.
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	clear(s.whole)
	clear(s.between)
	for round := range o.rounds {
		note("chains, round %d of %d", round+1, o.rounds)
		for range o.chains {
			for _, step := range steps {
				if err := step(); err != nil {
					return err
				}
			}
		}
	}
	commits, err := s.journal.Commits(40 * o.rounds)
	if err != nil {
		return err
	}
	r.commit = commits.Median()
	r.transitions(s.between)
	r.wholes(s.whole)
	return nil
}

func (s *stage) open(ctx context.Context) (err error) {
	for path, text := range map[string]string{s.stamps: "", s.script: "pass\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write file: %w", err)
		}
	}
	if s.journal, err = floor.NewJournal(s.o.work); err != nil {
		return err
	}
	for name, c := range map[string]tenon.Config{
		"instant":  {Supervisor: s.supervisor, Preparers: prepared(s.o.work, nothing)},
		"launcher": {Preparers: prepared(s.o.work, s.o.tick, s.stamps)},
		"python":   {Python: s.o.python},
	} {
		c.Data = filepath.Join(s.o.work, name)
		e, err := embed(ctx, c)
		if err != nil {
			return err
		}
		s.servers[name] = e
		if err := upload(ctx, e.Server); err != nil {
			return err
		}
		b := builder{glue: glueClient(e.Server)}
		if err := b.chain(ctx, "chain", links, false); err != nil {
			return err
		}
		if err := b.fan(ctx, "fan", width); err != nil {
			return err
		}
		if s.conns[name], err = drive.Dial(e.Server); err != nil {
			return err
		}
	}
	return nil
}

func prepared(dir string, argv ...string) map[string]launch.Preparer {
	return map[string]launch.Preparer{shell: instant.Preparer{Argv: argv, Dir: dir}}
}

func (s *stage) close() error {
	var errs []error
	for _, c := range s.conns {
		errs = append(errs, c.Close())
	}
	for _, e := range s.servers {
		errs = append(errs, e.stop())
	}
	s.supervisor.Wait()
	if s.journal != nil {
		errs = append(errs, s.journal.Close())
	}
	return errors.Join(errs...)
}

// add records one chain.
func (s *stage) add(name string, whole time.Duration, between drive.Samples) {
	s.whole[name] = append(s.whole[name], whole)
	s.between[name] = append(s.between[name], between...)
}

func (s *stage) floorTrue() error {
	whole, between, err := s.journal.Chain(links, nothing)
	s.add("floor true", whole, between)
	return err
}

// floorTick is the floor as tick itself sees it: its own start and end are part
// of the time between two lives.
func (s *stage) floorTick() error {
	whole, _, err := s.journal.Chain(links, s.o.tick, s.stamps)
	if err != nil {
		return err
	}
	between, err := s.lives()
	s.add("floor tick", whole, between)
	return err
}

func (s *stage) floorPython() error {
	whole, between, err := s.journal.Chain(links, s.o.python, s.script)
	s.add("floor python", whole, between)
	return err
}

func (s *stage) instantChain() error {
	took, err := whole(s.conns["instant"], "chain", links)
	if err != nil {
		return err
	}
	var between drive.Samples
	spans := s.supervisor.Spans()
	for i := 1; i < len(spans); i++ {
		between = append(between, spans[i].Begin.Sub(spans[i-1].End))
	}
	s.add("instant chain", took, between)
	return nil
}

func (s *stage) launcherChain() error {
	took, err := whole(s.conns["launcher"], "chain", links)
	if err != nil {
		return err
	}
	between, err := s.lives()
	s.add("launcher chain", took, between)
	return err
}

func (s *stage) pythonChain() error {
	took, err := whole(s.conns["python"], "chain", links)
	s.add("python chain", took, nil)
	return err
}

func (s *stage) instantFan() error {
	took, err := whole(s.conns["instant"], "fan", width)
	s.supervisor.Spans() // of no use here
	s.add("instant fan", took, nil)
	return err
}

func (s *stage) launcherFan() error {
	took, err := whole(s.conns["launcher"], "fan", width)
	if err == nil {
		err = os.Truncate(s.stamps, 0)
	}
	s.add("launcher fan", took, nil)
	return err
}

// lives reads what a chain of ticks wrote and empties the file.
func (s *stage) lives() (drive.Samples, error) {
	text, err := os.ReadFile(s.stamps)
	if err != nil {
		return nil, fmt.Errorf("read stamps: %w", err)
	}
	if err := os.Truncate(s.stamps, 0); err != nil {
		return nil, fmt.Errorf("empty stamps: %w", err)
	}
	var spans [][2]int64
	for line := range bytes.Lines(text) {
		var b, e int64
		if _, err := fmt.Sscanf(string(line), "%d %d", &b, &e); err != nil {
			return nil, fmt.Errorf("read stamps: %w", err)
		}
		spans = append(spans, [2]int64{b, e})
	}
	if len(spans) != links {
		return nil, fmt.Errorf("a chain of %d left %d stamps", links, len(spans))
	}
	slices.SortFunc(spans, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	var between drive.Samples
	for i := 1; i < len(spans); i++ {
		gap := time.Duration(spans[i][0] - spans[i-1][1])
		if gap < 0 {
			return nil, errors.New("two jobs of a chain overlapped, or the clock was set")
		}
		between = append(between, gap)
	}
	return between, nil
}
