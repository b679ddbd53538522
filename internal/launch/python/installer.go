package python

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// installer runs pip or uv for one build.
type installer struct {
	*environments
	// lock is inherited by the installer: if the server dies, the orphan goes on
	// writing and the next builder waits for it instead of writing beside it.
	lock    *os.File
	scratch string // removed after the build: working directory, TMPDIR, requirement files
	out     func(line string)
}

// installError is an installer that ran and refused. Line is its own reason.
type installError struct {
	Stage stage
	Line  string
	Err   error
}

type stage int

const (
	stageCreate stage = iota
	stageWheels
	stageModules
)

func (e *installError) Error() string { return e.Line }
func (e *installError) Unwrap() error { return e.Err }

// create makes a virtual environment without system site (DESIGN §5).
func (i installer) create(ctx context.Context, from interpreter, dir string, withPip bool) error {
	if i.uv != "" {
		return i.run(ctx, stageCreate, i.out, nil, i.uv, "venv", "--quiet", "--no-project", "--python", from.Base, dir)
	}
	args := []string{"-I", "-m", "venv"}
	if !withPip {
		args = append(args, "--without-pip")
	} else if !from.HasEnsurepip {
		return &installError{Stage: stageCreate, Line: fmt.Sprintf("%s cannot make environments with pip; install its venv package (python3-venv on Debian), or uv", from.Base)}
	}
	return i.run(ctx, stageCreate, i.out, nil, from.Base, append(args, dir)...)
}

// installWheels installs all of them in one call, first with what they bring
// themselves, so that complete sets of wheels work offline (spec/jobs §5.3).
func (i installer) installWheels(ctx context.Context, env environment, wheels []wheel) error {
	if len(wheels) == 0 {
		return nil
	}
	args := findLinks(wheels)
	for _, w := range wheels {
		args = append(args, w.path)
	}
	var held []string
	offline := i.install
	if env.HasPip {
		// uv does not see what the base provides and would ask an index for it.
		offline = i.pip
	}
	err := offline(ctx, stageWheels, func(line string) { held = append(held, line) }, env, nil, append([]string{"--no-index"}, args...)...)
	if err == nil {
		for _, line := range held {
			i.out(line)
		}
		return nil
	}
	var refused *installError
	if !errors.As(err, &refused) {
		return err
	}
	i.out("The wheels need more than they bring; asking the package index.")
	return i.install(ctx, stageWheels, i.out, env, nil, args...)
}

func findLinks(wheels []wheel) []string {
	var args []string
	for _, w := range wheels {
		if dir := filepath.Dir(w.path); !slices.Contains(args, dir) {
			args = append(args, "--find-links", dir)
		}
	}
	return args
}

