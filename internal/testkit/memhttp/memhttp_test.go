package memhttp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenon/internal/testkit/memhttp"
)

// A request is answered, and time stands still while nobody waits for it.
func TestRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memhttp.Listen()
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write([]byte(r.Host + " " + strings.ToUpper(string(body))))
		})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		began := time.Now()
		transport := l.Transport()
		for range 3 {
			res, err := (&http.Client{Transport: transport}).Post("http://anything.example/", "text/plain", strings.NewReader("hello"))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			if err != nil || string(body) != "anything.example HELLO" {
				t.Errorf("got %q, %v", body, err)
			}
			_ = res.Body.Close()
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("took %s of virtual time", took)
		}
		transport.CloseIdleConnections()
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve ended with %v", err)
		}
	})
}

func TestClosedAndCancelled(t *testing.T) {
	l := memhttp.Listen()
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := l.Dial(ctx); !errors.Is(err, gone) {
		t.Errorf("Dial with a context that ended: %v", err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := l.Dial(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Dial after Close: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if got := l.Addr().String(); got != memhttp.Address {
		t.Errorf("Addr is %q", got)
	}
}
