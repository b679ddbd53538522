package local

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"tenon/internal/launch"
	"tenon/internal/testkit/crashpoint"
)

const (
	// defaultOutputLimit holds for attempts that name none.
	defaultOutputLimit = 256 << 20
	// defaultCompactAt is the journal size from which acknowledged records are
	// dropped.
	defaultCompactAt = 1 << 20
)

// errKnown is how begin says that nothing is left to do.
var errKnown = errors.New("attempt is known")

// errDraining refuses an attempt that belongs to a newer launcher.
var errDraining = errors.New("launcher is draining")

// attempt is one row of the table. Its fields belong to table.mu, except those
// of proc and out before the fork, which belong to the forking thread.
type attempt struct {
	id      string
	proc    launch.Process // emptied after the fork: it holds secrets
	out     *output
	running *launch.Fact
	final   *launch.Fact

	pid    int
	birth  uint64
	exited bool // the process is gone or going; no signal to pid any more
	cause  launch.Cause
	timers []*time.Timer
	killAt time.Time
}

func (a *attempt) latest() launch.Fact {
	switch {
	case a.final != nil:
		return *a.final
	case a.running != nil:
		return *a.running
	}
	return launch.Fact{Attempt: a.id, State: launch.Intended}
}

// table holds every attempt that is not acknowledged, and its journal. What it
// answers or tells anybody was written to the journal before.
type table struct {
	logs      string
	boot      string
	limit     int64 // of output
	compactAt int64
	now       func() time.Time
	log       *slog.Logger
	forks     chan *attempt

	mu       sync.Mutex
	journal  *journal
	attempts map[string]*attempt
	draining bool
	watchers map[*watcher]struct{}
	changed  chan struct{} // capacity 1; a hint that the launcher may be idle now
}

// begin accepts an attempt: known ones answer errKnown.
func (t *table) begin(p launch.Process) (*attempt, error) {
	if err := checkProcess(p); err != nil {
		return nil, err
	}
	crashpoint.Hit("launcher.before-intent")
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.attempts[p.Attempt] != nil {
		return nil, errKnown
	}
	if t.draining {
		return nil, errDraining
	}
	a := &attempt{id: p.Attempt, proc: p, out: &output{limit: p.OutputLimit}}
	if a.out.limit <= 0 {
		a.out.limit = t.limit
	}
	end, err := a.out.open(t.logs, a.id, false)
	if err != nil {
		return nil, err
	}
	if end != nil {
		// It ran, ended and was forgotten. Whoever asks again missed the fact.
		err := errors.Join(t.remember(a, end), a.out.file.Close())
		a.out = nil
		return nil, err
	}
	if err := t.journal.append(record{Kind: kindIntent, Attempt: a.id, Boot: t.boot}); err != nil {
		if a.out.file != nil {
			err = errors.Join(err, a.out.file.Close())
		}
		return nil, err
	}
	a.out.mu.Lock() // until createOutput
	t.attempts[a.id] = a
	crashpoint.Hit("launcher.after-intent")
	return a, nil
}

// createOutput makes the file of an attempt that begin has accepted. To create a
// file takes longer than to fork (it joins the file system's journal), so it
// comes after the fork and beside it, and whoever has output to write waits here.
// Without a file the attempt runs on: its end matters more than what it says.
func (t *table) createOutput(id string, out *output) {
	defer out.mu.Unlock()
	if out.file != nil {
		return
	}
	if _, err := out.open(t.logs, id, true); err != nil {
		out.broken = err
		t.log.Error("create output of attempt", "attempt", id, "error", err)
	}
}

// remember tells the final fact of a forgotten attempt again.
func (t *table) remember(a *attempt, end []byte) error {
	fact, err := decodeFact(end)
	if err != nil {
		return err
	}
	fact.Attempt = a.id
	a.exited, a.final = true, &fact
	if err := t.journal.append(record{Kind: kindIntent, Attempt: a.id, Boot: t.boot}, exitRecord(fact)); err != nil {
		return err
	}
	t.attempts[a.id] = a
	t.publish(fact)
	return errKnown
}

