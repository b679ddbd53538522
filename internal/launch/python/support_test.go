package python

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tenon/internal/launch"
)

// sharedRoot keeps the environments of all tests: making one with pip takes
// seconds, and sharing them is what the package is for.
var sharedRoot string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if sharedRoot, err = os.MkdirTemp("", "tenon-python-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(sharedRoot)
		return m.Run()
	}())
}

// shelf answers Config.Open from memory.
type shelf map[string][]byte

func (s shelf) open(_ context.Context, uri string) (io.ReadCloser, int64, error) {
	if strings.HasPrefix(uri, "s3://nobucket/") {
		return nil, 0, fmt.Errorf("open: %w", ErrNoBucket)
	}
	b, ok := s[uri]
	if !ok {
		return nil, 0, fmt.Errorf("open %s: %w", uri, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

// testConfig uses the machine's own python3, no index and the wrapper of this tree.
func testConfig(s shelf) Config {
	return Config{
		Root: sharedRoot, Open: s.open, Runtime: os.DirFS("../../../python"), Path: os.Getenv("PATH"),
		InstallerEnv: []string{"PIP_NO_INDEX=1", "PIP_CONFIG_FILE=" + os.DevNull},
	}
}

// newPreparer works with pip, whatever the machine has.
func newPreparer(t testing.TB, cfg Config) *Preparer {
	t.Helper()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.envs.uv = ""
	return p
}

// attemptOf makes an id from the test's name.
func attemptOf(t testing.TB) string {
	sum := sha256.Sum256([]byte(t.Name()))
	return "jr_" + hex.EncodeToString(sum[:])
}

// specOf runs s3://b/script.py.
func specOf(t testing.TB, arguments ...string) launch.Spec {
	return launch.Spec{
		Attempt: attemptOf(t), JobName: "job", Arguments: args(arguments...),
		Command: launch.Command{Name: "pythonshell", ScriptLocation: "s3://b/script.py"},
	}
}

// notices collects notice lines; safe for concurrent use.
type notices struct {
	mu    sync.Mutex
	lines []string
}

func (n *notices) add(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
}

func (n *notices) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.lines, "\n")
}

func prepare(t *testing.T, p *Preparer, spec launch.Spec) launch.Process {
	t.Helper()
	var n notices
	proc, err := p.Prepare(t.Context(), spec, n.add)
	if err != nil {
		t.Fatalf("Prepare: %v\n%s", err, n.String())
	}
	t.Cleanup(func() {
		if err := p.Discard(context.Background(), spec.Attempt); err != nil {
			t.Error(err)
		}
	})
	return proc
}

// run executes a prepared process as a supervisor would.
func run(t *testing.T, proc launch.Process) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), proc.Argv[0], proc.Argv[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = proc.Env, proc.Dir, &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// output prepares and runs, and fails the test unless the script succeeded.
func output(t *testing.T, p *Preparer, spec launch.Spec) string {
	t.Helper()
	out, errs, code := run(t, prepare(t, p, spec))
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	return out
}

// refusal prepares and expects a sentence.
func refusal(t *testing.T, p *Preparer, spec launch.Spec) string {
	t.Helper()
	_, err := p.Prepare(t.Context(), spec, nil)
	var refused *launch.PrepareError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a PrepareError", err)
	}
	if err := p.Discard(t.Context(), spec.Attempt); err != nil {
		t.Error(err)
	}
	return refused.Message
}

func archive(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wheelOf makes the wheel name-version-py3-none-any.whl with one module of that name.
func wheelOf(t *testing.T, name, version, source string, requires ...string) []byte {
	info := name + "-" + version + ".dist-info/"
	meta := "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n"
	for _, r := range requires {
		meta += "Requires-Dist: " + r + "\n"
	}
	return archive(t, name+".py", source, info+"METADATA", meta,
		info+"WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		info+"RECORD", name+".py,,\n"+info+"METADATA,,\n"+info+"WHEEL,,\n"+info+"RECORD,,\n")
}

// withUV makes a preparer that finds a program uv in a folder of its own: it makes
// environments with venv, and installs by running the given shell text.
func withUV(t *testing.T, cfg Config, install string) *Preparer {
	t.Helper()
	c, err := newFinder(nil, cfg.Path).find(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := "#!/bin/sh\nif [ \"$1\" = venv ]; then shift $(($# - 1)); exec '" + c.Base + "' -I -m venv --without-pip \"$1\"; fi\n" + install + "\n"
	if err := os.WriteFile(filepath.Join(dir, "uv"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	cfg.Path = dir + string(os.PathListSeparator) + cfg.Path
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
