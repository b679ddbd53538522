// Package sqlstore keeps the rows of package store in a SQL database. It
// guarantees what that package promises, on SQLite by group commit: one writer
// runs all waiting functions in one transaction, within savepoints as soon as one
// of them fails, and flushes once for all of them. It also guarantees that a second server on the
// same directory, a database of a later release and an engine with known holes
// are refused when it opens.
//
// It decides nothing about rows, does not notice when somebody replaces the
// database file under it, and keeps working on a file system without locks
// without knowing it.
package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tenon/internal/store"
)

// Config says where and how to open a store.
type Config struct {
	// Dir is the data directory; it is made if need be. The database is its file
	// tenon.db, and its file lock is held while the store is open.
	Dir string
	// Now is the clock, for the times of migrations.
	Now func() time.Time
	// Logger hears of checkpoints that fail; nil is silence.
	Logger *slog.Logger
	// Timeout bounds how long a write may wait to be taken, and a read for a
	// connection; 0 is 5 seconds.
	Timeout time.Duration
}

const (
	databaseFile   = "tenon.db"
	lockFile       = "lock"
	defaultTimeout = 5 * time.Second
	// readConnections bounds concurrent reads. Each costs memory for its cache.
	readConnections = 4
)

// ErrInUse is returned when another process has the data directory.
var ErrInUse = errors.New("data directory is in use by another server")

// minVersion is the first engine without the WAL-reset race (spec/faults B13).
var minVersion = [3]int{3, 51, 3}

// Pragmas of connections. There is no memory map: an I/O error in one is a signal,
// not an error. Negative cache sizes are KiB. The log keeps its size when it
// begins anew: overwriting blocks flushes faster than appending.
var (
	everyPragma  = []string{"busy_timeout = 5000", "temp_store = MEMORY", "mmap_size = 0", "trusted_schema = OFF"}
	writePragmas = []string{
		"journal_mode = WAL", "synchronous = FULL", "cache_size = -6144", "wal_autocheckpoint = 0",
		"journal_size_limit = 67108864", "foreign_keys = OFF",
	}
	readPragmas = []string{"query_only = ON", "cache_size = -1024"}
)

// Store is an open database.
type Store struct {
	timeout     time.Duration
	lock        *os.File
	shared      *shared
	writer      *writer
	readers     *readers
	checkpoints *checkpointer
	lastSeq     int64
	subscribers []func(store.Committed)
	closing     sync.Once
	closeErr    error
}

var _ store.Store = (*Store)(nil)

// Open locks the directory, opens the database and brings its schema up to date.
// It starts the writer and the checkpointer; Close waits for them.
func Open(_ context.Context, cfg Config) (*Store, error) {
	if cfg.Now == nil {
		return nil, errors.New("open store: Config.Now is missing")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s, err := open(cfg, lock)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store in %s: %w", cfg.Dir, err), lock.Close())
	}
	return s, nil
}

// lockDir takes the lock of a directory; the system gives it back when the
// process ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of data directory: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		err = fmt.Errorf("%w: %s", ErrInUse, dir)
	default:
		err = fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	return nil, errors.Join(err, f.Close())
}

func open(cfg Config, lock *os.File) (*Store, error) {
	path := filepath.Join(cfg.Dir, databaseFile)
	// Made here, because the driver would make it readable for everybody.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make database file: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("make database file: %w", err)
	}
	c, err := openSession(path, append(append([]string{}, everyPragma...), writePragmas...)...)
	if err != nil {
		return nil, err
	}
	s, err := start(cfg, path, c)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	s.lock = lock
	return s, nil
}

func start(cfg Config, path string, c *session) (*Store, error) {
	if err := checkEngine(c); err != nil {
		return nil, err
	}
	steps, err := readMigrations(migrationFiles, c.dialect.migrations)
	if err != nil {
		return nil, err
	}
	if err := migrate(c, steps, cfg.Now()); err != nil {
		return nil, err
	}
	s := &Store{timeout: cfg.Timeout, shared: newShared()}
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	if s.lastSeq, err = c.integer(qCeiling); err != nil {
		return nil, fmt.Errorf("read sequence: %w", err)
	}
	if err := loadScopes(c, s.shared); err != nil {
		return nil, err
	}
	gate := &sync.Mutex{}
	if s.checkpoints, err = newCheckpointer(path, gate, cfg.Logger); err != nil {
		return nil, err
	}
	s.readers = newReaders(path, s.shared)
	s.writer = &writer{
		c: c, shared: s.shared, ceiling: s.lastSeq, gate: gate, notify: s.notify,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go s.writer.loop(nil)
	go s.checkpoints.loop()
	return s, nil
}

// checkEngine refuses engines with known holes.
func checkEngine(c *session) error {
	var version string
	if err := c.query(qVersion, func(r row) error { version = r.text(0); return nil }); err != nil {
		return fmt.Errorf("read engine version: %w", err)
	}
	if !atLeast(version, minVersion) {
		return fmt.Errorf("SQLite %s is too old: %d.%d.%d or later is needed", version, minVersion[0], minVersion[1], minVersion[2])
	}
	return nil
}

func atLeast(version string, least [3]int) bool {
	parts := strings.SplitN(version, ".", len(least)+1)
	for i, want := range least {
		got := 0
		if i < len(parts) {
			got, _ = strconv.Atoi(parts[i])
		}
		if got != want {
			return got > want
		}
	}
	return true
}

// Subscribe implements store.Store.
func (s *Store) Subscribe(fn func(store.Committed)) { s.subscribers = append(s.subscribers, fn) }

// notify runs on the writer, after a commit and before its callers return.
func (s *Store) notify(c store.Committed) {
	for _, fn := range s.subscribers {
		fn(c)
	}
	s.checkpoints.signal()
}

// LastSeq implements store.Store. After a crash it may be up to a second above
// the highest number stored.
func (s *Store) LastSeq() int64 { return s.lastSeq }

var (
	qVersion    = sql(`SELECT sqlite_version()`)
	qQuickCheck = sql(`PRAGMA quick_check`)
)

// Check reads the whole database and reports the first damage it finds. It takes
// seconds per gigabyte.
func (s *Store) Check(ctx context.Context) error {
	c, err := s.readers.get(ctx, s.timeout)
	if err != nil {
		return err
	}
	defer s.readers.put(c)
	first := ""
	err = c.query(qQuickCheck, func(r row) error {
		if first == "" {
			first = r.text(0)
		}
		return nil
	})
	if err == nil && first != "ok" {
		err = fmt.Errorf("database is damaged: %s", first)
	}
	return err
}

// Close implements store.Store. Functions that are queued are still run.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.writer.close()
		// The writer's connection goes last: closing it moves the log into the
		// database.
		s.closeErr = errors.Join(s.readers.close(), s.checkpoints.close(), s.writer.c.close(), s.lock.Close())
	})
	return s.closeErr
}
