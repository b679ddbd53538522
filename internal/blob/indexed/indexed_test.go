package indexed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tenon/internal/blob"
	"tenon/internal/blob/blobtest"
	"tenon/internal/blob/indexed"
	"tenon/internal/blob/memblob"
)

func TestMemIndex(t *testing.T) {
	blobtest.RunIndex(t, func(*testing.T) indexed.Index { return indexed.NewMemIndex() })
}

// failing commits, or not, and then answers with an error that says neither.
type failing struct {
	indexed.Index
	commit bool
}

var errLost = errors.New("connection to the index was lost")

func (x failing) PutObject(ctx context.Context, row indexed.ObjectRow, cond blob.Conditions) ([]string, error) {
	if !x.commit {
		return nil, errLost
	}
	_, err := x.Index.PutObject(ctx, row, cond)
	return nil, errors.Join(err, errLost)
}

func put(t *testing.T, s blob.Store, body string) error {
	t.Helper()
	_, err := s.Put(t.Context(), "bucket", "k", strings.NewReader(body), blob.PutOptions{})
	return err
}

func read(ctx context.Context, s blob.Store) (string, error) {
	object, err := s.Get(ctx, "bucket", "k", blob.GetOptions{})
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(object.Body)
	return string(body), errors.Join(err, object.Body.Close())
}

// TestUnknownCommit: after an answer that leaves the outcome open, whichever it
// was stays readable, and a sweep removes only what is truly unnamed.
func TestUnknownCommit(t *testing.T) {
	for _, commit := range []bool{true, false} {
		index, contents := indexed.NewMemIndex(), memblob.NewContents()
		c := indexed.Config{Now: time.Now}
		s := indexed.New(index, contents, c)
		if err := s.CreateBucket(t.Context(), "bucket"); err != nil {
			t.Fatal(err)
		}
		if err := put(t, s, "old"); err != nil {
			t.Fatal(err)
		}
		if err := put(t, indexed.New(failing{index, commit}, contents, c), "new"); !errors.Is(err, errLost) {
			t.Errorf("error is %v", err)
		}
		want := map[bool]string{true: "new", false: "old"}[commit]
		for range 2 {
			if got, err := read(t.Context(), s); err != nil || got != want {
				t.Errorf("commit %v: read %q, error %v", commit, got, err)
			}
			removed, err := s.Sweep(t.Context())
			if err != nil || removed > 1 {
				t.Errorf("sweep removed %d, error %v", removed, err)
			}
		}
		left := 0
		for range contents.All() {
			left++
		}
		if left != 1 {
			t.Errorf("commit %v: %d contents are left, want 1", commit, left)
		}
	}
}

// TestReadersAndWriters: a reader never misses the bytes of a row it has seen,
// however often the object is replaced and swept meanwhile.
func TestReadersAndWriters(t *testing.T) {
	contents := memblob.NewContents()
	s := indexed.New(indexed.NewMemIndex(), contents, indexed.Config{Now: time.Now})
	if err := s.CreateBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	if err := put(t, s, "0"); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	errs := make(chan error, 100)
	var wg sync.WaitGroup
	work := func(do func(i int) error) {
		wg.Go(func() {
			for i := range 300 {
				if err := do(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	for range 3 {
		work(func(i int) error {
			_, err := s.Put(ctx, "bucket", "k", strings.NewReader(fmt.Sprint(i)), blob.PutOptions{})
			return err
		})
		work(func(int) error {
			_, err := read(ctx, s)
			return err
		})
	}
	work(func(int) error {
		_, err := s.Sweep(ctx)
		return err
	})
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	left := 0
	for range contents.All() {
		left++
	}
	if left != 1 {
		t.Errorf("%d contents are left, want 1", left)
	}
}

// between runs something after a reader has its row and before it has pinned it.
type between struct {
	indexed.Index
	run func()
}

func (x between) GetObject(ctx context.Context, bucket, key string) (indexed.ObjectRow, error) {
	row, err := x.Index.GetObject(ctx, bucket, key)
	x.run()
	return row, err
}

type committing struct {
	indexed.Index
	committed chan struct{}
}

func (x committing) PutObject(ctx context.Context, row indexed.ObjectRow, cond blob.Conditions) ([]string, error) {
	freed, err := x.Index.PutObject(ctx, row, cond)
	close(x.committed)
	return freed, err
}

// TestReplacedBetweenRowAndPin closes the one window a reader has, by force.
func TestReplacedBetweenRowAndPin(t *testing.T) {
	x := &between{run: func() {}}
	writer := &committing{Index: indexed.NewMemIndex(), committed: make(chan struct{})}
	x.Index = writer
	s := indexed.New(x, memblob.NewContents(), indexed.Config{Now: time.Now})
	if err := s.CreateBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	if err := put(t, s, "old"); err != nil {
		t.Fatal(err)
	}
	writer.committed = make(chan struct{})
	replaced := make(chan error, 1)
	x.run = func() {
		go func() {
			_, err := s.Put(t.Context(), "bucket", "k", strings.NewReader("new"), blob.PutOptions{})
			replaced <- err
		}()
		<-writer.committed
		// The writer is past its commit; let it come as far as it can.
		for range 10_000 {
			runtime.Gosched()
		}
	}
	if got, err := read(t.Context(), s); err != nil || got != "old" {
		t.Errorf("read %q, error %v", got, err)
	}
	if err := <-replaced; err != nil {
		t.Error(err)
	}
}
