package sqlstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tenon/internal/store"
)

// outcome is what one caller of a group wants and must get.
type outcome struct {
	// spoil makes the call go wrong; nil is a neighbour that must not notice.
	spoil func(f *group, t store.Tx) error
	want  error // errAny stands for any
	// canceled callers give up before they are taken.
	canceled bool
	// first is run before the caller writes anything.
	first bool
	// healed callers succeed when they are run alone.
	healed bool
}

var (
	errFailed = errors.New("failed")
	errAny    = errors.New("any error")
)

// group is a store whose writer is held up, so that callers gather behind it.
type group struct {
	*testing.T
	s       *Store
	dir     string
	release chan struct{}
	held    sync.WaitGroup
}

func newGroup(t *testing.T) *group {
	dir := t.TempDir()
	g := &group{T: t, dir: dir, s: openStore(t, dir)}
	err := g.s.Write(t.Context(), func(tx store.Tx) error {
		return errors.Join(
			tx.InsertWorkflow(store.Workflow{Scope: benchScope, Name: "taken", UID: 1, Version: 1}),
			tx.PutProperties(counter, []byte("0")),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// counter is a run whose properties all callers count up.
const counter = 1 << 40

// hold keeps the writer busy until release is closed.
func (g *group) hold() {
	g.release = make(chan struct{})
	busy := make(chan struct{})
	g.held.Go(func() {
		err := g.s.Write(context.Background(), func(store.Tx) error { close(busy); <-g.release; return nil })
		if err != nil {
			g.Error(err)
		}
	})
	<-busy
}

func (g *group) queued() int {
	g.s.writer.mu.Lock()
	defer g.s.writer.mu.Unlock()
	return len(g.s.writer.queue)
}

// note writes what caller i leaves: a row of its own, twice never, and one more
// on the counter that all share.
func note(tx store.Tx, i int) error {
	fresh, err := tx.InsertFiring(int64(i), "caller", clock())
	if err == nil && !fresh {
		err = errors.New("written twice")
	}
	if err == nil {
		err = tx.AddEffect(store.Effect{Seq: int64(i), Key: fmt.Sprint("launch/", i)})
	}
	if err != nil {
		return err
	}
	b, err := tx.Properties(counter)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(b))
	if err != nil {
		return err
	}
	return tx.PutProperties(counter, []byte(strconv.Itoa(n+1)))
}

// fill writes until the storage fails, and hides the error from nobody.
func fill(g *group, tx store.Tx) error {
	for i := range 1000 {
		if err := tx.PutPart(counter, i, make([]byte, 1<<16)); err != nil {
			return err
		}
	}
	g.Error("the disk was never full")
	return nil
}

var spoilers = map[string]outcome{
	"fails":   {spoil: func(*group, store.Tx) error { return errFailed }, want: errFailed},
	"cancels": {want: store.ErrTimeout, canceled: true},
	"panics":  {spoil: func(*group, store.Tx) error { panic("at the disco") }, want: errAny},
	"fills":   {spoil: fill, want: errAny},
	"collides": {spoil: func(_ *group, tx store.Tx) error {
		return tx.InsertWorkflow(store.Workflow{Scope: benchScope, Name: "taken", UID: 2, Version: 2})
	}, want: store.ErrExists},
	"is stale": {spoil: func(_ *group, tx store.Tx) error { return tx.DeleteWorkflow(1, 9) }, want: store.ErrStale},
	"hides a full disk": {spoil: func(g *group, tx store.Tx) error {
		if fill(g, tx) == nil {
			g.Error("nothing to hide")
		}
		return nil
	}, want: errAny},
	"loses the transaction": {spoil: func(g *group, tx store.Tx) error {
		// What SQLite does by itself after some I/O errors.
		return errors.Join(g.s.writer.c.run(sqlRollback), errFailed, classified(tx))
	}, want: errFailed},
	"loses the transaction before it writes": {first: true, spoil: func(g *group, tx store.Tx) error {
		return errors.Join(g.s.writer.c.run(sqlRollback), errFailed, classified(tx))
	}, want: errFailed},
	"meets the storage's failure once": {healed: true, spoil: func(g *group, tx store.Tx) error {
		if shares(tx) {
			return classified(tx)
		}
		return nil
	}},
	"ends its goroutine": {spoil: func(*group, store.Tx) error { runtime.Goexit(); return nil }, want: errGoexit},
}

// classified makes the session remember a fault, as a failed statement does.
func classified(t store.Tx) error { return t.(*tx).c.classify(errors.New("made up")) }

// shares tells whether a function runs among others.
func shares(t store.Tx) bool { return t.(*tx).savepoint }

// TestGroupCommit: one caller of a group goes wrong, in each way and at each
// place; none of the others is lost, doubled or told anything wrong
// (DESIGN §4).
func TestGroupCommit(t *testing.T) {
	const callers = 7
	for name, bad := range spoilers {
		for _, place := range []int{0, 3, callers - 1} {
			t.Run(fmt.Sprintf("%s/%d", name, place), func(t *testing.T) {
				g := newGroup(t)
				var heard sync.Map
				g.s.Subscribe(func(c store.Committed) {
					for _, e := range c.Effects {
						if _, twice := heard.LoadOrStore(e.Seq, true); twice {
							t.Errorf("heard twice of caller %d", e.Seq)
						}
					}
				})
				if strings.Contains(name, "fill") || strings.Contains(name, "full") {
					limitPages(t, g.s, 200)
				}
				calls := make([]outcome, callers)
				calls[place] = bad
				g.run(calls)
				if bad.healed {
					g.check(-1, callers, &heard)
				} else {
					g.check(place, callers-1, &heard)
				}
			})
		}
	}
}

// limitPages makes the disk full beyond so many pages.
func limitPages(t *testing.T, s *Store, pages int) {
	t.Helper()
	if err := s.writer.c.script(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
		t.Fatal(err)
	}
}

// run lets the calls gather in order, then go.
func (g *group) run(calls []outcome) {
	g.hold()
	var wg sync.WaitGroup
	for i, c := range calls {
		ctx, cancel := context.WithCancel(g.Context())
		defer cancel()
		wg.Go(func() {
			err := g.s.Write(ctx, func(tx store.Tx) error {
				if c.first {
					return c.spoil(g, tx)
				}
				err := note(tx, i+10)
				if err == nil && c.spoil != nil {
					err = c.spoil(g, tx)
				}
				return err
			})
			if !errors.Is(err, c.want) && (c.want != errAny || err == nil) {
				g.Errorf("caller %d got %v, want %v", i, err, c.want)
			}
		})
		for g.queued() <= i {
			runtime.Gosched()
		}
		if c.canceled {
			cancel()
		}
	}
	for i, c := range calls {
		// Whoever gives up must have done so before the writer comes.
		for c.canceled && g.s.writer.queue[i].state.Load() != abandoned {
			runtime.Gosched()
		}
	}
	close(g.release)
	wg.Wait()
	g.held.Wait()
}

// check looks at the rows, those of so many callers and never of the bad one,
// before and after the store is opened again.
func (g *group) check(bad, written int, heard *sync.Map) {
	g.Helper()
	look := func(tx store.Tx) error {
		b, err := tx.Properties(counter)
		if err != nil || string(b) != strconv.Itoa(written) {
			g.Errorf("counter is %s, want %d: %v", b, written, err)
		}
		effects, err := tx.ListEffects(0, 100)
		if err != nil || len(effects) != written {
			g.Errorf("%d effects, want %d: %v", len(effects), written, err)
		}
		for _, e := range effects {
			if _, ok := heard.Load(e.Seq); !ok || e.Seq == int64(bad+10) {
				g.Errorf("effect of caller %d is there; heard of: %t", e.Seq-10, ok)
			}
		}
		_, err = tx.Part(counter, 0)
		if !errors.Is(err, store.ErrNotFound) {
			g.Errorf("part of the one that went wrong: %v", err)
		}
		return nil
	}
	if err := g.s.Read(g.Context(), look); err != nil {
		g.Error(err)
	}
	// It goes on.
	err := g.s.Write(g.Context(), func(tx store.Tx) error {
		return errors.Join(look(tx), tx.PutProperties(counter+1, []byte("on")))
	})
	if err != nil {
		g.Error(err)
	}
	if err := g.s.Close(); err != nil {
		g.Error(err)
	}
	g.s = openStore(g.T, g.dir)
	if err := g.s.Read(g.Context(), look); err != nil {
		g.Error(err)
	}
	if err := g.s.Check(g.Context()); err != nil {
		g.Error(err)
	}
	if err := g.s.Close(); err != nil {
		g.Error(err)
	}
}

// TestFullDiskForAll: when the log itself cannot take a group, each is tried
// alone, those that fit are kept, and the store recovers when there is space.
func TestFullDiskForAll(t *testing.T) {
	g := newGroup(t)
	limitPages(t, g.s, 1) // below what it has: every new page fails
	big := func(tx store.Tx) error { return tx.PutPart(5, 0, make([]byte, 1<<16)) }
	small := func(tx store.Tx) error { return tx.PutProperties(counter, []byte("small")) }
	g.hold()
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			fn, fits := big, false
			if i%2 == 0 {
				fn, fits = small, true
			}
			if err := g.s.Write(t.Context(), fn); (err == nil) != fits || errors.Is(err, store.ErrUnknown) {
				t.Errorf("caller %d: %v", i, err)
			}
		})
	}
	for g.queued() < 6 {
		runtime.Gosched()
	}
	close(g.release)
	wg.Wait()
	g.held.Wait()
	limitPages(t, g.s, 1<<20)
	if err := g.s.Write(t.Context(), big); err != nil {
		t.Errorf("after space came back: %v", err)
	}
	if err := g.s.Close(); err != nil {
		t.Error(err)
	}
}

