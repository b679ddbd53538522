package local

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tenon/internal/launch"
)

// pump reads each pipe in a goroutine of its own, which poll(2) wakes.
type pump struct {
	now func() time.Time
	wg  sync.WaitGroup
}

func newPump(now func() time.Time) (*pump, error) { return &pump{now: now}, nil }

func (p *pump) add(pipes [2]*pipe) error {
	for _, pipe := range pipes {
		p.wg.Go(func() { p.follow(pipe) })
	}
	return nil
}

// forget lets finish have the rest; follow ends when finish has closed the pipe.
func (p *pump) forget([2]*pipe) {}

func (p *pump) follow(pipe *pipe) {
	buf := make([]byte, frameHeader+launch.FrameBytes)
	for {
		pipe.out.mu.Lock()
		fd := pipe.fd
		pipe.out.mu.Unlock()
		if fd < 0 {
			return
		}
		// Bounded, because the descriptor may be closed and used anew meanwhile.
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if _, done := pipe.read(buf, p.now); done {
			return
		}
	}
}

func (p *pump) run() error { return nil }

func (p *pump) stop() error {
	p.wg.Wait()
	return nil
}
