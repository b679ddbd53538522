// Package fake is a supervisor that runs nothing: scripted outcomes in a time
// that its caller owns. It guarantees the invariants of package launch as the
// real ones do, and faults on demand: refused starts, late, repeated and lost
// facts, a supervisor that dies with everything it ran.
//
// It starts no goroutine and reads no clock of its own. Things happen in Tick,
// in the order of their times and then of their starts, so that a simulation
// with one seed has one history. It does not model memory, files or descendants.
package fake

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"syscall"
	"time"

	"tenon/internal/launch"
)

// Outcome says what a process will do when nobody disturbs it.
type Outcome struct {
	// Delay lies between Start and the fork, After between the fork and the end.
	Delay, After time.Duration
	// Never makes a process that ends only when it is stopped, times out or is lost.
	Never    bool
	ExitCode int
	Signal   int // if not 0, the process dies of it
	// StartReason, if not empty, ends the attempt with launch.CauseStart.
	StartReason string
	IgnoreTerm  bool
	Output      []Output
	// FactDelay holds every fact of the attempt back for so long.
	FactDelay time.Duration
	// Lost ends the attempt as lost instead of ended, After the fork.
	Lost bool
}

// Output is a piece of output and when it is written, counted from the fork.
type Output struct {
	At     time.Duration
	Stream launch.Stream
	Data   string
}

// Script decides what a process does. It is called once for each attempt, in the
// order of the starts, with the supervisor's lock held.
type Script func(launch.Process) Outcome

// Supervisor implements launch.Supervisor in memory.
type Supervisor struct {
	now    func() time.Time
	script Script

	mu       sync.Mutex
	attempts map[string]*attempt
	outputs  map[string]*output // outlive the acknowledgement
	order    []*attempt         // by start
	watchers map[*watcher]struct{}
	refuse   func(launch.Process) error
	repeat   int
	started  map[string]int
	changed  chan struct{} // closed and replaced when output changes
}

type attempt struct {
	proc    launch.Process
	outcome Outcome
	forkAt  time.Time
	running *launch.Fact
	final   *launch.Fact
	shown   int // facts that were published: 0, 1, 2
	written int // pieces of outcome.Output
	cause   launch.Cause
	killAt  time.Time
	tail    []byte
}

type output struct {
	frames  []launch.Frame
	kept    int64
	dropped int64
	closed  bool
}

type watcher struct {
	pending []launch.Fact
	wake    chan struct{}
	err     error
}

var _ launch.Supervisor = (*Supervisor)(nil)

// New returns a supervisor without attempts. now is the time of the simulation.
func New(now func() time.Time, script Script) *Supervisor {
	return &Supervisor{
		now: now, script: script, attempts: map[string]*attempt{}, outputs: map[string]*output{},
		watchers: map[*watcher]struct{}{}, started: map[string]int{}, changed: make(chan struct{}),
	}
}

// Refuse makes Start ask first; a non-nil error refuses the attempt.
func (s *Supervisor) Refuse(check func(launch.Process) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = check
}

// Repeat makes every fact come so many times more than once.
func (s *Supervisor) Repeat(times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repeat = times
}

// Started tells how many processes were made for an attempt since New.
func (s *Supervisor) Started(attempt string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started[attempt]
}

// Lose ends one attempt without an outcome.
func (s *Supervisor) Lose(attempt, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.attempts[attempt]; a != nil && a.final == nil {
		s.lose(a, s.now(), reason)
		s.show(a)
	}
}

// Die is the death and rebirth of the supervisor: every attempt without an end
// is lost and every Watch ends with launch.ErrClosed.
func (s *Supervisor) Die(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.order {
		if a.final == nil {
			s.lose(a, s.now(), reason)
		}
	}
	for w := range s.watchers {
		w.err = launch.ErrClosed
		w.poke()
		delete(s.watchers, w)
	}
}

// Next tells when something is to happen next, if anything is.
func (s *Supervisor) Next() (at time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.order {
		if t, due := a.next(); due && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	return at, ok
}

// Tick lets everything happen that is due.
func (s *Supervisor) Tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for {
		var first *attempt
		var at time.Time
		for _, a := range s.order {
			if t, due := a.next(); due && !t.After(now) && (first == nil || t.Before(at)) {
				first, at = a, t
			}
		}
		if first == nil {
			return
		}
		s.step(first, at)
	}
}

// next is when the attempt's next event happens.
func (a *attempt) next() (time.Time, bool) {
	var times []time.Time
	add := func(t time.Time) { times = append(times, t) }
	switch {
	case a.final != nil:
	case a.running == nil:
		add(a.forkAt)
	default:
		if a.written < len(a.outcome.Output) {
			add(a.forkAt.Add(a.outcome.Output[a.written].At))
		}
		if !a.outcome.Never {
			add(a.forkAt.Add(a.outcome.After))
		}
		if !a.killAt.IsZero() {
			add(a.killAt)
		}
		if a.proc.Timeout > 0 && a.cause == "" {
			add(a.forkAt.Add(a.proc.Timeout))
		}
	}
	if a.shown < 1 && a.running != nil {
		add(a.running.At.Add(a.outcome.FactDelay))
	}
	if a.shown < 2 && a.final != nil {
		add(a.final.At.Add(a.outcome.FactDelay))
	}
	if len(times) == 0 {
		return time.Time{}, false
	}
	return slices.MinFunc(times, time.Time.Compare), true
}

