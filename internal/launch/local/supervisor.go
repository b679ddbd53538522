package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"tenon/internal/launch"
)

// Config says where a launcher lives and how to start one.
type Config struct {
	// Dir is the launcher's directory, e.g. data/launcher. Output lies beside it,
	// in data/logs.
	Dir string
	// Executable and Args name the launcher: Executable is run with Args, then the
	// launcher's own arguments. It must call Main with the latter.
	Executable string
	Args       []string
	// Env is the whole environment of the launcher. Nothing of it reaches a job.
	// It should hold no secret.
	Env []string
	// RuntimeDir holds the socket's private folder if Dir is too long for a socket
	// path; empty means os.TempDir().
	RuntimeDir string
	// Ephemeral ties the launcher to this Supervisor: it ends with it, however
	// that happens, and so do its jobs.
	Ephemeral bool
	// OutputLimit caps the output of attempts that name no limit; 0 means 256 MiB.
	OutputLimit int64
	// Linger is how long a launcher without work and clients stays; 0 means a
	// minute.
	Linger time.Duration
	Logger *slog.Logger

	protocol  int   // tests of upgrades; 0 means protocolVersion
	compactAt int64 // tests of compaction; 0 means the default
}

// Supervisor is the server's side. It keeps connections to the launchers of one
// data directory and starts one whenever there is none, so that a launcher's
// death shows as ErrClosed of the calls it interrupts and nothing else.
type Supervisor struct {
	cfg Config
	log *slog.Logger

	mu       sync.Mutex
	peers    []*peer // ascending generations; nil when they have to be looked up
	child    *os.Process
	lifeline *os.File
	closed   bool
}

var _ launch.Supervisor = (*Supervisor)(nil)

// New connects to the running launcher of cfg.Dir or starts one.
func New(cfg Config) (*Supervisor, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.protocol == 0 {
		cfg.protocol = protocolVersion
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("find launcher directory: %w", err)
	}
	cfg.Dir = dir
	for _, d := range []string{cfg.Dir, logsOf(cfg.Dir)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("create launcher directory: %w", err)
		}
	}
	s := &Supervisor{cfg: cfg, log: cfg.Logger}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if _, err := s.connect(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close gives up the connections. Jobs go on, unless the launcher is ephemeral:
// then Close waits until launcher and jobs are gone.
func (s *Supervisor) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.dropLocked()
	if s.lifeline == nil {
		return s.collect(false)
	}
	err := s.lifeline.Close()
	s.lifeline = nil
	return errors.Join(err, s.collect(true))
}

// Start implements launch.Supervisor.
func (s *Supervisor) Start(ctx context.Context, p launch.Process) error {
	if err := checkProcess(p); err != nil {
		return fmt.Errorf("start attempt: %w", err)
	}
	return s.first(ctx, "start attempt", request{Op: opStart, Process: wireOf(p)})
}

// Stop implements launch.Supervisor.
func (s *Supervisor) Stop(ctx context.Context, attempt string, grace time.Duration) error {
	return s.first(ctx, "stop attempt", request{Op: opStop, Attempts: []string{attempt}, Grace: int64(grace)})
}

// Notice implements launch.Supervisor.
func (s *Supervisor) Notice(ctx context.Context, attempt, line string) error {
	if len(line) >= launch.FrameBytes {
		line = line[:launch.FrameBytes-1]
	}
	return s.first(ctx, "write notice", request{Op: opNotice, Attempts: []string{attempt}, Line: line})
}

// Ack implements launch.Supervisor.
func (s *Supervisor) Ack(ctx context.Context, attempts ...string) error {
	_, err := s.every(ctx, "acknowledge facts", request{Op: opAck, Attempts: attempts})
	return err
}

// List implements launch.Supervisor.
func (s *Supervisor) List(ctx context.Context) ([]launch.Fact, error) {
	return s.every(ctx, "list attempts", request{Op: opList})
}

