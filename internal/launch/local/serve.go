package local

import (
	"bufio"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"tenon/internal/launch"
)

// helloTimeout bounds how long a connection may stay silent before it has shown
// its token.
const helloTimeout = 5 * time.Second

// accept serves connections until the listener is closed.
func (l *launcher) accept(ctx context.Context) {
	for {
		conn, err := l.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors; connections will end
			l.log.Error("accept connection", "error", err)
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return
			}
			continue
		}
		if !l.enter(conn) {
			_ = conn.Close()
			continue
		}
		l.wg.Go(func() {
			defer l.leave(conn)
			l.serve(conn)
		})
	}
}

func (l *launcher) enter(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.conns[conn] = struct{}{}
	}
	return !l.closed
}

func (l *launcher) leave(conn net.Conn) {
	_ = conn.Close()
	l.mu.Lock()
	delete(l.conns, conn)
	l.mu.Unlock()
	l.table.hint()
}

// serve answers one connection until it ends or breaks the protocol.
func (l *launcher) serve(conn *net.UnixConn) {
	if err := checkPeer(conn); err != nil {
		l.log.Warn("refuse connection", "error", err)
		return
	}
	r := bufio.NewReader(conn)
	_ = conn.SetReadDeadline(time.Now().Add(helloTimeout))
	if !l.hello(conn, r) {
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	for {
		var q request
		if readMessage(r, &q) != nil {
			return
		}
		if q.Op == opWatch {
			l.push(conn, r)
			return
		}
		if writeMessage(conn, l.answer(&q)) != nil {
			return
		}
	}
}

// checkPeer refuses processes of other users. The socket's mode does so already,
// except on systems that ignore it, and except for root, which may.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	uid, uerr := -1, error(nil)
	if err := raw.Control(func(fd uintptr) { uid, uerr = peerUID(fd) }); err != nil {
		return err
	}
	if uerr != nil {
		return fmt.Errorf("read credentials of peer: %w", uerr)
	}
	if uid != os.Geteuid() && uid != 0 {
		return fmt.Errorf("peer belongs to user %d", uid)
	}
	return nil
}

// hello checks the token and tells what the client has to know.
func (l *launcher) hello(conn net.Conn, r *bufio.Reader) bool {
	var q request
	if readMessage(r, &q) != nil {
		return false
	}
	if q.Op != opHello || subtle.ConstantTimeCompare([]byte(q.Token), []byte(l.token)) != 1 {
		_ = writeMessage(conn, reply{Code: codeRefused, Message: "wrong token"})
		return false
	}
	_, draining := l.table.idle()
	return writeMessage(conn, reply{Version: l.version, Draining: draining}) == nil
}

// answer acts on one request.
func (l *launcher) answer(q *request) reply {
	var err error
	switch q.Op {
	case opStart:
		err = l.start(q.Process)
	case opStop:
		err = l.each(q.Attempts, func(id string) error { return l.table.stop(id, time.Duration(q.Grace)) })
	case opNotice:
		err = l.each(q.Attempts, func(id string) error { return l.table.notice(id, q.Line) })
	case opTouch:
		err = l.each(q.Attempts, l.table.touch)
	case opAck:
		err = l.table.ack(q.Attempts)
	case opDrain:
		err = l.giveUp()
	case opAbsorb:
		err = l.absorbDead()
	case opList:
		list := l.table.list()
		wire := make([]wireFact, len(list))
		for i, f := range list {
			wire[i] = toWire(f)
		}
		return reply{Facts: wire}
	default:
		err = fmt.Errorf("launcher does not know the operation %q", q.Op)
	}
	switch {
	case err == nil:
		return reply{}
	case errors.Is(err, launch.ErrUnknownAttempt):
		return reply{Code: codeUnknown, Message: err.Error()}
	case errors.Is(err, errDraining):
		return reply{Code: codeDraining, Message: err.Error()}
	}
	return reply{Code: codeRefused, Message: err.Error()}
}

func (l *launcher) each(ids []string, act func(id string) error) error {
	var errs []error
	for _, id := range ids {
		errs = append(errs, act(id))
	}
	return errors.Join(errs...)
}

// start accepts an attempt. The forking thread works while the answer is sent.
func (l *launcher) start(w *wireProcess) error {
	if w == nil {
		return errors.New("start without a process")
	}
	a, err := l.table.begin(w.process())
	if errors.Is(err, errKnown) {
		return nil
	}
	if err != nil {
		return err
	}
	select {
	case l.table.forks <- a:
		return nil
	case <-l.stopping:
		l.table.createOutput(a.id, a.out)
		return errors.New("launcher is ending")
	}
}

// absorbDead takes over generations that died while draining.
func (l *launcher) absorbDead() error {
	l.absorbing.Lock()
	defer l.absorbing.Unlock()
	dead, err := l.claim()
	if err != nil {
		return err
	}
	l.wg.Go(func() { l.absorbAll(context.Background(), dead) })
	return nil
}

// push turns the connection into a stream of facts.
func (l *launcher) push(conn *net.UnixConn, r *bufio.Reader) {
	w := l.table.watch()
	defer l.table.unwatch(w)
	gone := make(chan struct{})
	// The client sends nothing more, so this read ends when the connection does.
	l.wg.Go(func() {
		_, _ = r.ReadByte()
		close(gone)
	})
	for {
		select {
		case <-w.wake:
		case <-gone:
			return
		}
		list := l.table.take(w)
		for len(list) > 0 {
			var message reply
			size := 0
			for len(list) > 0 && size < maxMessage/4 {
				message.Facts = append(message.Facts, toWire(list[0]))
				size += 1024 + 2*len(list[0].Tail)
				list = list[1:]
			}
			if writeMessage(conn, message) != nil {
				return
			}
		}
	}
}
