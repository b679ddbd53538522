package python

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenon/internal/launch"
)

const printArgv = "import sys, os\nprint(repr([os.path.basename(sys.argv[0])] + sys.argv[1:]))\n"

// spec/jobs §3.4 through a real process: nothing stands between argv and the script.
func TestArgvArrives(t *testing.T) {
	const name = "-c LLPG raw 'to' ünï $(id).py"
	p := newPreparer(t, testConfig(shelf{"s3://b/a b/" + name: []byte(printArgv)}))
	spec := specOf(t, "--enable-metrics", "", "-c", "import os", "--json", `{"a": "b c"}`, "--nl", "a\nb", "--ü", "é", "-u", "-I")
	spec.Command.ScriptLocation = "s3://b/a b/" + name
	spec.Command.PythonVersion = "3.9"
	spec.Workflow, spec.WorkflowRun = "w f", "wr_1"
	want := `["-c LLPG raw 'to' ünï $(id).py", '--scriptLocation', "s3://b/a b/-c LLPG raw 'to' ünï $(id).py", '--python-version', '3.9', ` +
		`'--WORKFLOW_NAME', 'w f', '--WORKFLOW_RUN_ID', 'wr_1', '--enable-metrics', '-c', 'import os', '--json', '{"a": "b c"}', '--nl', 'a\nb', '--ü', 'é', '-u', '-I']` + "\n"
	if d := cmp.Diff(want, output(t, p, spec)); d != "" {
		t.Error(d)
	}
}

// spec/jobs §5.4 and spec/faults J13: the whole environment, and nothing else.
func TestEnvironment(t *testing.T) {
	t.Setenv("TENON_CANARY", "leaked")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "the server's")
	cfg := testConfig(shelf{"s3://b/script.py": []byte("import os\nprint(os.getcwd() == os.environ['HOME'] == os.environ['TMPDIR'])\n")})
	cfg.JobEnv = []string{"SSL_CERT_FILE=/ca.pem"}
	p := newPreparer(t, cfg)
	spec := specOf(t)
	spec.GlueVersion, spec.Workflow, spec.WorkflowRun = "5.0", "w", "wr_1"
	spec.Environment = map[string]string{"AWS_REGION": "us-east-1", "AWS_SESSION_TOKEN": "t=1"}
	proc := prepare(t, p, spec)
	work := filepath.Join(p.workDir, spec.Attempt)
	want := []string{
		"AWS_REGION=us-east-1", "AWS_SESSION_TOKEN=t=1",
		"GLUE_INSTALLATION=" + work + "/installation", "GLUE_JOB_NAME=job", "GLUE_JOB_RUN_ID=" + spec.Attempt,
		"GLUE_PYTHON_VERSION=3", "GLUE_VERSION=5.0", "GLUE_WORKFLOW_NAME=w", "GLUE_WORKFLOW_RUN_ID=wr_1",
		"HOME=" + work + "/scratch", "LANG=C.UTF-8",
		"PATH=" + filepath.Dir(proc.Argv[0]) + ":/usr/local/bin:/usr/bin:/bin",
		"PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_TARGET=" + work + "/installation", "PYTHONUNBUFFERED=1", "SSL_CERT_FILE=/ca.pem",
		"TENON_GLUE_FLAVOUR=pythonshell", "TENON_PYTHONPATH=" + work + "/installation", "TMPDIR=" + work + "/scratch",
	}
	if d := cmp.Diff(want, proc.Env); d != "" {
		t.Error(d)
	}
	if want := []string{"-I", "-u", filepath.Join(p.runtimeDir, Wrapper), work + "/script/script.py", "--scriptLocation", "s3://b/script.py"}; !slices.Equal(want, proc.Argv[1:4+len(want)-3]) {
		t.Errorf("argv %q", proc.Argv)
	}
	if out, errs, _ := run(t, proc); out != "True\n" {
		t.Errorf("%q %s", out, errs)
	}
	spec.Environment["BAD"] = "a\x00b"
	if _, err := p.Prepare(t.Context(), spec, nil); err == nil {
		t.Error("a NUL in the environment was accepted")
	}
}

