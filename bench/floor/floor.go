// Package floor measures what no server can go below on this machine: the time
// of one durable write, of processes started one after the other with one durable
// write before each, and of signed requests that do nothing but such a write. It
// guarantees that nothing else is done, so that what a server takes beyond it is
// the server's own.
//
// The durable write is an append of one page and fdatasync. It is less than a
// transaction of a database takes; the floor is meant to be low.
package floor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"tenon/bench/drive"
)

// page is how much one commit appends.
const page = 4 << 10

// Journal is a file that commits are appended to.
type Journal struct {
	file *os.File
	page []byte
}

// NewJournal makes a journal in dir.
func NewJournal(dir string) (*Journal, error) {
	f, err := os.Create(filepath.Join(dir, "floor"))
	if err != nil {
		return nil, fmt.Errorf("make journal: %w", err)
	}
	return &Journal{file: f, page: make([]byte, page)}, nil
}

// Close closes the journal and removes it.
func (j *Journal) Close() error {
	return errors.Join(j.file.Close(), os.Remove(j.file.Name()))
}

// Commit makes one page durable.
func (j *Journal) Commit() error { return j.write(j.page) }

func (j *Journal) write(text []byte) error {
	if _, err := j.file.Write(text); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if err := unix.Fdatasync(int(j.file.Fd())); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// Commits times n commits one by one.
func (j *Journal) Commits(n int) (drive.Samples, error) {
	var out drive.Samples
	for range n {
		began := time.Now()
		if err := j.Commit(); err != nil {
			return nil, err
		}
		out = append(out, time.Since(began))
	}
	return out, nil
}

// Chain starts argv n times, each time after a commit and when the process before
// has ended. It returns the time of the whole and the times from the end of one
// process to the start of the next.
func (j *Journal) Chain(n int, argv ...string) (whole time.Duration, between drive.Samples, err error) {
	began := time.Now()
	var ended time.Time
	for i := range n {
		if err := j.Commit(); err != nil {
			return 0, nil, err
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = []string{}
		if err := cmd.Start(); err != nil {
			return 0, nil, fmt.Errorf("start process: %w", err)
		}
		if i > 0 {
			between = append(between, time.Since(ended))
		}
		if err := cmd.Wait(); err != nil {
			return 0, nil, fmt.Errorf("wait for process: %w", err)
		}
		ended = time.Now()
	}
	if err := j.Commit(); err != nil {
		return 0, nil, err
	}
	return time.Since(began), between, nil
}
