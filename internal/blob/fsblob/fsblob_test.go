package fsblob_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tenon/internal/blob"
	"tenon/internal/blob/blobtest"
	"tenon/internal/blob/fsblob"
	"tenon/internal/blob/indexed"
)

func open(t *testing.T, dir string, index indexed.Index) *fsblob.Store {
	t.Helper()
	s, err := fsblob.Open(dir, index, indexed.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, t.TempDir(), indexed.NewMemIndex()) })
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func put(t *testing.T, s blob.Store, key, body string) {
	t.Helper()
	if _, err := s.Put(t.Context(), "bucket", key, strings.NewReader(body), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Nothing of what was replaced, refused, deleted or aborted stays on the disk.
func TestNoFileIsLeftBehind(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, indexed.NewMemIndex())
	ctx := t.Context()
	if err := s.CreateBucket(ctx, "bucket"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "k", "one")
	object, err := s.Get(ctx, "bucket", "k", blob.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "k", "two")
	if n := len(files(t, dir)); n != 2 {
		t.Errorf("%d files while the old version is being read, want 2", n)
	}
	if err := object.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(files(t, dir)); n != 1 {
		t.Errorf("%d files after the reader closed, want 1", n)
	}
	o := blob.PutOptions{Expect: blob.Expect{MD5: make([]byte, 16)}}
	if _, err := s.Put(ctx, "bucket", "k", strings.NewReader("bad"), o); err == nil {
		t.Error("a wrong digest was accepted")
	}
	u, err := s.CreateUpload(ctx, "bucket", "k", blob.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.PutPart(ctx, u.UploadRef, 1, strings.NewReader("part"), blob.Expect{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(files(t, dir)); n != 2 {
		t.Errorf("%d files with one object and one part, want 2", n)
	}
	if err := s.AbortUpload(ctx, u.UploadRef); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, "bucket", "k", blob.Conditions{}); err != nil {
		t.Fatal(err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A put keeps key names out of the file system (spec/faults J11).
func TestFilesAreNamedByID(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "data"), indexed.NewMemIndex())
	if err := s.CreateBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "../../escape", "x")
	found := files(t, dir)
	if len(found) != 1 || strings.Contains(found[0], "escape") || !strings.HasPrefix(found[0], filepath.Join(dir, "data")) {
		t.Errorf("files are %v", found)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	index := indexed.NewMemIndex()
	s := open(t, dir, index)
	ctx := t.Context()
	if err := s.CreateBucket(ctx, "bucket"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "kept", "kept")
	// What a crash between file and index leaves, and something that is not ours.
	for _, name := range []string{"QQ/QQORPHAN", "lost+found/x"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A put that is under way must survive a sweep.
	body, sender := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := s.Put(ctx, "bucket", "slow", body, blob.PutOptions{})
		done <- err
	}()
	if _, err := io.WriteString(sender, "first half, "); err != nil {
		t.Fatal(err)
	}
	removed, err := s.Sweep(ctx)
	if err != nil || removed != 1 {
		t.Errorf("sweep removed %d, error %v; want the one orphan", removed, err)
	}
	if _, err := io.WriteString(sender, "second half"); err != nil {
		t.Fatal(err)
	}
	if err := sender.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if removed, err := open(t, dir, index).Sweep(ctx); err != nil || removed != 0 {
		t.Errorf("second sweep removed %d, error %v", removed, err)
	}
	for key, want := range map[string]string{"kept": "kept", "slow": "first half, second half"} {
		object, err := s.Get(ctx, "bucket", key, blob.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(object.Body); err != nil || string(got) != want {
			t.Errorf("%s is %q, error %v", key, got, err)
		}
		if err := object.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A file shorter than its row says is an error, never a short read (H3).
func TestTruncatedFileIsNoticed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, indexed.NewMemIndex())
	if err := s.CreateBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "k", "0123456789")
	if err := os.Truncate(files(t, dir)[0], 4); err != nil {
		t.Fatal(err)
	}
	object, err := s.Get(t.Context(), "bucket", "k", blob.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer object.Body.Close()
	if got, err := io.ReadAll(object.Body); err == nil {
		t.Errorf("read %q without an error", got)
	}
}

// The same in the middle of an object: no byte may come from behind the gap.
func TestTruncatedPartIsNoticed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, indexed.NewMemIndex())
	ctx := t.Context()
	if err := s.CreateBucket(ctx, "bucket"); err != nil {
		t.Fatal(err)
	}
	u, err := s.CreateUpload(ctx, "bucket", "k", blob.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var parts []blob.CompletedPart
	for i, body := range []string{strings.Repeat("1", blob.MinPartSize), "222"} {
		p, err := s.PutPart(ctx, u.UploadRef, i+1, strings.NewReader(body), blob.Expect{})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, blob.CompletedPart{Number: i + 1, ETag: p.ETag})
	}
	if _, err := s.CompleteUpload(ctx, u.UploadRef, parts, blob.CompleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range files(t, dir) {
		if info, err := os.Stat(name); err != nil {
			t.Fatal(err)
		} else if info.Size() > 3 {
			if err := os.Truncate(name, 10); err != nil {
				t.Fatal(err)
			}
		}
	}
	object, err := s.Get(ctx, "bucket", "k", blob.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer object.Body.Close()
	if got, err := io.ReadAll(object.Body); err == nil || strings.Contains(string(got), "2") {
		t.Errorf("read %q, error %v", got, err)
	}
}