// TestTimeout: the store's own deadline counts while a function waits.
func TestTimeout(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir(), Now: clock, Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	g := &group{T: t, s: s}
	g.hold()
	err = s.Write(t.Context(), func(store.Tx) error { t.Error("the function ran"); return nil })
	if !errors.Is(err, store.ErrTimeout) {
		t.Errorf("got %v", err)
	}
	close(g.release)
	g.held.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestKill kills a process that writes, again and again, and looks for what it
// had acknowledged (spec/faults A6, B1 as far as a process's death goes).
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := map[string]bool{}
	for round := range 4 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKillChild$")
		cmd.Env = append(os.Environ(), "SQLSTORE_TEST_DIR="+dir, "SQLSTORE_TEST_ROUND="+strconv.Itoa(round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if word, id, ok := strings.Cut(lines.Text(), " "); ok && word == "acked" {
				acked[id] = true
			}
			if n == 100+50*round {
				_ = cmd.Process.Kill() // it may have been faster
			}
		}
		_ = cmd.Wait() // killed
		verifyKilled(t, dir, acked)
	}
	if len(acked) < 700 {
		t.Errorf("only %d writes were acknowledged", len(acked))
	}
}

// verifyKilled expects both rows of every acknowledged write and no half write.
func verifyKilled(t *testing.T, dir string, acked map[string]bool) {
	t.Helper()
	s := openStore(t, dir)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	present := map[string]bool{}
	err := s.Read(t.Context(), func(tx store.Tx) error {
		effects, err := tx.ListEffects(0, 1<<20)
		if err != nil {
			return err
		}
		for _, e := range effects {
			if e.Seq > s.LastSeq() {
				t.Errorf("LastSeq %d is below %d", s.LastSeq(), e.Seq)
			}
			if _, err := tx.Properties(e.Seq); err != nil {
				t.Errorf("half a write: %d: %v", e.Seq, err)
			}
			present[strconv.FormatInt(e.Seq, 10)] = true
		}
		for id := range acked {
			if !present[id] {
				t.Errorf("acknowledged write %s is lost", id)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestKillChild is the process that TestKill kills.
func TestKillChild(t *testing.T) {
	dir := os.Getenv("SQLSTORE_TEST_DIR")
	if dir == "" {
		return
	}
	s, err := Open(context.Background(), Config{Dir: dir, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ids := store.NewIDs(time.Now, zeroReader{}, s.LastSeq())
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				seq := ids.Next()
				err := s.Write(context.Background(), func(tx store.Tx) error {
					return errors.Join(tx.AddEffect(store.Effect{Seq: seq, Key: fmt.Sprint(seq)}), tx.PutProperties(seq, make([]byte, 500)))
				})
				if err != nil {
					return
				}
				mu.Lock()
				fmt.Println("acked", seq)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}
