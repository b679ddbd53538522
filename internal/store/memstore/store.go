// Package memstore keeps the rows of package store in memory, for simulation and
// ephemeral servers. It guarantees what that package promises except that nothing
// outlives the process: functions run one after another in their callers'
// goroutines, and one that fails is undone change by change.
//
// Reading and writing exclude each other, so a transaction must not be begun
// within another. It does no I/O and waits only on channels, as virtual time
// wants it.
package memstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tenon/internal/store"
)

// Store is a store in memory.
type Store struct {
	// Timeout bounds how long a transaction may wait for its turn; 0 is no bound. It
	// is set before the first one.
	Timeout time.Duration

	// turn holds a token while a transaction runs.
	turn        chan struct{}
	closed      chan struct{}
	data        *data
	subscribers []func(store.Committed)
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{turn: make(chan struct{}, 1), closed: make(chan struct{}), data: newData()}
}

// Write implements store.Store. A panic of fn is the caller's.
func (s *Store) Write(ctx context.Context, fn func(store.Tx) error) error {
	return s.do(ctx, &tx{}, fn)
}

// Read implements store.Store.
func (s *Store) Read(ctx context.Context, fn func(store.Tx) error) error {
	return s.do(ctx, &tx{readonly: true}, fn)
}

func (s *Store) do(ctx context.Context, t *tx, fn func(store.Tx) error) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	t.data = s.data
	committed := false
	defer func() {
		t.over = true
		if !committed {
			t.rollback()
		}
		<-s.turn
	}()
	if err := fn(t); err != nil {
		return err
	}
	if t.fault != nil {
		return t.fault
	}
	committed = true
	if !t.committed.Empty() {
		for _, fn := range s.subscribers {
			fn(t.committed)
		}
	}
	return nil
}

func (s *Store) take(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", store.ErrTimeout, context.Cause(ctx))
	}
	select {
	case <-s.closed:
		return store.ErrClosed
	default:
	}
	var late <-chan time.Time
	if s.Timeout > 0 {
		timer := time.NewTimer(s.Timeout)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", store.ErrTimeout, context.Cause(ctx))
	case <-late:
		return store.ErrTimeout
	case <-s.closed:
		return store.ErrClosed
	}
	select {
	case <-s.closed:
		<-s.turn
		return store.ErrClosed
	default:
		return nil
	}
}

// Subscribe implements store.Store.
func (s *Store) Subscribe(fn func(store.Committed)) { s.subscribers = append(s.subscribers, fn) }

// LastSeq implements store.Store: there was nothing before.
func (s *Store) LastSeq() int64 { return 0 }

// Reset empties the store, when it is its turn. Subscribers stay.
func (s *Store) Reset() {
	s.turn <- struct{}{}
	s.data = newData()
	<-s.turn
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return nil
}

var (
	errReadOnly = errors.New("write in a read-only transaction")
	errOver     = errors.New("transaction is over")
)

// tx is a transaction. Its changes are made at once and undone if it fails.
type tx struct {
	*data
	readonly  bool
	over      bool
	undo      []func()
	committed store.Committed
	// fault is a write of a reader, which fails it even if it hides the error.
	fault error
}

var _ store.Tx = (*tx)(nil)

func (t *tx) rollback() {
	for i := len(t.undo) - 1; i >= 0; i-- {
		t.undo[i]()
	}
}

// reads and writes are asked first by every method.
func (t *tx) reads() error {
	if t.over {
		return errOver
	}
	return nil
}

func (t *tx) writes() error {
	if t.over {
		return errOver
	}
	if t.readonly {
		t.fault = errReadOnly
		return errReadOnly
	}
	return nil
}