// Output implements launch.Supervisor. It reads the file and needs no launcher,
// except to tell an attempt that is just being forked from one that never was.
func (s *Supervisor) Output(ctx context.Context, attempt string, follow bool) (launch.FrameReader, error) {
	if err := checkAttempt(attempt); err != nil {
		return nil, fmt.Errorf("open output: %w", err)
	}
	r, err := openReader(ctx, logsOf(s.cfg.Dir), attempt, follow)
	if errors.Is(err, fs.ErrNotExist) && s.first(ctx, "open output", request{Op: opTouch, Attempts: []string{attempt}}) == nil {
		r, err = openReader(ctx, logsOf(s.cfg.Dir), attempt, follow)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Watch implements launch.Supervisor. One connection to each launcher carries
// facts; the end of any of them ends the call, except of one that had drained.
func (s *Supervisor) Watch(ctx context.Context, handle func([]launch.Fact)) error {
	peers, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("watch attempts: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var one sync.Mutex // calls of handle do not overlap
	var wg sync.WaitGroup
	for _, p := range peers {
		wg.Go(func() {
			err := p.watch(ctx, func(f []launch.Fact) {
				one.Lock()
				defer one.Unlock()
				handle(f)
			})
			if p.retired() {
				return
			}
			cancel(fmt.Errorf("watch attempts: %w", err))
		})
	}
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		if ctx.Err() != nil && errors.Is(cause, launch.ErrClosed) {
			s.drop()
		}
		return cause
	}
	s.drop()
	return fmt.Errorf("watch attempts: %w", launch.ErrClosed)
}

// first asks the launchers from the oldest on until one feels responsible. An
// older one knows its own attempts and refuses others, so an attempt that it has
// is never started by a newer one.
func (s *Supervisor) first(ctx context.Context, what string, q request) error {
	err := s.retry(ctx, func(peers []*peer) error {
		var err error
		for _, p := range peers {
			_, err = p.call(ctx, q)
			if !errors.Is(err, errDraining) && !errors.Is(err, launch.ErrUnknownAttempt) {
				return err
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// every asks all launchers and gathers their facts.
func (s *Supervisor) every(ctx context.Context, what string, q request) ([]launch.Fact, error) {
	var all []launch.Fact
	err := s.retry(ctx, func(peers []*peer) error {
		all = nil
		for _, p := range peers {
			r, err := p.call(ctx, q)
			if err != nil && !p.retired() {
				return err
			}
			all = append(all, facts(r.Facts)...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return all, nil
}

// retry repeats a call once after a launcher is found to be gone: every request
// is idempotent, and a new launcher knows what the dead one had accepted.
func (s *Supervisor) retry(ctx context.Context, act func([]*peer) error) error {
	for last := false; ; last = true {
		peers, err := s.connect(ctx)
		if err != nil {
			return err
		}
		err = act(peers)
		if !errors.Is(err, launch.ErrClosed) {
			return err
		}
		s.drop()
		if last || ctx.Err() != nil {
			return err
		}
	}
}

func (s *Supervisor) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked()
}

func (s *Supervisor) dropLocked() {
	for _, p := range s.peers {
		p.close()
	}
	s.peers = nil
}

// connect returns the launchers in ascending order; the last one takes new
// attempts. It starts one if need be.
func (s *Supervisor) connect(ctx context.Context) ([]*peer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, launch.ErrClosed
	}
	if s.peers != nil {
		return s.peers, nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		peers, dead, err := s.lookUp(ctx)
		if err != nil {
			return nil, err
		}
		if n := len(peers); n > 0 && !peers[n-1].draining {
			if dead {
				// A draining launcher died; the current one ends what it left.
				if _, err := peers[n-1].call(ctx, request{Op: opAbsorb}); err != nil {
					return nil, err
				}
			}
			s.peers = peers
			return peers, nil
		}
		if err := s.spawn(ctx); err != nil {
			return nil, err
		}
	}
}

// lookUp connects to all launchers that live. A launcher of an older protocol is
// told to drain; one of a newer protocol is not ours to command.
func (s *Supervisor) lookUp(ctx context.Context) (peers []*peer, dead bool, err error) {
	numbers, err := generations(s.cfg.Dir)
	if err != nil {
		return nil, false, err
	}
	for _, n := range numbers {
		p := &peer{dir: filepath.Join(s.cfg.Dir, genName(n))}
		if err := p.hello(ctx); err != nil {
			if ctx.Err() != nil {
				return nil, false, fmt.Errorf("connect to launcher: %w", errors.Join(launch.ErrClosed, context.Cause(ctx)))
			}
			dead = true
			continue
		}
		if p.version > s.cfg.protocol {
			return nil, false, fmt.Errorf("the launcher of %s speaks protocol %d and this program only %d: start a newer program",
				s.cfg.Dir, p.version, s.cfg.protocol)
		}
		if p.version < s.cfg.protocol && !p.draining {
			if _, err := p.call(ctx, request{Op: opDrain}); err != nil {
				return nil, false, err
			}
			p.draining = true
		}
		peers = append(peers, p)
	}
	return peers, dead, nil
}

// arguments of the launcher process; everybody may read them.
func (s *Supervisor) arguments() []string {
	args := append([]string{s.cfg.Executable}, s.cfg.Args...)
	args = append(args, "-dir", s.cfg.Dir, "-protocol", strconv.Itoa(s.cfg.protocol))
	if s.cfg.RuntimeDir != "" {
		args = append(args, "-runtime-dir", s.cfg.RuntimeDir)
	}
	if s.cfg.OutputLimit > 0 {
		args = append(args, "-output-limit", strconv.FormatInt(s.cfg.OutputLimit, 10))
	}
	if s.cfg.compactAt > 0 {
		args = append(args, "-compact-at", strconv.FormatInt(s.cfg.compactAt, 10))
	}
	if s.cfg.Linger > 0 {
		args = append(args, "-linger", s.cfg.Linger.String())
	}
	if s.cfg.Ephemeral {
		args = append(args, "-ephemeral")
	}
	return args
}