// step lets the events of one attempt at one time happen.
func (s *Supervisor) step(a *attempt, at time.Time) {
	due := func(t time.Time) bool { return !t.After(at) }
	switch {
	case a.final != nil:
	case a.running == nil:
		s.fork(a, at)
	case a.written < len(a.outcome.Output) && due(a.forkAt.Add(a.outcome.Output[a.written].At)):
		piece := a.outcome.Output[a.written]
		a.written++
		s.write(a, piece.Stream, []byte(piece.Data), at)
	case !a.killAt.IsZero() && due(a.killAt):
		s.end(a, at, -1, int(syscall.SIGKILL))
	case !a.outcome.Never && due(a.forkAt.Add(a.outcome.After)):
		switch {
		case a.outcome.Lost:
			s.lose(a, at, "scripted loss")
		case a.outcome.Signal != 0:
			s.end(a, at, -1, a.outcome.Signal)
		default:
			s.end(a, at, a.outcome.ExitCode, 0)
		}
	case a.proc.Timeout > 0 && a.cause == "" && due(a.forkAt.Add(a.proc.Timeout)):
		s.terminate(a, at, launch.CauseTimeout, a.proc.Grace)
	}
	s.showDue(a, at)
}

func (s *Supervisor) fork(a *attempt, at time.Time) {
	if a.outcome.StartReason != "" {
		s.finish(a, launch.Fact{State: launch.Ended, At: at, Cause: launch.CauseStart, ExitCode: -1, Reason: a.outcome.StartReason})
		return
	}
	s.started[a.proc.Attempt]++
	a.running = &launch.Fact{
		Attempt: a.proc.Attempt, State: launch.Running, At: at, Pid: 1000 + len(s.started), InForce: "nothing: fake",
	}
}

func (s *Supervisor) terminate(a *attempt, at time.Time, cause launch.Cause, grace time.Duration) {
	if a.cause == "" {
		a.cause = cause
	}
	switch {
	case a.running == nil:
		s.finish(a, launch.Fact{State: launch.Ended, At: at, Cause: a.cause, ExitCode: -1})
	case !a.outcome.IgnoreTerm:
		s.end(a, at, -1, int(syscall.SIGTERM))
	case a.killAt.IsZero() || at.Add(grace).Before(a.killAt):
		a.killAt = at.Add(grace)
	}
}

func (s *Supervisor) end(a *attempt, at time.Time, code, signal int) {
	s.finish(a, launch.Fact{
		State: launch.Ended, At: at, Cause: cmp.Or(a.cause, launch.CauseExit), ExitCode: code, Signal: signal, InForce: a.running.InForce,
	})
}

func (s *Supervisor) lose(a *attempt, at time.Time, reason string) {
	s.finish(a, launch.Fact{State: launch.Lost, At: at, ExitCode: -1, Reason: reason})
}

func (s *Supervisor) finish(a *attempt, f launch.Fact) {
	f.Attempt, f.Tail = a.proc.Attempt, a.tail
	a.final = &f
	out := s.outputs[a.proc.Attempt]
	if out.dropped > 0 {
		out.frames = append(out.frames, launch.Frame{
			Time: f.At, Stream: launch.Meta, Data: fmt.Appendf(nil, "%d bytes of output were not kept\n", out.dropped),
		})
	}
	out.closed = true
	s.outputChanged()
}

// write appends output within the attempt's limit.
func (s *Supervisor) write(a *attempt, stream launch.Stream, data []byte, at time.Time) {
	if stream == launch.Stderr {
		a.tail = append(a.tail, data...)
		a.tail = a.tail[max(0, len(a.tail)-launch.TailBytes):]
	}
	out := s.outputs[a.proc.Attempt]
	keep := int64(len(data))
	if limit := a.proc.OutputLimit; limit > 0 {
		keep = min(keep, limit-out.kept)
	}
	for piece := range slices.Chunk(data[:keep], launch.FrameBytes) {
		out.frames = append(out.frames, launch.Frame{Time: at, Stream: stream, Data: piece})
	}
	if dropped := int64(len(data)) - keep; dropped > 0 {
		if out.dropped == 0 {
			out.frames = append(out.frames, launch.Frame{Time: at, Stream: launch.Meta, Data: []byte("output reached its limit\n")})
		}
		out.dropped += dropped
	}
	out.kept += keep
	s.outputChanged()
}

func (s *Supervisor) outputChanged() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// showDue publishes facts whose delay is over.
func (s *Supervisor) showDue(a *attempt, at time.Time) {
	if a.shown < 1 && a.running != nil && !a.running.At.Add(a.outcome.FactDelay).After(at) {
		a.shown = 1
		s.publish(*a.running)
	}
	if a.shown < 2 && a.final != nil && !a.final.At.Add(a.outcome.FactDelay).After(at) {
		s.show(a)
	}
}