// spec/faults G11.
func TestScriptRefused(t *testing.T) {
	cfg := testConfig(nil)
	cfg.Open = func(ctx context.Context, uri string) (io.ReadCloser, int64, error) {
		switch uri {
		case "s3://b/denied":
			return nil, 0, fs.ErrPermission
		case "s3://b/broken":
			return nil, 0, errors.New("disk on fire")
		case "s3://b/huge":
			return io.NopCloser(zeros{}), 2 << 30, nil
		case "s3://b/endless":
			return io.NopCloser(zeros{}), -1, nil
		case "s3://b/short":
			return io.NopCloser(strings.NewReader("pri")), 10, nil
		}
		return shelf{}.open(ctx, uri)
	}
	p := newPreparer(t, cfg)
	for _, c := range []struct{ location, want string }{
		{"s3://b/k", "Script s3://b/k could not be read: the object does not exist."},
		{"s3://nobucket/k", "Script s3://nobucket/k could not be read: the bucket does not exist."},
		{"s3://b/dir/", "Script s3://b/dir/ could not be read: the location is a directory, not an object."},
		{"s3://b", "Script s3://b could not be read: the location names a bucket and no object."},
		{"s3:///k", "Script s3:///k could not be read: the location names no bucket."},
		{"/etc/passwd", "Script /etc/passwd could not be read: the location must begin with s3://."},
		{"file:///etc/passwd", "Script file:///etc/passwd could not be read: the location must begin with s3://."},
		{"", "Script has no location."},
		{"s3://b/a/..", `Script s3://b/a/.. could not be read: ".." is not a file name.`},
		{"s3://b/denied", "Script s3://b/denied could not be read: access is denied."},
		{"s3://b/broken", "Script s3://b/broken could not be read: disk on fire."},
		{"s3://b/huge", "Script s3://b/huge could not be read: it is larger than 64 MiB."},
		{"s3://b/endless", "Script s3://b/endless could not be read: it is larger than 64 MiB."},
		{"s3://b/short", "Script s3://b/short could not be read: it ended after 3 of 10 bytes."},
	} {
		spec := specOf(t)
		spec.Command.ScriptLocation = c.location
		if got := refusal(t, p, spec); got != c.want {
			t.Errorf("%q: got %q, want %q", c.location, got, c.want)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// spec/faults G11: CRLF and a byte order mark are fine; the digest is on record.
func TestScriptRuns(t *testing.T) {
	source := "\ufeffimport sys\r\nprint('ü',\r\n  sys.argv[0].rsplit('/')[-1])\r\n"
	long := strings.Repeat("é", 300) + ".py"
	p := newPreparer(t, testConfig(shelf{"s3://b/script.py": []byte(source), "s3://b/" + long: []byte(source)}))
	spec := specOf(t)
	if got := output(t, p, spec); got != "ü script.py\n" {
		t.Errorf("%q", got)
	}
	if got, err := p.ScriptDigest(spec.Attempt); err != nil || len(got) != 64 {
		t.Errorf("digest %q, %v", got, err)
	}
	spec.Command.ScriptLocation = "s3://b/" + long
	if got := output(t, p, spec); !strings.HasSuffix(got, "éé.py\n") || len(got) > nameLimit+10 {
		t.Errorf("%q", got)
	}
}

// A repeated Prepare replaces what an interrupted one left and gives the same process.
func TestPrepareAgain(t *testing.T) {
	s := shelf{"s3://b/script.py": []byte("print(1)")}
	p := newPreparer(t, testConfig(s))
	spec := specOf(t)
	first := prepare(t, p, spec)
	if err := os.WriteFile(first.Argv[4]+".part", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s["s3://b/script.py"] = []byte("print(2)")
	again := prepare(t, p, spec)
	if d := cmp.Diff(first, again); d != "" {
		t.Error(d)
	}
	if out, _, _ := run(t, again); out != "2\n" {
		t.Errorf("%q", out)
	}
}

// spec/faults J11.
func TestAttemptIsChecked(t *testing.T) {
	p := newPreparer(t, testConfig(nil))
	good := "jr_" + strings.Repeat("a", 64)
	for _, id := range []string{"", ".", "..", "jr_", "jr_../..", good + "/..", good + "\n", good + "_attempt_", strings.ToUpper(good), good + "_attempt_" + strings.Repeat("1", 300)} {
		if _, err := p.Prepare(t.Context(), launch.Spec{Attempt: id}, nil); err == nil {
			t.Errorf("Prepare accepted %q", id)
		}
		if err := p.Discard(t.Context(), id); err == nil {
			t.Errorf("Discard accepted %q", id)
		}
	}
	for _, id := range []string{good, good + "_attempt_12"} {
		if err := p.Discard(t.Context(), id); err != nil {
			t.Errorf("Discard of an unknown attempt: %v", err)
		}
	}
}

// spec/faults J11: links that a job left are removed, not followed.
func TestDiscardFollowsNoLinks(t *testing.T) {
	outside := t.TempDir()
	keep := filepath.Join(outside, "keep")
	if err := os.WriteFile(keep, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPreparer(t, testConfig(shelf{"s3://b/script.py": []byte(
		"import os, sys\nos.symlink(sys.argv[-1], 'link')\nos.makedirs('d/e')\nopen('d/e/f', 'w').close()\nos.chmod('d/e', 0o500)\nos.chmod('d', 0)\n")}))
	spec := specOf(t, "--outside", outside)
	output(t, p, spec)
	if err := p.Discard(t.Context(), spec.Attempt); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(keep); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(p.workDir, spec.Attempt)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the work directory stayed: %v", err)
	}
}

// spec/jobs §5.3: files, archives and name collisions; no wheel, so no installer.
func TestExtraFiles(t *testing.T) {
	s := shelf{
		"s3://b/mod.py":      []byte("x = 'mod'"),
		"s3://c/mod.py":      []byte("x = 'shadowed'"),
		"s3://b/pack.zip":    archive(t, "inzip.py", "x = 'zip'", "../../escape.py", "x = 1"),
		"s3://b/old:egg.egg": archive(t, "inegg.py", "x = 'egg'"),
		"s3://b/conf.json":   []byte("{}"),
		"s3://b/data.csv":    []byte("1,2"),
		"s3://b/script.py": []byte("import mod, inzip, inegg, os, sys\nfrom awsglue.utils import getResolvedOptions\n" +
			"print(mod.x, inzip.x, inegg.x, os.path.exists(os.path.dirname(mod.__file__) + '/conf.json'), open('data.csv').read())\n"),
	}
	p := newPreparer(t, testConfig(s))
	spec := specOf(t, "--extra-py-files", " s3://b/mod.py,s3://c/mod.py,,s3://b/pack.zip, s3://b/old:egg.egg,s3://b/conf.json", "--extra-files", "s3://b/data.csv")
	if got := output(t, p, spec); got != "mod zip egg True 1,2\n" {
		t.Errorf("%q", got)
	}
	for list, want := range map[string]string{
		"s3://b/folder/":               "Library s3://b/folder/ could not be read: the location is a directory, not an object.",
		"s3://b/mod.py,s3://b/gone.py": "Library s3://b/gone.py could not be read: the object does not exist.",
		"mod.py":                       "Library mod.py could not be read: the location must begin with s3://.",
	} {
		if got := refusal(t, p, specOf(t, "--extra-py-files", list)); got != want {
			t.Errorf("%s: got %q", list, got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no Open":         func(c *Config) { c.Open = nil },
		"relative root":   func(c *Config) { c.Root = "x" },
		"colon in root":   func(c *Config) { c.Root = "/tmp/a:b" },
		"no wrapper":      func(c *Config) { c.Runtime = os.DirFS(t.TempDir()) },
		"bad environment": func(c *Config) { c.JobEnv = []string{"SECRET"} },
	} {
		cfg := testConfig(nil)
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: the error shows the value: %v", name, err)
		}
	}
}