func exitRecord(f launch.Fact) record {
	w := toWire(f)
	return record{Kind: kindExit, Attempt: f.Attempt, Fact: &w}
}

// checkProcess refuses what could only be a mistake of the server.
func checkProcess(p launch.Process) error {
	if err := checkAttempt(p.Attempt); err != nil {
		return err
	}
	if len(p.Argv) == 0 || !filepath.IsAbs(p.Argv[0]) {
		return fmt.Errorf("program of %s is not an absolute path", p.Attempt)
	}
	if !filepath.IsAbs(p.Dir) {
		return fmt.Errorf("working directory of %s is not an absolute path", p.Attempt)
	}
	for _, list := range [][]string{p.Argv, p.Env, {p.Dir}} {
		for _, s := range list {
			if strings.ContainsRune(s, 0) {
				return fmt.Errorf("an argument, a variable or the directory of %s holds a NUL byte", p.Attempt)
			}
		}
	}
	return nil
}

// forked records a child. It is called before anybody can reap the child.
func (t *table) forked(a *attempt, pid int, birth uint64, inForce string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fact := launch.Fact{Attempt: a.id, State: launch.Running, At: t.now(), Pid: pid, InForce: inForce}
	a.pid, a.birth, a.running = pid, birth, &fact
	w := toWire(fact)
	if err := t.journal.append(record{Kind: kindStarted, Attempt: a.id, Pid: pid, Birth: birth, Fact: &w}); err != nil {
		// The intent alone leads to Lost after a crash, which stays right.
		t.log.Error("record start of attempt", "attempt", a.id, "error", err)
	}
	crashpoint.Hit("launcher.after-started")
	if a.proc.Timeout > 0 {
		grace := a.proc.Grace
		a.timers = append(a.timers, time.AfterFunc(a.proc.Timeout, func() { t.terminate(a, launch.CauseTimeout, grace) }))
	}
	if a.cause != "" { // stopped while it was being forked
		t.signal(a, a.proc.Grace)
	}
	a.proc = launch.Process{}
	t.publish(fact)
}

// terminate begins to end a running attempt, for the first cause that asks.
func (t *table) terminate(a *attempt, cause launch.Cause, grace time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.exited {
		return
	}
	if a.cause == "" {
		a.cause = cause
	}
	if a.pid == 0 {
		a.proc.Grace = grace // the forking thread looks at cause before and after the fork
		return
	}
	t.signal(a, grace)
}

// signal sends SIGTERM once and arranges SIGKILL; the earliest deadline wins.
// The pid is ours: it is not reaped while exited is false.
func (t *table) signal(a *attempt, grace time.Duration) {
	killAt := t.now().Add(grace)
	if a.killAt.IsZero() {
		_ = syscall.Kill(-a.pid, syscall.SIGTERM) // a failure means that it is a zombie
	} else if !killAt.Before(a.killAt) {
		return
	}
	a.killAt = killAt
	a.timers = append(a.timers, time.AfterFunc(grace, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if !a.exited {
			_ = syscall.Kill(-a.pid, syscall.SIGKILL)
		}
	}))
}

// ended records the final fact of an attempt, whose output is complete.
func (t *table) ended(a *attempt, fact launch.Fact) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, timer := range a.timers {
		timer.Stop()
	}
	a.exited, a.final, a.timers, a.out, a.proc = true, &fact, nil, nil, launch.Process{}
	if err := t.journal.append(exitRecord(fact)); err != nil {
		// The fact still goes to the server. Should this process die before it is
		// acknowledged, the end frame of the output tells, else Lost.
		t.log.Error("record end of attempt", "attempt", a.id, "error", err)
	}
	crashpoint.Hit("launcher.after-exit")
	t.publish(fact)
}

// stop orders the end of one attempt.
func (t *table) stop(id string, grace time.Duration) error {
	t.mu.Lock()
	a := t.attempts[id]
	t.mu.Unlock()
	if a == nil {
		return launch.ErrUnknownAttempt
	}
	t.terminate(a, launch.CauseStop, grace)
	return nil
}

