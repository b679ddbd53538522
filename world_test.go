package tenon

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"

	"tenon/internal/jobrun"
	"tenon/internal/launch"
	"tenon/internal/launch/fake"
	"tenon/internal/testkit/memhttp"
)

// The two stores behind which every story must be the same.
const (
	inMemory = "memory"
	onDisk   = "sqlite"
)

// world is a whole server in a bubble of virtual time: real front, services,
// runner and store, a real SDK client over memory, and a supervisor whose
// processes end as the test says. Nothing in it waits for real time.
type world struct {
	t      *testing.T
	config Config
	kind   string
	rewire func(*Server) error
	sup    *fake.Supervisor
	server *Server
	client *http.Client
	glue   *glue.Client
	key    string // of the account's root
	secret string
	end    func()
	// prepared has an element when an attempt was prepared since the last look.
	prepared chan struct{}

	mu        sync.Mutex
	outcomes  map[string][]fake.Outcome // by job; the last one repeats
	processes []launch.Process
}

// inWorlds runs a test on both stores.
func inWorlds(t *testing.T, change func(*Config), run func(w *world)) {
	for _, kind := range []string{inMemory, onDisk} {
		t.Run(kind, func(t *testing.T) { inWorld(t, kind, change, run) })
	}
}

// inWorld runs a test in a bubble with a server of its own.
func inWorld(t *testing.T, kind string, change func(*Config), run func(w *world)) {
	inWorldWith(t, kind, change, nil, run)
}

// inWorldWith is inWorld with a chance to change parts of each server before it runs.
func inWorldWith(t *testing.T, kind string, change func(*Config), rewire func(*Server) error, run func(w *world)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, kind: kind, rewire: rewire, prepared: make(chan struct{}, 1), outcomes: map[string][]fake.Outcome{}}
		w.sup = fake.New(time.Now, w.outcome)
		w.config = Config{
			Data: dir, Ephemeral: kind == inMemory, Logger: slog.New(slog.NewTextHandler(logTo{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
			Supervisor: w.sup, Preparers: map[string]launch.Preparer{jobrun.PythonShell: preparer{w}}, MaxLocalJobs: 100,
		}
		if change != nil {
			change(&w.config)
		}
		w.start()
		defer func() { w.end() }()
		run(w)
	})
}

// start starts a server on the world's data.
func (w *world) start() {
	w.t.Helper()
	listener := memhttp.Listen()
	config := w.config
	config.Listener = listener
	server, err := New(w.t.Context(), config)
	if err != nil {
		w.t.Fatalf("New: %v", err)
	}
	if w.rewire != nil {
		if err := w.rewire(server); err != nil {
			w.t.Fatalf("rewire: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Run(ctx) }()
	transport := listener.Transport()
	w.server, w.client = server, &http.Client{Transport: transport}
	w.end = func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-served; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}
	if w.key, w.secret, err = server.Credentials(); err != nil {
		w.t.Fatalf("Credentials: %v", err)
	}
	w.glue = w.sdk(w.key, w.secret, "")
}

// restart ends the server and starts another on the same data, which only makes
// sense on disk. The supervisor and its processes go on.
func (w *world) restart() {
	w.t.Helper()
	w.end()
	w.start()
}

// sdk returns an SDK client that never tries again.
func (w *world) sdk(key, secret, token string, options ...func(*glue.Options)) *glue.Client {
	return glue.New(glue.Options{
		Region: DefaultRegion, BaseEndpoint: aws.String(w.server.URL()), HTTPClient: w.client, Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key, SecretAccessKey: secret, SessionToken: token}, nil
		}),
	}, options...)
}

// plan says how the next processes of a job end; the last outcome repeats.
func (w *world) plan(job string, outcomes ...fake.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outcomes[job] = outcomes
}

func (w *world) outcome(p launch.Process) fake.Outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.processes = append(w.processes, p)
	job := strings.TrimPrefix(p.Argv[0], "/job/")
	plan := w.outcomes[job]
	if len(plan) == 0 {
		return fake.Outcome{After: time.Second}
	}
	if len(plan) > 1 {
		w.outcomes[job] = plan[1:]
	}
	return plan[0]
}

// process returns the process that was made for an attempt.
func (w *world) process(attempt string) launch.Process {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.processes, func(p launch.Process) bool { return p.Attempt == attempt })
	if i < 0 {
		w.t.Fatalf("no process was made for %s", attempt)
	}
	return w.processes[i]
}

// settle waits until nothing is left to do at this time.
func (w *world) settle() {
	for {
		synctest.Wait()
		at, ok := w.sup.Next()
		if !ok || at.After(time.Now()) {
			return
		}
		w.sup.Tick()
	}
}

// advance lets virtual time pass, with everything that happens meanwhile.
func (w *world) advance(d time.Duration) {
	end := time.Now().Add(d)
	for {
		w.settle()
		next := end
		if at, ok := w.sup.Next(); ok && at.Before(end) {
			next = at
		}
		if !next.After(time.Now()) {
			return
		}
		select {
		case <-time.After(time.Until(next)):
		case <-w.prepared: // by a timer of the server's; its process may come first
		}
	}
}

// preparer makes processes that carry the job's name and all that it was given.
type preparer struct{ w *world }

func (p preparer) Prepare(_ context.Context, s launch.Spec, _ func(string)) (launch.Process, error) {
	out := launch.Process{Attempt: s.Attempt, Argv: []string{"/job/" + s.JobName}, Dir: "/"}
	for _, a := range s.Arguments {
		out.Argv = append(out.Argv, a.Key, a.Value)
	}
	if s.Workflow != "" {
		out.Argv = append(out.Argv, "--WORKFLOW_NAME", s.Workflow, "--WORKFLOW_RUN_ID", s.WorkflowRun)
	}
	for k, v := range s.Environment {
		out.Env = append(out.Env, k+"="+v)
	}
	select {
	case p.w.prepared <- struct{}{}:
	default:
	}
	return out, nil
}

func (preparer) Discard(context.Context, string) error { return nil }

// logTo writes the server's log into the test's.
type logTo struct{ t *testing.T }

func (l logTo) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

var _ io.Writer = logTo{}
