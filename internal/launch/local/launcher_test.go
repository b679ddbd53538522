//go:build linux

package local

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tenon/internal/launch"
	"tenon/internal/launch/launchtest"
)

// TestDrain proves that a newer server starts a newer launcher beside the old
// one, which ends its attempts, and that nothing is started twice (A12).
func TestDrain(t *testing.T) {
	for _, killed := range []bool{false, true} {
		cfg := config(t)
		old := newRig(t, cfg, "")
		id, other := launchtest.Attempt("old"), launchtest.Attempt("new")
		counted := func(id, then string) launch.Process {
			return shell(old.dir, id, `echo >>`+filepath.Join(old.dir, id)+`; `+then)
		}
		old.start(counted(id, "sleep 1000"))
		until(t, "old job", func() bool { return starts(t, old.dir, id) == 1 })
		first := launchers(t, cfg.Dir)
		old.cancel()
		old.watching.Wait() // the old server is gone

		cfg.protocol = protocolVersion + 1
		next := newRig(t, cfg, "")
		next.dir = old.dir
		both := launchers(t, cfg.Dir)
		if len(first) != 1 || len(both) != 2 || both[0] != first[0] {
			t.Fatalf("launchers were %v and are %v", first, both)
		}
		next.start(counted(id, "exit 1")) // known to the old one
		next.start(counted(other, "exit 3"))
		if got := next.settled(other); got.ExitCode != 3 {
			t.Errorf("new attempt ended with %+v", got)
		}
		if list, err := next.s.List(next.ctx); err != nil || len(list) != 1 || list[0].Attempt != id || list[0].State != launch.Running {
			t.Errorf("List gives %+v, %v", list, err)
		}
		want := launch.Ended
		if killed {
			want = launch.Lost
			process, err := os.FindProcess(first[0])
			if err != nil {
				t.Fatal(err)
			}
			_ = process.Kill()
		} else if err := next.s.Stop(next.ctx, id, time.Second); err != nil {
			t.Fatal(err)
		}
		if got := next.settled(id); got.State != want {
			t.Errorf("old attempt ended with %+v, want %s", got, want)
		}
		until(t, "end of the old launcher", func() bool { return slices.Equal(launchers(t, cfg.Dir), both[1:]) })
		cfg.protocol = protocolVersion
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "newer program") {
			t.Errorf("an older server gets %v", err)
		}
	}
}

// TestStrangers proves that recovery signals a recorded pid only if it is the
// recorded process: same boot, same start time (spec/faults G3).
func TestStrangers(t *testing.T) {
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		boot   string
		shift  uint64
		dies   bool
		reason string
	}{
		{"the recorded process", boot, 0, true, reasonLauncher},
		{"another start time", boot, 1, false, reasonLauncher},
		{"another boot", "another boot", 0, false, reasonReboot},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(t)
			victim := exec.Command("sleep", "1000")
			if err := victim.Start(); err != nil {
				t.Fatal(err)
			}
			died := make(chan error, 1)
			go func() { died <- victim.Wait() }()
			birth, err := birthOf(victim.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			id := launchtest.Attempt(c.name)
			writeGeneration(t, cfg.Dir, []record{
				{Kind: kindIntent, Attempt: id, Boot: c.boot},
				{Kind: kindStarted, Attempt: id, Pid: victim.Process.Pid, Birth: birth + c.shift, Fact: &wireFact{Attempt: id, State: launch.Running}},
			})
			r := newRig(t, cfg, "")
			until(t, "Lost", func() bool { return len(r.finals(id)) > 0 })
			if got := r.finals(id)[0]; got.State != launch.Lost || got.Reason != c.reason {
				t.Errorf("end is %+v", got)
			}
			p, err := readProc(victim.Process.Pid)
			if alive := err == nil && !p.dead(); alive == c.dies {
				t.Errorf("process alive: %v, want %v", alive, !c.dies)
			}
			_ = victim.Process.Kill()
			<-died
		})
	}
}

