package python

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"
)

// marker says that an environment is complete; its content is an Environment.
const marker = ".complete"

// lockPoll is the pause between looks at a lock that another builder holds. A
// blocking flock could not be given up when ctx ends.
const lockPoll = 20 * time.Millisecond

// Environment describes a cached environment.
type Environment struct {
	ID           string   `json:"id"`
	Base         string   `json:"base"` // ID of the one it derives from, or ""
	Python       string   `json:"python"`
	Version      string   `json:"version"`
	Requirements []string `json:"requirements"`
	Wheels       []string `json:"wheels"` // file names
}

// environment is one that a job can run in.
type environment struct {
	ID     string
	Python string // the executable
	Site   []string
	HasPip bool
	from   interpreter
}

// environments builds and keeps virtual environments below dir.
type environments struct {
	dir, cache string
	path       string   // PATH of installers
	env        []string // Config.InstallerEnv
	uv         string   // path of uv, or ""
	log        *slog.Logger
}

// build is what makes one environment, and thereby its name.
type build struct {
	from         interpreter
	parent       *environment // nil for a base environment
	requirements []string     // one installer call
	wheels       []wheel      // one call, offline if that is enough
	groups       []group      // a call each
}

// group is a set of requirements that came with the same options.
type group struct {
	options      options
	requirements []string
}

