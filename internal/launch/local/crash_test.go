//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tenon/internal/launch"
	"tenon/internal/launch/launchtest"
)

const patience = 30 * time.Second

var crashDir string

// crashable builds a launcher that dies at the point that TENON_CRASH names.
var crashable = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tenon-crash-") // removed by TestMain
	if err != nil {
		return "", err
	}
	crashDir = dir
	path := filepath.Join(dir, "launcher")
	out, err := exec.Command("go", "build", "-tags", "crashpoints", "-o", path, "./testdata/launcher").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build launcher: %w: %s", err, out)
	}
	return path, nil
})

// rig is a supervisor, restarted as often as it takes, and all facts it told.
type rig struct {
	*testing.T
	cfg  Config
	dir  string // of job files
	ctx  context.Context
	s    *Supervisor
	mark string

	cancel   context.CancelFunc // ends watching
	watching sync.WaitGroup

	mu    sync.Mutex
	facts map[string][]launch.Fact
	news  chan struct{}
}

// newRig starts a launcher with a crash point; later launchers have none.
func newRig(t *testing.T, cfg Config, crash string) *rig {
	t.Helper()
	path, err := crashable()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Executable, cfg.Args = path, nil
	clean := cfg.Env
	cfg.Env = append(clean[:len(clean):len(clean)], "TENON_CRASH="+crash)
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{T: t, cfg: cfg, dir: t.TempDir(), ctx: ctx, cancel: cancel, facts: map[string][]launch.Fact{}, news: make(chan struct{}, 1)}
	r.s = open(t, cfg)
	r.environment(clean)
	id, err := directoryID(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	r.mark = "@" + id
	r.watching.Go(func() {
		for ctx.Err() == nil {
			if err := r.s.Watch(ctx, r.take); !errors.Is(err, launch.ErrClosed) && ctx.Err() == nil {
				t.Errorf("Watch: %v", err)
				return
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		r.watching.Wait()
		for _, pid := range launchers(t, cfg.Dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return r
}

// environment sets what the next launcher gets.
func (r *rig) environment(env []string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.cfg.Env = env
}

// launchers lists the pids of launchers that live.
func launchers(t *testing.T, dir string) []int {
	t.Helper()
	numbers, err := generations(dir)
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, n := range numbers {
		gen := filepath.Join(dir, genName(n))
		lock, err := tryLock(filepath.Join(gen, "lock"))
		if err != nil || lock != nil {
			if lock != nil {
				_ = lock.Close()
			}
			continue // dead
		}
		if a, err := readAddress(gen); err == nil {
			pids = append(pids, a.Pid)
		}
	}
	return pids
}

func (r *rig) take(facts []launch.Fact) {
	for _, f := range facts {
		if f.State == launch.Lost {
			// Invariant 4, at the very moment the fact arrives.
			if left := survivors([]*past{{attempt: f.Attempt}}, r.mark); len(left) > 0 {
				r.Errorf("%d processes are alive beside Lost: %+v", len(left), left)
			}
		}
		r.mu.Lock()
		r.facts[f.Attempt] = append(r.facts[f.Attempt], f)
		r.mu.Unlock()
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for !ok() {
		select {
		case <-pause.C:
		case <-deadline.C:
			t.Fatalf("%s did not come in %v", what, patience)
		}
	}
}

// finals returns the final facts that have come, without repetitions.
func (r *rig) finals(attempt string) []launch.Fact {
	r.mu.Lock()
	defer r.mu.Unlock()
	var finals []launch.Fact
	for _, f := range r.facts[attempt] {
		if f.Final() && (len(finals) == 0 || finals[len(finals)-1].State != f.State || finals[len(finals)-1].Cause != f.Cause) {
			finals = append(finals, f)
		}
	}
	return finals
}

// start repeats Start as the runner would, until it is taken.
func (r *rig) start(p launch.Process) {
	r.Helper()
	until(r.T, "Start", func() bool {
		err := r.s.Start(r.ctx, p)
		if err != nil && !errors.Is(err, launch.ErrClosed) {
			r.Fatalf("Start: %v", err)
		}
		return err == nil
	})
}

func (r *rig) ack(attempts ...string) {
	r.Helper()
	until(r.T, "Ack", func() bool { return r.s.Ack(r.ctx, attempts...) == nil })
}

// job counts itself, leaves a daemon behind and exits with 3.
func (r *rig) job(attempt string) launch.Process {
	return shell(r.dir, attempt, fmt.Sprintf(
		`echo >>%s; echo said; setsid sh -c 'trap "" TERM HUP; exec sleep 1000' & sleep 0.05; exit 3`, filepath.Join(r.dir, attempt)))
}

// settled checks everything that must hold of an attempt in the end.
func (r *rig) settled(attempt string) launch.Fact {
	r.Helper()
	until(r.T, "final fact of "+attempt, func() bool { return len(r.finals(attempt)) > 0 })
	reader, err := r.s.Output(r.ctx, attempt, true)
	if err != nil {
		r.Fatal(err)
	}
	defer reader.Close()
	for err == nil {
		_, err = reader.Next() // ends, because the output is closed
	}
	r.start(r.job(attempt))
	r.ack(attempt)
	r.start(r.job(attempt))
	r.ack(attempt)
	if n := starts(r.T, r.dir, attempt); n > 1 {
		r.Errorf("%d processes for one attempt", n)
	}
	finals := r.finals(attempt)
	if len(finals) != 1 {
		r.Errorf("attempt has %d different ends: %+v", len(finals), finals)
	}
	if left := survivors([]*past{{attempt: attempt}}, r.mark); len(left) > 0 {
		r.Errorf("%d processes outlived their attempt", len(left))
	}
	return finals[0]
}

// TestCrashPoints kills the launcher at each named point (spec/faults A1–A4, G19).
func TestCrashPoints(t *testing.T) {
	for _, c := range []struct {
		point string
		want  launch.State
		ran   int // processes made
	}{
		{"launcher.before-intent", launch.Ended, 1}, // the repeated Start runs it
		{"launcher.after-intent", launch.Lost, 0},
		{"launcher.after-fork", launch.Lost, -1}, // it may die before its first line
		{"launcher.after-started", launch.Lost, -1},
		{"launcher.after-reap", launch.Lost, 1},
		{"launcher.after-output", launch.Ended, 1}, // the output's end frame is evidence
		{"launcher.after-exit", launch.Ended, 1},
		{"launcher.after-ack", launch.Ended, 1},
		{"launcher.compacting", launch.Ended, 1},
	} {
		t.Run(c.point, func(t *testing.T) {
			cfg := config(t)
			cfg.compactAt = 1
			r := newRig(t, cfg, c.point)
			before := launchers(t, cfg.Dir)
			id := launchtest.Attempt(c.point)
			r.start(r.job(id))
			got := r.settled(id)
			if got.State != c.want || got.State == launch.Ended && got.ExitCode != 3 {
				t.Errorf("end is %+v, want %s", got, c.want)
			}
			if n := starts(t, r.dir, id); c.ran >= 0 && n != c.ran {
				t.Errorf("%d processes were made, want %d", n, c.ran)
			}
			// Both show while the new one still removes what the dead one left.
			until(t, "another launcher, alone", func() bool {
				after := launchers(t, cfg.Dir)
				return len(before) == 1 && len(after) == 1 && before[0] != after[0]
			})
		})
	}
}

// TestCrashInRecovery kills the launcher that recovers (spec/faults A7).
func TestCrashInRecovery(t *testing.T) {
	for _, point := range []string{"launcher.recovering", "launcher.absorbed"} {
		t.Run(point, func(t *testing.T) {
			cfg := config(t)
			r := newRig(t, cfg, "")
			id := launchtest.Attempt(point)
			r.start(shell(r.dir, id, `echo >>`+filepath.Join(r.dir, id)+`; sleep 1000`))
			until(t, "process", func() bool { return starts(t, r.dir, id) == 1 })
			r.environment(append(cfg.Env, "TENON_CRASH="+point))
			first := launchers(t, cfg.Dir)
			if len(first) != 1 {
				t.Fatalf("launchers are %v", first)
			}
			_ = syscall.Kill(first[0], syscall.SIGKILL)
			until(t, "second launcher", func() bool {
				numbers, err := generations(cfg.Dir)
				if err != nil {
					t.Fatal(err)
				}
				return numbers[len(numbers)-1] > 1
			})
			r.environment(cfg.Env)
			if got := r.settled(id); got.State != launch.Lost {
				t.Errorf("end is %+v", got)
			}
			until(t, "third launcher alone", func() bool {
				numbers, err := generations(cfg.Dir)
				return err == nil && len(numbers) == 1 && numbers[0] >= 3
			})
		})
	}
}

// TestRandomKills kills the launcher at random moments while attempts are
// started, end, are stopped and acknowledged.
func TestRandomKills(t *testing.T) {
	const rounds, jobs = 12, 8
	seed := uint64(20261123)
	random := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t, config(t), "")
	states := map[launch.State]int{}
	for round := range rounds {
		var wg sync.WaitGroup
		after := time.Duration(random.IntN(120)) * time.Millisecond
		wg.Go(func() {
			<-time.After(after)
			for _, pid := range launchers(t, r.cfg.Dir) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		})
		id := func(i int) string { return launchtest.Attempt(fmt.Sprint(seed, " ", round, " ", i)) }
		for i := range jobs {
			r.start(r.job(id(i)))
			if i%4 == 3 {
				if err := r.s.Stop(r.ctx, id(i), 0); err != nil && !errors.Is(err, launch.ErrClosed) {
					t.Errorf("Stop: %v", err)
				}
			}
		}
		wg.Wait()
		for i := range jobs {
			states[r.settled(id(i)).State]++
		}
	}
	if states[launch.Ended] == 0 || states[launch.Lost] == 0 {
		t.Errorf("seed %d: ends are %v, want some of both kinds", seed, states)
	}
}

// TestServerKilled proves that a job survives kill -9 of the server and is
// adopted with its output (spec/faults A3, G4).
func TestServerKilled(t *testing.T) {
	cfg := config(t)
	id := launchtest.Attempt("adopted")
	gate := filepath.Join(t.TempDir(), "gate")
	client := runClient(t, cfg, shell("/", id, `echo one; while [ ! -e `+gate+` ]; do sleep 0.01; done; echo two; exit 9`))
	before := launchers(t, cfg.Dir)
	_ = client.Process.Kill()
	_ = client.Wait() // it was killed

	r := newRig(t, cfg, "")
	if after := launchers(t, cfg.Dir); len(before) != 1 || len(after) != 1 || after[0] != before[0] {
		t.Fatalf("launcher was %v and is %v", before, after)
	}
	until(t, "Running", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.facts[id]) > 0 })
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.settled(id); got.State != launch.Ended || got.ExitCode != 9 {
		t.Errorf("end is %+v", got)
	}
	if text := stdout(t, r.s, id); text != "one\ntwo\n" {
		t.Errorf("output is %q", text)
	}
}

// TestEphemeralServerKilled proves that an ephemeral launcher and its jobs end
// with the server, however that ends.
func TestEphemeralServerKilled(t *testing.T) {
	cfg := config(t)
	cfg.Ephemeral = true
	id := launchtest.Attempt("ephemeral")
	client := runClient(t, cfg, shell("/", id, `setsid sleep 1000 & sleep 1000`))
	name, err := directoryID(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "job", func() bool { return len(survivors([]*past{{attempt: id}}, "@"+name)) > 1 })
	_ = client.Process.Kill()
	_ = client.Wait() // it was killed
	until(t, "end of launcher and jobs", func() bool {
		return len(launchers(t, cfg.Dir)) == 0 && len(survivors([]*past{{attempt: id}}, "@"+name)) == 0
	})
}

// runClient runs a server in a process of its own that has started one attempt.
func runClient(t *testing.T, cfg Config, p launch.Process) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(cfg.Executable, clientArg, cfg.Dir, fmt.Sprint(cfg.Ephemeral), p.Attempt, p.Argv[2])
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 8)
	if n, err := out.Read(said); err != nil || !strings.HasPrefix(string(said[:n]), "started") {
		t.Fatalf("client said %q: %v", said[:n], err)
	}
	return cmd
}

// clientMain is the process of runClient.
func clientMain(args []string) int {
	self, err := os.Executable()
	if err != nil {
		return 1
	}
	s, err := New(Config{
		Dir: args[0], Ephemeral: args[1] == "true", Executable: self, Args: []string{launcherArg}, Env: []string{"PATH=/usr/bin:/bin"},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := s.Start(context.Background(), shell("/", args[2], args[3])); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("started")
	select {}
}

func stdout(t *testing.T, s *Supervisor, attempt string) string {
	t.Helper()
	r, err := s.Output(context.Background(), attempt, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var text strings.Builder
	for {
		frame, err := r.Next()
		if err != nil {
			return text.String()
		}
		if frame.Stream == launch.Stdout {
			text.Write(frame.Data)
		}
	}
}
