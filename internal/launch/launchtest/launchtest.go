// Package launchtest guarantees that an adapter of package launch keeps the
// invariants of its documentation: one suite for all supervisors. It does not
// test how an adapter survives crashes; each adapter does that itself.
package launchtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tenon/internal/launch"
)

// Harness is one supervisor under test.
type Harness struct {
	Supervisor launch.Supervisor
	// Process makes a process that takes the given steps and then exits with 0.
	Process func(attempt string, steps ...Step) launch.Process
	// Tick is called while the suite waits; nil where time passes by itself.
	Tick func()
	// Shell makes a process of a script for /bin/sh; nil where nothing real runs,
	// which leaves out the cases about descendants.
	Shell func(attempt, script string) launch.Process
	// Starts tells how many processes were made for an attempt that has the step
	// Count.
	Starts func(attempt string) int
}

// Step is one thing that a test process does.
type Step struct {
	Kind Kind
	Text string        // Out, Err
	For  time.Duration // Sleep
	N    int           // Exit, Signal
}

// Kind names a step.
type Kind int

// The steps. Exit and Signal end the process; Missing makes its program one that
// does not exist; Count adds one to what Starts tells.
const (
	Out Kind = iota
	Err
	Sleep
	Exit
	Signal
	IgnoreTerm
	Missing
	Count
)

// patience bounds every wait; it is long because machines under test are slow.
const patience = 30 * time.Second

// Attempt makes a valid attempt id of any name.
func Attempt(name string) string { return fmt.Sprintf("jr_%x", sha256.Sum256([]byte(name))) }

// Run runs the suite. open makes a supervisor without attempts.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		real bool
		test func(*fixture)
	}{
		{"invariant 1: repeated Start makes one process", false, startTwice},
		{"invariant 1: acknowledged attempt is not started again", false, startAfterAck},
		{"invariant 2: facts come until acknowledged", false, untilAck},
		{"invariant 2: facts of one attempt come in order", false, factOrder},
		{"invariant 3: exit codes (G10)", false, exitCodes},
		{"invariant 3: signals (G10)", false, signals},
		{"invariant 3: start that fails", false, startFails},
		{"stop: SIGTERM", false, stopTerm},
		{"stop: SIGTERM ignored, SIGKILL after grace (G1)", false, stopKill},
		{"stop: unknown and ended attempts", false, stopOthers},
		{"timeout (G17)", false, timeout},
		{"timeout: SIGTERM ignored", false, timeoutKill},
		{"invariant 5: output in order, binary (G6)", false, outputOrder},
		{"invariant 5: output cap and marker (G7)", false, outputCap},
		{"output: follow", false, outputFollow},
		{"output: notice before start", false, notice},
		{"output: unknown attempt", false, outputUnknown},
		{"tail of the error stream", false, tail},
		{"many attempts at once", false, many},
		{"daemonised grandchild dies with the attempt (G2)", true, daemon},
		{"grandchild that sheds session and mark dies with the attempt (G2)", true, stray},
		{"grandchild that holds the pipes does not hold the end (G5)", true, heldPipes},
		{"closed streams do not end the attempt (G5)", true, closedPipes},
		{"orphaned zombies are reaped (G18)", true, zombies},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			if c.real && h.Shell == nil {
				return
			}
			f := newFixture(t, h)
			c.test(f)
		})
	}
}

// fixture watches one supervisor and remembers its facts.
type fixture struct {
	*testing.T
	Harness
	ctx context.Context

	mu    sync.Mutex
	facts map[string][]launch.Fact
	news  chan struct{}
}

