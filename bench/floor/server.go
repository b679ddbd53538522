package floor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"tenon/internal/wire/sigv4"
)

// record is about what one start of the measured workflow adds to a database.
const record = 2600

// maxBody bounds a request.
const maxBody = 1 << 20

// Serve is the bare server: it verifies the signature of each request, decodes
// its JSON, makes a record durable together with those of all requests that wait,
// and answers with an id. It looks nothing up and keeps nothing that it could find
// again. It serves on l until ctx ends.
func (j *Journal) Serve(ctx context.Context, l net.Listener, secret string) error {
	keys := func(context.Context, string, string) (string, error) { return secret, nil }
	h := &bare{verifier: sigv4.New(keys, time.Now, "glue"), commits: make(chan chan error, 1024)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.group(ctx, j)
	}()
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // Serve returns then
	defer stop()
	err := server.Serve(l)
	<-ended
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

type bare struct {
	verifier *sigv4.Verifier
	commits  chan chan error
}

// group writes what waits in one append with one flush.
func (h *bare) group(ctx context.Context, j *Journal) {
	var waiting []chan error
	block := make([]byte, record)
	var text []byte
	for {
		waiting, text = waiting[:0], text[:0]
		select {
		case done := <-h.commits:
			waiting = append(waiting, done)
		case <-ctx.Done():
			return
		}
		for more := true; more && len(waiting) < cap(h.commits); {
			select {
			case done := <-h.commits:
				waiting = append(waiting, done)
			default:
				more = false
			}
		}
		for range waiting {
			text = append(text, block...)
		}
		err := j.write(text)
		for _, done := range waiting {
			done <- err
		}
	}
}

// ServeHTTP implements http.Handler.
func (h *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet { // whether it is there
		return
	}
	id, err := h.start(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_, _ = io.WriteString(w, `{"RunId":"wr_`+id+`"}`) // nobody is left to tell
}

func (h *bare) start(r *http.Request) (string, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return "", fmt.Errorf("read body: %w", err)
	}
	signed, err := sigv4.Parse(r)
	if err != nil {
		return "", err
	}
	if err := h.verifier.VerifyBody(signed, body); err != nil {
		return "", err
	}
	var in struct {
		Name          string
		RunProperties map[string]string
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return "", fmt.Errorf("decode: %w", err)
	}
	done := make(chan error, 1)
	select {
	case h.commits <- done:
	case <-r.Context().Done():
		return "", r.Context().Err()
	}
	select {
	case err := <-done:
		if err != nil {
			return "", err
		}
	case <-r.Context().Done():
		return "", r.Context().Err()
	}
	var b [32]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:]), nil
}