// ack forgets final attempts; others and unknown ones are left as they are.
func (t *table) ack(ids []string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var records []record
	for _, id := range ids {
		if a := t.attempts[id]; a != nil && a.final != nil {
			records = append(records, record{Kind: kindAck, Attempt: id})
		}
	}
	if len(records) == 0 {
		return nil
	}
	if err := t.journal.append(records...); err != nil {
		return err
	}
	crashpoint.Hit("launcher.after-ack")
	for _, r := range records {
		delete(t.attempts, r.Attempt)
	}
	t.hint()
	if t.journal.size < t.compactAt {
		return nil
	}
	if err := t.journal.compact(t.live()); err != nil {
		t.log.Error("compact journal", "error", err) // it only stays longer
	}
	return nil
}

// live is the content of a journal that knows the present and nothing else.
func (t *table) live() []record {
	var records []record
	for _, a := range t.attempts {
		records = append(records, record{Kind: kindIntent, Attempt: a.id, Boot: t.boot})
		if a.running != nil {
			w := toWire(*a.running)
			records = append(records, record{Kind: kindStarted, Attempt: a.id, Pid: a.pid, Birth: a.birth, Fact: &w})
		}
		if a.final != nil {
			records = append(records, exitRecord(*a.final))
		}
	}
	return records
}

// list returns the latest fact of each attempt.
func (t *table) list() []launch.Fact {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]launch.Fact, 0, len(t.attempts))
	for _, a := range t.attempts {
		list = append(list, a.latest())
	}
	return list
}

// notice writes a line into an attempt's error stream, before or while it runs.
func (t *table) notice(id, line string) error {
	if err := checkAttempt(id); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := t.attempts[id]; a != nil {
		if a.out == nil {
			return fmt.Errorf("attempt %s has ended", id)
		}
		return a.out.notice(line, t.now())
	}
	if t.draining {
		return errDraining
	}
	var out output
	end, err := out.open(t.logs, id, true)
	if err != nil {
		return err
	}
	if end != nil {
		return errors.Join(fmt.Errorf("attempt %s has ended", id), out.file.Close())
	}
	return errors.Join(out.notice(line, t.now()), out.file.Close())
}

// touch waits until the file of a known attempt exists.
func (t *table) touch(id string) error {
	t.mu.Lock()
	a := t.attempts[id]
	var out *output
	if a != nil {
		out = a.out
	}
	t.mu.Unlock()
	if a == nil {
		return launch.ErrUnknownAttempt
	}
	if out != nil {
		out.mu.Lock()
		out.mu.Unlock() //nolint:staticcheck // createOutput holds it; to get it is to have waited
	}
	return nil
}

// drain makes the launcher refuse new attempts.
func (t *table) drain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = true
	t.hint()
}

// idle tells whether nothing is left to do or to tell.
func (t *table) idle() (empty, draining bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.attempts) == 0, t.draining
}

func (t *table) hint() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// watcher is one connection that wants facts. What it has not sent yet is
// bounded by two facts for each attempt that is not acknowledged.
type watcher struct {
	pending []launch.Fact
	wake    chan struct{} // capacity 1
}

// watch registers a watcher and gives it everything unacknowledged.
func (t *table) watch() *watcher {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &watcher{wake: make(chan struct{}, 1)}
	for _, a := range t.attempts {
		if a.running != nil {
			w.pending = append(w.pending, *a.running)
		}
		if a.final != nil {
			w.pending = append(w.pending, *a.final)
		}
	}
	t.watchers[w] = struct{}{}
	w.wake <- struct{}{}
	return w
}

func (t *table) unwatch(w *watcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.watchers, w)
}

// take returns what is to be sent, which is more than one fact when they came
// while the last ones were being sent.
func (t *table) take(w *watcher) []launch.Fact {
	t.mu.Lock()
	defer t.mu.Unlock()
	pending := w.pending
	w.pending = nil
	return pending
}

// publish hands a fact to all watchers; the caller holds mu.
func (t *table) publish(f launch.Fact) {
	for w := range t.watchers {
		w.pending = append(w.pending, f)
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}
