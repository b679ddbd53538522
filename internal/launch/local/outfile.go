package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"tenon/internal/launch"
)

// The file of an attempt's output is a magic, then frames: stream (1 byte), time
// (8, Unix nanoseconds), length (4), data; big endian. An end frame closes it;
// its data is the final fact without the tail.
const (
	outMagic    = "tenonout1\n"
	frameHeader = 1 + 8 + 4
	streamEnd   = launch.Stream(4)
	// followPoll is how often a follower looks for more. A line is seen within
	// twice that.
	followPoll = 40 * time.Millisecond
)

var attemptPattern = regexp.MustCompile(`^jr_[0-9a-f]{64}(_attempt_[0-9]{1,9})?$`)

// checkAttempt refuses everything that is not a job run id, because ids become
// file names (spec/faults invariant 36).
func checkAttempt(id string) error {
	if !attemptPattern.MatchString(id) {
		return fmt.Errorf("%q is not an attempt id", id)
	}
	return nil
}

// outPath spreads files over 16 folders. More of them would be made all the time
// by a young server, and to make a folder takes longer than to start a process.
func outPath(logs, attempt string) string {
	return filepath.Join(logs, attempt[3:4], attempt+".log")
}

// putHeader writes a frame header to the first bytes of buf.
func putHeader(buf []byte, stream launch.Stream, at time.Time, length int) {
	buf[0] = byte(stream)
	binary.BigEndian.PutUint64(buf[1:], uint64(at.UnixNano()))
	binary.BigEndian.PutUint32(buf[9:], uint32(length))
}

// readHeader is the reverse; it refuses what no writer writes.
func readHeader(buf []byte) (stream launch.Stream, at time.Time, length int, err error) {
	stream = launch.Stream(buf[0])
	at = time.Unix(0, int64(binary.BigEndian.Uint64(buf[1:])))
	n := binary.BigEndian.Uint32(buf[9:])
	if stream < launch.Stdout || stream > streamEnd || n > launch.FrameBytes {
		return 0, time.Time{}, 0, errors.New("output file is damaged")
	}
	return stream, at, int(n), nil
}

// openOut opens the attempt's file for appending, creating it if asked to. It cuts off a frame
// that a dead launcher left half written, and returns the data of the end frame
// if there is one.
func openOut(logs, attempt string, create bool) (f *os.File, size int64, end []byte, err error) {
	path := outPath(logs, attempt)
	mode := os.O_RDWR | os.O_APPEND
	if create {
		mode |= os.O_CREATE
	}
	f, err = os.OpenFile(path, mode, 0o600)
	if create && errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			f, err = os.OpenFile(path, mode, 0o600)
		}
	}
	if err != nil {
		return nil, 0, nil, fmt.Errorf("open output file: %w", err)
	}
	size, end, err = mendOut(f)
	if err != nil {
		return nil, 0, nil, errors.Join(fmt.Errorf("read output file: %w", err), f.Close())
	}
	return f, size, end, nil
}

// mendOut walks the frames, truncates what is torn and writes a missing magic.
func mendOut(f *os.File) (size int64, end []byte, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, nil, err
	}
	if info.Size() < int64(len(outMagic)) {
		if err := f.Truncate(0); err != nil {
			return 0, nil, err
		}
		_, err := f.WriteString(outMagic)
		return int64(len(outMagic)), nil, err
	}
	off := int64(len(outMagic))
	var header [frameHeader]byte
	for off+frameHeader <= info.Size() {
		if _, err := f.ReadAt(header[:], off); err != nil {
			return 0, nil, err
		}
		stream, _, length, err := readHeader(header[:])
		next := off + frameHeader + int64(length)
		if err != nil || next > info.Size() {
			break
		}
		if stream == streamEnd {
			end = make([]byte, length)
			_, err := f.ReadAt(end, off+frameHeader)
			return next, end, err
		}
		off = next
	}
	if off < info.Size() {
		return off, nil, f.Truncate(off)
	}
	return off, nil, nil
}

// outReader reads a file that may still be written. It needs no launcher.
type outReader struct {
	ctx    context.Context
	f      *os.File
	follow bool
	off    int64  // file offset of buf[0]
	buf    []byte // read and not yet parsed
	space  []byte
	done   bool
}

// openReader opens the attempt's output from its beginning.
func openReader(ctx context.Context, logs, attempt string, follow bool) (*outReader, error) {
	f, err := os.Open(outPath(logs, attempt))
	if err != nil {
		return nil, fmt.Errorf("open output: %w", err)
	}
	// One frame always fits, so one read always makes progress.
	return &outReader{ctx: ctx, f: f, follow: follow, space: make([]byte, frameHeader+launch.FrameBytes)}, nil
}

// Next returns the next frame, waiting for it when following.
func (r *outReader) Next() (launch.Frame, error) {
	for {
		if err := r.ctx.Err(); err != nil {
			return launch.Frame{}, context.Cause(r.ctx)
		}
		if r.done {
			return launch.Frame{}, io.EOF
		}
		frame, ok, err := r.parse()
		if ok || err != nil {
			return frame, err
		}
		if more, err := r.fill(); err != nil {
			return launch.Frame{}, err
		} else if more || r.done {
			continue
		}
		if !r.follow {
			return launch.Frame{}, io.EOF
		}
		if err := r.wait(); err != nil {
			return launch.Frame{}, err
		}
	}
}

// parse takes one complete frame off the buffer.
func (r *outReader) parse() (launch.Frame, bool, error) {
	if r.off == 0 {
		if len(r.buf) < len(outMagic) {
			return launch.Frame{}, false, nil
		}
		if string(r.buf[:len(outMagic)]) != outMagic {
			return launch.Frame{}, false, errors.New("output file is damaged: wrong first bytes")
		}
		r.take(len(outMagic))
	}
	if len(r.buf) < frameHeader {
		return launch.Frame{}, false, nil
	}
	stream, at, length, err := readHeader(r.buf)
	if err != nil {
		return launch.Frame{}, false, fmt.Errorf("%w at offset %d", err, r.off)
	}
	if len(r.buf) < frameHeader+length {
		return launch.Frame{}, false, nil
	}
	data := r.buf[frameHeader : frameHeader+length]
	r.take(frameHeader + length)
	if stream == streamEnd {
		r.done = true
		return launch.Frame{}, false, nil
	}
	return launch.Frame{Time: at, Stream: stream, Data: data}, true, nil
}

func (r *outReader) take(n int) {
	r.buf = r.buf[n:]
	r.off += int64(n)
}

// fill reads again from the first unparsed byte and tells whether that brought
// anything new.
func (r *outReader) fill() (bool, error) {
	if r.done {
		return false, nil
	}
	n, err := r.f.ReadAt(r.space, r.off)
	if err != nil && err != io.EOF {
		return false, fmt.Errorf("read output: %w", err)
	}
	more := n > len(r.buf)
	r.buf = r.space[:n]
	return more, nil
}

func (r *outReader) wait() error {
	timer := time.NewTimer(followPoll)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// Close releases the file. A Next that waits is ended by its context.
func (r *outReader) Close() error { return r.f.Close() }
