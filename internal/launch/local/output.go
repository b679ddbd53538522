package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"tenon/internal/launch"
)

// drainLimit bounds what is read from a pipe after the process has ended: a
// whole pipe at its largest default, and not what a stranger goes on writing.
const drainLimit = 1 << 20

// output is where the output of one running attempt goes. It writes a frame per
// read: a process that writes fast fills the pipe between reads and so makes
// large frames, a slow one has each line in the file at once. No timer is needed.
type output struct {
	mu      sync.Mutex
	file    *os.File
	size    int64 // bytes in the file; a failed write is cut back to it
	limit   int64
	kept    int64
	dropped int64
	marked  bool  // the cap's marker is written
	broken  error // the first failed write
	tail    []byte
	pipes   [2]*pipe // stdout, stderr; nil when closed
}

// pipe is the launcher's end of one stream.
type pipe struct {
	out    *output
	stream launch.Stream
	fd     int
	id     uint64 // the pump's name for it
}

// open opens the attempt's file, creating it if asked to; without that a missing
// file is fine and leaves out.file nil. It returns the data of an end frame.
func (o *output) open(logs, attempt string, create bool) (end []byte, err error) {
	file, size, end, err := openOut(logs, attempt, create)
	if !create && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	o.file, o.size = file, size
	return end, err
}

// read takes what the pipe holds, at most one buffer, and stores it. done means
// that the pipe is at its end and closed. buf has room for a header and a frame.
func (p *pipe) read(buf []byte, now func() time.Time) (n int, done bool) {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.readLocked(buf, now)
}

func (p *pipe) readLocked(buf []byte, now func() time.Time) (n int, done bool) {
	if p.fd < 0 {
		return 0, true
	}
	for {
		n, err := syscall.Read(p.fd, buf[frameHeader:frameHeader+launch.FrameBytes])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return 0, false
		case err != nil || n == 0:
			p.close()
			return 0, true
		}
		p.out.store(p.stream, buf, n, now())
		return n, false
	}
}

func (p *pipe) close() {
	if p.fd >= 0 {
		_ = syscall.Close(p.fd) // a read end; nothing can be lost
		p.fd = -1
	}
}

// store appends n bytes that lie behind the header's room in buf, within the cap.
func (o *output) store(stream launch.Stream, buf []byte, n int, at time.Time) {
	if stream == launch.Stderr {
		o.addTail(buf[frameHeader : frameHeader+n])
	}
	keep := min(int64(n), o.limit-o.kept)
	if keep > 0 {
		if !o.write(stream, buf[:frameHeader+keep], at) {
			keep = 0
		}
		o.kept += keep
	}
	o.dropped += int64(n) - keep
	if o.dropped > 0 && !o.marked {
		o.marked = o.meta(fmt.Sprintf("output reached its limit of %d bytes; what follows is not kept\n", o.limit), at)
	}
}

// write puts one frame into the file in a single call. A failure, such as a full
// disk, costs this frame and is remembered; the process goes on.
func (o *output) write(stream launch.Stream, frame []byte, at time.Time) bool {
	if o.file == nil {
		return false // broken says why
	}
	putHeader(frame, stream, at, len(frame)-frameHeader)
	n, err := o.file.Write(frame)
	if err == nil {
		o.size += int64(n)
		return true
	}
	if o.broken == nil {
		o.broken = err
	}
	if n > 0 {
		if err := o.file.Truncate(o.size); err != nil {
			o.broken = errors.Join(o.broken, err)
		}
	}
	return false
}

func (o *output) meta(line string, at time.Time) bool {
	return o.write(launch.Meta, frameOf(line), at)
}

func frameOf(line string) []byte {
	line = line[:min(len(line), launch.FrameBytes)]
	return append(make([]byte, frameHeader, frameHeader+len(line)), line...)
}

// notice appends a line of the server's own to the error stream.
func (o *output) notice(line string, at time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(line) == 0 || line[len(line)-1] != '\n' {
		line += "\n"
	}
	if !o.write(launch.Stderr, frameOf(line), at) {
		return fmt.Errorf("write notice: %w", o.broken)
	}
	return nil
}

// addTail keeps between one and two tails and copies seldom.
func (o *output) addTail(data []byte) {
	o.tail = append(o.tail, data[max(0, len(data)-launch.TailBytes):]...)
	if len(o.tail) > 2*launch.TailBytes {
		o.tail = append(o.tail[:0], o.tail[len(o.tail)-launch.TailBytes:]...)
	}
}

// finish reads what is left in the pipes, closes them and says what was dropped.
// A pipe held open by somebody else does not keep it (spec/faults G5).
func (o *output) finish(buf []byte, now func() time.Time) (tail []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.pipes {
		if p == nil {
			continue
		}
		for total := 0; total < drainLimit; {
			n, done := p.readLocked(buf, now)
			if n == 0 || done {
				break
			}
			total += n
		}
		p.close()
	}
	if o.dropped > 0 {
		reason := "limit reached"
		if o.broken != nil {
			reason = o.broken.Error()
		}
		o.meta(fmt.Sprintf("%d bytes of output were not kept: %s\n", o.dropped, reason), now())
	}
	return o.tail[max(0, len(o.tail)-launch.TailBytes):]
}

// end writes the end frame, after which nothing is written, and closes the file.
func (o *output) end(fact launch.Fact, now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	fact.Tail = nil
	data, err := encode(toWire(fact))
	if err != nil {
		return err
	}
	if !o.write(streamEnd, frameOf(string(data)), now) {
		err = fmt.Errorf("write end of output: %w", o.broken)
	}
	if o.file == nil {
		return err
	}
	return errors.Join(err, o.file.Close())
}
