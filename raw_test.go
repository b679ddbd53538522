package tenon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/go-json-experiment/json"
)

// request makes a request to the server, not yet signed.
func (w *world) request(method, path string, body []byte) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL()+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// call makes a request of the Glue API with any body.
func (w *world) call(operation, body string) *http.Request {
	r := w.request(http.MethodPost, "/", []byte(body))
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AWSGlue."+operation)
	return r
}

// sign signs a request as a principal of the server, for a service.
func (w *world) sign(r *http.Request, service, key, secret, token string) *http.Request {
	w.t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if service == "s3" {
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	c := aws.Credentials{AccessKeyID: key, SecretAccessKey: secret, SessionToken: token}
	if err := v4.NewSigner().SignHTTP(context.Background(), c, r, hash, service, DefaultRegion, time.Now()); err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) signed(r *http.Request, service string) *http.Request {
	return w.sign(r, service, w.key, w.secret, "")
}

// send sends a request and reads the answer.
func (w *world) send(r *http.Request) (*http.Response, []byte) {
	w.t.Helper()
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	_ = res.Body.Close()
	return res, body
}

// own calls one of the server's own routes as root.
func (w *world) own(method, path string, body []byte) (int, []byte) {
	w.t.Helper()
	res, out := w.send(w.signed(w.request(method, path, body), "tenon"))
	return res.StatusCode, out
}

type activeRun struct {
	ID, Kind, Workflow, Status string
	Orphaned                   bool
}

func (w *world) activeRuns() []activeRun {
	w.t.Helper()
	status, body := w.own(http.MethodGet, "/_tenon/runs", nil)
	var out struct {
		Runs []activeRun `json:"runs"`
	}
	if err := json.Unmarshal(body, &out); err != nil || status != http.StatusOK {
		w.t.Fatalf("GET /_tenon/runs: %d %s %v", status, body, err)
	}
	return out.Runs
}
