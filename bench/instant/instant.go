// Package instant runs jobs that cost nothing but a process: a preparer that
// prepares a fixed command, and a supervisor that forks from the server itself.
// With them a measurement shows what the server adds between two processes, and
// nothing of scripts, environments or the launcher. The processes are real, one
// for each attempt, and none is started twice.
//
// It is for measurements only: it survives nothing, keeps no output and limits
// nothing. The release has neither of the two.
package instant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"tenon/internal/launch"
)

// Preparer prepares every job as the same command, and remembers when it was
// asked: all that a server does between two jobs lies before or after that.
type Preparer struct {
	argv []string
	dir  string

	mu    sync.Mutex
	times []time.Time
}

var _ launch.Preparer = (*Preparer)(nil)

// NewPreparer returns a preparer of argv, run in dir.
func NewPreparer(dir string, argv ...string) *Preparer { return &Preparer{argv: argv, dir: dir} }

// Prepare implements launch.Preparer.
func (p *Preparer) Prepare(_ context.Context, s launch.Spec, _ func(string)) (launch.Process, error) {
	p.mu.Lock()
	p.times = append(p.times, time.Now())
	p.mu.Unlock()
	return launch.Process{Attempt: s.Attempt, Argv: p.argv, Env: []string{}, Dir: p.dir}, nil
}

// Times returns when Prepare was called since the last call of Times.
func (p *Preparer) Times() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.times
	p.times = nil
	return out
}

// Discard implements launch.Preparer.
func (*Preparer) Discard(context.Context, string) error { return nil }

// Span is the life of one process.
type Span struct{ Begin, End time.Time }

// Supervisor forks processes and waits for them.
type Supervisor struct {
	mu       sync.Mutex
	attempts map[string]*attempt
	order    []*attempt // since the last Spans, by start
	news     []launch.Fact
	wake     chan struct{}
	running  sync.WaitGroup
}

type attempt struct {
	process *os.Process
	span    Span
	last    launch.Fact
}

var _ launch.Supervisor = (*Supervisor)(nil)

// NewSupervisor returns a supervisor without attempts.
func NewSupervisor() *Supervisor {
	return &Supervisor{attempts: map[string]*attempt{}, wake: make(chan struct{}, 1)}
}

// Wait returns when every process has ended.
func (s *Supervisor) Wait() { s.running.Wait() }

// Spans returns the lives of the processes that were started since the last call,
// by start. All of them must have ended.
func (s *Supervisor) Spans() []Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Span, len(s.order))
	for i, a := range s.order {
		out[i] = a.span
	}
	s.order = nil
	return out
}

// Start implements launch.Supervisor.
func (s *Supervisor) Start(_ context.Context, p launch.Process) error {
	s.mu.Lock()
	if s.attempts[p.Attempt] != nil {
		s.mu.Unlock()
		return nil
	}
	a := &attempt{last: launch.Fact{Attempt: p.Attempt, State: launch.Intended}}
	s.attempts[p.Attempt] = a
	s.order = append(s.order, a)
	s.mu.Unlock()

	process, err := os.StartProcess(p.Argv[0], p.Argv, &os.ProcAttr{Dir: p.Dir, Env: p.Env})
	now := time.Now()
	if err != nil {
		s.tell(a, launch.Fact{Attempt: p.Attempt, State: launch.Ended, At: now, Cause: launch.CauseStart, Reason: err.Error()})
		return nil
	}
	s.mu.Lock()
	a.process, a.span.Begin = process, now
	s.mu.Unlock()
	s.tell(a, launch.Fact{Attempt: p.Attempt, State: launch.Running, At: now, Pid: process.Pid})
	s.running.Go(func() { s.reap(a, p.Attempt) })
	return nil
}

// reap waits for a process and tells its end.
func (s *Supervisor) reap(a *attempt, id string) {
	state, err := a.process.Wait()
	now := time.Now()
	f := launch.Fact{Attempt: id, State: launch.Ended, At: now, Cause: launch.CauseExit}
	if err != nil {
		f = launch.Fact{Attempt: id, State: launch.Lost, At: now, Reason: err.Error()}
	} else {
		f.ExitCode = state.ExitCode()
	}
	s.mu.Lock()
	a.span.End = now
	s.mu.Unlock()
	s.tell(a, f)
}

func (s *Supervisor) tell(a *attempt, f launch.Fact) {
	s.mu.Lock()
	a.last = f
	s.news = append(s.news, f)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Stop implements launch.Supervisor, without any grace.
func (s *Supervisor) Stop(_ context.Context, id string, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.attempts[id]
	if a == nil {
		return launch.ErrUnknownAttempt
	}
	if a.process == nil { // it is being forked, and will end by itself at once
		return nil
	}
	if err := a.process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill: %w", err)
	}
	return nil
}

// List implements launch.Supervisor.
func (s *Supervisor) List(context.Context) ([]launch.Fact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []launch.Fact
	for _, a := range s.attempts {
		out = append(out, a.last)
	}
	return out, nil
}

// Watch implements launch.Supervisor for one watcher.
func (s *Supervisor) Watch(ctx context.Context, handle func([]launch.Fact)) error {
	for {
		s.mu.Lock()
		news := slices.Clone(s.news)
		s.news = s.news[:0]
		s.mu.Unlock()
		if len(news) > 0 {
			handle(news)
			continue
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Ack implements launch.Supervisor.
func (s *Supervisor) Ack(_ context.Context, ids ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.attempts, id)
	}
	return nil
}

// Output implements launch.Supervisor: nothing is kept.
func (s *Supervisor) Output(context.Context, string, bool) (launch.FrameReader, error) {
	return nil, fs.ErrNotExist
}

// Notice implements launch.Supervisor: nothing is kept.
func (s *Supervisor) Notice(context.Context, string, string) error { return nil }
