package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"tenon/internal/launch"
	"tenon/internal/testkit/crashpoint"
)

// markName is the variable that tells which attempt a process belongs to. It
// also tells which data directory, since ids may be equal in two.
const markName = "TENON_ATTEMPT"

// stragglerLimit is how long an end waits for killed descendants. Only a process
// that hangs inside the kernel takes longer.
const stragglerLimit = 10 * time.Second

// forker is the one thread that forks and reaps.
type forker struct {
	t       *table
	pump    *pump
	mark    string // suffix of the mark: "@" and the directory's id
	null    *os.File
	buffers sync.Pool
	wg      sync.WaitGroup // attempts that write their last words

	live    map[int]*child // by pid, until they are reaped
	ending  []*child       // reaped, until what they left is gone
	inForce string
}

// child is a forked attempt as the forking thread sees it.
type child struct {
	a      *attempt
	pid    int
	birth  uint64
	status syscall.WaitStatus
	usage  syscall.Rusage
	at     time.Time
	doomed map[int]uint64 // descendants that were killed, with their start times
}

// run forks what comes from t.forks and reaps, until ctx ends. Its thread is its
// own and must live as long as the process (see the package comment), so run is
// called once and its end means the end of the launcher.
func (f *forker) run(ctx context.Context) {
	runtime.LockOSThread()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	f.inForce = becomeParent(f.t.log)
	sweep := time.NewTicker(time.Second)
	defer sweep.Stop()
	for {
		// Without a signal there is something to see only while descendants die.
		var tick <-chan time.Time
		if len(f.ending) > 0 {
			tick = sweep.C
		}
		select {
		case a := <-f.t.forks:
			f.start(a)
		case <-ended:
			f.reap()
		case <-tick:
			f.settle()
		case <-ctx.Done():
			f.killAll()
			f.wg.Wait()
			f.abandon()
			return
		}
	}
}

// abandon leaves attempts that were accepted and never forked as they are, so
// that nobody waits for them.
func (f *forker) abandon() {
	for {
		select {
		case a := <-f.t.forks:
			f.t.createOutput(a.id, a.out)
		default:
			return
		}
	}
}

// start forks one attempt or ends it without a process.
func (f *forker) start(a *attempt) {
	f.t.mu.Lock()
	stopped, proc := a.cause, a.proc
	if stopped != "" {
		a.exited = true
	}
	f.t.mu.Unlock()
	if stopped != "" {
		f.t.createOutput(a.id, a.out)
		f.finish(a, launch.Fact{Attempt: a.id, State: launch.Ended, At: f.t.now(), Cause: stopped, ExitCode: -1})
		return
	}
	pid, inForce, err := f.fork(a, proc)
	out := a.out
	if err != nil {
		f.t.createOutput(a.id, out)
		f.t.mu.Lock()
		a.exited = true
		f.t.mu.Unlock()
		f.finish(a, launch.Fact{
			Attempt: a.id, State: launch.Ended, At: f.t.now(), Cause: launch.CauseStart, ExitCode: -1,
			Reason: startReason(proc, err),
		})
		return
	}
	crashpoint.Hit("launcher.after-fork")
	birth, err := birthOf(pid)
	if err != nil {
		f.t.log.Error("read start time of attempt", "attempt", a.id, "pid", pid, "error", err)
	}
	f.live[pid] = &child{a: a, pid: pid, birth: birth}
	f.t.forked(a, pid, birth, inForce)
	f.wg.Go(func() { f.t.createOutput(a.id, out) })
	if err := f.pump.add(a.out.pipes); err != nil {
		// What the pipes take without a reader is still read at the end.
		f.t.log.Error("read output of attempt", "attempt", a.id, "error", err)
	}
}

// fork creates pipes and the process. On success a.out owns the read ends.
func (f *forker) fork(a *attempt, p launch.Process) (pid int, inForce string, err error) {
	var ends [4]int // stdout read, write, stderr read, write
	for i := 0; i < len(ends); i += 2 {
		if err := pipe2(ends[i : i+2]); err != nil {
			closeAll(ends[:i])
			return 0, "", fmt.Errorf("create pipe: %w", err)
		}
	}
	env := append(slices.Clip(slices.Clone(p.Env)), markName+"="+a.id+f.mark)
	attr := &syscall.ProcAttr{
		Dir: p.Dir, Env: env,
		Files: []uintptr{f.null.Fd(), uintptr(ends[1]), uintptr(ends[3])},
	}
	pid, limits, err := spawn(p.Argv, attr, p.Limits)
	closeAll([]int{ends[1], ends[3]})
	if err != nil {
		closeAll([]int{ends[0], ends[2]})
		return 0, "", err
	}
	a.out.pipes = [2]*pipe{
		{out: a.out, stream: launch.Stdout, fd: ends[0]},
		{out: a.out, stream: launch.Stderr, fd: ends[2]},
	}
	if limits != "" {
		return pid, f.inForce + ", " + limits, nil
	}
	return pid, f.inForce, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = syscall.Close(fd)
	}
}