// id hashes everything that decides what the environment holds. Indexes and
// proxies of the server are not among it: a cached environment needs no network.
func (e *environments) id(b build) string {
	h := sha256.New()
	put := func(kind string, values ...string) {
		fmt.Fprintf(h, "%s %q\n", kind, values)
	}
	put("layout", "1")
	put("uv", fmt.Sprint(e.uv != "")) // its environments have no pip of their own
	put("python", b.from.Base, b.from.Version.String())
	if b.parent != nil {
		put("parent", append([]string{b.parent.ID}, b.parent.Site...)...)
	}
	put("requirements", slices.Sorted(slices.Values(b.requirements))...)
	var wheels []string
	for _, w := range b.wheels {
		wheels = append(wheels, w.name+" "+w.digest)
	}
	slices.Sort(wheels)
	put("wheels", wheels...)
	for _, g := range b.groups {
		put("group "+g.options.String(), slices.Sorted(slices.Values(g.requirements))...)
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// at describes the environment in its directory.
func (e *environments) at(b build) environment {
	id := e.id(b)
	dir := filepath.Join(e.dir, id)
	env := environment{ID: id, Python: filepath.Join(dir, "bin", "python"), from: b.from}
	env.Site = []string{filepath.Join(dir, "lib", "python"+b.from.Version.minor(), "site-packages")}
	if b.parent != nil {
		env.Site = append(env.Site, b.parent.Site...)
	}
	env.HasPip = e.uv == "" || (b.parent == nil && len(b.requirements) > 0) || (b.parent != nil && b.parent.HasPip)
	return env
}

// complete tells whether the environment can be used as it stands. The link to
// an interpreter that was since removed dangles.
func (e *environments) complete(env environment) bool {
	_, err := os.Stat(filepath.Join(e.dir, env.ID, marker))
	return err == nil && executable(env.Python)
}

// ensure returns the environment, building it if need be. A complete one costs
// two stats. Of several callers, in this process or others, one builds.
func (e *environments) ensure(ctx context.Context, b build, out func(string)) (environment, error) {
	env := e.at(b)
	if e.complete(env) {
		return env, nil
	}
	lock, err := lockFile(ctx, filepath.Join(e.dir, env.ID+".lock"), func() {
		out("Waiting for the Python environment, which is being built.")
	})
	if err != nil {
		return environment{}, fmt.Errorf("lock python environment: %w", err)
	}
	defer lock.Close()
	if e.complete(env) {
		return env, nil
	}
	dir, scratch := filepath.Join(e.dir, env.ID), filepath.Join(e.dir, env.ID+".build")
	clean := func() error { return errors.Join(os.RemoveAll(scratch), os.RemoveAll(dir)) }
	if err := clean(); err != nil {
		return environment{}, fmt.Errorf("remove incomplete python environment: %w", err)
	}
	if err := os.Mkdir(scratch, 0o700); err != nil {
		return environment{}, fmt.Errorf("build python environment: %w", err)
	}
	i := installer{environments: e, lock: lock, scratch: scratch, out: out}
	if err := e.fill(ctx, b, env, i); err != nil {
		if cerr := clean(); cerr != nil {
			e.log.Warn("an incomplete python environment stays", "dir", dir, "error", cerr)
		}
		return environment{}, err
	}
	if err := os.RemoveAll(scratch); err != nil {
		return environment{}, fmt.Errorf("build python environment: %w", err)
	}
	return env, e.seal(b, env)
}

// fill makes the environment at its final path: a virtual environment cannot be
// moved, because its scripts name their interpreter.
func (e *environments) fill(ctx context.Context, b build, env environment, i installer) error {
	withPip := b.parent == nil || !b.parent.HasPip
	if err := i.create(ctx, b.from, filepath.Join(e.dir, env.ID), withPip); err != nil {
		return err
	}
	site := env.Site[0]
	// setuptools, which older Pythons bring along, hooks into every start.
	if err := os.Remove(filepath.Join(site, "distutils-precedence.pth")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("build python environment: %w", err)
	}
	if b.parent != nil {
		lines := strings.Join(b.parent.Site, "\n") + "\n"
		if err := os.WriteFile(filepath.Join(site, "tenon_base.pth"), []byte(lines), 0o644); err != nil {
			return fmt.Errorf("build python environment: %w", err)
		}
	}
	if err := i.installWheels(ctx, env, b.wheels); err != nil {
		return err
	}
	requirements := b.requirements
	if e.uv != "" && b.parent == nil && len(requirements) > 0 {
		// Scripts call `python -m pip`; venv brings it, uv does not.
		requirements = append(slices.Clone(requirements), "pip")
	}
	if err := i.installRequirements(ctx, env, requirements, b.wheels, options{}); err != nil {
		return err
	}
	for _, g := range b.groups {
		if err := i.installRequirements(ctx, env, g.requirements, b.wheels, g.options); err != nil {
			return err
		}
	}
	return nil
}

// seal writes the marker, after everything it vouches for has reached the disk.
func (e *environments) seal(b build, env environment) error {
	about := Environment{ID: env.ID, Python: b.from.Base, Version: b.from.Version.String(), Requirements: slices.Clone(b.requirements)}
	if b.parent != nil {
		about.Base = b.parent.ID
	}
	for _, g := range b.groups {
		about.Requirements = append(about.Requirements, g.requirements...)
	}
	for _, w := range b.wheels {
		about.Wheels = append(about.Wheels, w.name)
	}
	for i, r := range about.Requirements {
		about.Requirements[i] = withoutPassword(r)
	}
	content, err := json.Marshal(about)
	if err != nil {
		return fmt.Errorf("describe python environment: %w", err)
	}
	dir := filepath.Join(e.dir, env.ID)
	if err := syncFiles(dir); err != nil {
		return fmt.Errorf("sync python environment: %w", err)
	}
	part := filepath.Join(dir, marker+".part")
	if err := os.WriteFile(part, content, 0o600); err != nil {
		return fmt.Errorf("complete python environment: %w", err)
	}
	if err := os.Rename(part, filepath.Join(dir, marker)); err != nil {
		return fmt.Errorf("complete python environment: %w", err)
	}
	return nil
}

var passwordInURL = regexp.MustCompile(`://[^/@\s]+@`)

// withoutPassword hides the user part of URLs.
func withoutPassword(s string) string { return passwordInURL.ReplaceAllString(s, "://****@") }

// list reads the markers.
func (e *environments) list(ctx context.Context) ([]Environment, error) {
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		return nil, fmt.Errorf("list python environments: %w", err)
	}
	var all []Environment
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("list python environments: %w", context.Cause(ctx))
		}
		if !entry.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(e.dir, entry.Name(), marker))
		if errors.Is(err, fs.ErrNotExist) {
			continue // being built
		}
		if err != nil {
			return nil, fmt.Errorf("list python environments: %w", err)
		}
		var about Environment
		if err := json.Unmarshal(bytes.TrimSpace(content), &about); err != nil {
			return nil, fmt.Errorf("read description of python environment %s: %w", entry.Name(), err)
		}
		all = append(all, about)
	}
	return all, nil
}

// lockFile takes an exclusive flock. The file stays: removing it would let two
// builders lock two files of one name.
func lockFile(ctx context.Context, path string, waiting func()) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, err
		}
		if first {
			waiting()
		}
		timer := time.NewTimer(lockPoll)
		select {
		case <-ctx.Done():
			timer.Stop()
			f.Close()
			return nil, context.Cause(ctx)
		case <-timer.C:
		}
	}
}
