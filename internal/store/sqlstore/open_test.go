package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"

	"tenon/internal/store"
)

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestSecondServer: two stores on one directory (spec/faults A13).
func TestSecondServer(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	_, err := Open(t.Context(), Config{Dir: dir, Now: clock})
	if !errors.Is(err, ErrInUse) || !strings.Contains(fmt.Sprint(err), dir) {
		t.Errorf("second store: %v", err)
	}
	closeStore(t, s)
	closeStore(t, openStore(t, dir)) // free again
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := openStore(t, dir)
	err := s.Write(t.Context(), func(tx store.Tx) error { return tx.PutProperties(1, []byte("{}")) })
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	closeStore(t, s)
}

// TestOddPath: a directory's name must not be taken for options of the driver.
func TestOddPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a?mode=memory&b#c %20")
	s := openStore(t, dir)
	closeStore(t, s)
	if _, err := os.Stat(filepath.Join(dir, databaseFile)); err != nil {
		t.Error(err)
	}
}

func TestEngineVersion(t *testing.T) {
	for version, want := range map[string]bool{
		"3.51.2": false, "3.51.3": true, "3.51.10": true, "3.52.0": true, "4.0.0": true, "3.9.9": false, "2.99.9": false, "3.51": false, "": false, "3.51.3.1": true,
	} {
		if got := atLeast(version, minVersion); got != want {
			t.Errorf("%q is new enough: %t, want %t", version, got, want)
		}
	}
}

// alter opens the database of a closed store for a change behind its back.
func alter(t *testing.T, dir, text string) {
	t.Helper()
	c, err := openSession(filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.script(text), c.close()); err != nil {
		t.Fatal(err)
	}
}