func newFixture(t *testing.T, h Harness) *fixture {
	ctx, cancel := context.WithCancel(context.Background())
	f := &fixture{T: t, Harness: h, ctx: ctx, facts: map[string][]launch.Fact{}, news: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.Supervisor.Watch(ctx, f.take); !errors.Is(err, context.Canceled) {
			t.Errorf("Watch ended with %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return f
}

func (f *fixture) take(facts []launch.Fact) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fact := range facts {
		f.facts[fact.Attempt] = append(f.facts[fact.Attempt], fact)
	}
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func (f *fixture) of(attempt string) []launch.Fact {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.facts[attempt]
}

// until waits for a condition that facts or time bring about.
func (f *fixture) until(what string, ok func() bool) {
	f.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for !ok() {
		if f.Tick != nil {
			f.Tick()
		}
		select {
		case <-f.news:
		case <-pause.C:
		case <-deadline.C:
			f.Fatalf("%s did not come in %v", what, patience)
		}
	}
}

func (f *fixture) start(p launch.Process) {
	f.Helper()
	if err := f.Supervisor.Start(f.ctx, p); err != nil {
		f.Fatalf("Start: %v", err)
	}
}

func (f *fixture) running(attempt string) launch.Fact {
	f.Helper()
	f.until("Running of "+attempt, func() bool { return len(f.of(attempt)) > 0 })
	return f.of(attempt)[0]
}

func (f *fixture) final(attempt string) launch.Fact {
	f.Helper()
	var last launch.Fact
	f.until("final fact of "+attempt, func() bool {
		if facts := f.of(attempt); len(facts) > 0 {
			last = facts[len(facts)-1]
		}
		return last.Final()
	})
	return last
}

func (f *fixture) run(p launch.Process) launch.Fact {
	f.Helper()
	f.start(p)
	return f.final(p.Attempt)
}

// output reads everything, by stream.
func (f *fixture) output(attempt string, follow bool) (all []launch.Frame, text map[launch.Stream]string) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.ctx, patience)
	defer cancel()
	r, err := f.Supervisor.Output(ctx, attempt, follow)
	if err != nil {
		f.Fatalf("Output: %v", err)
	}
	defer r.Close()
	text = map[launch.Stream]string{}
	for {
		frame, err := r.Next()
		if err == io.EOF {
			return all, text
		}
		if err != nil {
			f.Fatalf("Next: %v", err)
		}
		text[frame.Stream] += string(frame.Data)
		frame.Data = append([]byte(nil), frame.Data...)
		all = append(all, frame)
	}
}

func (f *fixture) want(got launch.Fact, cause launch.Cause, code, signal int) {
	f.Helper()
	if got.State != launch.Ended || got.Cause != cause || got.ExitCode != code || got.Signal != signal {
		f.Errorf("fact is %s %s code %d signal %d (%s), want ended %s code %d signal %d",
			got.State, got.Cause, got.ExitCode, got.Signal, got.Reason, cause, code, signal)
	}
}

func startTwice(f *fixture) {
	id := Attempt("twice")
	p := f.Process(id, Step{Kind: Count}, Step{Kind: Sleep, For: 50 * time.Millisecond})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := f.Supervisor.Start(f.ctx, p); err != nil {
				f.Errorf("Start: %v", err)
			}
		})
	}
	wg.Wait()
	f.want(f.final(id), launch.CauseExit, 0, 0)
	f.start(p) // ended, not acknowledged
	if n := f.Starts(id); n != 1 {
		f.Errorf("%d processes for one attempt", n)
	}
}

func startAfterAck(f *fixture) {
	id := Attempt("again")
	p := f.Process(id, Step{Kind: Count})
	f.run(p)
	if err := f.Supervisor.Ack(f.ctx, id); err != nil {
		f.Fatal(err)
	}
	f.start(p)
	other := f.Process(Attempt("other"), Step{Kind: Sleep, For: 20 * time.Millisecond})
	f.run(other) // whatever the second Start began would have begun by now
	if n := f.Starts(id); n != 1 {
		f.Errorf("%d processes for one attempt", n)
	}
}

func untilAck(f *fixture) {
	id := Attempt("ack")
	f.run(f.Process(id, Step{Kind: Exit, N: 3}))
	again := newFixture(f.T, f.Harness)
	again.want(again.final(id), launch.CauseExit, 3, 0)
	list, err := f.Supervisor.List(f.ctx)
	if err != nil || len(list) != 1 || list[0].Attempt != id || list[0].ExitCode != 3 {
		f.Errorf("List gives %v, %v", list, err)
	}
	if err := f.Supervisor.Ack(f.ctx, id, Attempt("never heard of")); err != nil {
		f.Fatal(err)
	}
	if list, err := f.Supervisor.List(f.ctx); err != nil || len(list) != 0 {
		f.Errorf("List after Ack gives %v, %v", list, err)
	}
	if err := f.Supervisor.Stop(f.ctx, id, 0); !errors.Is(err, launch.ErrUnknownAttempt) {
		f.Errorf("Stop after Ack gives %v", err)
	}
}

