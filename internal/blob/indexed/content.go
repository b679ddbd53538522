package indexed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
)

// Contents holds bytes under ids that Store makes up.
type Contents interface {
	Create(id string) (ContentWriter, error)
	// Open must keep the bytes readable until Close, whatever happens meanwhile.
	Open(id string) (ContentReader, error)
	// Remove of an absent id is no error.
	Remove(id string) error
	// All gives every id, in no order; it need not show what changes meanwhile.
	All() iter.Seq2[string, error]
}

// ContentWriter takes the bytes of one id. Exactly one of Commit and Abort is called.
type ContentWriter interface {
	io.Writer
	Commit() error // the bytes are durable when it returns nil
	Abort() error  // no trace is left
}

// ContentReader reads anywhere in one id's bytes.
type ContentReader interface {
	io.ReaderAt
	io.Closer
}

// pins keep content from being removed while it is read or not yet committed.
//
// A reader finds a row and then pins what it names; between the two a writer
// could replace the row and remove the bytes. The gate closes that window: finding
// and pinning happen under its read lock, and removal passes its write lock after
// the row is gone, so it sees the pin of everybody who has seen the row.
type pins struct {
	gate   sync.RWMutex
	mu     sync.Mutex
	held   map[string]int
	doomed map[string]struct{} // to be removed by the last to let go
}

func newPins() *pins { return &pins{held: map[string]int{}, doomed: map[string]struct{}{}} }

func (p *pins) hold(ids ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		p.held[id]++
	}
}

// release lets go and gives the ids whose removal waited for it.
func (p *pins) release(ids ...string) (remove []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if p.held[id]--; p.held[id] > 0 {
			continue
		}
		delete(p.held, id)
		if _, ok := p.doomed[id]; ok {
			delete(p.doomed, id)
			remove = append(remove, id)
		}
	}
	return remove
}

// doom gives the ids that can be removed now and remembers the others.
func (p *pins) doom(ids []string) (remove []string) {
	p.gate.Lock()
	defer p.gate.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if p.held[id] > 0 {
			p.doomed[id] = struct{}{}
		} else {
			remove = append(remove, id)
		}
	}
	return remove
}

func (p *pins) isHeld(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held[id] > 0
}

// remove takes bytes away that nothing names any more. The change that freed them
// is committed, so a failure here must not turn it into an error: what stays is
// an orphan, and Sweep, which does report, collects it.
func (s *Store) remove(ids []string) {
	for _, id := range ids {
		_ = s.contents.Remove(id)
	}
}

// Sweep removes the bytes that no row names: what a crash left between the write
// of the bytes and the commit of the row, or between a commit and the removal. It
// may run while the store is in use.
func (s *Store) Sweep(ctx context.Context) (removed int, err error) {
	const batch = 500
	var ids []string
	flush := func() error {
		unknown, err := s.index.Unknown(ctx, ids)
		if err != nil {
			return fmt.Errorf("find orphans: %w", err)
		}
		var errs []error
		for _, id := range unknown {
			if err := s.contents.Remove(id); err != nil {
				errs = append(errs, fmt.Errorf("remove orphan: %w", err))
				continue
			}
			removed++
		}
		ids = ids[:0]
		return errors.Join(errs...)
	}
	for id, err := range s.contents.All() {
		if err != nil {
			return removed, fmt.Errorf("list contents: %w", err)
		}
		// Asked before the index is: a writer that let go has committed, so the
		// index will know the id; one that has not is still at it.
		if s.pins.isHeld(id) {
			continue
		}
		if ids = append(ids, id); len(ids) == batch {
			if err := flush(); err != nil {
				return removed, err
			}
		}
	}
	return removed, flush()
}

// reader reads a stretch of an object, piece by piece, opening one at a time.
type reader struct {
	store  *Store
	ids    []string // pinned until Close
	pieces []Piece  // not yet opened
	skip   int64    // bytes to leave out of the first of them
	left   int64    // bytes still to give
	open   ContentReader
	part   *io.SectionReader
	closed bool
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		switch {
		case r.closed:
			return 0, errors.New("read object: already closed")
		case r.left == 0:
			return 0, io.EOF
		case r.part == nil:
			if err := r.next(); err != nil {
				return 0, err
			}
		}
		n, err := r.part.Read(p[:min(int64(len(p)), r.left)])
		r.left -= int64(n)
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if !errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("read object: %w", err)
		}
		// The index knows how long a piece is; a shorter file is damage, not an end.
		if at, _ := r.part.Seek(0, io.SeekCurrent); at < r.part.Size() {
			return 0, fmt.Errorf("read object: content is truncated: %w", io.ErrUnexpectedEOF)
		}
		if err := r.closePart(); err != nil {
			return 0, err
		}
	}
}

func (r *reader) next() error {
	for len(r.pieces) > 0 && r.skip >= r.pieces[0].Size {
		r.skip -= r.pieces[0].Size
		r.pieces = r.pieces[1:]
	}
	if len(r.pieces) == 0 {
		return fmt.Errorf("read object: pieces are missing: %w", io.ErrUnexpectedEOF)
	}
	piece := r.pieces[0]
	open, err := r.store.contents.Open(piece.Content)
	if err != nil {
		return fmt.Errorf("read object: %w", err)
	}
	r.open, r.part = open, io.NewSectionReader(open, r.skip, piece.Size-r.skip)
	r.pieces, r.skip = r.pieces[1:], 0
	return nil
}

func (r *reader) closePart() error {
	if r.open == nil {
		return nil
	}
	err := r.open.Close()
	r.open, r.part = nil, nil
	if err != nil {
		return fmt.Errorf("close object: %w", err)
	}
	return nil
}

func (r *reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	err := r.closePart()
	r.store.remove(r.store.pins.release(r.ids...))
	return err
}
