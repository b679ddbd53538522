//go:build crashpoints

// Package crashpoint kills its process at a named point; see the build without
// the tag for its description.
package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// Enabled tells whether this build can crash on purpose.
const Enabled = true

// Variable names the environment variable that names the point.
const Variable = "TENON_CRASH"

var (
	hits  atomic.Int64
	point = sync.OnceValues(func() (string, int64) {
		name, nth, found := strings.Cut(os.Getenv(Variable), ":")
		n, err := strconv.ParseInt(nth, 10, 64)
		if !found || err != nil {
			n = 1
		}
		return name, n
	})
)

// Hit kills the process when TENON_CRASH names this point. SIGKILL, so that no
// deferred call, handler or buffer has a say.
func Hit(name string) {
	want, nth := point()
	if name != want || hits.Add(1) != nth {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way; nothing after the point may run
}
