package jobrun

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// Sentences that a job run carries in its ErrorMessage or StateDetail
// (spec/jobs §2.8, spec/workflows §3.2). Where AWS's text is unknown they are
// the choices of the spec.
const (
	MsgStopped     = "Job run was stopped by user request."
	MsgConcurrent  = "Max concurrent runs exceeded"
	MsgExpired     = "Job run waited in the queue for longer than the server allows."
	MsgQueued      = "Waiting for a concurrent run of the job to finish."
	MsgLocalSlot   = "Waiting for a free slot on this machine."
	MsgUnknown     = "The outcome of this attempt is unknown: "
	MsgNoCrawlers  = "Crawlers are not supported by this server yet; this action did not run."
	MsgUnsupported = "LAUNCH ERROR | %s jobs are not supported by this server."
)

// MsgMissingJob is the message of a run whose job does not exist (spec/workflows §3.2).
func MsgMissingJob(job string) string { return fmt.Sprintf("Job with name: %s not found.", job) }

// MsgTimeout is the message of a run that exceeded its timeout.
func MsgTimeout(minutes int) string {
	return fmt.Sprintf("Job run exceeded its timeout of %d minutes.", minutes)
}

// End is what is known of an attempt's end. The zero Cause means that the
// process ended by itself.
type End struct {
	Cause    Cause
	ExitCode int
	Signal   int
	Reason   string // for Refused and Lost
	Tail     []byte // the end of the error stream
}

// Cause says why an attempt ended.
type Cause string

// The causes.
const (
	ByItself  Cause = "exit"
	ByTimeout Cause = "timeout"
	ByStop    Cause = "stop"
	Refused   Cause = "refused" // it could not be prepared or started
	Lost      Cause = "lost"    // nobody knows
)

// Outcome turns an end into a final state and its ErrorMessage. from is the
// state the run was in: a run that was being stopped is STOPPED however its
// process ended (spec/jobs §2.3), unless nobody knows how it ended.
func Outcome(from State, e End, timeout int) (State, string) {
	switch {
	case e.Cause == Lost:
		return Failed, MsgUnknown + e.Reason
	case from == Stopping || e.Cause == ByStop:
		return Stopped, MsgStopped
	case e.Cause == ByTimeout:
		return Timeout, MsgTimeout(timeout)
	case e.Cause == Refused:
		return Failed, e.Reason
	case e.ExitCode == 0 && e.Signal == 0:
		return Succeeded, ""
	}
	return Failed, FailureMessage(e.ExitCode, e.Signal, e.Tail)
}

// FailureMessage is the ErrorMessage of a process that failed: the last line of
// the last Python traceback in its error stream when it exited with 1, else the
// exit code (spec/jobs §2.8). A signal counts as 128 + its number, as on AWS.
func FailureMessage(exit, signal int, tail []byte) string {
	if signal != 0 {
		exit = 128 + signal
	}
	if exit == 1 {
		if line := exceptionLine(tail); line != "" {
			return line
		}
	}
	return fmt.Sprintf("Command failed with exit code %d", exit)
}

// maxMessage bounds an ErrorMessage taken from a script's output, in bytes.
const maxMessage = 2048

// exceptionLine finds "Type: message" at the end of the last traceback. The
// message may span lines; the first is enough to act on. A script that does not
// even compile dies without a traceback header, so that without one the last
// line that looks like an exception counts.
func exceptionLine(tail []byte) string {
	header := bytes.LastIndex(tail, []byte("Traceback (most recent call last):"))
	found := ""
	for line := range bytes.Lines(tail[max(header, 0):]) {
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case len(line) == 0, line[0] == ' ', line[0] == '\t', bytes.HasPrefix(line, []byte("Traceback ")):
			continue // frames, their source and marks
		case header >= 0:
			return clip(strings.ToValidUTF8(string(line), "\uFFFD"))
		case looksRaised(line):
			found = clip(strings.ToValidUTF8(string(line), "\uFFFD"))
		}
	}
	return found
}

// raised matches what Python prints of an exception that nobody caught: its type,
// by an ending that exceptions have or by the module it is from, and a message.
var raised = regexp.MustCompile(`^(?:[A-Za-z_]\w*(?:Error|Exception|Warning|Interrupt|Exit)|(?:[A-Za-z_]\w*\.)+[A-Z]\w*)(?::|$)`)

func looksRaised(line []byte) bool { return raised.Match(line) }

func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	s = s[:maxMessage]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}

// RetryDelay lies between a failed attempt and the next (spec/jobs §2.7).
const RetryDelay = 30 * time.Second

// Retries tells whether a run that ended in state after its n-th attempt (from
// 0) is tried again. Only FAILED is; a stop or a timeout never is.
func Retries(state State, attempt, maxRetries int) bool {
	return state == Failed && attempt < maxRetries
}

// Admission is what may become of a new run.
type Admission string

// The admissions.
const (
	Admit  Admission = "admit"
	Queue  Admission = "queue"
	Refuse Admission = "refuse"
)

// Decide says whether a new run starts, waits or is refused: slots are the runs
// the job may have at once, holding those that hold one now, waiting those that
// were queued before it (spec/jobs §2.4, step 3).
func Decide(slots, holding, waiting int, queuing bool) Admission {
	if waiting == 0 && holding < slots {
		return Admit
	}
	if queuing {
		return Queue
	}
	if holding+waiting < slots {
		return Admit
	}
	return Refuse
}

// QueueMaxWait is how long a queued run waits before it is EXPIRED (spec/jobs U7).
const QueueMaxWait = 24 * time.Hour
