//go:build linux

package local

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenon/internal/launch"
	"tenon/internal/launch/launchtest"
)

// launcherArg makes the test binary a launcher, as "__launcher" makes tenon one.
const (
	launcherArg = "__launcher"
	clientArg   = "__client"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == launcherArg {
		os.Exit(Main(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == clientArg {
		os.Exit(clientMain(os.Args[2:]))
	}
	code := m.Run()
	if crashDir != "" {
		_ = os.RemoveAll(crashDir)
	}
	os.Exit(code)
}

func config(t *testing.T) Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Dir: filepath.Join(t.TempDir(), "launcher"), Executable: self, Args: []string{launcherArg},
		Env: []string{"PATH=/usr/bin:/bin"},
	}
}

// open starts a supervisor whose launcher ends with the test.
func open(t *testing.T, cfg Config) *Supervisor {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if log, err := os.ReadFile(s.logPath()); err == nil && len(log) > 0 && t.Failed() {
			t.Logf("launcher.log:\n%s", log)
		}
	})
	return s
}

func shell(dir string, attempt, script string) launch.Process {
	return launch.Process{
		Attempt: attempt, Argv: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: dir,
	}
}

// script writes steps for /bin/sh.
func script(dir, attempt string, steps []launchtest.Step) string {
	var b strings.Builder
	for _, s := range steps {
		switch s.Kind {
		case launchtest.Out:
			fmt.Fprintf(&b, "printf '%s'\n", octal(s.Text))
		case launchtest.Err:
			fmt.Fprintf(&b, "printf '%s' >&2\n", octal(s.Text))
		case launchtest.Sleep:
			fmt.Fprintf(&b, "sleep %f\n", s.For.Seconds())
		case launchtest.Exit:
			fmt.Fprintf(&b, "exit %d\n", s.N)
		case launchtest.Signal:
			fmt.Fprintf(&b, "kill -%d $$\n", s.N)
		case launchtest.IgnoreTerm:
			fmt.Fprintln(&b, "trap '' TERM")
		case launchtest.Count:
			fmt.Fprintf(&b, "echo >>%s\n", filepath.Join(dir, attempt))
		}
	}
	return b.String()
}

func octal(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, `\%03o`, c)
	}
	return b.String()
}

// starts counts the lines that processes of an attempt have written.
func starts(t *testing.T, dir, attempt string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, attempt))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return bytes.Count(data, []byte("\n"))
}

func newHarness(t *testing.T) launchtest.Harness {
	cfg := config(t)
	cfg.Ephemeral = true
	dir := t.TempDir()
	return launchtest.Harness{
		Supervisor: open(t, cfg),
		Process: func(attempt string, steps ...launchtest.Step) launch.Process {
			p := shell(dir, attempt, script(dir, attempt, steps))
			for _, s := range steps {
				if s.Kind == launchtest.Missing {
					p.Argv = []string{"/nowhere/program"}
				}
			}
			return p
		},
		Shell:  func(attempt, text string) launch.Process { return shell(dir, attempt, text) },
		Starts: func(attempt string) int { return starts(t, dir, attempt) },
	}
}

func TestConformance(t *testing.T) { launchtest.Run(t, newHarness) }
