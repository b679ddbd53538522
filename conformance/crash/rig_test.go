//go:build linux

package crash

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/smithy-go"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tenon"
)

// patience bounds every wait. Nothing takes a tenth of it on a machine that has
// nothing else to do.
const patience = 90 * time.Second

var binaries string // the folder of the built commands; removed by TestMain

// build builds both commands once, with crash points.
var build = sync.OnceValue(func() error {
	for _, source := range []string{"server/main.go", "job/main.go"} {
		if _, err := os.Stat(source); err != nil { // and so a cached result depends on them
			return err
		}
	}
	out, err := exec.Command("go", "build", "-tags", "crashpoints", "-o", binaries+"/", "./server", "./job").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	return nil
})

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tenon-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// errDied is returned for a server that ended before it was ready.
var errDied = errors.New("the server died before it was ready")

// rig is one data directory, the servers that live on it one after another, and
// a client that goes on through all of them.
type rig struct {
	*testing.T
	data     string
	evidence string // working directory of jobs
	listen   string // the same for all servers, so that clients find the next one
	flags    []string
	log      *os.File // of all servers
	server   *process // the latest one

	http    *http.Client
	glue    *glue.Client // made when the first server is ready
	account aws.Credentials

	mu    sync.Mutex
	acked map[string]acked // by ticket
}

// acked is a run whose start was acknowledged.
type acked struct{ workflow, run string }

// process is a server process.
type process struct {
	cmd    *exec.Cmd
	ready  chan error    // what became of its start
	gone   chan struct{} // closed at its end
	killed bool          // by the test
}

// newRig makes a directory for servers with these flags, or with evidence jobs.
func newRig(t *testing.T, flags ...string) *rig {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := &rig{T: t, data: filepath.Join(dir, "data"), evidence: filepath.Join(dir, "evidence"), acked: map[string]acked{}}
	r.http = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	if err := os.Mkdir(r.evidence, 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.log, err = os.OpenFile(filepath.Join(dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600); err != nil {
		t.Fatal(err)
	}
	r.listen = freeAddress(t)
	if len(flags) == 0 {
		flags = []string{"-job", filepath.Join(binaries, "job"), "-evidence", r.evidence}
	}
	r.flags = slices.Concat([]string{"-data", r.data, "-listen", r.listen}, flags)
	t.Cleanup(r.end)
	return r
}

// freeAddress returns a loopback address of its own for every rig: on 127.0.0.1
// an outgoing connection could take the port while the server is down.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// end ends what the test left, by pid, and shows the log of a failure.
func (r *rig) end() {
	if r.server != nil {
		r.kill()
	}
	for _, pid := range r.launchers() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if r.Failed() {
		if text, err := os.ReadFile(r.log.Name()); err == nil {
			r.Logf("last words of the servers:\n%s", text[max(0, len(text)-6000):])
		}
		if text, err := os.ReadFile(filepath.Join(r.data, "launcher", "launcher.log")); err == nil {
			r.Logf("last words of the launchers:\n%s", text[max(0, len(text)-2000):])
		}
	}
	_ = r.log.Close()
	r.http.CloseIdleConnections()
}

// launch starts a server that dies at a crash point, or at none.
func (r *rig) launch(crash string) *process {
	r.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		r.Fatal(err)
	}
	p := &process{cmd: exec.Command(filepath.Join(binaries, "server"), r.flags...), ready: make(chan error, 1), gone: make(chan struct{})}
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "TENON_CRASH=" + crash}
	p.cmd.Stdout, p.cmd.Stderr = out, r.log
	err = p.cmd.Start()
	_ = out.Close()
	if err != nil {
		r.Fatal(err)
	}
	r.server = p
	go func() {
		_ = p.cmd.Wait() // its status is read where it matters
		close(p.gone)
	}()
	go func() {
		defer in.Close()
		line, err := bufio.NewReader(in).ReadBytes('\n')
		if err != nil {
			p.ready <- errDied
			return
		}
		p.ready <- r.meet(line)
	}()
	return p
}

