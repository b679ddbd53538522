package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"tenon/internal/store"
	"tenon/internal/testkit/crashpoint"
)

// request is one function that waits to be written.
type request struct {
	fn    func(store.Tx) error
	state atomic.Int32
	done  chan struct{}

	// The fields below belong to the writer until done is closed.
	tx    *tx
	err   error
	again bool // the storage failed it: it runs once more, alone
}

// States of a request, see the package comment of store.
const (
	queued int32 = iota
	taken
	abandoned
)

// take moves a request from queued; only one side wins.
func (r *request) take(to int32) bool { return r.state.CompareAndSwap(queued, to) }

// maxGroup bounds the functions of one commit, and with it the time that the
// first of them waits for the last.
const maxGroup = 256

// writer runs functions on the one connection that writes. All that wait when it
// is free go into one transaction and share its flush.
type writer struct {
	c      *session
	shared *shared
	known  hashes
	// definitions are the committed rows that starts read.
	definitions definitions
	// ceiling is what the sequence row holds; see reserve.
	ceiling int64
	// broken is set when a flush failed: what lies on disk is then not known, and
	// nothing more is written until the store is opened again.
	broken error
	// gate keeps checkpoints that stop writing apart from groups.
	gate   *sync.Mutex
	notify func(store.Committed)

	mu     sync.Mutex
	queue  []*request
	closed bool
	wake   chan struct{} // holds one token while the queue may hold something
	group  []*request    // in work
	done   chan struct{}
}

// Write implements store.Store.
func (s *Store) Write(ctx context.Context, fn func(store.Tx) error) error {
	if ctx.Err() != nil {
		return queueError(ctx)
	}
	r := &request{fn: fn, done: make(chan struct{})}
	if !s.writer.enqueue(r) {
		return store.ErrClosed
	}
	timer := time.NewTimer(s.timeout)
	defer timer.Stop()
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.take(abandoned) {
			return queueError(ctx)
		}
		<-r.done
	case <-timer.C:
		if r.take(abandoned) {
			return store.ErrTimeout
		}
		<-r.done
	}
	return r.err
}

func queueError(ctx context.Context) error {
	return fmt.Errorf("%w: %w", store.ErrTimeout, context.Cause(ctx))
}

func (w *writer) enqueue(r *request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.queue = append(w.queue, r)
	w.signal()
	return true
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// close makes the loop end after what is queued.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.signal()
	w.mu.Unlock()
	<-w.done
}

// next waits for requests and takes them; none is the end.
func (w *writer) next() []*request {
	for {
		<-w.wake
		w.mu.Lock()
		w.group = w.group[:0]
		n := min(len(w.queue), maxGroup)
		for _, r := range w.queue[:n] {
			if r.take(taken) {
				w.group = append(w.group, r)
			}
		}
		rest := copy(w.queue, w.queue[n:])
		clear(w.queue[rest:])
		w.queue = w.queue[:rest]
		if rest > 0 || w.closed {
			w.signal()
		}
		end := w.closed && rest == 0 && len(w.group) == 0
		w.mu.Unlock()
		if end || len(w.group) > 0 {
			return w.group
		}
	}
}

// loop is the writer's goroutine. It begins with what another one left.
func (w *writer) loop(left []*request) {
	finished := false
	defer func() {
		if finished {
			close(w.done)
			return
		}
		// A function ended its goroutine (runtime.Goexit), and that is this one. Its
		// transaction is rolled back; another goroutine takes over.
		go w.loop(w.group)
	}()
	for _, r := range left {
		if errors.Is(r.err, errGoexit) {
			close(r.done)
		}
	}
	w.alone(left)
	for group := w.next(); len(group) > 0; group = w.next() {
		// Savepoints cost each function a tenth of its time and are needed only when
		// one fails after it has written: then all begin again, with them.
		if spoiled := w.commit(group, false); spoiled {
			w.commit(group, true)
		}
		if len(group) > 1 {
			w.alone(group)
		}
	}
	finished = true
}

