package sqlstore

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// checkpointer moves the log into the database beside the writer, on its own
// connection: checkpoints on the writer are the slowest commits.
type checkpointer struct {
	c      *session
	gate   *sync.Mutex
	log    *slog.Logger
	wanted chan struct{}
	stop   chan struct{}
	done   chan struct{}
}

const (
	// checkpointPause is the least time between looks at the log.
	checkpointPause = 100 * time.Millisecond
	// checkpointPages is how much of the log may be unmoved before it is moved.
	checkpointPages = 1024
	// restartPages is how long the log may be before the writer must wait while it
	// begins anew. Under a steady load it would grow without end otherwise, because
	// there is always a commit that is not moved yet.
	restartPages = 8192
)

// Looking, moving what can be moved, and moving everything with writers shut out.
// Each returns whether it was hindered, the length of the log and how much of it
// is moved, in pages.
var (
	qLook    = sql(`PRAGMA wal_checkpoint(NOOP)`)
	qMove    = sql(`PRAGMA wal_checkpoint(PASSIVE)`)
	qRestart = sql(`PRAGMA wal_checkpoint(RESTART)`)
)

func newCheckpointer(path string, gate *sync.Mutex, log *slog.Logger) (*checkpointer, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	// A short wait: the writer waits with it. Readers that are in the way this time
	// will not be the next.
	c, err := openSession(path, append(append([]string{}, everyPragma...), "busy_timeout = 20", "synchronous = FULL", "cache_size = -256", "wal_autocheckpoint = 0")...)
	if err != nil {
		return nil, fmt.Errorf("open connection for checkpoints: %w", err)
	}
	return &checkpointer{
		c: c, gate: gate, log: log,
		wanted: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}, nil
}

func (k *checkpointer) signal() {
	select {
	case k.wanted <- struct{}{}:
	default:
	}
}

func (k *checkpointer) loop() {
	defer close(k.done)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-k.wanted:
		case <-k.stop:
			return
		}
		if err := k.step(); err != nil {
			k.log.Warn("checkpoint failed", "error", err)
		}
		pause.Reset(checkpointPause)
		select {
		case <-pause.C:
		case <-k.stop:
			return
		}
	}
}

// step moves the log if it is worth the work.
func (k *checkpointer) step() error {
	length, moved, err := k.checkpoint(qLook)
	if err != nil {
		return fmt.Errorf("look at log: %w", err)
	}
	if length-moved < checkpointPages && length < restartPages {
		return nil
	}
	if length, _, err = k.checkpoint(qMove); err != nil {
		return fmt.Errorf("move log: %w", err)
	}
	if length < restartPages {
		return nil
	}
	k.gate.Lock()
	defer k.gate.Unlock()
	if _, _, err := k.checkpoint(qRestart); err != nil {
		return fmt.Errorf("restart log: %w", err)
	}
	return nil
}

func (k *checkpointer) checkpoint(q statement) (length, moved int64, err error) {
	err = k.c.query(q, func(r row) error { length, moved = r.int(1), r.int(2); return nil })
	return length, moved, err
}

func (k *checkpointer) close() error {
	close(k.stop)
	<-k.done
	return k.c.close()
}
