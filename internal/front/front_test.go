package front

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tenon/internal/glueapi"
	"tenon/internal/launch"
	"tenon/internal/neighbours/s3"
	"tenon/internal/store"
	"tenon/internal/store/memstore"
	"tenon/internal/testkit/memhttp"
	"tenon/internal/wire/auth"
	"tenon/internal/wire/paging"
)

// log is a log that can be read while it is written.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(b) }
func (l *log) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// inFront serves a front in a bubble, over memory; everybody is root.
func inFront(t *testing.T, change func(*Front), run func(t *testing.T, l *memhttp.Listener, log *log)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		keys, err := auth.Open(filepath.Join(dir, "credentials"), auth.Options{
			Account: "123456789012", Now: time.Now, Active: func(context.Context, string) (bool, error) { return false, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		out := &log{}
		rows := memstore.New()
		f := New(Config{
			Keyring: keys, InsecureDev: true, Account: "123456789012", Region: "us-east-1", Version: "test", Now: time.Now,
			Logger: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Glue:   glueapi.New(glueapi.Config{Store: rows, IDs: store.NewIDs(time.Now, rand.Reader, 0), Now: time.Now, Pages: paging.New([]byte("key"))}),
			S3:     s3.New(nil, s3.Config{}),
			Output: func(context.Context, string, bool) (launch.FrameReader, error) { panic("a bug in Output") },
		})
		if change != nil {
			change(f)
		}
		l, server, served := memhttp.Listen(), f.Server(), make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		run(t, l, out)
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-served
		<-time.After(time.Second) // connections that were cut linger for a moment
	})
}

// exchange writes raw bytes and reads one answer.
func exchange(t *testing.T, l *memhttp.Listener, text string) (*http.Response, string) {
	t.Helper()
	c, err := l.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, text) }() // fails if the server has heard enough
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("half an answer: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	return res, string(body)
}

const head = "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AWSGlue.GetWorkflow\r\n"

// A body that is too large is refused by its length before it is read, and by
// its bytes when it does not say its length (spec/workflows §1.6).
func TestBodySize(t *testing.T) {
	inFront(t, nil, func(t *testing.T, l *memhttp.Listener, _ *log) {
		const want = `{"__type":"InvalidInputException","Message":"Request size limit exceeded"}`
		if res, body := exchange(t, l, head+"Content-Length: 1048577\r\n\r\n"); res.StatusCode != http.StatusBadRequest || body != want {
			t.Errorf("by its length: %d %s", res.StatusCode, body)
		}
		chunked := head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("10000\r\n"+strings.Repeat("x", 0x10000)+"\r\n", 17) + "0\r\n\r\n"
		if res, body := exchange(t, l, chunked); res.StatusCode != http.StatusBadRequest || body != want {
			t.Errorf("by its bytes: %d %s", res.StatusCode, body)
		}
		// As large as allowed is fine, in one piece or in many.
		most := `{"Name":"nowhere","X":"` + strings.Repeat("x", maxBody-25) + `"}`
		for _, text := range []string{
			head + "Content-Length: 1048576\r\n\r\n" + most,
			head + "Transfer-Encoding: chunked\r\n\r\n100000\r\n" + most + "\r\n0\r\n\r\n",
		} {
			if res, body := exchange(t, l, text); !strings.Contains(body, "EntityNotFoundException") {
				t.Errorf("as large as allowed: %d %s", res.StatusCode, body)
			}
		}
	})
}

// A client that does not finish its body is not waited for for ever, and one that
// does not finish its head even less.
func TestSlowClients(t *testing.T) {
	inFront(t, nil, func(t *testing.T, l *memhttp.Listener, _ *log) {
		began := time.Now()
		if res, body := exchange(t, l, head+"Content-Length: 10\r\n\r\n{"); res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "SerializationException") {
			t.Errorf("half a body: %d %s", res.StatusCode, body)
		}
		if took := time.Since(began); took != bodyTime {
			t.Errorf("half a body took %s", took)
		}
		c, err := l.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		go func() { _, _ = io.WriteString(c, head) }()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("half a head was answered")
		}
		if took := time.Since(began); took != headerTime {
			t.Errorf("half a head took %s", took)
		}
		_ = c.Close()
	})
}

