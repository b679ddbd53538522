package local

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"tenon/internal/launch"
)

// defaultLinger is how long a launcher without work and clients stays.
const defaultLinger = time.Minute

// File descriptors that a launcher inherits besides the standard ones.
const (
	fdReady    = 3 // it writes readyMessage when it serves
	fdLifeline = 4 // ephemeral: its end is the end of the server
)

// What a launcher says to the process that started it.
const (
	readyMessage = "ready\n"
	busyMessage  = "busy\n" // another launcher is current
)

// launcher is the launcher process.
type launcher struct {
	options
	log        *slog.Logger
	generation int
	genDir     string
	mark       string
	lock       *os.File // DIR/lock; nil while draining
	genLock    *os.File
	listener   *net.UnixListener
	token      string
	table      *table
	pump       *pump
	forker     *forker
	stopping   chan struct{} // closed when nothing is forked any more

	absorbing sync.Mutex // one claim at a time
	mu        sync.Mutex
	conns     map[net.Conn]struct{}
	closed    bool
	wg        sync.WaitGroup
}

// options come from argv, which everybody may read, so no secret is among them.
type options struct {
	dir, logs, runtimeDir  string
	outputLimit, compactAt int64
	linger                 time.Duration
	ephemeral              bool
	version                int
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("launcher", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.dir, "dir", "", "launcher directory")
	flags.StringVar(&o.runtimeDir, "runtime-dir", os.TempDir(), "parent of the socket's folder if the directory's path is too long")
	flags.Int64Var(&o.outputLimit, "output-limit", defaultOutputLimit, "bytes of output kept for attempts that name no limit")
	flags.Int64Var(&o.compactAt, "compact-at", defaultCompactAt, "bytes of journal from which it is compacted")
	flags.DurationVar(&o.linger, "linger", defaultLinger, "how long to stay without work and clients")
	flags.BoolVar(&o.ephemeral, "ephemeral", false, "end with the server")
	flags.IntVar(&o.version, "protocol", protocolVersion, "protocol version to speak")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("read launcher arguments: %w", err)
	}
	if !filepath.IsAbs(o.dir) || flags.NArg() > 0 {
		return o, errors.New("launcher needs -dir with an absolute path and nothing else")
	}
	o.logs = logsOf(o.dir)
	return o, nil
}

// logsOf is where output lies: beside the launcher's own files, because it
// outlives them.
func logsOf(dir string) string { return filepath.Join(filepath.Dir(dir), "logs") }

// Main is the launcher process. It is called by the binary that New executes,
// with the arguments after Config.Args, and returns the exit status. Its
// standard error is its log.
func Main(args []string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("pid", os.Getpid())
	o, err := parseOptions(args)
	if err == nil {
		// It lives for months beside the jobs: a small heap is worth more than speed.
		debug.SetGCPercent(25)
		err = runLauncher(o, log)
	}
	if err != nil {
		log.Error("launcher ends", "error", err)
		return 1
	}
	return 0
}