// show publishes the final fact.
func (s *Supervisor) show(a *attempt) {
	a.shown = 2
	s.publish(*a.final)
}

func (s *Supervisor) publish(f launch.Fact) {
	for w := range s.watchers {
		for range 1 + s.repeat {
			w.pending = append(w.pending, f)
		}
		w.poke()
	}
}

func (w *watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Start implements launch.Supervisor. The process is made by the next Tick.
func (s *Supervisor) Start(ctx context.Context, p launch.Process) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attempts[p.Attempt] != nil {
		return nil
	}
	if s.refuse != nil {
		if err := s.refuse(p); err != nil {
			return err
		}
	}
	if out := s.outputs[p.Attempt]; out != nil && out.closed {
		return nil // ended, acknowledged and asked for again
	} else if out == nil {
		s.outputs[p.Attempt] = &output{}
	}
	outcome := s.script(p)
	a := &attempt{proc: p, outcome: outcome, forkAt: s.now().Add(outcome.Delay)}
	s.attempts[p.Attempt] = a
	s.order = append(s.order, a)
	return nil
}

// Stop implements launch.Supervisor.
func (s *Supervisor) Stop(_ context.Context, attempt string, grace time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.attempts[attempt]
	if a == nil {
		return launch.ErrUnknownAttempt
	}
	if a.final == nil {
		s.terminate(a, s.now(), launch.CauseStop, grace)
		s.showDue(a, s.now())
	}
	return nil
}

// List implements launch.Supervisor, in the order of the starts.
func (s *Supervisor) List(context.Context) ([]launch.Fact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]launch.Fact, 0, len(s.order))
	for _, a := range s.order {
		switch {
		case a.final != nil:
			list = append(list, *a.final)
		case a.running != nil:
			list = append(list, *a.running)
		default:
			list = append(list, launch.Fact{Attempt: a.proc.Attempt, State: launch.Intended})
		}
	}
	return list, nil
}

// Watch implements launch.Supervisor.
func (s *Supervisor) Watch(ctx context.Context, handle func([]launch.Fact)) error {
	w := &watcher{wake: make(chan struct{}, 1)}
	s.mu.Lock()
	for _, a := range s.order {
		if a.running != nil {
			w.pending = append(w.pending, *a.running)
		}
		if a.final != nil {
			w.pending = append(w.pending, *a.final)
		}
	}
	s.watchers[w] = struct{}{}
	s.mu.Unlock()
	w.poke()
	defer func() {
		s.mu.Lock()
		delete(s.watchers, w)
		s.mu.Unlock()
	}()
	for {
		select {
		case <-w.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		s.mu.Lock()
		pending, err := w.pending, w.err
		w.pending = nil
		s.mu.Unlock()
		if len(pending) > 0 {
			handle(pending)
		}
		if err != nil {
			return err
		}
	}
}

// Ack implements launch.Supervisor.
func (s *Supervisor) Ack(_ context.Context, attempts ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range attempts {
		if a := s.attempts[id]; a != nil && a.final != nil {
			delete(s.attempts, id)
			s.order = slices.DeleteFunc(s.order, func(o *attempt) bool { return o == a })
		}
	}
	return nil
}

// Notice implements launch.Supervisor.
func (s *Supervisor) Notice(_ context.Context, attempt, line string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.outputs[attempt]
	if out == nil {
		out = &output{}
		s.outputs[attempt] = out
	}
	if out.closed {
		return fmt.Errorf("attempt %s has ended", attempt)
	}
	out.frames = append(out.frames, launch.Frame{Time: s.now(), Stream: launch.Stderr, Data: []byte(line + "\n")})
	s.outputChanged()
	return nil
}

// Output implements launch.Supervisor.
func (s *Supervisor) Output(ctx context.Context, attempt string, follow bool) (launch.FrameReader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outputs[attempt] == nil {
		return nil, fmt.Errorf("open output of %s: %w", attempt, fs.ErrNotExist)
	}
	return &reader{ctx: ctx, s: s, out: s.outputs[attempt], follow: follow}, nil
}

type reader struct {
	ctx    context.Context
	s      *Supervisor
	out    *output
	follow bool
	next   int
}

// Next returns the next frame, waiting for it when following.
func (r *reader) Next() (launch.Frame, error) {
	for {
		r.s.mu.Lock()
		frames, closed, changed := r.out.frames, r.out.closed, r.s.changed
		r.s.mu.Unlock()
		if r.next < len(frames) {
			r.next++
			return frames[r.next-1], nil
		}
		if closed || !r.follow {
			return launch.Frame{}, io.EOF
		}
		select {
		case <-changed:
		case <-r.ctx.Done():
			return launch.Frame{}, context.Cause(r.ctx)
		}
	}
}

// Close does nothing.
func (r *reader) Close() error { return nil }