// writeGeneration makes what a dead launcher leaves, a torn line at its end.
func writeGeneration(t *testing.T, dir string, records []record) {
	t.Helper()
	gen := filepath.Join(dir, genName(1))
	if err := os.MkdirAll(gen, 0o700); err != nil {
		t.Fatal(err)
	}
	data, err := encodeRecords(records)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(gen, "journal"), append(data, `{"k":"exit","a":"jr_`...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestIsolation proves what InForce says (spec/faults section 3, L0).
func TestIsolation(t *testing.T) {
	cfg := config(t)
	cfg.Ephemeral = true
	s := open(t, cfg)
	id := launchtest.Attempt("isolation")
	p := shell("/", id, `ulimit -n; ulimit -v; ulimit -f; ulimit -c; ulimit -Hc; grep NoNewPrivs /proc/self/status
		ls /proc/$$/fd | tr '\n' ' '; cat /proc/$PPID/environ 2>/dev/null; ps -o sid= -p $$ | grep -cx " *$$"; env | sort`)
	p.Limits = launch.Limits{OpenFiles: 77, MemoryBytes: 1 << 30, FileBytes: 1 << 20, Processes: 5000}
	fact := runOne(t, s, p)
	want := "77\n1048576\n2048\n0\n0\nNoNewPrivs:\t1\n0 1 2 1\nPATH=/usr/bin:/bin\nPWD=/\nTENON_ATTEMPT=" + id + "@"
	if got := stdout(t, s, id); os.Geteuid() != 0 && !strings.HasPrefix(got, want) {
		t.Errorf("job saw\n%q, want\n%q", got, want)
	} else if os.Geteuid() == 0 && !strings.HasPrefix(got, want[:strings.Index(want, "0 1 2")]) {
		t.Errorf("job saw\n%q, want\n%q", got, want)
	}
	if !strings.Contains(fact.InForce, "no_new_privs") || !strings.Contains(fact.InForce, "rlimits (memory, processes, open files, file size)") {
		t.Errorf("in force: %q", fact.InForce)
	}
}

// runOne runs an attempt to its end.
func runOne(t *testing.T, s *Supervisor, p launch.Process) (final launch.Fact) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Start(ctx, p); err != nil {
		t.Fatal(err)
	}
	err := s.Watch(ctx, func(facts []launch.Fact) {
		for _, f := range facts {
			if f.Attempt == p.Attempt && f.Final() {
				final = f
				cancel()
			}
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Watch: %v", err)
	}
	return final
}

// TestBadProcess proves that mistakes are refused with a sentence, and that an
// id never becomes a path.
func TestBadProcess(t *testing.T) {
	cfg := config(t)
	cfg.Ephemeral = true
	s := open(t, cfg)
	good := shell("/", launchtest.Attempt("good"), "exit 0")
	for _, c := range []struct {
		name   string
		change func(*launch.Process)
	}{
		{"path as id", func(p *launch.Process) { p.Attempt = "../../etc/passwd" }},
		{"path in id", func(p *launch.Process) { p.Attempt += "/../x" }},
		{"newline in id", func(p *launch.Process) { p.Attempt += "\n" }},
		{"no argv", func(p *launch.Process) { p.Argv = nil }},
		{"relative program", func(p *launch.Process) { p.Argv = []string{"sh"} }},
		{"relative directory", func(p *launch.Process) { p.Dir = "." }},
		{"NUL in argument", func(p *launch.Process) { p.Argv = append(p.Argv[:2:2], "a\x00b") }},
		{"NUL in environment", func(p *launch.Process) { p.Env = []string{"A=\x00"} }},
	} {
		p := good
		c.change(&p)
		if err := s.Start(context.Background(), p); err == nil || errors.Is(err, launch.ErrClosed) {
			t.Errorf("%s: Start gives %v", c.name, err)
		}
	}
	if err := s.Notice(context.Background(), "../x", "line"); err == nil {
		t.Error("Notice takes a path")
	}
	if _, err := s.Output(context.Background(), "jr_../x", false); err == nil {
		t.Error("Output takes a path")
	}
	p := good
	p.Dir = "/nowhere"
	if f := runOne(t, s, p); f.Cause != launch.CauseStart || !strings.Contains(f.Reason, "working directory /nowhere") {
		t.Errorf("missing directory gives %+v", f)
	}
}

// TestSocket proves that a long data directory works and that nobody without the
// token is served.
func TestSocket(t *testing.T) {
	cfg := config(t)
	cfg.Dir = filepath.Join(t.TempDir(), strings.Repeat("long/", 30), "launcher")
	cfg.RuntimeDir = t.TempDir()
	cfg.Ephemeral = true
	s := open(t, cfg)
	gen := filepath.Join(cfg.Dir, genName(1))
	a, err := readAddress(gen)
	if err != nil || a.TempDir == "" {
		t.Fatalf("address is %+v, %v", a, err)
	}
	for path, mode := range map[string]fs.FileMode{
		a.Socket: 0o600, a.TempDir: 0o700, filepath.Join(gen, "address"): 0o600, filepath.Join(gen, "journal"): 0o600, cfg.Dir: 0o700,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v (%v), want %v", path, info.Mode(), err, mode)
		}
	}
	conn, err := net.Dial("unix", a.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := writeMessage(conn, request{Op: opHello, Token: "guess"}); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	var answer reply
	if err := readMessage(r, &answer); err != nil || answer.Code != codeRefused {
		t.Errorf("wrong token gets %+v, %v", answer, err)
	}
	if err := readMessage(r, &answer); !errors.Is(err, io.EOF) {
		t.Errorf("after it comes %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(a.TempDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("socket's folder is left: %v", err)
	}
}

// TestLinger proves that an unused launcher ends and comes back when needed.
func TestLinger(t *testing.T) {
	cfg := config(t)
	cfg.Linger = 20 * time.Millisecond
	r := newRig(t, cfg, "")
	id := launchtest.Attempt("linger")
	r.start(r.job(id))
	r.cancel()
	r.watching.Wait()
	r.s.drop() // no connection, but an attempt: it stays
	pids := launchers(t, cfg.Dir)
	final := runOne(t, r.s, r.job(id))
	if after := launchers(t, cfg.Dir); final.ExitCode != 3 || !slices.Equal(pids, after) {
		t.Errorf("launchers %v became %v, end %+v", pids, after, final)
	}
	if err := r.s.Ack(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	r.s.drop()
	until(t, "end of the launcher", func() bool {
		left, err := generations(cfg.Dir)
		return err == nil && len(left) == 0
	})
	if list, err := r.s.List(context.Background()); err != nil || len(list) != 0 {
		t.Errorf("List gives %v, %v", list, err)
	}
}

// TestMendOut cuts a file at every byte: what is read is a prefix of the frames,
// and what is appended afterwards is read too.
func TestMendOut(t *testing.T) {
	logs := t.TempDir()
	id := launchtest.Attempt("torn")
	whole := fillOut(t, logs, id, "first", "second")
	path := outPath(logs, id)
	for cut := range len(whole) {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		fillOut(t, logs, id, "third")
		r, err := openReader(context.Background(), logs, id, true)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for {
			frame, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			got = append(got, string(frame.Data))
		}
		_ = r.Close()
		want := []string{"first", "second", "third"}
		for len(want) > len(got) {
			want = want[1:]
		}
		if len(got) == 2 {
			want = []string{"first", "third"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("cut at %d: read %q", cut, got)
		}
	}
}

// fillOut appends frames and an end, and returns the file.
func fillOut(t *testing.T, logs, id string, lines ...string) []byte {
	t.Helper()
	file, size, end, err := openOut(logs, id, true)
	if err != nil || end != nil {
		t.Fatalf("open: %v, end %q", err, end)
	}
	out := output{file: file, size: size, limit: 1 << 20}
	for _, line := range lines {
		out.store(launch.Stdout, frameOf(line), len(line), time.Unix(1, 0))
	}
	if err := out.end(launch.Fact{Attempt: id, State: launch.Ended}, time.Unix(2, 0)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(outPath(logs, id))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// FuzzOut feeds any bytes to reader and writer of output files.
func FuzzOut(f *testing.F) {
	f.Add([]byte(outMagic))
	f.Add(append([]byte(outMagic), bytes.Repeat([]byte{1}, 40)...))
	f.Add(append([]byte(outMagic), 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'x', 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, '{', '}'))
	f.Fuzz(func(t *testing.T, data []byte) {
		logs, id := t.TempDir(), launchtest.Attempt("fuzz")
		if err := os.MkdirAll(filepath.Dir(outPath(logs, id)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(outPath(logs, id), data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := openReader(context.Background(), logs, id, false)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = r.Next()
		}
		_ = r.Close()
		file, size, _, err := openOut(logs, id, true)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if info, err := file.Stat(); err != nil || size > info.Size() {
			t.Errorf("mended to %d bytes of %d: %v", size, info.Size(), err)
		}
	})
}
