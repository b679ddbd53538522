package launch

import (
	"context"
	"errors"
	"io"
	"time"
)

// ErrUnknownAttempt is returned for an attempt the supervisor never accepted or
// has already forgotten.
var ErrUnknownAttempt = errors.New("attempt is not known to the supervisor")

// ErrClosed is returned by a supervisor that is shutting down or whose other
// side is gone; the call may be repeated against a new connection.
var ErrClosed = errors.New("supervisor is closed")

// Spec is everything a Preparer needs to know of one job run. All definitions
// are already merged (spec/jobs §3.1); nothing is looked up again.
type Spec struct {
	Attempt     string // JobRun id, e.g. jr_… or jr_…_attempt_1
	Account     string
	Region      string
	JobName     string
	Command     Command
	GlueVersion string
	Arguments   []Argument // merged, in the order the script shall see them
	Workflow    string     // empty outside workflows
	WorkflowRun string     // wr_…, empty outside workflows
	Timeout     time.Duration
	// Environment holds variables the server adds for this attempt: endpoint,
	// region and session credentials. It is secret.
	Environment map[string]string
}

// Command is a job's command (spec/jobs §1.2).
type Command struct {
	Name           string // pythonshell, glueetl, gluestreaming, glueray
	ScriptLocation string // s3://bucket/key
	PythonVersion  string
	Runtime        string
}

// Argument is one job argument, with its leading dashes as the user wrote them.
type Argument struct{ Key, Value string }

// Process is a prepared attempt, ready to be forked. Argv is executed as it is:
// no shell stands between.
type Process struct {
	Attempt string
	Argv    []string // Argv[0] is an absolute path
	Env     []string // the whole environment, KEY=value
	Dir     string   // working directory; exists
	// Timeout is counted from the fork; 0 means none (spec/jobs §2.10). The
	// supervisor enforces it also while the server is down.
	Timeout time.Duration
	// Grace lies between SIGTERM and SIGKILL when the timeout passes.
	Grace time.Duration
	// OutputLimit caps the bytes kept of the process's output; 0 means the
	// supervisor's own default. What is beyond is counted and marked.
	OutputLimit int64
	Limits      Limits
}

// Limits are resource limits of one process and its children; zero means
// unlimited.
type Limits struct {
	MemoryBytes int64
	Processes   int64
	OpenFiles   int64
	FileBytes   int64
}

// PrepareError is a preparation that failed for a reason the user can act on.
// The job run ends FAILED with Message as its ErrorMessage (spec/jobs §2.8).
type PrepareError struct {
	Message string
	Err     error // cause for the server's log; may be nil
}

func (e *PrepareError) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *PrepareError) Unwrap() error { return e.Err }

// Preparer turns job runs of the kinds it serves into processes.
type Preparer interface {
	// Prepare fetches and writes what the attempt needs below a directory of its
	// own. It is idempotent by attempt: what an interrupted call left is replaced.
	// It honours ctx, whose deadline is the preparation deadline. A *PrepareError
	// is the user's to mend; any other error is the server's.
	//
	// notice writes a line for the user into the attempt's error stream before the
	// process exists (pip's output, a missing interpreter version).
	Prepare(ctx context.Context, spec Spec, notice func(line string)) (Process, error)
	// Discard removes what Prepare made. An attempt that was never prepared is fine.
	Discard(ctx context.Context, attempt string) error
}

// State says where an attempt stands in a supervisor.
type State string

// The states of doc.go.
const (
	Intended State = "intended"
	Running  State = "running"
	Ended    State = "ended"
	Lost     State = "lost"
)

// Cause says why an attempt ended.
type Cause string

// Causes of an end. CauseExit covers every end by the process's own doing,
// signals from elsewhere included.
const (
	CauseExit    Cause = "exit"
	CauseTimeout Cause = "timeout" // the supervisor ended it at its timeout
	CauseStop    Cause = "stop"    // the supervisor ended it on Stop
	CauseStart   Cause = "start"   // it could not be started; Reason says why
)

// Fact is something that happened to an attempt. State is Running, Ended or Lost.
type Fact struct {
	Attempt string
	State   State
	At      time.Time // when it happened, by the supervisor's clock
	Pid     int       // Running

	Cause    Cause  // Ended
	ExitCode int    // Ended: exit code, or -1 when a signal ended it
	Signal   int    // Ended: the signal, or 0
	Reason   string // Ended with CauseStart, and Lost: a sentence
	// Tail is the end of the error stream (at most TailBytes), from which the
	// ErrorMessage of a failed run is taken.
	Tail []byte
	// CPU and MaxRSS are what the kernel counted for the process and its waited-for children.
	CPU    time.Duration
	MaxRSS int64
	// InForce names the isolation that was in force, for people ("cgroup v1, rlimits").
	InForce string
}

// TailBytes bounds Fact.Tail.
const TailBytes = 16 << 10

// Final tells whether the fact is the last one of its attempt.
func (f Fact) Final() bool { return f.State == Ended || f.State == Lost }

// Supervisor runs attempts. All methods are safe for concurrent use and
// idempotent by attempt id.
type Supervisor interface {
	// Start accepts p for execution. An attempt that is already known is not
	// started again: Start answers nil, and its facts follow from Watch. An error
	// means that the attempt was certainly not started by this call, except
	// ErrClosed, after which List tells.
	Start(ctx context.Context, p Process) error
	// Stop ends the attempt: SIGTERM to its group, SIGKILL after grace. The answer
	// means that the order is taken; the end comes as a fact. An attempt that has
	// ended is fine.
	Stop(ctx context.Context, attempt string, grace time.Duration) error
	// List returns the latest unacknowledged fact of every known attempt
	// (State Intended for one that was accepted and not yet forked).
	List(ctx context.Context) ([]Fact, error)
	// Watch calls handle with facts, first those not yet acknowledged, then new
	// ones, until ctx ends or the supervisor is gone (ErrClosed). Facts of one
	// attempt come in order. handle must not block for long; calls do not overlap.
	Watch(ctx context.Context, handle func([]Fact)) error
	// Ack lets the supervisor forget final facts.
	Ack(ctx context.Context, attempts ...string) error
	// Output opens the attempt's output for reading from its beginning. It reads
	// frames (see Frame); with follow it goes on until the attempt has ended and
	// everything was read. It works for attempts long acknowledged, as long as
	// their output is kept, and fails with fs.ErrNotExist after that.
	Output(ctx context.Context, attempt string, follow bool) (FrameReader, error)
	// Notice appends a line of the server's own to the attempt's error stream.
	// It is used before the process starts.
	Notice(ctx context.Context, attempt, line string) error
}

// Stream names where a frame came from.
type Stream byte

// The streams of an attempt. Meta frames are the supervisor's own remarks, such
// as the marker of a reached cap.
const (
	Stdout Stream = 1
	Stderr Stream = 2
	Meta   Stream = 3
)

// Frame is a piece of output as it arrived, at most FrameBytes long. Pieces need
// not be lines.
type Frame struct {
	Time   time.Time
	Stream Stream
	Data   []byte
}

// FrameBytes bounds Frame.Data.
const FrameBytes = 64 << 10

// FrameReader yields frames in order of arrival; io.EOF ends them. The frame's
// data is valid until the next call.
type FrameReader interface {
	Next() (Frame, error)
	io.Closer
}
