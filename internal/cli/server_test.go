package cli

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tenon"
	"tenon/internal/launch"
	"tenon/internal/launch/fake"
)

// These tests drive the commands against a real server on loopback, whose jobs
// are scripted.

// preparer prepares nothing but a name.
type preparer struct{}

func (preparer) Prepare(_ context.Context, s launch.Spec, _ func(string)) (launch.Process, error) {
	return launch.Process{Attempt: s.Attempt, Argv: []string{s.JobName}}, nil
}

func (preparer) Discard(context.Context, string) error { return nil }

// serve runs a server on a new data directory until the test ends.
func serve(t *testing.T, outcome func(job string) fake.Outcome) (data string) {
	t.Helper()
	data = t.TempDir()
	sup := fake.New(time.Now, func(p launch.Process) fake.Outcome { return outcome(p.Argv[0]) })
	ctx, stop := context.WithCancel(t.Context())
	server, err := tenon.New(ctx, tenon.Config{
		Data: data, Listen: "127.0.0.1:0", Supervisor: sup, Preparers: map[string]launch.Preparer{"pythonshell": preparer{}},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		if err := server.Run(ctx); err != nil {
			t.Errorf("the server ended: %v", err)
		}
	})
	work.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; sup.Tick() {
			select {
			case <-tick.C:
			case <-ctx.Done():
				tick.Stop()
				return
			}
		}
	})
	t.Cleanup(func() { stop(); work.Wait() })
	// The endpoint is announced when the server begins to serve.
	for deadline := time.After(10 * time.Second); ; {
		if _, err := os.Stat(filepath.Join(data, "endpoint")); err == nil {
			return data
		}
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatal("the server does not announce its endpoint")
		}
	}
}

// tenonRun runs a command and returns its exit code and everything it printed.
func tenonRun(data string, args ...string) (code int, text string) {
	p, out, errs := process(nil)
	code = Run(append(args, "--data", data), p)
	return code, out.String() + errs.String()
}

func wants(t *testing.T, what string, code, wantCode int, text string, parts ...string) {
	t.Helper()
	if code != wantCode {
		t.Errorf("%s: exit code %d, want %d", what, code, wantCode)
	}
	for _, p := range parts {
		if !regexp.MustCompile(p).MatchString(text) {
			t.Errorf("%s: nothing matches %q", what, p)
		}
	}
	if t.Failed() {
		t.Fatalf("%s printed:\n%s", what, text)
	}
}

func quick(string) fake.Outcome { return fake.Outcome{After: time.Millisecond} }

func TestRunToSuccess(t *testing.T) {
	data, copies := serve(t, quick), t.TempDir()
	code, text := tenonRun(data, "run", "testdata/story", "--out", copies)
	wants(t, "run", code, exitOK, text,
		`server  http://127.0.0.1`, `skipped  AWS::IAM::Role Role`, `create +AWS::Glue::Job +First \(first\)`, `upload  1 files`, `run +wr_[0-9a-f]{64} of story`,
		`\+\d.*first +SUCCEEDED  after`, `output  Name = story`, `(?m)^  second  SUCCEEDED`, `alert   – +did not run: a watched state did not occur`, `of story succeeded in`, `copied  0 objects`)
	code, text = tenonRun(data, "run", "testdata/story")
	wants(t, "the second run", code, exitOK, text, `stack story is up to date`)
}

func TestRunToFailure(t *testing.T) {
	data := serve(t, func(job string) fake.Outcome {
		o := quick(job)
		if job == "first" {
			o.ExitCode = 1
			o.Output = []fake.Output{{Stream: launch.Stdout, Data: "to stdout\n"}, {Stream: launch.Stderr, Data: "Traceback\nValueError: \x1b[31mno\n"}}
		}
		return o
	})
	code, text := tenonRun(data, "run", "testdata/story", "--param", "Second=later")
	wants(t, "run", code, exitFailed, text,
		`first wrote last`, `  \| ValueError: \\x1b\[31mno`, `later +– +did not run: a watched state`, `alert +SUCCEEDED`, `no success \(COMPLETED`, `  - first ended FAILED`)
	if strings.Contains(text, "\x1b") {
		t.Errorf("an escape of the job got through: %q", text)
	}
	run := regexp.MustCompile(`wr_[0-9a-f]{64}`).FindString(text)
	code, text = tenonRun(data, "logs", run)
	wants(t, "logs of a workflow run", code, exitOK, text, `(?m)^first +\| to stdout$`, `(?m)^first +\| Traceback$`)
	code, text = tenonRun(data, "logs", run, "--follow", "--stream", "stdout")
	wants(t, "followed logs", code, exitOK, text, `(?m)^first +\| to stdout$`)
	if strings.Contains(text, "Traceback") {
		t.Errorf("stderr is among stdout:\n%s", text)
	}
	code, text = tenonRun(data, "workflow", "watch", "story", "--run", run)
	wants(t, "watch", code, exitFailed, text, `  - first ended FAILED`)
	code, text = tenonRun(data, "workflow", "explain", "story")
	wants(t, "explain", code, exitOK, text, `is COMPLETED`, `trigger well has not fired`, `waits for  first to be SUCCEEDED; it is FAILED`)
	code, text = tenonRun(data, "workflow", "graph", "story", "--run", run)
	wants(t, "graph", code, exitOK, text, `starts  first \[FAILED\]`, `(?m)starts  later$`)
	code, text = tenonRun(data, "workflow", "stop", "story")
	wants(t, "stop", code, exitFailed, text, `IllegalWorkflowStateException`)
}

