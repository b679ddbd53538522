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

// A rig is one way to run jobs: a server with a chain and a fan-out.
type rig struct {
	*embedded
	conn     *drive.Conn
	preparer *instant.Preparer // nil for real Python jobs
	// spans are the lives of the jobs since the last call; nil if nobody knows them.
	spans func() ([]instant.Span, error)
}

// stage is what the measurements of chains share: rigs, and the bare floor
// beside them.
type stage struct {
	o          *options
	journal    *floor.Journal
	stamps     string // where tick writes
	script     string // an empty Python script
	supervisor *instant.Supervisor
	rigs       map[string]*rig

	whole   map[string]drive.Samples
	between map[string]drive.Samples
	// Parts of between: until the server asks to prepare the next job, and after.
	before, after map[string]drive.Samples
}

// chains measures the time between processes and of whole runs, in turns with
// the same processes without any server.
func chains(ctx context.Context, o *options, r *report) (err error) {
	s := &stage{
		o: o, stamps: filepath.Join(o.work, "stamps"), script: filepath.Join(o.work, "nothing.py"),
		supervisor: instant.NewSupervisor(), rigs: map[string]*rig{},
		whole: map[string]drive.Samples{}, between: map[string]drive.Samples{}, before: map[string]drive.Samples{}, after: map[string]drive.Samples{},
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.open(ctx); err != nil {
		return err
	}
	steps := []func() error{
		s.floorTrue, s.chain("instant"), s.floorTick, s.chain("tick"), s.chain("launcher"), s.floorPython, s.chain("python"),
		s.fan("instant"), s.fan("launcher"),
	}
	// The first pass fills caches and is not counted.
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	for _, m := range []map[string]drive.Samples{s.whole, s.between, s.before, s.after} {
		clear(m)
	}
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
	r.transitions(s)
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
	truly, tick, launched := instant.NewPreparer(s.o.work, nothing), instant.NewPreparer(s.o.work, s.o.tick, s.stamps), instant.NewPreparer(s.o.work, s.o.tick, s.stamps)
	second := instant.NewSupervisor()
	parent := func() ([]instant.Span, error) { return s.supervisor.Spans(), nil }
	for name, r := range map[string]struct {
		config tenon.Config
		rig
	}{
		"instant":  {tenon.Config{Supervisor: s.supervisor}, rig{preparer: truly, spans: parent}},
		"tick":     {tenon.Config{Supervisor: second}, rig{preparer: tick, spans: s.lives}},
		"launcher": {tenon.Config{}, rig{preparer: launched, spans: s.lives}},
		"python":   {tenon.Config{Python: s.o.python}, rig{}},
	} {
		c, rig := r.config, r.rig
		c.Data = filepath.Join(s.o.work, name)
		if rig.preparer != nil {
			c.Preparers = map[string]launch.Preparer{shell: rig.preparer}
		}
		if rig.embedded, err = embed(ctx, c); err != nil {
			return err
		}
		s.rigs[name] = &rig
		if err := rig.furnish(ctx); err != nil {
			return err
		}
	}
	return nil
}

// furnish makes the workflows of a rig.
func (r *rig) furnish(ctx context.Context) (err error) {
	if err := upload(ctx, r.Server); err != nil {
		return err
	}
	b := builder{glue: glueClient(r.Server)}
	if err := b.chain(ctx, "chain", links, false); err != nil {
		return err
	}
	if err := b.fan(ctx, "fan", width); err != nil {
		return err
	}
	r.conn, err = drive.Dial(r.Server)
	return err
}

func (s *stage) close() error {
	var errs []error
	for _, r := range s.rigs {
		if r.conn != nil {
			errs = append(errs, r.conn.Close())
		}
		errs = append(errs, r.stop())
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
	spans, err := s.lives()
	if err != nil {
		return err
	}
	s.add("floor tick", whole, gaps(spans))
	return nil
}

func (s *stage) floorPython() error {
	whole, between, err := s.journal.Chain(links, s.o.python, s.script)
	s.add("floor python", whole, between)
	return err
}

// chain returns a step that runs the chain of a rig once.
func (s *stage) chain(name string) func() error {
	return func() error {
		r := s.rigs[name]
		took, err := whole(r.conn, "chain", links)
		if err != nil {
			return fmt.Errorf("chain of %s: %w", name, err)
		}
		if r.spans == nil {
			s.add(name+" chain", took, nil)
			return nil
		}
		spans, err := r.spans()
		if err != nil {
			return err
		}
		asked := r.preparer.Times()
		if len(spans) != links || len(asked) != links {
			return fmt.Errorf("a chain of %d left %d lives and %d preparations", links, len(spans), len(asked))
		}
		between := gaps(spans)
		if slices.Min(between) < 0 {
			return errors.New("two jobs of a chain overlapped, or the clock was set")
		}
		s.add(name+" chain", took, between)
		for i := 1; i < links; i++ {
			s.before[name+" chain"] = append(s.before[name+" chain"], asked[i].Sub(spans[i-1].End))
			s.after[name+" chain"] = append(s.after[name+" chain"], spans[i].Begin.Sub(asked[i]))
		}
		return nil
	}
}

// fan returns a step that runs the fan-out of a rig once.
func (s *stage) fan(name string) func() error {
	return func() error {
		r := s.rigs[name]
		took, err := whole(r.conn, "fan", width)
		if err != nil {
			return fmt.Errorf("fan-out of %s: %w", name, err)
		}
		s.add(name+" fan", took, nil)
		r.preparer.Times()
		_, err = r.spans() // of no use here
		return err
	}
}

func gaps(spans []instant.Span) (out drive.Samples) {
	for i := 1; i < len(spans); i++ {
		out = append(out, spans[i].Begin.Sub(spans[i-1].End))
	}
	return out
}

// lives reads what ticks wrote and empties the file.
func (s *stage) lives() ([]instant.Span, error) {
	text, err := os.ReadFile(s.stamps)
	if err != nil {
		return nil, fmt.Errorf("read stamps: %w", err)
	}
	if err := os.Truncate(s.stamps, 0); err != nil {
		return nil, fmt.Errorf("empty stamps: %w", err)
	}
	var spans []instant.Span
	for line := range bytes.Lines(text) {
		var begin, end int64
		if _, err := fmt.Sscanf(string(line), "%d %d", &begin, &end); err != nil {
			return nil, fmt.Errorf("read stamps: %w", err)
		}
		spans = append(spans, instant.Span{Begin: time.Unix(0, begin), End: time.Unix(0, end)})
	}
	slices.SortFunc(spans, func(a, b instant.Span) int { return a.Begin.Compare(b.Begin) })
	return spans, nil
}