// alone commits those of a group that are not done, each in its own transaction.
func (w *writer) alone(group []*request) {
	for i, r := range group {
		if !closed(r.done) {
			w.commit(group[i:i+1], false)
		}
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// commit runs a group in one transaction and finishes those of it whose outcome
// is then known. Nothing is known before the commit: even a function's own error
// may come from what a neighbour wrote, so when the transaction is lost all are
// left to be run again. It reports whether the transaction was lost to a function
// that failed after it had written, with no savepoint to go back to.
func (w *writer) commit(group []*request, savepoints bool) (spoiled bool) {
	w.gate.Lock()
	defer w.gate.Unlock()
	if w.broken != nil {
		finish(group, w.broken)
		return false
	}
	w.definitions.begin()
	if err := w.c.run(sqlBegin); err != nil {
		finish(group, fmt.Errorf("begin transaction: %w", err))
		return false
	}
	ended := false
	defer func() {
		if !ended { // by runtime.Goexit in a function
			w.abort(nil)
		}
	}()
	alive := true
	for _, r := range group {
		if alive = w.run(r, len(group) > 1, savepoints); !alive {
			break
		}
	}
	ended = true
	switch {
	case alive:
		w.end(group)
	case len(group) == 1:
		w.abort(nil)
		finish(group, nil)
	default:
		w.abort(nil)
		return !savepoints
	}
	return false
}

// run runs one function. It reports whether the transaction lives on with
// nothing of a failed function in it.
func (w *writer) run(r *request, shared, savepoints bool) bool {
	r.err, r.again = nil, false
	r.tx = &tx{c: w.c, shared: w.shared, known: &w.known, definitions: &w.definitions, savepoint: shared && savepoints}
	w.c.fault = nil
	r.err = errGoexit // unless the function returns or panics
	r.err = call(r.fn, r.tx)
	r.tx.over = true
	if fault := w.c.fault; fault != nil {
		r.again = true
		if !errors.Is(r.err, fault) {
			r.err = errors.Join(fmt.Errorf("store: %w", fault), r.err)
		}
	}
	switch {
	case r.err == nil:
		return !r.tx.savepoint || !r.tx.wrote || w.c.run(sqlRelease) == nil
	case !shared:
		return false
	case r.again && !w.c.alive():
		return false
	case r.tx.wrote && !r.tx.savepoint:
		return false
	case r.tx.wrote:
		return w.c.run(sqlUndo) == nil && w.c.run(sqlRelease) == nil
	}
	return true
}

var errGoexit = errors.New("the function ended its goroutine")

// call runs fn and turns a panic into an error: it belongs to one caller, and the
// writer serves all of them.
func call(fn func(store.Tx) error, t *tx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic in a transaction: %v\n%s", v, debug.Stack())
		}
	}()
	return fn(t)
}

// end commits. Those that the storage failed stay for a run of their own, unless
// this was it. Its crash points are writer.before-commit, when nothing is in the
// database, and writer.after-commit, when nobody was told that it is.
func (w *writer) end(group []*request) {
	ceiling, err := w.reserve(group)
	if err == nil {
		crashpoint.Hit("writer.before-commit")
		err = w.c.run(sqlCommit)
	}
	if err != nil {
		w.abort(err)
		if w.broken != nil || len(group) == 1 {
			finish(group, w.lost(err))
		}
		return
	}
	crashpoint.Hit("writer.after-commit")
	w.ceiling = ceiling
	var all store.Committed
	for _, r := range group {
		if r.err != nil {
			continue
		}
		w.shared.publish(r.tx.scopes)
		w.known.add(r.tx.snapshots)
		all.Append(r.tx.committed)
	}
	if !all.Empty() {
		w.notify(all)
	}
	for _, r := range group {
		if !r.again || len(group) == 1 {
			close(r.done)
		}
	}
}

// lost is what callers hear of a commit that failed.
func (w *writer) lost(err error) error {
	if w.broken != nil {
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	return fmt.Errorf("commit: %w", err)
}

// abort rolls back after a failed commit, or after nothing if err is nil.
func (w *writer) abort(err error) {
	if err != nil && ioFailed(err) {
		// The commit may or may not be in the log that a restart would read.
		w.broken = fmt.Errorf("store refuses writes until it is opened again, because a flush failed: %w", err)
	}
	if e := w.c.rollback(); e != nil && w.broken == nil {
		w.broken = fmt.Errorf("store refuses writes until it is opened again, because a rollback failed: %w", e)
	}
}

// finish ends all requests of a group; those without an error of their own get err.
func finish(group []*request, err error) {
	for _, r := range group {
		if r.err == nil {
			r.err = err
		}
		close(r.done)
	}
}

var (
	qCeiling    = sql(`SELECT ceiling FROM sequence WHERE id = 1`)
	qSetCeiling = sql(`UPDATE sequence SET ceiling = ? WHERE id = 1`)
)

// reserved is how far the ceiling is raised above what was written: a second, as
// sequence numbers are nanoseconds. The row is thus written once a second, not
// with each commit.
const reserved = int64(time.Second)

// reserve keeps the ceiling above every sequence number in the database and
// returns it.
func (w *writer) reserve(group []*request) (int64, error) {
	highest := int64(0)
	for _, r := range group {
		if r.err == nil {
			highest = max(highest, r.tx.highest)
		}
	}
	if highest <= w.ceiling {
		return w.ceiling, nil
	}
	ceiling := highest
	if ceiling <= last-reserved {
		ceiling += reserved
	}
	if _, err := w.c.exec(qSetCeiling, ceiling); err != nil {
		return 0, fmt.Errorf("write sequence: %w", err)
	}
	return ceiling, nil
}
