package python

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"tenon/internal/launch"
)

// Wrapper is the file in Config.Runtime that runs job scripts.
const Wrapper = "tenon_runscript.py"

// DefaultRequirement is the base requirement of a server that names no others:
// the first boto3 that honours AWS_ENDPOINT_URL (spec/jobs §5.4).
const DefaultRequirement = "boto3>=1.28"

// defaultPath is where programs are looked for when Config.Path names nothing,
// and what a job finds on its PATH after its own environment.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// Config tells New what it needs; nothing is read from the server's environment.
type Config struct {
	// Root is the directory doc.go draws, made if missing; absolute.
	Root string
	// Open reads s3://bucket/key. The size may be -1 when it is not known. Errors
	// that are ErrNoBucket, fs.ErrNotExist or fs.ErrPermission get sentences of
	// their own; the text of others is shown to the user.
	Open func(ctx context.Context, uri string) (io.ReadCloser, int64, error)
	// Runtime holds Wrapper and the awsglue module.
	Runtime fs.FS
	// Interpreters maps a PythonVersion ("3.9"; "" for the default) to an absolute path.
	Interpreters map[string]string
	// BasePython, when set, is the interpreter of all jobs, used with the packages
	// it has. Jobs with modules of their own get an environment derived from it.
	BasePython string
	// BaseRequirements are installed into base environments (PEP 508, each may be
	// followed by pip's options). None means none; see DefaultRequirement.
	BaseRequirements []string
	// Path is searched for interpreters and uv; "" means the usual directories.
	Path string
	// InstallerEnv holds what pip and uv need to know of the network, as KEY=value:
	// indexes (PIP_*, UV_*), proxies, certificates. It may be secret.
	InstallerEnv []string
	// JobEnv is given to every job, as KEY=value (SSL_CERT_FILE, HTTPS_PROXY).
	JobEnv []string
	// InjectJobIDs adds --JOB_NAME and --JOB_RUN_ID to sys.argv, which AWS does
	// not do (setting pythonshell.inject_job_ids, spec/jobs §3.4).
	InjectJobIDs bool
	// Grace is Process.Grace; 0 means 30 s (spec/jobs §2.9).
	Grace  time.Duration
	Logger *slog.Logger
}

// Preparer implements launch.Preparer for the command pythonshell. It is safe
// for concurrent use and holds nothing open.
type Preparer struct {
	cfg        Config
	workDir    string
	runtimeDir string
	finder     *finder
	envs       *environments
	log        *slog.Logger
}

var _ launch.Preparer = (*Preparer)(nil)

// New checks cfg and lays out Config.Root. It starts no interpreter.
func New(cfg Config) (*Preparer, error) {
	switch {
	case cfg.Open == nil || cfg.Runtime == nil:
		return nil, errors.New("python preparer: Open and Runtime are needed")
	case !filepath.IsAbs(cfg.Root):
		return nil, fmt.Errorf("python preparer: the directory %q is not absolute", cfg.Root)
	case strings.ContainsRune(cfg.Root, os.PathListSeparator) || strings.ContainsAny(cfg.Root, "\n\r"):
		// Search paths below it are joined with colons and written into .pth files.
		return nil, fmt.Errorf("python preparer: the directory %q may not contain %q or line ends", cfg.Root, os.PathListSeparator)
	}
	for _, kv := range slices.Concat(cfg.JobEnv, cfg.InstallerEnv) {
		if name, _, ok := strings.Cut(kv, "="); !ok || name == "" {
			return nil, errors.New("python preparer: every entry of JobEnv and InstallerEnv must be KEY=value")
		}
	}
	if cfg.Path == "" {
		cfg.Path = defaultPath
	}
	if cfg.Grace == 0 {
		cfg.Grace = 30 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Preparer{cfg: cfg, workDir: filepath.Join(cfg.Root, "work"), finder: newFinder(cfg.Interpreters, cfg.Path), log: cfg.Logger}
	envDir, cacheDir := filepath.Join(cfg.Root, "envs"), filepath.Join(cfg.Root, "cache")
	for _, dir := range []string{p.workDir, cacheDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("python preparer: %w", err)
		}
	}
	if err := os.MkdirAll(envDir, 0o755); err != nil {
		return nil, fmt.Errorf("python preparer: %w", err)
	}
	var err error
	if p.runtimeDir, err = layRuntime(filepath.Join(cfg.Root, "runtime"), cfg.Runtime); err != nil {
		return nil, fmt.Errorf("python preparer: %w", err)
	}
	p.envs = &environments{dir: envDir, cache: cacheDir, path: cfg.Path, env: cfg.InstallerEnv, uv: lookPath("uv", cfg.Path), log: p.log}
	return p, nil
}

