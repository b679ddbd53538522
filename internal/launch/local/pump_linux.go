package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tenon/internal/launch"
)

// pump moves output from all pipes to their files in one goroutine, in the order
// in which the kernel says that they became readable, through one buffer. So the
// launcher's memory does not grow with the number or the haste of jobs
// (spec/faults G7).
type pump struct {
	now   func() time.Time
	epoll int
	wake  int // eventfd that ends run

	mu   sync.Mutex
	next uint64
	byID map[uint64]*pipe // a number that is never used again, unlike a descriptor
}

const wakeID = 0

func newPump(now func() time.Time) (*pump, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create eventfd: %w", err), unix.Close(epoll))
	}
	p := &pump{now: now, epoll: epoll, wake: wake, next: wakeID + 1, byID: map[uint64]*pipe{}}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, event(wakeID)); err != nil {
		return nil, fmt.Errorf("watch eventfd: %w", err)
	}
	return p, nil
}

// event carries a 64-bit number through epoll.
func event(id uint64) *unix.EpollEvent {
	return &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(uint32(id)), Pad: int32(uint32(id >> 32))}
}

func eventID(e unix.EpollEvent) uint64 { return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32 }

// add begins to read the pipes of one attempt.
func (p *pump) add(pipes [2]*pipe) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pipe := range pipes {
		pipe.id = p.next
		p.next++
		if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, pipe.fd, event(pipe.id)); err != nil {
			return fmt.Errorf("watch pipe: %w", err)
		}
		p.byID[pipe.id] = pipe
	}
	return nil
}

// forget ends that; what is left in the pipes is for finish. It waits for
// nothing: a read that is going on holds the output's lock.
func (p *pump) forget(pipes [2]*pipe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pipe := range pipes {
		if pipe != nil {
			delete(p.byID, pipe.id)
		}
	}
}

// run reads until stop is called.
func (p *pump) run() error {
	buf := make([]byte, frameHeader+launch.FrameBytes)
	events := make([]unix.EpollEvent, 64)
	for {
		n, err := unix.EpollWait(p.epoll, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for output: %w", err)
		}
		for _, e := range events[:n] {
			id := eventID(e)
			if id == wakeID {
				return nil
			}
			p.mu.Lock()
			pipe := p.byID[id]
			p.mu.Unlock()
			if pipe == nil {
				continue
			}
			if _, done := pipe.read(buf, p.now); done {
				p.mu.Lock()
				delete(p.byID, id)
				p.mu.Unlock()
			}
		}
	}
}

func (p *pump) stop() error {
	_, err := unix.Write(p.wake, binary.NativeEndian.AppendUint64(nil, 1))
	return err
}