// installRequirements installs requirements in one call, so that they are
// resolved together. They travel in a file: a URL may hold a password.
func (i installer) installRequirements(ctx context.Context, env environment, requirements []string, wheels []wheel, o options) error {
	if len(requirements) == 0 {
		return nil
	}
	file := filepath.Join(i.scratch, "requirements.txt")
	if err := os.WriteFile(file, []byte(strings.Join(requirements, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("write requirements: %w", err)
	}
	args := append(findLinks(wheels), "-r", file)
	if o.NoDeps {
		args = append(args, "--no-deps")
	}
	return i.install(ctx, stageModules, i.out, env, i.optionEnv(o), args...)
}

// optionEnv words options as variables of pip and uv.
func (i installer) optionEnv(o options) []string {
	var vars []string
	add := func(separator string, values []string, names ...string) {
		if len(values) == 0 {
			return
		}
		for _, name := range names {
			all := values
			if given := lastValue(i.env, name); given != "" {
				all = append([]string{given}, values...)
			}
			vars = append(vars, name+"="+strings.Join(all, separator))
		}
	}
	if o.Index != "" {
		vars = append(vars, "PIP_INDEX_URL="+o.Index, "UV_DEFAULT_INDEX="+o.Index)
	}
	add(" ", o.ExtraIndexes, "PIP_EXTRA_INDEX_URL", "UV_INDEX")
	add(" ", o.FindLinks, "PIP_FIND_LINKS")
	add(",", o.FindLinks, "UV_FIND_LINKS")
	add(" ", o.TrustedHosts, "PIP_TRUSTED_HOST", "UV_INSECURE_HOST")
	if o.Pre {
		vars = append(vars, "PIP_PRE=1", "UV_PRERELEASE=allow")
	}
	return vars
}

func lastValue(env []string, name string) string {
	value := ""
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}

func (i installer) install(ctx context.Context, at stage, out func(string), env environment, vars []string, args ...string) error {
	if i.uv == "" {
		return i.pip(ctx, at, out, env, vars, args...)
	}
	all := append([]string{"pip", "install", "--python", env.Python, "--no-progress", "--color", "never", "--compile-bytecode"}, args...)
	return i.run(ctx, at, out, vars, i.uv, all...)
}

// pip runs the pip of the environment. A derived one has none of its own and
// sees its base's, which installs into the environment of the interpreter that
// runs it.
func (i installer) pip(ctx context.Context, at stage, out func(string), env environment, vars []string, args ...string) error {
	all := append([]string{"-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-color",
		"--progress-bar", "off", "--no-warn-script-location"}, args...)
	return i.run(ctx, at, out, vars, env.Python, all...)
}

// run executes one installer in a process group of its own, which is killed as a
// whole when ctx ends.
func (i installer) run(ctx context.Context, at stage, out func(string), vars []string, program string, args ...string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("build python environment: %w", context.Cause(ctx))
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = i.scratch
	cmd.Env = slices.Concat([]string{
		"PATH=" + i.path, "LANG=C.UTF-8", "HOME=" + i.cache, "TMPDIR=" + i.scratch,
		"PIP_CACHE_DIR=" + filepath.Join(i.cache, "pip"), "UV_CACHE_DIR=" + filepath.Join(i.cache, "uv"), "UV_PYTHON_DOWNLOADS=never",
	}, i.env, vars)
	cmd.ExtraFiles = []*os.File{i.lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	lines := &lineWriter{out: out}
	cmd.Stdout, cmd.Stderr = lines, lines
	err := cmd.Run()
	lines.flush()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("build python environment: %w", context.Cause(ctx))
	case err == nil:
		return nil
	}
	line := lines.reason()
	if line == "" {
		line = fmt.Sprintf("%s: %v", filepath.Base(program), err)
	}
	return &installError{Stage: at, Line: line, Err: err}
}

// lineWriter hands an installer's output on by line and remembers the reason of
// a failure.
type lineWriter struct {
	out  func(line string)
	rest []byte

	failure string // pip's last "ERROR:", or uv's "error:" and its causes
	last    string
}

// lineLimit cuts lines that would be no use in a message.
const lineLimit = 8 << 10

func (l *lineWriter) Write(b []byte) (int, error) {
	n := len(b)
	for {
		end := bytes.IndexAny(b, "\r\n")
		if end < 0 {
			l.rest = append(l.rest, b[:min(len(b), lineLimit-min(len(l.rest), lineLimit))]...)
			return n, nil
		}
		l.rest = append(l.rest, b[:end]...)
		l.flush()
		b = b[end+1:]
	}
}

// fileReference is what pip adds to an error about a line of a requirements file.
var fileReference = regexp.MustCompile(` \(from line \d+ of [^)]*\)`)

func (l *lineWriter) flush() {
	line := strings.ToValidUTF8(string(l.rest[:min(len(l.rest), lineLimit)]), "\uFFFD")
	l.rest = l.rest[:0]
	if strings.TrimSpace(line) == "" {
		return
	}
	line = withoutPassword(fileReference.ReplaceAllString(line, ""))
	l.last = strings.TrimSpace(line)
	if strings.HasPrefix(line, "ERROR:") {
		l.failure = l.last
	}
	for _, head := range []string{"error:", "×", "cause:", "╰─▶"} {
		if text, ok := strings.CutPrefix(l.last, head); ok && l.failure == "" {
			l.failure = strings.TrimSpace(text)
		} else if ok {
			l.failure = strings.TrimSuffix(l.failure, ":") + ": " + strings.TrimSpace(text)
		}
	}
	l.out(line)
}

func (l *lineWriter) reason() string {
	if l.failure != "" {
		return l.failure
	}
	return l.last
}