// meet learns from the first server that is ready how to speak to all of them.
func (r *rig) meet(line []byte) error {
	var says struct {
		Key    string `json:"key"`
		Secret string `json:"secret"`
	}
	if err := json.Unmarshal(line, &says); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.glue == nil {
		r.account = aws.Credentials{AccessKeyID: says.Key, SecretAccessKey: says.Secret}
		r.glue = client(r.listen, r.account, r.http)
	}
	return nil
}

// client returns a client that repeats a call until somebody answers. Every
// repetition bears the same invocation id, as SDKs do it (DESIGN P5).
func client(listen string, account aws.Credentials, h *http.Client) *glue.Client {
	return glue.New(glue.Options{
		Region: tenon.DefaultRegion, BaseEndpoint: aws.String("http://" + listen), HTTPClient: h,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return account, nil }),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = 1 << 20 // until the context ends
			o.RateLimiter = ratelimit.None
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 10 * time.Millisecond, nil })
			o.Retryables = []retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
				var answer smithy.APIError
				return aws.BoolTernary(!errors.As(err, &answer))
			})}
		}),
	})
}

// start starts a server and waits until it is ready, which it must become.
func (r *rig) start() {
	r.Helper()
	if err := <-r.launch("").ready; err != nil {
		r.Fatal(err)
	}
}

// kill ends the server as by kill -9.
func (r *rig) kill() {
	r.server.killed = true
	_ = r.server.cmd.Process.Kill() // it may be gone already
	<-r.server.gone
}

// stop ends the server in order and fails if it does not end well.
func (r *rig) stop() {
	r.Helper()
	// A server waits seconds for connections that were opened and not used yet.
	r.http.CloseIdleConnections()
	if err := r.server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.Fatalf("SIGTERM: %v", err)
	}
	<-r.server.gone
	if s := r.server.cmd.ProcessState; !s.Success() {
		r.Fatalf("the server ended with %v after SIGTERM", s)
	}
}

// crashed tells whether the server died by itself, of kill -9.
func (p *process) crashed() bool {
	select {
	case <-p.gone:
		status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
		return ok && !p.killed && status.Signal() == syscall.SIGKILL
	default:
		return false
	}
}

// launchers returns the pids of the living launchers of this directory.
func (r *rig) launchers() []int {
	var pids []int
	entries, _ := os.ReadDir("/proc") // a machine without one has no launchers
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline")) // empty for a zombie
		if err != nil || !bytes.HasPrefix(line, []byte(filepath.Join(binaries, "server")+"\x00"+tenon.LauncherCommand+"\x00")) {
			continue
		}
		if bytes.Contains(line, []byte("\x00"+filepath.Join(r.data, "launcher")+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killLaunchers ends the launchers as by kill -9 and waits until they are gone.
func (r *rig) killLaunchers() {
	r.Helper()
	pids := r.launchers()
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	r.until("the launcher is gone", func() bool {
		alive := r.launchers()
		return !slices.ContainsFunc(pids, func(pid int) bool { return slices.Contains(alive, pid) })
	})
}

// until waits for a condition.
func (r *rig) until(what string, ok func() bool) {
	r.Helper()
	if !waitFor(ok) {
		r.Fatalf("not within %s: %s", patience, what)
	}
}

func waitFor(ok func() bool) bool {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return false
		}
	}
	return true
}

// activeRuns asks the server's own route for everything that has not ended.
func (r *rig) activeRuns() (string, error) {
	q, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+r.listen+"/_tenon/runs", nil)
	if err != nil {
		return "", err
	}
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of no body
	q.Header.Set("X-Amz-Content-Sha256", empty)
	if err := v4.NewSigner().SignHTTP(r.Context(), r.account, q, empty, "tenon", tenon.DefaultRegion, time.Now()); err != nil {
		return "", err
	}
	reply, err := r.http.Do(q)
	if err != nil {
		return "", err
	}
	defer reply.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(reply.Body); err != nil {
		return "", err
	}
	if reply.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", reply.Status, body.String())
	}
	var out struct {
		Runs []jsontext.Value `json:"runs"`
	}
	if err := json.Unmarshal(body.Bytes(), &out); err != nil {
		return "", err
	}
	if len(out.Runs) == 0 {
		return "", nil
	}
	return body.String(), nil
}