func TestForeignSchema(t *testing.T) {
	for name, c := range map[string]struct {
		change string
		want   string
		is     error
	}{
		"newer":   {`INSERT INTO migrations VALUES (1000000, 'future', 'x', 0)`, "newer version", ErrNewer},
		"changed": {`UPDATE migrations SET checksum = 'other' WHERE number = 1`, "migration 1 (spine)", nil},
		"gap":     {`UPDATE migrations SET number = 2 WHERE number = 1`, "migration 2 (spine)", nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			closeStore(t, openStore(t, dir))
			alter(t, dir, c.change)
			_, err := Open(t.Context(), Config{Dir: dir, Now: clock})
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestBrokenMigration: a step that fails leaves the steps before it, and goes on
// where it stopped.
func TestBrokenMigration(t *testing.T) {
	files := fstest.MapFS{
		"m/0001_one.sql": {Data: []byte(`CREATE TABLE one (x INTEGER);`)},
		"m/0002_two.sql": {Data: []byte(`CREATE TABLE two (x INTEGER); INSERT INTO one VALUES (1); SELECT nonsense FROM nowhere;`)},
	}
	c, err := openSession(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	up := func() error {
		steps, err := readMigrations(files, "m")
		if err != nil {
			t.Fatal(err)
		}
		return migrate(c, steps, clock())
	}
	for range 2 {
		if err := up(); err == nil || !strings.Contains(err.Error(), "migration 2 (two)") {
			t.Fatalf("got %v", err)
		}
		if err := c.script(`SELECT x FROM one`); err != nil {
			t.Errorf("first step is gone: %v", err)
		}
		if err := c.script(`SELECT x FROM two`); err == nil {
			t.Error("half of the second step is there")
		}
	}
	files["m/0002_two.sql"] = &fstest.MapFile{Data: []byte(`CREATE TABLE two (x INTEGER);`)}
	if err := errors.Join(up(), up(), c.script(`SELECT x FROM two`), c.close()); err != nil {
		t.Error(err)
	}
	files["m/0004_gap.sql"] = &fstest.MapFile{}
	if _, err := readMigrations(files, "m"); err == nil {
		t.Error("a gap in the numbers was accepted")
	}
}

// TestStatements prepares every registered text and looks at its plan: nothing
// that a request runs reads a whole table or sorts.
func TestStatements(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer closeStore(t, s)
	c := s.writer.c
	whole := map[statement]bool{
		qMigrations: true, qAllScopes: true, qListBuckets: true,
		qHoldingIn: true, qWaitingIn: true, // within a partial index, up to a limit
		qNextTimer: true, // one step of an index
	}
	for q, text := range texts {
		if _, err := c.statement(statement(q)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if word, _, _ := strings.Cut(text, " "); whole[statement(q)] || !strings.Contains("SELECT UPDATE DELETE", word) {
			continue
		}
		args := make([]any, strings.Count(text, "?"))
		for i := range args {
			args[i] = int64(1)
		}
		c.prepared = append(c.prepared, nil)
		texts = append(texts, "EXPLAIN QUERY PLAN "+text)
		err := c.query(statement(len(texts)-1), func(r row) error {
			step := r.text(3)
			if strings.HasPrefix(step, "SCAN ") && !strings.HasPrefix(step, "SCAN some") && !strings.HasPrefix(step, "SCAN CONSTANT ROW") || strings.Contains(step, "TEMP B-TREE") {
				t.Errorf("%s\n\t%s", text, step)
			}
			return nil
		}, args...)
		if err != nil {
			t.Errorf("plan of %s: %v", text, err)
		}
		texts = texts[:len(texts)-1]
		// The slot is used again for another plan.
		last := len(c.prepared) - 1
		if err := c.prepared[last].Close(); err != nil {
			t.Error(err)
		}
		c.prepared = c.prepared[:last]
	}
}

// TestSequence: what is handed out after a restart is above all that was stored
// before, also after a crash and with a clock that went back.
func TestSequence(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	if s.LastSeq() != 0 {
		t.Errorf("a new store has stored %d", s.LastSeq())
	}
	highest := clock().UnixNano()
	put := func(n int64) {
		t.Helper()
		err := s.Write(t.Context(), func(tx store.Tx) error {
			return tx.AddEffect(store.Effect{Seq: n, Key: fmt.Sprint(n)})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		put(highest - int64(i))
	}
	failed := errors.New("failed")
	for range 2 {
		err := s.Write(t.Context(), func(tx store.Tx) error {
			return errors.Join(tx.AddEffect(store.Effect{Seq: highest * 2, Key: "far"}), failed)
		})
		if !errors.Is(err, failed) {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	s = openStore(t, dir)
	if n := s.LastSeq(); n < highest || n > highest+reserved {
		t.Errorf("LastSeq is %d, want %d and a second at most", n, highest)
	}
	closeStore(t, s)
}

// TestFailedFlush: when the log cannot be flushed nobody knows what lies on the
// disk. Writers hear so, and the store takes no more of them until it is opened
// again; readers go on (spec/faults B6).
func TestFailedFlush(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	put := func(body string) error {
		return s.Write(t.Context(), func(tx store.Tx) error { return tx.PutProperties(1, []byte(body)) })
	}
	get := func() (body string) {
		err := s.Read(t.Context(), func(tx store.Tx) error {
			b, err := tx.Properties(1)
			body = string(b)
			return err
		})
		if err != nil {
			t.Error(err)
		}
		return body
	}
	if err := put("kept"); err != nil {
		t.Fatal(err)
	}
	breakFlush(t, filepath.Join(dir, databaseFile+"-wal"))
	if err := put("unknown"); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("failed flush: %v", err)
	}
	if err := put("refused"); err == nil || errors.Is(err, store.ErrUnknown) || !strings.Contains(err.Error(), "refuses writes") {
		t.Errorf("after a failed flush: %v", err)
	}
	if body := get(); body != "kept" {
		t.Errorf("read %q", body)
	}
	_ = s.Close() // its connections are broken
	s = openStore(t, dir)
	if err := put("again"); err != nil || get() != "again" {
		t.Errorf("opened again: %v", err)
	}
	closeStore(t, s)
}

// breakFlush puts a device that takes everything but cannot be flushed in the
// place of an open file.
func breakFlush(t *testing.T, path string) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	broken := 0
	for _, link := range links {
		if to, err := os.Readlink(link); err != nil || to != path {
			continue
		}
		var fd int
		if _, err := fmt.Sscan(filepath.Base(link), &fd); err != nil {
			t.Fatal(err)
		}
		if err := unix.Dup3(int(null.Fd()), fd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		broken++
	}
	if broken == 0 {
		t.Fatal("log is not open")
	}
}

// TestLogIsBounded: under a steady load with readers the log begins anew now and
// then (spec/faults B8).
func TestLogIsBounded(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	body := make([]byte, 1<<20)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = s.Read(context.Background(), func(tx store.Tx) error { _, err := tx.Properties(1); return err })
			}
		}
	}()
	for i := range 160 {
		body[0] = byte(i)
		if err := s.Write(t.Context(), func(tx store.Tx) error {
			return errors.Join(tx.PutProperties(1, body), tx.AddEffect(store.Effect{Seq: int64(i + 1), Key: fmt.Sprint(i)}))
		}); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	<-done
	info, err := os.Stat(filepath.Join(dir, databaseFile+"-wal"))
	if err != nil || info.Size() > 80<<20 {
		t.Errorf("log has %v bytes after 160 MiB: %v", info.Size(), err)
	}
	closeStore(t, s)
}