func factOrder(f *fixture) {
	id := Attempt("order")
	before := f.running(startedID(f, f.Process(id, Step{Kind: Sleep, For: 10 * time.Millisecond})))
	if before.State != launch.Running || before.Pid == 0 || before.At.IsZero() {
		f.Errorf("first fact is %+v", before)
	}
	after := f.final(id)
	if after.At.Before(before.At) {
		f.Errorf("ended at %v, before it ran at %v", after.At, before.At)
	}
	if err := f.Supervisor.Ack(f.ctx, id); err != nil {
		f.Fatal(err)
	}
	if n := len(f.of(id)); n != 2 {
		f.Errorf("%d facts, want Running and Ended: %+v", n, f.of(id))
	}
}

func startedID(f *fixture, p launch.Process) string {
	f.Helper()
	f.start(p)
	return p.Attempt
}

func exitCodes(f *fixture) {
	id := func(code int) string { return Attempt(fmt.Sprint("code ", code)) }
	for code := range 256 {
		f.start(f.Process(id(code), Step{Kind: Exit, N: code}))
	}
	for code := range 256 {
		f.want(f.final(id(code)), launch.CauseExit, code, 0)
	}
}

func signals(f *fixture) {
	for _, sig := range []syscall.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGILL, syscall.SIGABRT, syscall.SIGFPE, syscall.SIGKILL,
		syscall.SIGSEGV, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGTERM, syscall.SIGBUS, syscall.SIGXCPU, syscall.SIGUSR1,
	} {
		f.want(f.run(f.Process(Attempt(sig.String()), Step{Kind: Signal, N: int(sig)})), launch.CauseExit, -1, int(sig))
	}
}

func startFails(f *fixture) {
	got := f.run(f.Process(Attempt("missing"), Step{Kind: Missing}))
	f.want(got, launch.CauseStart, -1, 0)
	if got.Reason == "" {
		f.Error("no reason for the user")
	}
}

func stopTerm(f *fixture) {
	id := Attempt("stop")
	f.running(startedID(f, f.Process(id, Step{Kind: Sleep, For: time.Hour})))
	if err := f.Supervisor.Stop(f.ctx, id, time.Hour); err != nil {
		f.Fatal(err)
	}
	f.want(f.final(id), launch.CauseStop, -1, int(syscall.SIGTERM))
}

func stopKill(f *fixture) {
	id := Attempt("deaf")
	f.start(f.Process(id, Step{Kind: IgnoreTerm}, Step{Kind: Out, Text: "deaf now\n"}, Step{Kind: Sleep, For: time.Hour}))
	f.untilOutput(id, "deaf now\n")
	if err := f.Supervisor.Stop(f.ctx, id, time.Hour); err != nil {
		f.Fatal(err)
	}
	// A second order with less patience brings the end forward.
	if err := f.Supervisor.Stop(f.ctx, id, 20*time.Millisecond); err != nil {
		f.Fatal(err)
	}
	f.want(f.final(id), launch.CauseStop, -1, int(syscall.SIGKILL))
}

func (f *fixture) untilOutput(id, text string) {
	f.Helper()
	f.until("output "+text, func() bool {
		_, got := f.output(id, false)
		return strings.Contains(got[launch.Stdout], text)
	})
}

func stopOthers(f *fixture) {
	if err := f.Supervisor.Stop(f.ctx, Attempt("unheard"), 0); !errors.Is(err, launch.ErrUnknownAttempt) {
		f.Errorf("Stop of an unknown attempt gives %v", err)
	}
	id := Attempt("over")
	f.run(f.Process(id))
	if err := f.Supervisor.Stop(f.ctx, id, 0); err != nil {
		f.Errorf("Stop of an ended attempt gives %v", err)
	}
	f.want(f.final(id), launch.CauseExit, 0, 0)
}

func timeout(f *fixture) {
	p := f.Process(Attempt("slow"), Step{Kind: Sleep, For: time.Hour})
	p.Timeout, p.Grace = 50*time.Millisecond, time.Hour
	f.want(f.run(p), launch.CauseTimeout, -1, int(syscall.SIGTERM))
}

func timeoutKill(f *fixture) {
	p := f.Process(Attempt("slow and deaf"), Step{Kind: IgnoreTerm}, Step{Kind: Sleep, For: time.Hour})
	p.Timeout, p.Grace = 100*time.Millisecond, 50*time.Millisecond
	f.want(f.run(p), launch.CauseTimeout, -1, int(syscall.SIGKILL))
}
