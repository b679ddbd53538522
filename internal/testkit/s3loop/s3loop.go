// Package s3loop runs the S3 door over a store on loopback, behind a gate that
// verifies signatures. It guarantees what the server's own gate does for the
// bytes of a request; it checks no permissions and writes no log.
package s3loop

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"tenon/internal/blob"
	"tenon/internal/blob/fsblob"
	"tenon/internal/blob/indexed"
	"tenon/internal/neighbours/s3"
	"tenon/internal/wire/sigv4"
)

// The only credentials the gate knows.
const (
	AccessKey = "AKIDEXAMPLE"
	SecretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	Region    = "eu-central-1"
)

// Server is a running door.
type Server struct {
	URL    string
	Client *http.Client
	Door   *s3.Door

	mu     sync.Mutex
	failed []error
}

// Failures are the errors that the door gave back for the log, and forgets them.
func (s *Server) Failures() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.failed
	s.failed = nil
	return out
}

// Start serves the store until the test ends. An error for the log that the test
// has not asked for fails it.
func Start(t testing.TB, store blob.Store) *Server { return start(t, store, (*httptest.Server).Start) }

// StartTLS is Start with https, over which SDKs send aws-chunked bodies with
// checksums behind them. Client trusts it.
func StartTLS(t testing.TB, store blob.Store) *Server {
	return start(t, store, (*httptest.Server).StartTLS)
}

// StartEmpty is Start over an empty store in a directory of the test.
func StartEmpty(t testing.TB) *Server {
	t.Helper()
	store, err := fsblob.Open(t.TempDir(), indexed.NewMemIndex(), indexed.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return Start(t, store)
}

func start(t testing.TB, store blob.Store, listen func(*httptest.Server)) *Server {
	t.Helper()
	s := &Server{Door: s3.New(store, s3.Config{Hosts: []string{"localhost", "s3.localhost"}, Region: Region})}
	keys := func(_ context.Context, id, _ string) (string, error) {
		if id != AccessKey {
			return "", sigv4.ErrUnknownKey
		}
		return SecretKey, nil
	}
	verifier := sigv4.New(keys, time.Now, sigv4.ServiceS3)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const requestID = "the-request"
		signed, err := sigv4.Parse(r)
		if err == nil {
			err = verifier.VerifyHead(signed)
		}
		if err != nil {
			s.Door.WriteError(w, r, "AccessDenied", err.Error(), requestID)
			return
		}
		if len(s.Door.Needs(r)) == 0 {
			s.Door.WriteError(w, r, "AccessDenied", "Access Denied", requestID)
			return
		}
		body := signed.Body(r.Body)
		if err := s.Door.Serve(w, r, reader{body}, body.Trailer, requestID); err != nil {
			s.mu.Lock()
			s.failed = append(s.failed, err)
			s.mu.Unlock()
		}
	}))
	t.Cleanup(func() {
		server.Close()
		for _, err := range s.Failures() {
			t.Errorf("the door failed: %v", err)
		}
	})
	listen(server)
	s.URL, s.Client = server.URL, server.Client()
	return s
}

// reader gives the verifier's refusals the names S3 has for them.
type reader struct{ *sigv4.Body }

func (r reader) Read(p []byte) (int, error) {
	n, err := r.Body.Read(p)
	var refused *sigv4.Error
	if errors.As(err, &refused) {
		code := "IncompleteBody"
		switch refused.Kind {
		case sigv4.KindPayloadMismatch:
			code = "XAmzContentSHA256Mismatch"
		case sigv4.KindBadSignature:
			code = "SignatureDoesNotMatch"
		case sigv4.KindMalformedTrailer:
			code = "MalformedTrailerError"
		}
		err = &blob.Error{Code: code, Message: refused.Message}
	}
	return n, err
}
