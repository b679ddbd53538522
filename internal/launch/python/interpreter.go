package python

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"tenon/internal/launch"
)

// probeTimeout bounds one look at an interpreter; a healthy one answers in 30 ms.
const probeTimeout = 10 * time.Second

// probeScript prints the facts of an interpreter, one a line. It finds the real
// executable behind version-manager shims, which cost 50 ms at each start
// (DESIGN §5).
const probeScript = `import sys
from importlib.util import find_spec
print(sys.executable)
print(getattr(sys, "_base_executable", "") or sys.executable)
print("%d.%d.%d" % sys.version_info[:3])
print("pip" if find_spec("pip") else "")
print("ensurepip" if find_spec("ensurepip") else "")
for p in sys.path:
    if p.endswith(("site-packages", "dist-packages")):
        print(p)
`

// interpreter is a Python that was seen to run.
type interpreter struct {
	Path         string // sys.executable: what the user named, without shims
	Base         string // the executable virtual environments are made from, links resolved
	Version      version
	HasPip       bool
	HasEnsurepip bool
	Site         []string // its directories of installed packages
}

type version [3]int

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }
func (v version) minor() string  { return fmt.Sprintf("%d.%d", v[0], v[1]) }

// finder chooses interpreters by PythonVersion and remembers what it found.
type finder struct {
	named map[string]string // Config.Interpreters
	path  []string          // directories to search

	mu    sync.Mutex
	seen  map[string]interpreter // by path asked
	found map[string]choice      // by PythonVersion
}

type choice struct {
	interpreter
	note string // for the user, when it is not what was asked for
}

func newFinder(named map[string]string, path string) *finder {
	f := &finder{named: named, seen: map[string]interpreter{}, found: map[string]choice{}}
	for _, dir := range filepath.SplitList(path) {
		if filepath.IsAbs(dir) {
			f.path = append(f.path, dir)
		}
	}
	return f
}

var minorVersion = regexp.MustCompile(`^3\.[0-9]{1,3}$`)

// find returns the interpreter for a PythonVersion (spec/jobs §5.1): "3" and
// none are the default; "3.9" is that one or, with a note, the newest there is.
func (f *finder) find(ctx context.Context, asked string) (choice, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.found[asked]; ok {
		if executable(c.Path) {
			return c, nil
		}
		// Uninstalled or upgraded away since: look again.
		clear(f.seen)
		clear(f.found)
	}
	c, err := f.choose(ctx, asked)
	if err == nil {
		f.found[asked] = c
	}
	return c, err
}

func (f *finder) choose(ctx context.Context, asked string) (choice, error) {
	if asked == "" || asked == "3" {
		in, err := f.standard(ctx)
		return choice{interpreter: in}, err
	}
	if minorVersion.MatchString(asked) {
		if path := f.named[asked]; path != "" {
			in, err := f.probe(ctx, path)
			if err != nil {
				return choice{}, brokenInterpreter(ctx, "Python "+asked, path, err)
			}
			return choice{in, wrongVersion(asked, in)}, nil
		}
		for _, dir := range f.path {
			// A shim of an inactive version exists and fails: go on.
			in, err := f.probe(ctx, filepath.Join(dir, "python"+asked))
			if err == nil && in.Version.minor() == asked {
				return choice{interpreter: in}, nil
			}
		}
	}
	in, err := f.newest(ctx)
	if err != nil {
		return choice{}, err
	}
	return choice{in, wrongVersion(asked, in)}, nil
}

// standard is the configured default, else the python3 that comes first.
func (f *finder) standard(ctx context.Context) (interpreter, error) {
	if path := f.named[""]; path != "" {
		in, err := f.probe(ctx, path)
		if err != nil {
			return in, brokenInterpreter(ctx, "The default Python", path, err)
		}
		return in, nil
	}
	for _, dir := range f.path {
		if in, err := f.probe(ctx, filepath.Join(dir, "python3")); err == nil && in.Version[0] == 3 {
			return in, nil
		}
	}
	return f.newest(ctx)
}

var interpreterName = regexp.MustCompile(`^python3(\.[0-9]+)?$`)

// newest looks at everything called python3 or python3.N. The default wins among
// equals, which saves a second base environment.
func (f *finder) newest(ctx context.Context) (interpreter, error) {
	var paths []string
	if p := f.named[""]; p != "" {
		paths = append(paths, p)
	}
	for _, p := range f.named {
		paths = append(paths, p)
	}
	for _, dir := range f.path {
		paths = append(paths, filepath.Join(dir, "python3"))
	}
	for _, dir := range f.path {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // PATH often names directories that do not exist
		}
		for _, e := range entries {
			if interpreterName.MatchString(e.Name()) {
				paths = append(paths, filepath.Join(dir, e.Name()))
			}
		}
	}
	var best interpreter
	for _, p := range paths {
		in, err := f.probe(ctx, p)
		if err != nil || in.Version[0] != 3 {
			continue
		}
		if best.Path == "" || best.Version[1] < in.Version[1] {
			best = in
		}
	}
	if err := ctx.Err(); err != nil {
		return best, fmt.Errorf("look for a python interpreter: %w", context.Cause(ctx))
	}
	if best.Path == "" {
		return best, refuse("No Python 3 interpreter was found; install python3 or name one in the server's configuration.")
	}
	return best, nil
}

// probe runs the interpreter once; f.mu is held.
func (f *finder) probe(ctx context.Context, path string) (interpreter, error) {
	if in, ok := f.seen[path]; ok {
		return in, nil
	}
	in, err := probe(ctx, path, strings.Join(f.path, string(os.PathListSeparator)))
	if err == nil {
		f.seen[path] = in
	}
	return in, err
}

func probe(ctx context.Context, path, searchPath string) (interpreter, error) {
	if !filepath.IsAbs(path) {
		return interpreter{}, errors.New("the path is not absolute")
	}
	if !executable(path) {
		return interpreter{}, errors.New("it does not exist or is not executable")
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-I", "-c", probeScript)
	cmd.Env = []string{"PATH=" + searchPath, "LANG=C.UTF-8"}
	cmd.Dir = "/" // version managers look for their files in the working directory
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return interpreter{}, fmt.Errorf("it does not run: %w", err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(lines) < 5 {
		return interpreter{}, errors.New("it is not a Python 3 interpreter")
	}
	in := interpreter{Path: lines[0], Base: lines[1], HasPip: lines[3] != "", HasEnsurepip: lines[4] != "", Site: lines[5:]}
	// An environment must notice when the link python3 begins to mean another version.
	if real, err := filepath.EvalSymlinks(in.Base); err == nil {
		in.Base = real
	}
	for i, s := range strings.SplitN(lines[2], ".", 3) {
		if in.Version[i], err = strconv.Atoi(s); err != nil {
			return interpreter{}, fmt.Errorf("its version %q is no version", lines[2])
		}
	}
	return in, nil
}

func wrongVersion(asked string, in interpreter) string {
	if in.Version.minor() == asked {
		return ""
	}
	return fmt.Sprintf("Python %s is not installed here; running with Python %s (%s).", asked, in.Version, in.Path)
}

func brokenInterpreter(ctx context.Context, what, path string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("look at the interpreter %s: %w", path, context.Cause(ctx))
	}
	return &launch.PrepareError{Message: fmt.Sprintf("%s is configured as %s, which cannot be used: %v.", what, path, err), Err: err}
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0
}
