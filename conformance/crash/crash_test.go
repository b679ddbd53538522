//go:build linux

package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// point is a crash point and how often it is passed at most before the crash.
type point struct {
	name string
	most int
}

var serverPoints = []point{
	{"front.before-reply", 30},
	{"runner.before-prepare", 6}, {"runner.before-start", 6}, {"runner.after-start", 6},
	{"runner.stop-decided", 1}, {"runner.stop-ordered", 1},
	{"runner.before-record", 12}, {"runner.before-ack", 6}, {"runner.after-ack", 6},
	{"runner.before-timer", 2}, {"runner.after-timer", 2},
	{"writer.before-commit", 30}, {"writer.after-commit", 30},
}

var launcherPoints = []point{
	{"launcher.before-intent", 6}, {"launcher.after-intent", 6}, {"launcher.after-fork", 6}, {"launcher.after-started", 6},
	{"launcher.after-reap", 6}, {"launcher.after-output", 6}, {"launcher.after-exit", 6}, {"launcher.after-ack", 6},
}

// takeoverPoints are those of a launcher that finds a dead one.
var takeoverPoints = []point{{"launcher.recovering", 1}, {"launcher.absorbed", 1}}

// seeded returns the seed of this run, which TENON_CRASH_SEED sets.
func seeded(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("TENON_CRASH_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("TENON_CRASH_SEED: %v", err)
		}
	}
	t.Logf("TENON_CRASH_SEED=%d", seed)
	return seed
}

// chosen returns all points, or two for a quick run.
func chosen(seed uint64, points ...point) []point {
	points = slices.Clone(points)
	if testing.Short() {
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
		points = points[:2]
	}
	return points
}

func (a *tally) add(b tally) {
	a.runs, a.attempts, a.launches, a.unknown = a.runs+b.runs, a.attempts+b.attempts, a.launches+b.launches, a.unknown+b.unknown
}

func (a tally) String() string {
	return fmt.Sprintf("%d runs, %d attempts, %d launches, %d unknown outcomes", a.runs, a.attempts, a.launches, a.unknown)
}

// begin starts a server on a new directory, defines the load, and ends both
// processes, so that the next ones take a crash point with them.
func begin(t *testing.T) *rig {
	r := newRig(t)
	r.start()
	r.define("s3://scripts/none.py", shapes...)
	r.stop()
	r.killLaunchers()
	return r
}

const workers = 8

// TestServerPoints kills the server at each named point of its own.
func TestServerPoints(t *testing.T) {
	t.Parallel()
	seed := seeded(t)
	all := tally{}
	points := chosen(seed, serverPoints...)
	for i, p := range points {
		t.Run(p.name, func(t *testing.T) {
			r, rng := begin(t), rand.New(rand.NewPCG(seed, uint64(i)))
			nth := 1 + rng.IntN(p.most)
			server := r.launch(fmt.Sprintf("%s:%d", p.name, nth))
			l := r.newLoad(workers, "t", rng.Uint64(), shapes...)
			r.until("the server dies at "+p.name, server.crashed)
			r.start()
			all.add(r.conclude(l, fmt.Sprintf("killed at %s, time %d", p.name, nth)))
		})
	}
	t.Logf("one kill of the server at each of %d points: %s", len(points), all)
}

// TestLauncherPoints kills the launcher at each named point of its own. The
// launchers that its server starts after it die there too, until the server is
// replaced, at times together with the launcher.
func TestLauncherPoints(t *testing.T) {
	t.Parallel()
	seed := seeded(t)
	all := tally{}
	points := chosen(seed, slices.Concat(launcherPoints, takeoverPoints)...)
	for i, p := range points {
		t.Run(p.name, func(t *testing.T) {
			r, rng := newRig(t), rand.New(rand.NewPCG(seed, uint64(i)))
			nth := 1 + rng.IntN(p.most)
			if err := <-r.launch(fmt.Sprintf("%s:%d", p.name, nth)).ready; err != nil {
				t.Fatal(err)
			}
			r.define("s3://scripts/none.py", shapes...)
			l := r.newLoad(workers, "t", rng.Uint64(), shapes...)
			if slices.Contains(takeoverPoints, p) {
				r.until("a job runs", func() bool { return len(r.read().starts) > 0 })
				r.killLaunchers()
			}
			r.launcherDies(p.name)
			if rng.IntN(2) == 0 {
				r.kill()
			} else {
				r.stop()
			}
			r.start()
			all.add(r.conclude(l, fmt.Sprintf("killed at %s, time %d", p.name, nth)))
		})
	}
	t.Logf("launchers killed at each of %d points: %s", len(points), all)
}

// launcherDies waits until a launcher that lives now, or soon, is gone.
func (r *rig) launcherDies(at string) {
	r.Helper()
	seen := 0
	r.until("the launcher dies at "+at, func() bool {
		alive := r.launchers()
		if seen == 0 && len(alive) > 0 {
			seen = alive[0]
		}
		return seen != 0 && (len(alive) == 0 || alive[0] != seen)
	})
}

// conclude lets the load end, checks everything, and ends the server in order.
func (r *rig) conclude(l *load, what string) tally {
	r.Helper()
	l.finish()
	found := r.check(l.shapes...)
	r.stop()
	r.checkDrained()
	r.Logf("%s: %s", what, found)
	return found
}