func lookPath(name, path string) string {
	for _, dir := range filepath.SplitList(path) {
		if file := filepath.Join(dir, name); filepath.IsAbs(file) && executable(file) {
			return file
		}
	}
	return ""
}

// layRuntime writes the wrapper and awsglue below dir, in a folder named by their
// content, so that running jobs of an older server keep theirs.
func layRuntime(dir string, files fs.FS) (string, error) {
	if _, err := fs.Stat(files, Wrapper); err != nil {
		return "", fmt.Errorf("look at runtime files: %w", err)
	}
	hash := sha256.New()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		fmt.Fprintf(hash, "%d %s %d ", len(name), name, len(content))
		hash.Write(content)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read runtime files: %w", err)
	}
	target := filepath.Join(dir, hex.EncodeToString(hash.Sum(nil))[:32])
	if _, err := os.Stat(target); err == nil {
		return target, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make runtime directory: %w", err)
	}
	temp, err := os.MkdirTemp(dir, ".new-")
	if err != nil {
		return "", fmt.Errorf("make runtime directory: %w", err)
	}
	defer os.RemoveAll(temp)
	if err := os.CopyFS(temp, files); err != nil {
		return "", fmt.Errorf("write runtime files: %w", err)
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return "", fmt.Errorf("write runtime files: %w", err)
	}
	if err := syncFiles(dir); err != nil {
		return "", fmt.Errorf("write runtime files: %w", err)
	}
	if err := os.Rename(temp, target); err != nil {
		if _, serr := os.Stat(target); serr == nil {
			return target, nil // another server of the same build was first
		}
		return "", fmt.Errorf("write runtime files: %w", err)
	}
	return target, nil
}

// attemptID is the shape of JobRun ids (spec/jobs §2.2); a directory is named by it.
var attemptID = regexp.MustCompile(`^jr_[0-9a-f]{64}(_attempt_[0-9]+)?$`)

func checkAttempt(attempt string) error {
	if len(attempt) > 100 || !attemptID.MatchString(attempt) {
		return fmt.Errorf("attempt %q is not a job run id", attempt)
	}
	return nil
}

// Prepare implements launch.Preparer.
func (p *Preparer) Prepare(ctx context.Context, spec launch.Spec, notice func(line string)) (launch.Process, error) {
	if notice == nil {
		notice = func(string) {}
	}
	if err := checkAttempt(spec.Attempt); err != nil {
		return launch.Process{}, err
	}
	arguments, err := scriptArguments(spec, p.cfg.InjectJobIDs)
	if err != nil {
		return launch.Process{}, err
	}
	w, err := p.openWorkspace(spec.Attempt)
	if err != nil {
		return launch.Process{}, err
	}
	defer w.root.Close()
	script, err := p.fetchScript(ctx, w, spec)
	if err != nil {
		return launch.Process{}, err
	}
	env, path, err := p.equip(ctx, w, spec, notice)
	if err != nil {
		return launch.Process{}, err
	}
	environ, err := p.environ(spec, w, env, path)
	if err != nil {
		return launch.Process{}, err
	}
	argv := append([]string{env.Python, "-I", "-u", filepath.Join(p.runtimeDir, Wrapper), script}, arguments...)
	return launch.Process{
		Attempt: spec.Attempt, Argv: argv, Env: environ, Dir: w.join("scratch"),
		Timeout: spec.Timeout, Grace: p.cfg.Grace,
	}, nil
}

