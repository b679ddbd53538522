package cli

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tenon"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// process is one whose output is kept and that has the given environment.
func process(env map[string]string) (Process, *bytes.Buffer, *bytes.Buffer) {
	out, errs := &bytes.Buffer{}, &bytes.Buffer{}
	return Process{Stdout: out, Stderr: errs, Getenv: func(k string) string { return env[k] }, Signals: make(chan os.Signal)}, out, errs
}

// parse reads a command line without running it.
func parse(t *testing.T, args ...string) (*grammar, error) {
	t.Helper()
	p, _, _ := process(nil)
	g := &grammar{}
	parser, err := newParser(g, p, func() {})
	if err != nil {
		t.Fatalf("the grammar is wrong: %v", err)
	}
	_, err = parser.Parse(args)
	return g, err
}

func TestFlags(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		read func(*grammar) any
		want any
	}{
		"data defaults to ./.tenon":        {[]string{"env"}, func(g *grammar) any { return g.Data }, "./.tenon"},
		"data after the command":           {[]string{"env", "--data", "/d"}, func(g *grammar) any { return g.Data }, "/d"},
		"data before the command":          {[]string{"--data=/d", "serve"}, func(g *grammar) any { return g.Data }, "/d"},
		"data of a command of two words":   {[]string{"workflow", "stop", "w", "--data", "/d"}, func(g *grammar) any { return g.Data }, "/d"},
		"listen":                           {[]string{"serve"}, func(g *grammar) any { return g.Serve.Listen }, tenon.DefaultListen},
		"region":                           {[]string{"serve", "--region", "eu-west-1"}, func(g *grammar) any { return g.Region }, "eu-west-1"},
		"store timeout":                    {[]string{"serve"}, func(g *grammar) any { return g.Serve.StoreTimeout }, 5 * time.Second},
		"quotas repeat":                    {[]string{"serve", "--quota", "jobs=3", "--quota=triggers=4"}, func(g *grammar) any { return g.Serve.Quota }, []string{"jobs=3", "triggers=4"}},
		"a property may hold a comma":      {[]string{"run", "p", "--property", "a=1,2;3=4"}, func(g *grammar) any { return g.Run.Property }, []string{"a=1,2;3=4"}},
		"a parameter may hold a backslash": {[]string{"apply", "p", "--param", `a=\,"`}, func(g *grammar) any { return g.Apply.Param }, []string{`a=\,"`}},
		"requirements repeat":              {[]string{"serve", "--python-requirement", "boto3", "--python-requirement", "a[b,c]>1,<2"}, func(g *grammar) any { return g.Serve.PythonRequirement }, []string{"boto3", "a[b,c]>1,<2"}},
		"delete needs no path":             {[]string{"apply", "--delete", "--stack", "s"}, func(g *grammar) any { return g.Apply.Delete }, true},
		"run of a workflow":                {[]string{"workflow", "watch", "w", "--run", "wr_1"}, func(g *grammar) any { return g.Workflow.Watch.target.Run }, "wr_1"},
		"graph of a run":                   {[]string{"workflow", "graph", "w", "--run", "wr_1", "--format", "dot"}, func(g *grammar) any { return g.Workflow.Graph.ID + g.Workflow.Graph.Format }, "wr_1dot"},
		"start with properties":            {[]string{"workflow", "start", "w", "--property", "a=b"}, func(g *grammar) any { return g.Workflow.Start.Property }, []string{"a=b"}},
		"follow a log":                     {[]string{"logs", "jr_1", "-f", "--stream", "stderr"}, func(g *grammar) any { return []any{g.Logs.ID, g.Logs.Follow, g.Logs.Stream} }, []any{"jr_1", true, "stderr"}},
		"revoke a key":                     {[]string{"credentials", "revoke", "AKIA1"}, func(g *grammar) any { return g.Credentials.Revoke.AccessKeyID }, "AKIA1"},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := parse(t, c.args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, c.read(g)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFlagsFromTheEnvironment(t *testing.T) {
	t.Setenv("TENON_DATA", "/from/env")
	t.Setenv("TENON_MAX_LOCAL_JOBS", "7")
	g, err := parse(t, "serve", "--max-local-jobs", "3")
	if err != nil {
		t.Fatal(err)
	}
	if g.Data != "/from/env" || g.Serve.MaxLocalJobs != 3 {
		t.Errorf("data %q, jobs %d: the environment fills in, the command line wins", g.Data, g.Serve.MaxLocalJobs)
	}
}

func TestUsageErrors(t *testing.T) {
	folder := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"nothing":                        {nil, "expected one of"},
		"unknown command":                {[]string{"fly"}, "fly"},
		"unknown flag":                   {[]string{"serve", "--fly"}, "--fly"},
		"quota without a number":         {[]string{"serve", "--quota", "jobs=many"}, "whole number"},
		"quota without a name":           {[]string{"serve", "--quota", "3"}, "NAME=VALUE"},
		"quota twice":                    {[]string{"serve", "--quota", "jobs=3", "--quota", "jobs=4"}, "twice"},
		"a zero quota":                   {[]string{"serve", "--quota", "jobs=0"}, "at least 1"},
		"log format":                     {[]string{"serve", "--log-format", "xml"}, "log-format"},
		"a negative delay":               {[]string{"serve", "--retry-delay=-1s"}, "--retry-delay"},
		"no time for the store":          {[]string{"serve", "--store-timeout", "0s"}, "--store-timeout"},
		"ephemeral without insecure-dev": {[]string{"serve", "--ephemeral"}, "--insecure-dev"},
		"a folder without template":      {[]string{"run", folder}, "holds no template"},
		"a property without a name":      {[]string{"run", folder, "--property", "=x"}, "NAME=VALUE"},
		"a parameter twice":              {[]string{"run", folder, "--param", "a=1", "--param", "a=2"}, "twice"},
		"apply without a path":           {[]string{"apply"}, "PATH"},
		"a strange stack":                {[]string{"apply", folder, "--stack", "a/b"}, "--stack"},
		"logs of something":              {[]string{"logs", "x"}, "jr_"},
		"an endpoint that is no URL":     {[]string{"workflow", "start", "w", "--endpoint", "localhost:1"}, "URL"},
		"graph in another form":          {[]string{"workflow", "graph", "w", "--format", "svg"}, "format"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, errs := process(nil)
			if code := Run(c.args, p); code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
			if !strings.Contains(errs.String(), c.says) {
				t.Errorf("it says %q, which does not mention %q", errs, c.says)
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	data := t.TempDir()
	for _, args := range [][]string{{"env"}, {"workflow", "start", "w"}, {"logs", "jr_1"}, {"credentials", "list"}, {"credentials", "add"}} {
		p, _, errs := process(nil)
		if code := Run(append(args, "--data", data), p); code != exitFailed || !strings.Contains(errs.String(), data) {
			t.Errorf("%v: exit code %d, it says %q", args, code, errs)
		}
	}
	// A client that made credentials would fill directories that were mistyped.
	if left, err := os.ReadDir(data); err != nil || len(left) > 0 {
		t.Errorf("the directory is no longer empty: %v %v", left, err)
	}
}

func TestHelpAndVersion(t *testing.T) {
	p, out, _ := process(nil)
	if code := Run([]string{"--help"}, p); code != exitOK || !strings.Contains(out.String(), "credentials") {
		t.Errorf("exit code %d, it prints %q", code, out)
	}
	p, out, _ = process(nil)
	if code := Run([]string{"version"}, p); code != exitOK || out.String() != "tenon "+tenon.Version()+"\n" {
		t.Errorf("exit code %d, it prints %q", code, out)
	}
}

// TestStackName: the stack of a folder is that of the template in it.
func TestStackName(t *testing.T) {
	for _, c := range []struct{ asked, path, want string }{
		{"", "/x/weather", "weather"},
		{"", "/x/weather/", "weather"},
		{"", "/x/weather/template.yaml", "weather"},
		{"", "/x/cdk.out/App.template.json", "cdk-out"},
		{"", "/x/my data_2!", "my-data-2"},
		{"", "/x/2020", "stack-2020"},
		{"", "/", "stack"},
		{"", "/x/äöü", "stack"},
		{"mine", "/x/weather", "mine"},
		{"", "/x/" + strings.Repeat("a", 200), strings.Repeat("a", 128)},
	} {
		got, err := stackName(c.asked, c.path)
		if err != nil || got != c.want {
			t.Errorf("stackName(%q, %q) = %q, %v; want %q", c.asked, c.path, got, err, c.want)
		}
		if again, err := stackName(got, ""); err != nil || again != got {
			t.Errorf("the name %q is refused when it is asked for: %v", got, err)
		}
	}
}

func TestReport(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code int
		says string
	}{
		"nothing":                 {nil, exitOK, ""},
		"said already":            {errFailed, exitFailed, ""},
		"a failure":               {errors.New("disk is full"), exitFailed, "tenon: disk is full\n"},
		"usage":                   {usagef("no such thing"), exitUsage, "tenon: no such thing\n"},
		"interrupted":             {errInterrupted, exitInterrupted, "tenon: interrupted\n"},
		"escapes in it":           {errors.New("job \x1b[31mred"), exitFailed, "tenon: job \\x1b[31mred\n"},
		"interrupted, and more":   {errors.Join(errInterrupted, errors.New("close")), exitInterrupted, "tenon: interrupted\nclose\n"},
		"failed, and close fails": {errors.Join(errFailed, errors.New("close")), exitFailed, "tenon: close\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, errs := process(nil)
			if code := report(p, c.err); code != c.code || errs.String() != c.says {
				t.Errorf("exit code %d and %q, want %d and %q", code, errs, c.code, c.says)
			}
		})
	}
}

// TestRegion proves that clients follow the region of the data directory's server
// unless a flag names another.
func TestRegion(t *testing.T) {
	for _, c := range []struct{ flag, recorded, want string }{
		{"", "", tenon.DefaultRegion},
		{"", "eu-west-1", "eu-west-1"},
		{"us-west-2", "eu-west-1", "us-west-2"},
	} {
		s := &session{Globals: &Globals{Region: c.flag}}
		if got := s.region(c.recorded); got != c.want {
			t.Errorf("flag %q, recorded %q: %q, want %q", c.flag, c.recorded, got, c.want)
		}
	}
}
