package python

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tenon/internal/launch"
)

// A wheel installs offline, sees the base, and the second job neither runs an
// installer nor needs a network (DESIGN §5, spec/jobs §5.3).
func TestWheelAndCache(t *testing.T) {
	s := shelf{
		"s3://b/tenonone-1.0-py3-none-any.whl": wheelOf(t, "tenonone", "1.0", "import tenontwo\nx = 'one ' + tenontwo.x", "tenontwo>=2,<3"),
		"s3://b/tenontwo-2.1-py3-none-any.whl": wheelOf(t, "tenontwo", "2.1", "x = 'two'"),
		"s3://b/script.py":                     []byte("import tenonone, sys\nprint(tenonone.x, 'tenon_base.pth' in str(sys.path))"),
	}
	p := newPreparer(t, testConfig(s))
	spec := specOf(t, "--extra-py-files", "s3://b/tenonone-1.0-py3-none-any.whl", "--additional-python-modules", "tenontwo>=2,<3,s3://b/tenontwo-2.1-py3-none-any.whl")
	if got := output(t, p, spec); got != "one two False\n" {
		t.Errorf("%q", got)
	}

	cfg := testConfig(s)
	cfg.InstallerEnv = []string{"PIP_TIMEOUT=broken"}
	broken := newPreparer(t, cfg)
	if got := output(t, broken, spec); got != "one two False\n" {
		t.Errorf("%q", got)
	}
	// The same installer does fail when it has something to do.
	spec.Arguments = args("--additional-python-modules", "s3://b/tenontwo-2.1-py3-none-any.whl")
	if got := refusal(t, broken, spec); !strings.HasPrefix(got, "LAUNCH ERROR | Installation of wheels failed: ") {
		t.Errorf("%q", got)
	}

	all, err := p.Environments(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range all {
		found = found || e.Base != "" && len(e.Wheels) == 2 && e.Requirements[0] == "tenontwo>=2,<3"
	}
	if !found {
		t.Errorf("not listed: %+v", all)
	}
}

// spec/jobs §2.8.
func TestModulesFail(t *testing.T) {
	p := newPreparer(t, testConfig(shelf{"s3://b/script.py": nil}))
	const launchError = "LAUNCH ERROR | Installation of Additional Python Modules failed: "
	for modules, want := range map[string]string{
		"<7.0":                           launchError + "ERROR: Invalid requirement: '<7.0'",
		"tenon-no-such>=1,<2":            launchError + "ERROR: No matching distribution found for tenon-no-such<2,>=1",
		"tenon-no-such --no-deps":        launchError + "ERROR: No matching distribution found for tenon-no-such",
		"pip -r /etc/passwd":             launchError + "ERROR: option -r is not allowed here; allowed are -i, --index-url, --extra-index-url, --find-links, --no-deps, --pre and --trusted-host",
		"s3://b/gone-1-py3-none-any.whl": "Wheel s3://b/gone-1-py3-none-any.whl could not be read: the object does not exist.",
	} {
		if got := refusal(t, p, specOf(t, "--additional-python-modules", modules)); got != want {
			t.Errorf("%s: got %q, want %q", modules, got, want)
		}
	}
}

// Scripts that install for themselves reach their own attempt and nobody else's.
func TestScriptInstallsForItself(t *testing.T) {
	p := newPreparer(t, testConfig(shelf{
		"s3://b/script.py": []byte("import subprocess, sys, os\n" +
			"wheel = os.path.dirname(sys.argv[0]) + '/../libs/data.bin'\n" +
			"target = 'tenonself-1.0-py3-none-any.whl'\nos.rename(wheel, target)\n" +
			"subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-index', target], check=True)\n" +
			"import tenonself\nprint(tenonself.__file__.startswith(os.environ['GLUE_INSTALLATION']))"),
		"s3://b/data.bin": wheelOf(t, "tenonself", "1.0", ""),
	}))
	if got := output(t, p, specOf(t, "--extra-py-files", "s3://b/data.bin")); got != "True\n" {
		t.Errorf("%q", got)
	}
}

// Attempts at once build once, in one process or several (two preparers stand for two servers).
func TestConcurrentPrepareBuildsOnce(t *testing.T) {
	s := shelf{
		// A wheel of its own content each time: environments are kept by it.
		"s3://b/tenonmany-1.0-py3-none-any.whl": wheelOf(t, "tenonmany", "1.0", fmt.Sprintf("x = %q", t.TempDir())),
		"s3://b/script.py":                      []byte("import tenonmany"),
	}
	preparers := []*Preparer{newPreparer(t, testConfig(s)), newPreparer(t, testConfig(s))}
	var n notices
	var wait sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		spec := specOf(t, "--extra-py-files", "s3://b/tenonmany-1.0-py3-none-any.whl")
		spec.Attempt += fmt.Sprintf("_attempt_%d", i)
		wait.Go(func() { _, errs[i] = preparers[i%2].Prepare(t.Context(), spec, n.add) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(n.String(), "Successfully installed"); got != 1 {
		t.Errorf("built %d times:\n%s", got, n.String())
	}
}

// A build that is stopped takes its processes along and is begun afresh; so is
// one that died with the server.
func TestBuildIsStoppedAndBegunAgain(t *testing.T) {
	s := shelf{"s3://b/script.py": []byte("print('ran')")}
	flag := filepath.Join(t.TempDir(), "go")
	cfg := testConfig(s)
	cfg.Root = t.TempDir()
	cfg.BaseRequirements = []string{"something"}
	p := withUV(t, cfg, "if [ -e '"+flag+"' ]; then exit 0; fi\nsleep 1000 &\necho hangs $!\nwait")
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	var child int
	_, err := p.Prepare(ctx, specOf(t), func(line string) {
		if _, err := fmt.Sscanf(line, "hangs %d", &child); err == nil {
			cancel(stopped)
		}
	})
	var refused *launch.PrepareError
	if !errors.Is(err, stopped) || errors.As(err, &refused) {
		t.Fatalf("got %v, want the cause", err)
	}
	// Its pipe is closed, so it is dying; the kernel may need a moment more.
	for end := time.Now().Add(5 * time.Second); alive(child) && time.Now().Before(end); {
		runtime.Gosched()
	}
	if child == 0 || alive(child) {
		t.Fatalf("process %d of the installer is alive", child)
	}
	if left, err := filepath.Glob(filepath.Join(p.envs.dir, "*[^k]")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q %v", left, err)
	}

	// What a killed server leaves: a directory without marker, with a file in the way.
	c, err := p.finder.find(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(p.envs.dir, p.envs.id(build{from: c.interpreter, requirements: cfg.BaseRequirements}))
	if err := errors.Join(os.MkdirAll(dir+".build", 0o700), os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "bin"), nil, 0o600), os.WriteFile(flag, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if got := output(t, p, specOf(t)); got != "ran\n" {
		t.Errorf("%q", got)
	}

	// And an environment whose interpreter is gone.
	if err := errors.Join(os.Remove(filepath.Join(dir, "bin", "python")), os.Symlink("/nowhere/python", filepath.Join(dir, "bin", "python"))); err != nil {
		t.Fatal(err)
	}
	if got := output(t, p, specOf(t)); got != "ran\n" {
		t.Errorf("%q", got)
	}
}

// alive tells whether the process exists and is no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// What an installer gets: the options of the entry through its environment, the
// lock, and nothing of the server.
func TestInstallerInvocation(t *testing.T) {
	t.Setenv("TENON_CANARY", "leaked")
	record := filepath.Join(t.TempDir(), "record")
	cfg := testConfig(shelf{"s3://b/script.py": nil})
	cfg.Root = t.TempDir()
	cfg.InstallerEnv = []string{"PIP_EXTRA_INDEX_URL=https://mine", "HTTPS_PROXY=http://proxy"}
	p := withUV(t, cfg, "{ echo \"ARGS $*\"; env; [ -e /proc/self/fd/3 ] && echo LOCK; for a; do f=$a; case $p in -r) echo \"FILE $(cat $f)\";; esac; p=$a; done; } >> '"+record+"'")
	prepare(t, p, specOf(t, "--additional-python-modules", "plain,a==1 -i https://u:secret@h/s --extra-index-url https://more --trusted-host h --no-deps,b -i https://u:secret@h/s --extra-index-url https://more --trusted-host h --no-deps"))
	f, err := os.Open(record)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var calls []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "ARGS") {
			calls = append(calls, "")
			if strings.Contains(line, "secret") {
				t.Errorf("the password is in argv: %s", line)
			}
		}
		calls[len(calls)-1] += line + "\n"
	}
	if len(calls) != 2 {
		t.Fatalf("%d calls: %q", len(calls), calls)
	}
	for want, call := range map[string]string{
		"FILE plain\n":                                    calls[0],
		"PIP_EXTRA_INDEX_URL=https://mine\n":              calls[0],
		"HTTPS_PROXY=http://proxy\n":                      calls[0],
		"LOCK\n":                                          calls[0],
		"FILE a==1\nb\n":                                  calls[1],
		" --no-deps\n":                                    calls[1],
		"UV_DEFAULT_INDEX=https://u:secret@h/s\n":         calls[1],
		"PIP_INDEX_URL=https://u:secret@h/s\n":            calls[1],
		"PIP_EXTRA_INDEX_URL=https://mine https://more\n": calls[1],
		"UV_INSECURE_HOST=h\n":                            calls[1],
	} {
		if !strings.Contains(call, want) {
			t.Errorf("%q is missing in %s", want, call)
		}
	}
	if all := strings.Join(calls, ""); strings.Contains(all, "leaked") || strings.Contains(calls[0], "secret") {
		t.Errorf("leaked: %s", all)
	}
}

// An interpreter that the user names is used as it is; modules go into an
// environment derived from it.
func TestBasePython(t *testing.T) {
	s := shelf{
		"s3://b/tenonbase-1.0-py3-none-any.whl": wheelOf(t, "tenonbase", "1.0", "x = 'derived'"),
		"s3://b/script.py":                      []byte("import sys\ntry:\n  import tenonbase; print(tenonbase.x)\nexcept ImportError:\n  print(sys.executable)"),
	}
	plain := newPreparer(t, testConfig(s))
	base := strings.TrimSpace(output(t, plain, specOf(t)))
	cfg := testConfig(s)
	cfg.BasePython = base
	p := newPreparer(t, cfg)
	if got := output(t, p, specOf(t)); got != base+"\n" {
		t.Errorf("%q", got)
	}
	if got := output(t, p, specOf(t, "--extra-py-files", "s3://b/tenonbase-1.0-py3-none-any.whl")); got != "derived\n" {
		t.Errorf("%q", got)
	}
	cfg.BasePython = "/nowhere/python3"
	if got, want := refusal(t, newPreparer(t, cfg), specOf(t)), "The Python of all jobs is configured as /nowhere/python3, which cannot be used: it does not exist or is not executable."; got != want {
		t.Errorf("%q", got)
	}
}

// spec/jobs §5.1 and spec/faults G12.
func TestInterpreters(t *testing.T) {
	real, err := newFinder(nil, os.Getenv("PATH")).find(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fake := func(version string) string {
		return "printf '%s\\n' /bin/sh /bin/sh " + version + " pip ensurepip"
	}
	script("python3", "exec '"+real.Path+"' \"$@\"") // a shim
	script("python3.9", "exit 127")                  // a shim of a version that is not there
	script("python3.8", fake("3.8.1"))
	script("python3.99", fake("3.99.0"))
	for _, c := range []struct {
		name, asked, path, note string
		named                   map[string]string
		err                     string
	}{
		{name: "shim resolved", asked: "3", path: real.Path},
		{name: "none", asked: "", path: real.Path},
		{name: "exact", asked: "3.8", path: "/bin/sh"},
		{name: "newest instead", asked: "3.9", path: "/bin/sh", note: "Python 3.9 is not installed here; running with Python 3.99.0 (/bin/sh)."},
		{name: "named", asked: "3.9", named: map[string]string{"3.9": filepath.Join(dir, "python3.8")}, path: "/bin/sh", note: "Python 3.9 is not installed here; running with Python 3.8.1 (/bin/sh)."},
		{name: "named default", asked: "", named: map[string]string{"": filepath.Join(dir, "python3.8")}, path: "/bin/sh"},
		{name: "named and broken", asked: "3.9", named: map[string]string{"3.9": filepath.Join(dir, "python3.9")}, err: "Python 3.9 is configured as " + dir + "/python3.9, which cannot be used: it does not run: exit status 127."},
		{name: "named and relative", asked: "", named: map[string]string{"": "python3"}, err: "The default Python is configured as python3, which cannot be used: the path is not absolute."},
	} {
		got, err := newFinder(c.named, dir).find(t.Context(), c.asked)
		if c.err != "" {
			var refused *launch.PrepareError
			if !errors.As(err, &refused) || refused.Message != c.err {
				t.Errorf("%s: got %v", c.name, err)
			}
		} else if err != nil || got.Path != c.path || got.note != c.note {
			t.Errorf("%s: got %q, note %q, error %v", c.name, got.Path, got.note, err)
		}
	}
	empty := t.TempDir()
	if _, err := newFinder(nil, empty).find(t.Context(), "3.9"); err == nil || !strings.Contains(err.Error(), "No Python 3 interpreter was found") {
		t.Errorf("got %v", err)
	}
}

// Warm does what the first job would have to wait for.
func TestWarm(t *testing.T) {
	cfg := testConfig(shelf{"s3://b/script.py": nil})
	p := newPreparer(t, cfg)
	if err := p.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	for _, v := range []string{"", "3.9"} {
		spec := specOf(t)
		spec.Command.PythonVersion = v
		var n notices
		if _, err := p.Prepare(ctx, spec, n.add); err != nil || strings.Contains(n.String(), "Waiting") {
			t.Errorf("%q: %v %s", v, err, n.String())
		}
	}
	cancel()
	if _, err := p.Prepare(ctx, specOf(t), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
