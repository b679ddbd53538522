package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tenon/internal/store"
)

// readers is a pool of read-only connections, opened when first needed.
type readers struct {
	path   string
	shared *shared
	free   chan *session // nil stands for one not opened yet
	closed chan struct{}
}

func newReaders(path string, shared *shared) *readers {
	p := &readers{path: path, shared: shared, free: make(chan *session, readConnections), closed: make(chan struct{})}
	for range readConnections {
		p.free <- nil
	}
	return p
}

func (p *readers) get(ctx context.Context, timeout time.Duration) (*session, error) {
	var c *session
	select {
	case <-p.closed:
		return nil, store.ErrClosed
	default:
	}
	select {
	case c = <-p.free:
	default:
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		select {
		case c = <-p.free:
		case <-ctx.Done():
			return nil, queueError(ctx)
		case <-timer.C:
			return nil, store.ErrTimeout
		case <-p.closed:
			return nil, store.ErrClosed
		}
	}
	if c != nil {
		return c, nil
	}
	c, err := openSession(p.path, append(append([]string{}, everyPragma...), readPragmas...)...)
	if err != nil {
		p.free <- nil
		return nil, fmt.Errorf("open connection for reading: %w", err)
	}
	return c, nil
}

// put gives a connection back; nil stands for one that was closed.
func (p *readers) put(c *session) { p.free <- c }

// close waits for running reads.
func (p *readers) close() error {
	close(p.closed)
	var errs []error
	for range readConnections {
		if c := <-p.free; c != nil {
			errs = append(errs, c.close())
		}
	}
	return errors.Join(errs...)
}

// Read implements store.Store. The snapshot is taken by its first statement.
func (s *Store) Read(ctx context.Context, fn func(store.Tx) error) error {
	if ctx.Err() != nil {
		return queueError(ctx)
	}
	c, err := s.readers.get(ctx, s.timeout)
	if err != nil {
		return err
	}
	t := &tx{c: c, shared: s.shared, readonly: true}
	defer func() {
		t.over = true
		if c.run(sqlRollback) != nil {
			// A transaction that cannot be ended would hold the log for ever.
			_ = c.close()
			c = nil
		}
		s.readers.put(c)
	}()
	if err := c.run(sqlRead); err != nil {
		return fmt.Errorf("begin reading: %w", err)
	}
	c.fault = nil
	if err := fn(t); err != nil {
		return err
	}
	if c.fault != nil {
		return fmt.Errorf("store: %w", c.fault)
	}
	return nil
}
