package local

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/go-json-experiment/json"

	"tenon/internal/testkit/crashpoint"
)

// Kinds of journal records.
const (
	kindIntent  = "intent"
	kindStarted = "started"
	kindExit    = "exit"
	kindAck     = "ack"
)

// record is one line of a journal. Environment and arguments never enter it.
type record struct {
	Kind    string    `json:"k"`
	Attempt string    `json:"a"`
	Boot    string    `json:"b,omitzero"`     // intent
	Pid     int       `json:"pid,omitzero"`   // started
	Birth   uint64    `json:"birth,omitzero"` // started: start time of the process in clock ticks
	Fact    *wireFact `json:"f,omitzero"`     // started: Running; exit: Ended or Lost
}

// journal is the append-only file of one launcher process. Its owner serialises
// access.
type journal struct {
	path string
	f    *os.File
	size int64
}

func createJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	return &journal{path: path, f: f}, nil
}

// append writes records in one call: all of them or, after an error, none.
func (j *journal) append(records ...record) error {
	data, err := encodeRecords(records)
	if err != nil {
		return err
	}
	n, err := j.f.Write(data)
	if err != nil {
		if n > 0 {
			err = errors.Join(err, j.f.Truncate(j.size))
		}
		return fmt.Errorf("write journal: %w", err)
	}
	j.size += int64(n)
	return nil
}

func encodeRecords(records []record) ([]byte, error) {
	var data []byte
	for _, r := range records {
		line, err := encode(r)
		if err != nil {
			return nil, err
		}
		data = append(append(data, line...), '\n')
	}
	return data, nil
}

// compact replaces the file by one that holds only the given records.
func (j *journal) compact(live []record) error {
	data, err := encodeRecords(live)
	if err != nil {
		return err
	}
	next := j.path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("compact journal: %w", err)
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(fmt.Errorf("compact journal: %w", err), f.Close(), os.Remove(next))
	}
	crashpoint.Hit("launcher.compacting")
	if err := os.Rename(next, j.path); err != nil {
		return errors.Join(fmt.Errorf("compact journal: %w", err), f.Close(), os.Remove(next))
	}
	old := j.f
	j.f, j.size = f, int64(len(data))
	return old.Close()
}

// readJournal returns the records of a dead launcher. A torn line is left out:
// it was never acted upon, because acting follows the write.
func readJournal(path string) ([]record, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // it died before it created one
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	var records []record
	for line := range bytes.Lines(data) {
		var r record
		if !bytes.HasSuffix(line, []byte("\n")) || json.Unmarshal(line, &r) != nil || checkAttempt(r.Attempt) != nil {
			continue
		}
		records = append(records, r)
	}
	return records, nil
}

// past is what a dead launcher knew of one attempt.
type past struct {
	attempt string
	boot    string
	pid     int
	birth   uint64
	running *wireFact
	final   *wireFact
}

// fold reduces records to the attempts that are not acknowledged, in the order
// of their intents.
func fold(records []record) []*past {
	var order []*past
	known := map[string]*past{}
	for _, r := range records {
		p := known[r.Attempt]
		if p == nil {
			p = &past{attempt: r.Attempt}
			known[r.Attempt] = p
			order = append(order, p)
		}
		switch r.Kind {
		case kindIntent:
			p.boot = r.Boot
		case kindStarted:
			p.pid, p.birth, p.running = r.Pid, r.Birth, r.Fact
		case kindExit:
			p.final = r.Fact
		case kindAck:
			delete(known, r.Attempt)
		}
	}
	live := order[:0]
	for _, p := range order {
		if known[p.attempt] == p {
			live = append(live, p)
		}
	}
	return live
}
