package s3blob

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how much of a body stays in memory.
const spoolMemory = 1 << 20

// spool holds a body that must be read twice: to verify it, and to send it as
// often as the SDK retries.
type spool struct {
	dir    string
	memory bytes.Buffer
	file   *os.File
}

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(p) <= spoolMemory {
		return s.memory.Write(p)
	}
	if s.file == nil {
		file, err := os.CreateTemp(s.dir, "tenon-body-*")
		if err != nil {
			return 0, fmt.Errorf("spool body: %w", err)
		}
		s.file = file
		// Without a name it goes with the process, however that ends.
		if err := os.Remove(file.Name()); err != nil {
			return 0, fmt.Errorf("spool body: %w", err)
		}
		if _, err := file.Write(s.memory.Bytes()); err != nil {
			return 0, fmt.Errorf("spool body: %w", err)
		}
		s.memory = bytes.Buffer{}
	}
	return s.file.Write(p)
}

func (s *spool) rewind() (io.ReadSeeker, error) {
	if s.file == nil {
		return bytes.NewReader(s.memory.Bytes()), nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("spool body: %w", err)
	}
	// The SDK closes what it can close, and would do so before a retry.
	return struct{ io.ReadSeeker }{s.file}, nil
}

// remove frees the space. The file has no name and its content is of no more
// use, so there is nothing a failure to close could mean.
func (s *spool) remove() {
	if s.file != nil {
		_ = s.file.Close()
	}
}