// A bug in a handler answers 500 with the request's id, is logged with its
// cause, and ends neither the server nor, for a client, in silence.
func TestPanic(t *testing.T) {
	bug := func(f *Front) {
		op := f.operations["GetWorkflow"]
		f.operations["GetWorkflow"] = glueapi.Operation{Name: op.Name} // without a handler
	}
	inFront(t, bug, func(t *testing.T, l *memhttp.Listener, out *log) {
		res, body := exchange(t, l, head+"Content-Length: 2\r\n\r\n{}")
		want := `{"__type":"InternalServiceException","Message":"An internal error occurred. Request id: ` + res.Header.Get("X-Amzn-Requestid") + `"}`
		if res.StatusCode != http.StatusInternalServerError || body != want {
			t.Errorf("%d %s", res.StatusCode, body)
		}
		if text := out.String(); !strings.Contains(text, "panic in a handler") || !strings.Contains(text, "nil pointer") || !strings.Contains(text, res.Header.Get("X-Amzn-Requestid")) {
			t.Errorf("the log says %s", text)
		}
		if res, body := exchange(t, l, "GET /_tenon/health HTTP/1.1\r\nHost: localhost\r\n\r\n"); res.StatusCode != http.StatusOK {
			t.Errorf("afterwards: %d %s", res.StatusCode, body)
		}
	})
}

// A route that declares no permission is closed, even to root (spec/faults J21).
func TestDenyByDefault(t *testing.T) {
	reached := false
	undeclared := func(f *Front) {
		f.own.HandleFunc("GET /_tenon/secret", func(http.ResponseWriter, *http.Request) { reached = true })
		f.own.HandleFunc("GET /_tenon/empty", func(http.ResponseWriter, *http.Request) { reached = true })
		f.permission["GET /_tenon/empty"] = ""
	}
	inFront(t, undeclared, func(t *testing.T, l *memhttp.Listener, _ *log) {
		for _, path := range []string{"secret", "empty"} {
			res, body := exchange(t, l, "GET /_tenon/"+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
			if res.StatusCode == http.StatusOK || reached {
				t.Errorf("%s: %d %s", path, res.StatusCode, body)
			}
		}
	})
}

// The access log tells what was asked, by whom and what came of it, and nothing
// that was in the request.
func TestAccessLog(t *testing.T) {
	inFront(t, nil, func(t *testing.T, l *memhttp.Listener, out *log) {
		body := `{"Name":"confidential","RunProperties":{"k":"confidential"}}`
		exchange(t, l, "POST /?q=confidential HTTP/1.1\r\nHost: localhost\r\nAuthorization: confidential\r\nX-Amz-Security-Token: confidential\r\nX-Amz-Target: AWSGlue.StartWorkflowRun\r\nContent-Length: "+
			"60\r\n\r\n"+body)
		text := out.String()
		for _, want := range []string{"operation=StartWorkflowRun", "status=400", "code=EntityNotFoundException", "principal=arn:aws:iam::123456789012:root"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s is missing in %s", want, text)
			}
		}
		if strings.Contains(text, "confidential") {
			t.Errorf("the log says too much: %s", text)
		}
	})
}

func TestLocalHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:1": true, "a.localhost": true, "A.LocalHost:80": true, "127.0.0.1": true, "127.9.9.9:1": true, "[::1]": true, "[::1]:1": true, "::1": true,
		"": false, ":80": false, "localhost.": false, "localhost.example": false, "xlocalhost": false, "10.0.0.1": false, "[::2]:1": false, "0.0.0.0:1": false, "[::]": false, "127.0.0.1.example": false, "0x7f000001": false,
	} {
		if got := localHost(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}
