// Package memhttp lets an HTTP client reach an HTTP server within one process,
// over pipes in memory. It guarantees that nothing of it touches a socket, so
// that a whole server can live in a bubble of virtual time (testing/synctest),
// where "nobody has anything left to do" can be waited for.
//
// It does not imitate a network: a pipe has no buffer, so a side that writes
// waits for the other to read, and there is no latency, loss or address. What
// depends on those is tested over loopback.
package memhttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// Address is what a Listener calls itself. It is a name of this machine, for
// servers that are careful about those, and nobody listens there.
const Address = "localhost:8366"

// Listener is a net.Listener whose connections are pipes. Listen makes it.
type Listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var _ net.Listener = (*Listener)(nil)

// Listen returns a listener that accepts until it is closed.
func Listen() *Listener {
	return &Listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for the next connection; it fails with net.ErrClosed after Close.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial. Connections go on. Closing again is fine.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns Address.
func (l *Listener) Addr() net.Addr { return address{} }

// Dial connects to the listener and waits until it accepts, or ctx ends, or the
// listener is closed: then it fails with net.ErrClosed, as a refused connection.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Transport returns a transport that takes every request to the listener,
// whatever its URL says. Its idle connections are the caller's to close.
func (l *Listener) Transport() *Transport {
	return &Transport{http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.Dial(ctx) },
	}}
}

// Transport is an http.Transport over memory.
type Transport struct{ http.Transport }

// RoundTrip sends a request whose body it has read first. Over a pipe the answer
// can be there before the transport has looked for the body's end, and clients
// that close their body then, as the AWS SDK does, would lose the connection.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		body, err := io.ReadAll(r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return nil, fmt.Errorf("read request body: %w", err)
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return t.Transport.RoundTrip(r)
}

type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return Address }
