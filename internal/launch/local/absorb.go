package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tenon/internal/launch"
	"tenon/internal/testkit/crashpoint"
)

// Sentences of Lost.
const (
	reasonReboot   = "the machine was restarted while the attempt was running; its outcome is unknown"
	reasonLauncher = "the launcher process ended while the attempt was running; what was left of the attempt was killed and its outcome is unknown"
)

// generations lists the numbers of all generations in ascending order.
func generations(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list generations: %w", err)
	}
	var numbers []int
	for _, e := range entries {
		if n, err := strconv.Atoi(strings.TrimPrefix(e.Name(), "g")); err == nil && e.IsDir() && e.Name() == genName(n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func genName(n int) string { return "g" + strconv.Itoa(n) }

// tryLock takes an exclusive lock that ends with the process. A nil file without
// an error means that somebody else holds it.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, f.Close()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// deadGeneration is one whose launcher is gone, locked by this process.
type deadGeneration struct {
	dir  string
	lock *os.File
	past []*past
}

// claim locks all dead generations below own and makes their attempts known, so
// that none of them is started again, before any connection is accepted.
func (l *launcher) claim() ([]deadGeneration, error) {
	numbers, err := generations(l.dir)
	if err != nil {
		return nil, err
	}
	var dead []deadGeneration
	for _, n := range numbers {
		if n >= l.generation {
			continue
		}
		dir := filepath.Join(l.dir, genName(n))
		lock, err := tryLock(filepath.Join(dir, "lock"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it ended in order just now
		}
		if err != nil {
			return nil, err
		}
		if lock == nil {
			continue // alive and draining
		}
		records, err := readJournal(filepath.Join(dir, "journal"))
		if err != nil {
			return nil, err
		}
		g := deadGeneration{dir: dir, lock: lock, past: fold(records)}
		l.table.inherit(g.past)
		dead = append(dead, g)
	}
	return dead, nil
}

// inherit makes attempts of a dead launcher known. A later generation that
// already has an end for an attempt is right about it.
func (t *table) inherit(list []*past) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range list {
		a := t.attempts[p.attempt]
		if a == nil {
			a = &attempt{id: p.attempt, exited: true, pid: p.pid, birth: p.birth}
			t.attempts[p.attempt] = a
		}
		if p.running != nil {
			fact := p.running.fact()
			a.running = &fact
		}
		if p.final != nil {
			fact := p.final.fact()
			a.final = &fact
		}
	}
}

// absorb ends what a dead generation left unfinished: survivors are killed, then
// Lost is written, then the generation is removed. It can be repeated from any
// point.
func (l *launcher) absorb(ctx context.Context, g deadGeneration) error {
	var open []*past
	for _, p := range g.past {
		if p.final == nil {
			open = append(open, p)
		}
	}
	here := slices.DeleteFunc(slices.Clone(open), func(p *past) bool { return p.boot != l.table.boot })
	if err := l.buryAll(ctx, here); err != nil {
		return err
	}
	crashpoint.Hit("launcher.recovering")
	for _, p := range open {
		reason := reasonLauncher
		if p.boot != l.table.boot {
			reason = reasonReboot
		}
		l.lose(p, reason)
	}
	if err := l.table.rewrite(g.past); err != nil {
		return err
	}
	crashpoint.Hit("launcher.absorbed")
	if err := removeGeneration(g.dir); err != nil {
		return err
	}
	return g.lock.Close()
}

// lose gives an attempt its final fact: the one in its output file if the dead
// launcher came that far, which is evidence and no guess, else Lost.
func (l *launcher) lose(p *past, reason string) {
	fact := launch.Fact{Attempt: p.attempt, State: launch.Lost, At: l.table.now(), ExitCode: -1, Reason: reason}
	file, size, end, err := openOut(l.logs, p.attempt, true)
	switch {
	case err != nil:
		l.log.Error("close output of lost attempt", "attempt", p.attempt, "error", err)
	case end != nil:
		if known, derr := decodeFact(end); derr == nil {
			fact = known
			fact.Attempt = p.attempt
		}
		err = file.Close()
	default:
		out := output{file: file, size: size}
		out.meta(reason+"\n", fact.At)
		err = out.end(fact, fact.At)
	}
	if err != nil {
		l.log.Error("close output of lost attempt", "attempt", p.attempt, "error", err)
	}
	w := toWire(fact)
	p.final = &w
}

// rewrite puts absorbed attempts into this launcher's journal and tells them.
func (t *table) rewrite(list []*past) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var records []record
	var told []launch.Fact
	for _, p := range list {
		a := t.attempts[p.attempt]
		if a == nil {
			continue // acknowledged meanwhile
		}
		if a.final == nil {
			fact := p.final.fact()
			a.final = &fact
			told = append(told, fact)
		}
		records = append(records, record{Kind: kindIntent, Attempt: a.id, Boot: t.boot})
		if a.running != nil {
			w := toWire(*a.running)
			records = append(records, record{Kind: kindStarted, Attempt: a.id, Pid: a.pid, Birth: a.birth, Fact: &w})
		}
		records = append(records, exitRecord(*a.final))
	}
	if err := t.journal.append(records...); err != nil {
		return err
	}
	for _, f := range told {
		t.publish(f)
	}
	t.hint()
	return nil
}

// buryAll kills everything that is left of the given attempts and waits until it
// is gone, however long that takes: Lost promises that nothing is alive.
func (l *launcher) buryAll(ctx context.Context, open []*past) error {
	if len(open) == 0 {
		return nil
	}
	pause := time.Millisecond
	for {
		left := survivors(open, l.mark)
		if len(left) == 0 {
			return nil
		}
		for _, p := range left {
			killExactly(p.pid, p.birth)
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, 100*time.Millisecond)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// survivors finds living processes of the attempts: the recorded first process,
// by pid and start time, whatever bears the mark, and their descendants.
func survivors(open []*past, mark string) []procInfo {
	births := map[int]uint64{}
	marked := map[string]bool{}
	for _, p := range open {
		marked[p.attempt] = true
		if p.pid != 0 {
			births[p.pid] = p.birth
		}
	}
	all := processes()
	below := map[int][]procInfo{}
	for _, p := range all {
		below[p.parent] = append(below[p.parent], p)
	}
	found := map[int]procInfo{}
	var add func(p procInfo)
	add = func(p procInfo) {
		if _, ok := found[p.pid]; ok {
			return
		}
		found[p.pid] = p
		for _, child := range below[p.pid] {
			add(child)
		}
	}
	for _, p := range all {
		birth, recorded := births[p.pid]
		if recorded && birth == p.birth || marked[attemptOf(p.pid, mark)] {
			add(p)
		}
	}
	var living []procInfo
	for _, p := range found {
		if !p.dead() {
			living = append(living, p)
		}
	}
	return living
}

// removeGeneration removes the files of a generation, its lock last but one, so
// that whoever still sees it can lock it and find nothing.
func removeGeneration(dir string) error {
	if a, err := readAddress(dir); err == nil && a.TempDir != "" {
		if err := os.RemoveAll(a.TempDir); err != nil {
			return fmt.Errorf("remove socket: %w", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove generation: %w", err)
	}
	return nil
}