// startReason words a failed fork or exec for the user.
func startReason(p launch.Process, err error) string {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		// execve and chdir answer alike; say which one it was.
		if info, derr := os.Stat(p.Dir); derr != nil || !info.IsDir() {
			return fmt.Sprintf("the working directory %s does not exist", p.Dir)
		}
	}
	return fmt.Sprintf("the process %s could not be started: %v", p.Argv[0], err)
}

// reap takes every process that has ended. Signals coalesce, so it goes on until
// there is none (spec/faults G18).
func (f *forker) reap() {
	for {
		pid, status, usage, ok := reapNext(func(pid int) {
			// Not reaped yet: pid and group still belong to the attempt.
			if c := f.live[pid]; c != nil {
				f.t.mu.Lock()
				c.a.exited = true
				f.t.mu.Unlock()
				_ = syscall.Kill(-pid, syscall.SIGKILL)
			}
		})
		if !ok {
			break
		}
		if c := f.live[pid]; c != nil {
			c.status, c.usage, c.at = status, usage, f.t.now()
			delete(f.live, pid)
			f.ending = append(f.ending, c)
			crashpoint.Hit("launcher.after-reap")
		}
	}
	f.settle()
}

// settle kills what ended attempts left behind and finishes those that left
// nothing.
func (f *forker) settle() {
	busy := map[*child]bool{}
	for _, p := range f.orphans() {
		c, doomed := f.owner(p)
		if !doomed {
			continue
		}
		family := append(descendants(p), p)
		if c != nil {
			busy[c] = true
			if c.doomed == nil {
				c.doomed = map[int]uint64{}
			}
			for _, d := range family {
				c.doomed[d.pid] = d.birth
			}
		}
		for _, d := range family {
			killExactly(d.pid, d.birth)
		}
	}
	f.ending = slices.DeleteFunc(f.ending, func(c *child) bool {
		if busy[c] {
			if f.t.now().Sub(c.at) < stragglerLimit {
				return false
			}
			f.t.log.Error("descendants of an attempt do not die", "attempt", c.a.id)
		}
		f.wg.Go(func() { f.finish(c.a, c.fact()) })
		return true
	})
}

// orphans are the launcher's children that are no attempt's first process.
func (f *forker) orphans() []procInfo {
	return slices.DeleteFunc(adopted(), func(p procInfo) bool { return f.live[p.pid] != nil })
}

// owner says whether an orphan has to die and whose end waits for it. A process
// that shed session, group and mark dies only when no running attempt is old
// enough to be its origin, so nobody's live process is ever killed.
func (f *forker) owner(p procInfo) (c *child, doomed bool) {
	for _, c := range f.live {
		if c.pid == p.session || c.pid == p.group {
			return nil, false
		}
	}
	for _, c := range f.ending {
		birth, known := c.doomed[p.pid]
		if c.pid == p.session || c.pid == p.group || known && birth == p.birth {
			return c, true
		}
	}
	id := attemptOf(p.pid, f.mark)
	for _, c := range f.live {
		if c.a.id == id || id == "" && c.birth <= p.birth {
			return nil, false
		}
	}
	for _, c := range f.ending {
		if c.a.id == id || id == "" && c.birth <= p.birth {
			return c, true
		}
	}
	return nil, true
}

// fact words what the kernel said of the end.
func (c *child) fact() launch.Fact {
	fact := launch.Fact{
		Attempt: c.a.id, State: launch.Ended, At: c.at, Cause: launch.CauseExit, ExitCode: -1,
		CPU:    time.Duration(c.usage.Utime.Nano() + c.usage.Stime.Nano()),
		MaxRSS: maxRSS(c.usage),
	}
	if c.status.Signaled() {
		fact.Signal = int(c.status.Signal())
	} else {
		fact.ExitCode = c.status.ExitStatus()
	}
	return fact
}

// finish completes the output and then tells the end, in this order
// (invariant 5).
func (f *forker) finish(a *attempt, fact launch.Fact) {
	buf := f.buffers.Get().(*[]byte)
	defer f.buffers.Put(buf)
	f.pump.forget(a.out.pipes)
	fact.Tail = append([]byte(nil), a.out.finish(*buf, f.t.now)...)
	f.t.mu.Lock()
	if a.cause != "" {
		fact.Cause = a.cause
	}
	if a.running != nil {
		fact.InForce = a.running.InForce
	}
	f.t.mu.Unlock()
	if err := a.out.end(fact, f.t.now()); err != nil {
		f.t.log.Error("complete output of attempt", "attempt", a.id, "error", err)
	}
	crashpoint.Hit("launcher.after-output")
	f.t.ended(a, fact)
}

// killAll ends every child at once, for a launcher that ends with its server.
func (f *forker) killAll() {
	for {
		for pid := range f.live {
			_ = syscall.Kill(-pid, syscall.SIGKILL) // ours until this thread reaps it
		}
		f.reap()
		if len(f.live)+len(f.ending) == 0 && len(f.orphans()) == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
