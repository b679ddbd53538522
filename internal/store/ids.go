package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// IDs makes identifiers. They rise with time, also across restarts and clocks
// that go back, so that rows made together lie together. Its source of time and
// randomness is injected. It is safe for concurrent use.
type IDs struct {
	now  func() time.Time
	rand io.Reader

	mu   sync.Mutex
	last int64
}

// NewIDs returns a maker of identifiers above last (see Store.LastSeq).
func NewIDs(now func() time.Time, rand io.Reader, last int64) *IDs {
	return &IDs{now: now, rand: rand, last: last}
}

// Next returns a new sequence number. It serves as key, uid and version.
func (g *IDs) Next() int64 {
	t := g.now().UnixNano()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = max(t, g.last+1)
	return g.last
}

// Rand returns 24 random bytes.
func (g *IDs) Rand() (r [24]byte, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, err := io.ReadFull(g.rand, r[:]); err != nil {
		return r, fmt.Errorf("read randomness: %w", err)
	}
	return r, nil
}

// ErrBadID is returned for text that is no identifier of the wanted kind.
var ErrBadID = errors.New("not an identifier")

const (
	runPrefix     = "wr_"
	attemptPrefix = "jr_"
	attemptInfix  = "_attempt_"
)

// RunID is the id of a workflow run: wr_ and 64 hex digits (spec/workflows §3.3).
func RunID(seq int64, r [24]byte) string { return runPrefix + digits(seq, r) }

// ID is the run's id.
func (r Run) ID() string { return RunID(r.Seq, r.Rand) }

// AttemptID is the id of a job run: jr_ and 64 hex digits, and _attempt_n for a
// retry (spec/jobs §2.2).
func AttemptID(k AttemptKey, r [24]byte) string {
	id := attemptPrefix + digits(k.Base, r)
	if k.N > 0 {
		id += attemptInfix + strconv.Itoa(k.N)
	}
	return id
}

// ID is the attempt's JobRun id.
func (a Attempt) ID() string { return AttemptID(a.Key, a.Rand) }

func digits(seq int64, r [24]byte) string {
	var b [32]byte
	for i := range 8 {
		b[i] = byte(seq >> (56 - 8*i))
	}
	copy(b[8:], r[:])
	return hex.EncodeToString(b[:])
}

// ParseRunID returns the parts of a run's id. Whether such a run exists, with
// that very id, is for the caller to see.
func ParseRunID(id string) (seq int64, r [24]byte, err error) {
	s, ok := strings.CutPrefix(id, runPrefix)
	if !ok {
		return 0, r, ErrBadID
	}
	return parseDigits(s)
}

// ParseAttemptID returns the parts of a job run's id.
func ParseAttemptID(id string) (k AttemptKey, r [24]byte, err error) {
	s, ok := strings.CutPrefix(id, attemptPrefix)
	if !ok {
		return k, r, ErrBadID
	}
	s, n, retry := strings.Cut(s, attemptInfix)
	if retry {
		if k.N, err = strconv.Atoi(n); err != nil || k.N < 1 || strconv.Itoa(k.N) != n {
			return k, r, ErrBadID
		}
	}
	k.Base, r, err = parseDigits(s)
	return k, r, err
}

func parseDigits(s string) (seq int64, r [24]byte, err error) {
	var b [32]byte
	if len(s) != 64 || strings.ToLower(s) != s {
		return 0, r, ErrBadID
	}
	if _, err := hex.Decode(b[:], []byte(s)); err != nil {
		return 0, r, ErrBadID
	}
	for i := range 8 {
		seq = seq<<8 | int64(b[i])
	}
	copy(r[:], b[8:])
	if seq <= 0 {
		return 0, r, ErrBadID
	}
	return seq, r, nil
}
