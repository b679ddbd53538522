package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"

	"tenon/internal/launch"
)

// maxIdle bounds the connections kept for later calls.
const maxIdle = 8

// peer is one launcher as the server sees it. Each call has a connection for
// itself, taken from a small stock, so calls run side by side and nothing has to
// be told apart on the way back.
type peer struct {
	dir      string // of its generation
	version  int
	draining bool

	mu     sync.Mutex
	idle   []*wire
	closed bool
}

// wire is one connection after its hello.
type wire struct {
	conn net.Conn
	r    *bufio.Reader
}

// hello connects for the first time.
func (p *peer) hello(ctx context.Context) error {
	w, err := p.dial(ctx)
	if err != nil {
		return err
	}
	p.put(w)
	return nil
}

// dial opens a connection and shows the token.
func (p *peer) dial(ctx context.Context) (*wire, error) {
	a, err := readAddress(p.dir)
	if err != nil {
		return nil, gone(err)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", a.Socket)
	if err != nil {
		return nil, gone(err)
	}
	w := &wire{conn: conn, r: bufio.NewReader(conn)}
	// The socket could lie in a shared folder, so the other side is checked before
	// it is told the token.
	if err := checkPeer(conn.(*net.UnixConn)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	r, err := w.exchange(ctx, request{Op: opHello, Version: protocolVersion, Token: a.Token})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	p.mu.Lock()
	p.version, p.draining = r.Version, p.draining || r.Draining
	p.mu.Unlock()
	return w, nil
}

// gone marks an error that means that the launcher is not there (any more).
func gone(err error) error { return fmt.Errorf("%w: %w", launch.ErrClosed, err) }

// exchange sends one request and reads its reply. After an error the connection
// is of no more use, since a late reply could be taken for another's.
func (w *wire) exchange(ctx context.Context, q request) (reply, error) {
	stop := context.AfterFunc(ctx, func() { _ = w.conn.Close() })
	defer stop()
	var r reply
	err := writeMessage(w.conn, q)
	if err == nil {
		err = readMessage(w.r, &r)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return reply{}, gone(cause)
	}
	if err != nil {
		return reply{}, gone(err)
	}
	switch r.Code {
	case "":
		return r, nil
	case codeUnknown:
		return reply{}, launch.ErrUnknownAttempt
	case codeDraining:
		return reply{}, errDraining
	}
	return reply{}, errors.New(r.Message)
}

// call makes one request on a connection of its own.
func (p *peer) call(ctx context.Context, q request) (reply, error) {
	w, err := p.take(ctx)
	if err != nil {
		return reply{}, err
	}
	r, err := w.exchange(ctx, q)
	if errors.Is(err, launch.ErrClosed) || ctx.Err() != nil {
		_ = w.conn.Close()
		return r, err
	}
	p.put(w)
	return r, err
}

func (p *peer) take(ctx context.Context) (*wire, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return w, nil
	}
	p.mu.Unlock()
	return p.dial(ctx)
}

func (p *peer) put(w *wire) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdle {
		_ = w.conn.Close()
		return
	}
	p.idle = append(p.idle, w)
}

func (p *peer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, w := range p.idle {
		_ = w.conn.Close()
	}
	p.idle = nil
}

// watch hands on pushed facts until the connection or ctx ends.
func (p *peer) watch(ctx context.Context, handle func([]launch.Fact)) error {
	w, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer w.conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = w.conn.Close() })
	defer stop()
	if err := writeMessage(w.conn, request{Op: opWatch}); err != nil {
		return gone(err)
	}
	for {
		var r reply
		if err := readMessage(w.r, &r); err != nil {
			return gone(err)
		}
		handle(facts(r.Facts))
	}
}

// retired tells whether the launcher had drained and ended in order, after which
// its folder is gone.
func (p *peer) retired() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := os.Stat(p.dir)
	return p.draining && errors.Is(err, fs.ErrNotExist)
}
