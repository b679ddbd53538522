package front

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// stallTime is how long the sender of an S3 body may be silent. The whole body has
// no limit in time, because it may be terabytes; without any limit a client that
// vanished would hold its connection, and its half-written object, for ever.
const stallTime = 30 * time.Second

// steady reads a body whose sender must not fall silent.
type steady struct {
	io.Reader
	control *http.ResponseController
	now     func() time.Time
}

// Read fails when nothing comes for stallTime.
func (s steady) Read(b []byte) (int, error) {
	if err := s.control.SetReadDeadline(s.now().Add(stallTime)); err != nil {
		return 0, fmt.Errorf("set read deadline: %w", err)
	}
	n, err := s.Reader.Read(b)
	if errors.Is(err, io.EOF) { // as in body: what is left of the deadline must not cut the answer
		if err := s.control.SetReadDeadline(time.Time{}); err != nil {
			return n, fmt.Errorf("clear read deadline: %w", err)
		}
	}
	return n, err
}