func TestRunRefusesBeforeItChanges(t *testing.T) {
	data := serve(t, quick)
	for what, args := range map[string][]string{
		"an unknown parameter": {"run", "testdata/story", "--param", "Third=x"},
		"an unknown workflow":  {"run", "testdata/story", "--workflow", "saga"},
	} {
		code, text := tenonRun(data, args...)
		wants(t, what, code, exitUsage, text, `Third|saga`)
		if code, text = tenonRun(data, "workflow", "start", "story"); code != exitFailed || !strings.Contains(text, "EntityNotFoundException") {
			t.Errorf("%s: something was created: %s", what, text)
		}
	}
}

// signalling sends signals when what is printed contains a text.
type signalling struct {
	bytes.Buffer
	when    string
	signals chan os.Signal
}

func (s *signalling) Write(b []byte) (int, error) {
	n, err := s.Buffer.Write(b)
	if s.when != "" && strings.Contains(s.String(), s.when) {
		s.when = ""
		s.signals <- os.Interrupt
	}
	return n, err
}

func TestInterrupts(t *testing.T) {
	data := serve(t, func(string) fake.Outcome { return fake.Outcome{Never: true} })
	interruptedAt := func(when string, args ...string) (int, string) {
		out := &signalling{when: when, signals: make(chan os.Signal, 1)}
		code := Run(append(args, "--data", data), Process{Stdout: out, Stderr: out, Getenv: func(string) string { return "" }, Signals: out.signals})
		return code, out.String()
	}
	code, text := interruptedAt("RUNNING", "run", "testdata/story")
	wants(t, "a run that is interrupted", code, exitFailed, text, `Stopping the run`, `first +STOPPED`, `  - the run ended STOPPED`)
	code, text = interruptedAt("skipped", "run", "testdata/story", "--stack", "other", "--param", "Second=x")
	wants(t, "an apply that is interrupted", code, exitInterrupted, text, `tenon: interrupted`)

	code, run := tenonRun(data, "workflow", "start", "story", "--property", "a=b")
	wants(t, "start", code, exitOK, run, `^wr_[0-9a-f]{64}\n$`)
	code, text = interruptedAt("RUNNING", "workflow", "watch", "story")
	wants(t, "a watch that is interrupted", code, exitInterrupted, text, `tenon: interrupted`)
	code, text = tenonRun(data, "workflow", "explain", "story")
	wants(t, "the watched run", code, exitOK, text, strings.TrimSpace(run)+` of story is RUNNING`, `first is RUNNING`)
	code, text = tenonRun(data, "workflow", "stop", "story")
	wants(t, "stop", code, exitOK, text, `is stopping`)
	code, text = tenonRun(data, "workflow", "watch", "story")
	wants(t, "watch to the end", code, exitFailed, text, `the run ended STOPPED`)
}

func TestStacks(t *testing.T) {
	data := serve(t, quick)
	code, text := tenonRun(data, "apply", "testdata/story", "--stack", "mine")
	wants(t, "create", code, exitOK, text, `create`, `upload  1 files`, `output Name = story`)
	code, text = tenonRun(data, "apply", "testdata/story", "--stack", "mine", "--param", "Second=renamed")
	wants(t, "update", code, exitOK, text, `replace +AWS::Glue::Job +Next`, `delete +AWS::Glue::Job +Next \(second\)`)
	code, text = tenonRun(data, "apply", "--stack", "mine", "--delete")
	wants(t, "delete", code, exitOK, text, `retain +AWS::S3::Bucket`, `stack mine is deleted`)
	code, text = tenonRun(data, "apply", "--stack", "mine", "--delete")
	wants(t, "delete again", code, exitFailed, text, `no stack mine`)
}

func TestCredentials(t *testing.T) {
	data := serve(t, quick)
	key := regexp.MustCompile(`AKIA[A-Z0-9]{16}`)
	_, before := tenonRun(data, "env")

	// Credentials of the environment may be AWS's: they count only for an endpoint that is named.
	foreign := map[string]string{"AWS_ACCESS_KEY_ID": "AKIANOBODYNOBODYNOBO", "AWS_SECRET_ACCESS_KEY": "wrong"}
	p, out, errs := process(foreign)
	code := Run([]string{"workflow", "start", "w", "--data", data}, p)
	wants(t, "credentials of the data directory", code, exitFailed, out.String()+errs.String(), `EntityNotFoundException`)
	endpoint, _, err := recordedEndpoint(data)
	if err != nil {
		t.Fatal(err)
	}
	p, out, errs = process(foreign)
	code = Run([]string{"workflow", "start", "w", "--endpoint", endpoint + "/"}, p)
	wants(t, "credentials of somebody else", code, exitFailed, out.String()+errs.String(), `UnrecognizedClientException`)

	// The server learns of the change within a second; env and list read the file.
	code, text := tenonRun(data, "credentials", "rotate", key.FindString(before))
	wants(t, "rotate", code, exitOK, text, `secret access key  \S{40}`, `not shown again`)
	secret := strings.Fields(regexp.MustCompile(`secret access key.*`).FindString(text))[3]
	code, after := tenonRun(data, "env")
	wants(t, "env", code, exitOK, after, regexp.QuoteMeta(secret), `AWS_ENDPOINT_URL='http://127.0.0.1:\d+'`)
	code, text = tenonRun(data, "credentials", "list")
	wants(t, "list", code, exitOK, text, key.FindString(before)+` +123456789012 +\S+Z +\S+Z`)
	if strings.Contains(text, secret) {
		t.Error("the list tells a secret")
	}
	code, text = tenonRun(data, "credentials", "add", "--account", "111122223333")
	wants(t, "add", code, exitOK, text, `111122223333`)
	code, text = tenonRun(data, "credentials", "revoke", "AKIANOBODY")
	wants(t, "revoke nobody's", code, exitUsage, text, `no active credential`)
}