// epochs and killsEach make a hundred kills.
const epochs, killsEach = 5, 20

// TestRandomInstants kills server, launcher or both a hundred times under load,
// at random instants, those of starting and recovering included (A7).
func TestRandomInstants(t *testing.T) {
	t.Parallel()
	seed := seeded(t)
	rounds, kills := epochs, killsEach
	if testing.Short() {
		rounds, kills = 1, 5
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t)
	r.start()
	r.define("s3://scripts/none.py", shapes...)
	var killed [3]int
	found := tally{}
	for epoch := range rounds {
		l := r.newLoad(workers, fmt.Sprint(epoch), rng.Uint64(), shapes...)
		for range kills {
			victim, early, delay := rng.IntN(3), rng.IntN(4) == 0, time.Duration(rng.IntN(150))*time.Millisecond
			if early && victim > 0 {
				r.restartAndKill(delay / 4)
				killed[victim]++
				continue
			}
			<-time.After(delay)
			r.strike(victim)
			killed[victim]++
			if t.Failed() {
				t.Fatalf("after %v kills of launcher, server, both", killed)
			}
		}
		l.finish()
		found = r.check(shapes...)
		t.Logf("epoch %d, so far: %s", epoch, found)
	}
	r.stop()
	r.checkDrained()
	t.Logf("%d kills of the launcher, %d of the server, %d of both: %s", killed[0], killed[1], killed[2], found)
}

// Victims of a strike.
const (
	theLauncher = iota
	theServer
	both
)

// strike kills, and starts a new server if there is none.
func (r *rig) strike(victim int) {
	r.Helper()
	switch victim {
	case theLauncher:
		r.killLaunchers()
	case theServer:
		r.kill()
	case both:
		pids := r.launchers()
		_ = r.server.cmd.Process.Kill()
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		r.kill()
	}
	r.checkEvidence()
	if victim != theLauncher {
		r.start()
	}
}

// restartAndKill kills the server, and the next one while it starts.
func (r *rig) restartAndKill(after time.Duration) {
	r.Helper()
	r.kill()
	r.launch("")
	<-time.After(after)
	r.kill()
	r.checkEvidence()
	r.start()
}

// TestCrashLoop lets a server die again and again while it recovers: recovery
// may be repeated, and makes progress all the same (A7).
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	seed := seeded(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	r := begin(t)
	times := 50
	if testing.Short() {
		times = 5
	}
	r.start()
	l := r.newLoad(workers, "t", seed, shapes...)
	r.until("a job runs", func() bool { return len(r.read().starts) > 0 })
	r.kill()
	died := map[string]int{}
	for range times {
		p := serverPoints[rng.IntN(len(serverPoints))]
		server := r.launch(fmt.Sprintf("%s:%d", p.name, 1+rng.IntN(3)))
		timer := time.NewTimer(100 * time.Millisecond)
		select {
		case <-server.gone:
			died[p.name]++
		case <-timer.C:
			died["elsewhere"]++
		}
		timer.Stop()
		r.kill()
		r.checkEvidence()
	}
	r.start()
	r.conclude(l, fmt.Sprintf("%d deaths in a row: %v", times, died))
}

// TestRestart ends the server in order while jobs run: they go on, and are
// neither killed nor repeated (G4).
func TestRestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	long := shape{
		name: "long", jobs: []job{{name: "long", wait: 2 * time.Second, retries: 1, limit: 4}, {name: "next", limit: 4}},
		triggers: []trigger{{starts: []string{"long"}}, {watches: []watch{{"long", succeeded}}, starts: []string{"next"}}},
	}
	r.define("s3://scripts/none.py", long)
	l := r.newLoad(4, "t", 0, long)
	running := func() evidence {
		var e evidence
		r.until("four jobs run", func() bool { e = r.read(); return len(e.starts) == 4 })
		return e
	}
	before := running()
	r.stop()
	for attempt, lives := range before.starts {
		if !lives[0].alive() && before.exits[attempt] != 0 {
			t.Errorf("%s did not survive the end of its server", attempt)
		}
	}
	r.start()
	l.finish()
	found := r.check(long)
	if found.unknown != 0 || found.attempts != found.launches || found.attempts != 2*found.runs {
		t.Errorf("a restart in order is seen in %s", found)
	}
	r.stop()
	r.checkDrained()
}

// TestTwice starts a second server on a directory in use: it refuses, names the
// directory's owner as the reason, and does the first one no harm.
func TestTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	r.define("s3://scripts/none.py", shapes...)
	first, size := r.server, r.logSize()
	if err := <-r.launch("").ready; err == nil {
		t.Error("a second server is ready")
	}
	<-r.server.gone
	if code := r.server.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("the second server ended with %d", code)
	}
	if says := r.logFrom(size); !strings.Contains(says, "in use") {
		t.Errorf("the second server does not say that the directory is in use: %s", says)
	}
	r.server = first
	l := r.newLoad(len(shapes), "t", 0, shapes...)
	r.conclude(l, "beside a second server")
}

func (r *rig) logSize() int64 {
	r.Helper()
	info, err := r.log.Stat()
	if err != nil {
		r.Fatal(err)
	}
	return info.Size()
}

func (r *rig) logFrom(at int64) string {
	r.Helper()
	text, err := os.ReadFile(r.log.Name())
	if err != nil {
		r.Fatal(err)
	}
	return string(text[at:])
}
