package s3loop_test

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"tenon/internal/blob"
	"tenon/internal/blob/fsblob"
	"tenon/internal/blob/indexed"
	"tenon/internal/neighbours/s3"
)

// discard is a response that is not kept.
type discard struct {
	header http.Header
	status int
	sum    io.Writer
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return d.sum.Write(p) }

// TestBodiesStream: memory does not grow with the size of a body.
func TestBodiesStream(t *testing.T) {
	const size = 64 << 20
	store, err := fsblob.Open(t.TempDir(), indexed.NewMemIndex(), indexed.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := store.CreateBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	door := s3.New(store, s3.Config{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, method := range []string{http.MethodPut, http.MethodGet} {
		body := io.LimitReader(zeros{}, size)
		r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost/bucket/k", nil)
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPut {
			r.ContentLength = size
		}
		sum := md5.New()
		w := &discard{header: http.Header{}, sum: sum}
		if err := door.Serve(w, r, body, nil, "id"); err != nil || w.status != http.StatusOK {
			t.Fatalf("%s: status %d, error %v", method, w.status, err)
		}
		if got := strings.Trim(w.header.Get("Etag"), `"`); method == http.MethodGet && got != hex.EncodeToString(sum.Sum(nil)) {
			t.Errorf("what came back has not the tag %s", got)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("moving %d MiB twice allocated %d MiB", size>>20, grown>>20)
	}
	object, err := store.Stat(t.Context(), "bucket", "k", blob.GetOptions{})
	if err != nil || object.Size != size {
		t.Errorf("object is %+v, error %v", object, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