// fetchScript returns the path of the script, whose last element is the key's
// own, since scripts print argv[0] (spec/jobs §3.4).
func (p *Preparer) fetchScript(ctx context.Context, w *workspace, spec launch.Spec) (string, error) {
	o, err := parseObject("Script", scriptLocation(spec))
	if err != nil {
		return "", err
	}
	rel := "script/" + o.name
	digest, err := p.fetch(ctx, w, "Script", o, rel, scriptLimit)
	if err != nil {
		return "", err
	}
	// The object may change under the run; what ran is on record (spec/faults G11).
	if err := w.root.WriteFile("script.sha256", []byte(digest+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("record script digest: %w", err)
	}
	p.log.Debug("script fetched", "attempt", spec.Attempt, "location", o.location, "sha256", digest)
	return w.join(rel), nil
}

// ScriptDigest returns the sha256 (hex) of the script that Prepare fetched for
// the attempt, or fs.ErrNotExist.
func (p *Preparer) ScriptDigest(attempt string) (string, error) {
	if err := checkAttempt(attempt); err != nil {
		return "", err
	}
	b, err := os.ReadFile(filepath.Join(p.workDir, attempt, "script.sha256"))
	if err != nil {
		return "", fmt.Errorf("read script digest: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// equip fetches libraries and finds or builds the environment. It returns the
// entries of sys.path that lie in the workspace.
func (p *Preparer) equip(ctx context.Context, w *workspace, spec launch.Spec, notice func(string)) (environment, []string, error) {
	libs := &libraries{files: map[string]int{}}
	// A script's own pip installs go first: they are meant to replace what is there.
	libs.add(w.join("installation"))
	if list, ok := argument(spec, "--extra-py-files"); ok {
		if err := p.fetchList(ctx, w, libs, "Library", list, notice); err != nil {
			return environment{}, nil, err
		}
	}
	if list, ok := argument(spec, "--extra-files"); ok {
		if err := p.fetchExtraFiles(ctx, w, list); err != nil {
			return environment{}, nil, err
		}
	}
	value, _ := argument(spec, "--additional-python-modules")
	extra, wheels, err := planModules(value)
	if err != nil {
		return environment{}, nil, modulesFailed(err.Error(), nil)
	}
	if err := p.fetchList(ctx, w, libs, "Wheel", strings.Join(wheels, ","), notice); err != nil {
		return environment{}, nil, err
	}
	extra.wheels = libs.wheels
	if set, ok := argument(spec, "library-set"); ok && set != "none" {
		notice("library-set=" + quoteShort(set) + " installs nothing here; name modules in --additional-python-modules.")
	}
	env, err := p.environment(ctx, spec, extra, notice)
	return env, libs.path, err
}

// fetchExtraFiles puts single files into the working directory.
func (p *Preparer) fetchExtraFiles(ctx context.Context, w *workspace, list string) error {
	for location := range strings.SplitSeq(list, ",") {
		if location = strings.TrimSpace(location); location == "" {
			continue
		}
		o, err := parseObject("Extra file", location)
		if err != nil {
			return err
		}
		if _, err := p.fetch(ctx, w, "Extra file", o, "scratch/"+o.name, libraryLimit); err != nil {
			return err
		}
	}
	return nil
}

// environ builds the whole environment of the process from nothing (spec/faults
// J13, spec/jobs §5.4). Later sources win.
func (p *Preparer) environ(spec launch.Spec, w *workspace, env environment, path []string) ([]string, error) {
	vars := map[string]string{
		"PATH":             filepath.Dir(env.Python) + string(os.PathListSeparator) + defaultPath,
		"LANG":             "C.UTF-8",
		"HOME":             w.join("scratch"),
		"TMPDIR":           w.join("scratch"),
		"PYTHONUNBUFFERED": "1",
		// Scripts install into GLUE_INSTALLATION, or with pip, and then import. Both
		// stay in the attempt; the shared environment is nobody's to change.
		"GLUE_INSTALLATION":             w.join("installation"),
		"PIP_TARGET":                    w.join("installation"),
		"PIP_DISABLE_PIP_VERSION_CHECK": "1",
		"GLUE_PYTHON_VERSION":           spec.Command.PythonVersion,
		"GLUE_JOB_NAME":                 spec.JobName,
		"GLUE_JOB_RUN_ID":               spec.Attempt,
		"TENON_PYTHONPATH":              strings.Join(path, string(os.PathListSeparator)),
		"TENON_GLUE_FLAVOUR":            "pythonshell",
	}
	if spec.Command.PythonVersion == "" {
		vars["GLUE_PYTHON_VERSION"] = "3"
	}
	if spec.GlueVersion != "" {
		vars["GLUE_VERSION"] = spec.GlueVersion
	}
	if spec.Workflow != "" {
		vars["GLUE_WORKFLOW_NAME"] = spec.Workflow
		vars["GLUE_WORKFLOW_RUN_ID"] = spec.WorkflowRun
	}
	for _, kv := range p.cfg.JobEnv {
		k, v, _ := strings.Cut(kv, "=")
		vars[k] = v
	}
	for k, v := range spec.Environment {
		vars[k] = v
	}
	environ := make([]string, 0, len(vars))
	for k, v := range vars {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.ContainsRune(v, 0) {
			return nil, fmt.Errorf("environment variable %q cannot be passed to a process", k)
		}
		environ = append(environ, k+"="+v)
	}
	slices.Sort(environ)
	return environ, nil
}

// Discard implements launch.Preparer. Links in the workspace are removed, never
// followed.
func (p *Preparer) Discard(ctx context.Context, attempt string) error {
	if err := checkAttempt(attempt); err != nil {
		return err
	}
	work, err := os.OpenRoot(p.workDir)
	if err != nil {
		return fmt.Errorf("open work directory: %w", err)
	}
	defer work.Close()
	if work.RemoveAll(attempt) == nil {
		return nil
	}
	// A job may have left directories without write permission.
	err = fs.WalkDir(work.FS(), attempt, func(name string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && ctx.Err() == nil {
			return work.Chmod(name, 0o700)
		}
		return ctx.Err()
	})
	if rerr := work.RemoveAll(attempt); rerr != nil {
		return fmt.Errorf("remove work directory: %w", errors.Join(rerr, err))
	}
	return nil
}