func runLauncher(o options, log *slog.Logger) error {
	for fd := fdReady; fd <= fdLifeline; fd++ {
		syscall.CloseOnExec(fd) // no job may hold them open
	}
	ready := os.NewFile(fdReady, "ready")
	defer ready.Close()
	lock, err := tryLock(filepath.Join(o.dir, "lock"))
	if err != nil {
		return err
	}
	if lock == nil {
		_, err := ready.WriteString(busyMessage)
		return err
	}
	l := &launcher{options: o, log: log, lock: lock, stopping: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	if err := l.prepare(); err != nil {
		return err
	}
	dead, err := l.claim()
	if err != nil {
		return err
	}
	var address address
	l.listener, address, err = listen(l.genDir, l.runtimeDir, l.version)
	if err != nil {
		return err
	}
	l.token = address.Token
	if _, err := ready.WriteString(readyMessage); err != nil {
		log.Warn("server that started this launcher is gone", "error", err)
	}
	_ = ready.Close()
	return l.run(dead)
}

// prepare makes a new generation and everything that needs no other process.
func (l *launcher) prepare() error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	id, err := directoryID(l.dir)
	if err != nil {
		return err
	}
	l.mark = "@" + id
	if err := l.newGeneration(); err != nil {
		return err
	}
	journal, err := createJournal(filepath.Join(l.genDir, "journal"))
	if err != nil {
		return err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	l.table = &table{
		logs: l.logs, boot: boot, limit: l.outputLimit, compactAt: l.compactAt, now: time.Now, log: l.log, journal: journal,
		forks: make(chan *attempt, 256), attempts: map[string]*attempt{},
		watchers: map[*watcher]struct{}{}, changed: make(chan struct{}, 1),
	}
	if l.pump, err = newPump(time.Now); err != nil {
		return err
	}
	l.forker = &forker{t: l.table, pump: l.pump, mark: l.mark, null: null, live: map[int]*child{}}
	l.forker.buffers.New = func() any {
		buf := make([]byte, frameHeader+launch.FrameBytes)
		return &buf
	}
	return nil
}

// newGeneration takes the next free number. Numbers below it may be in use by
// draining launchers.
func (l *launcher) newGeneration() error {
	numbers, err := generations(l.dir)
	if err != nil {
		return err
	}
	l.generation = 1
	if len(numbers) > 0 {
		l.generation = numbers[len(numbers)-1] + 1
	}
	l.genDir = filepath.Join(l.dir, genName(l.generation))
	if err := os.Mkdir(l.genDir, 0o700); err != nil {
		return fmt.Errorf("create generation: %w", err)
	}
	l.genLock, err = tryLock(filepath.Join(l.genDir, "lock"))
	if err == nil && l.genLock == nil {
		err = errors.New("new generation is locked by another process")
	}
	return err
}

// run serves until the launcher is no longer needed.
func (l *launcher) run(dead []deadGeneration) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	forkerDone := make(chan struct{})
	// Not in l.wg: the end of this goroutine would kill the children.
	forkCtx, stopForker := context.WithCancel(context.Background())
	defer stopForker()
	go func() { l.forker.run(forkCtx); close(forkerDone) }()
	l.wg.Go(func() {
		if err := l.pump.run(); err != nil {
			l.log.Error("output is not read any more", "error", err)
		}
	})
	l.wg.Go(func() { l.absorbAll(ctx, dead) })
	l.wg.Go(func() { l.accept(ctx) })
	err := l.untilUnneeded()

	cancel()
	l.closeConns()
	close(l.stopping)
	stopForker()
	<-forkerDone
	err = errors.Join(err, l.pump.stop())
	l.wg.Wait()
	return errors.Join(err, l.retire())
}

func (l *launcher) absorbAll(ctx context.Context, dead []deadGeneration) {
	for _, g := range dead {
		if err := l.absorb(ctx, g); err != nil {
			// Its attempts stay known and unfinished; the next launcher tries again.
			l.log.Error("take over from dead launcher", "generation", g.dir, "error", err)
		}
	}
}

// untilUnneeded waits for the server's end when ephemeral, else for a while
// without work and clients; a draining launcher does not wait for clients to go.
func (l *launcher) untilUnneeded() error {
	if l.ephemeral {
		_, err := io.Copy(io.Discard, os.NewFile(fdLifeline, "lifeline"))
		return err
	}
	timer := time.NewTimer(l.linger)
	defer timer.Stop()
	for {
		select {
		case <-l.table.changed:
		case <-timer.C:
			if empty, _ := l.table.idle(); empty && l.close(true) {
				return nil
			}
		}
		if empty, draining := l.table.idle(); empty && draining {
			l.close(false)
			return nil
		}
		timer.Reset(l.linger)
	}
}

// close refuses further connections; if onlyUnused, only when there is none.
func (l *launcher) close(onlyUnused bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if onlyUnused && len(l.conns) > 0 {
		return false
	}
	l.closed = true
	return true
}

func (l *launcher) closeConns() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	_ = l.listener.Close()
	for conn := range l.conns {
		_ = conn.Close()
	}
}

// retire removes the generation of a launcher that has nothing left to tell. An
// ephemeral one tells nobody.
func (l *launcher) retire() error {
	if empty, _ := l.table.idle(); !empty && !l.ephemeral {
		return nil // began just before the end; the next launcher takes over
	}
	return removeGeneration(l.genDir)
}

// giveUp lets a newer launcher become the current one.
func (l *launcher) giveUp() error {
	l.table.drain()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lock == nil {
		return nil
	}
	lock := l.lock
	l.lock = nil
	return lock.Close()
}
