package drive

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenon/internal/wire/sigv4"
)

func TestQuantile(t *testing.T) {
	hundred := make(Samples, 100)
	for i := range hundred {
		hundred[(i*37)%100] = time.Duration(i + 1) // 1…100, out of order
	}
	for _, c := range []struct {
		samples Samples
		q       float64
		want    time.Duration
	}{
		{nil, 0.5, 0},
		{Samples{7}, 0, 7},
		{Samples{7}, 0.99, 7},
		{Samples{3, 1, 2}, 0.5, 2},
		{Samples{4, 1, 3, 2}, 0.5, 2}, // the lower of two middles: a time that was measured
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
	} {
		if got := c.samples.Quantile(c.q); got != c.want {
			t.Errorf("quantile %v of %d samples: got %d, want %d", c.q, len(c.samples), got, c.want)
		}
	}
}

func TestMedianResult(t *testing.T) {
	got := MedianResult([]Result{
		{Clients: 8, Calls: 100, Wall: time.Second, P50: 3, P99: 9, ServerCPU: 0.5},
		{Clients: 8, Calls: 600, Wall: 2 * time.Second, P50: 1, P99: 8, ServerCPU: 0.9},
		{Clients: 8, Calls: 200, Wall: time.Second, P50: 2, P99: 7, ServerCPU: 0.7},
	})
	want := Result{Clients: 8, Calls: 200, Wall: time.Second, P50: 2, P99: 8, ServerCPU: 0.7}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.Rate() != 200 {
		t.Errorf("rate %v, want 200", got.Rate())
	}
}

const (
	key    = "AKIDBENCH"
	secret = "benchbenchbenchbenchbenchbenchbenchbench"
)

// fakeServer answers calls that are signed as they should be.
type fakeServer struct {
	verifier *sigv4.Verifier
	calls    atomic.Int64
	failAt   int64
	close    bool

	mu          sync.Mutex
	invocations map[string]bool
	problem     error
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := f.calls.Add(1)
	if err := f.check(r); err != nil {
		f.mu.Lock()
		f.problem = err
		f.mu.Unlock()
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	if n == f.failAt {
		http.Error(w, "no", http.StatusInternalServerError)
		return
	}
	if f.close {
		w.Header().Set("Connection", "close")
	}
	_, _ = io.WriteString(w, r.Header.Get("X-Amz-Target")) // the client would notice
}

func (f *fakeServer) check(r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	signed, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	if err := f.verifier.VerifyBody(signed, body); err != nil {
		return err
	}
	id := r.Header.Get("Amz-Sdk-Invocation-Id")
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(id) != 36 || f.invocations[id] {
		return errors.New("the invocation id is missing or used twice")
	}
	f.invocations[id] = true
	return nil
}

func start(t *testing.T, f *fakeServer) Server {
	t.Helper()
	lookup := func(context.Context, string, string) (string, error) { return secret, nil }
	f.verifier, f.invocations = sigv4.New(lookup, time.Now, "glue"), map[string]bool{}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return Server{URL: s.URL, Key: key, Secret: secret}
}

// What Tenon's own verifier accepts is signed as the SDKs do.
func TestCallsAreSigned(t *testing.T) {
	for _, keep := range []bool{true, false} {
		f := &fakeServer{close: !keep}
		c, err := Dial(start(t, f))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			answer, err := c.Call("StartWorkflowRun", []byte(`{"Name":"w"}`))
			if err != nil || string(answer) != "AWSGlue.StartWorkflowRun" {
				t.Fatalf("keep %t: got %q, %v (%v)", keep, answer, err, f.problem)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestRunCountsCalls(t *testing.T) {
	f := &fakeServer{}
	got, err := Run(start(t, f), nil, Load{Operation: "GetWorkflowRun", Body: []byte("{}"), Clients: 4, For: time.Minute, Calls: 50})
	if err != nil {
		t.Fatal(err)
	}
	if got.Calls != 50 || f.calls.Load() != 50 || got.P50 <= 0 || got.P99 < got.P50 || got.Max < got.P99 {
		t.Errorf("got %+v for %d calls", got, f.calls.Load())
	}
}

func TestRunEndsWithItsTime(t *testing.T) {
	got, err := Run(start(t, &fakeServer{}), nil, Load{Operation: "GetWorkflowRun", Body: []byte("{}"), Clients: 2, For: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if got.Calls == 0 || got.Wall < 20*time.Millisecond {
		t.Errorf("got %d calls in %s", got.Calls, got.Wall)
	}
}

func TestOneFailureVoidsTheRun(t *testing.T) {
	f := &fakeServer{failAt: 20}
	_, err := Run(start(t, f), nil, Load{Operation: "GetWorkflowRun", Body: []byte("{}"), Clients: 4, For: time.Minute, Calls: 1 << 30})
	if err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("got %v", err)
	}
}
