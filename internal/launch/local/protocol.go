package local

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tenon/internal/launch"
)

// protocolVersion grows when a launcher must understand something new. Fields
// may be added without that. A client speaks with every earlier version.
const protocolVersion = 1

// maxMessage bounds a message: an environment and argv at the kernel's own limit
// of 2 MiB, encoded, with room.
const maxMessage = 16 << 20

// Operations of a connection. The first message is opHello.
const (
	opHello  = "hello"
	opStart  = "start"
	opStop   = "stop"
	opList   = "list"
	opWatch  = "watch" // turns the connection into a stream of facts
	opAck    = "ack"
	opNotice = "notice"
	opTouch  = "touch" // wait until the attempt's output file exists
	opDrain  = "drain"
	opAbsorb = "absorb" // look for generations that died
)

// Codes of a refusal that a client branches on.
const (
	codeRefused  = "refused"
	codeUnknown  = "unknown"
	codeDraining = "draining"
)

type request struct {
	Op       string       `json:"op"`
	Version  int          `json:"version,omitzero"`
	Token    string       `json:"token,omitzero"`
	Process  *wireProcess `json:"process,omitzero"`
	Attempts []string     `json:"attempts,omitzero"`
	Grace    int64        `json:"grace,omitzero"` // nanoseconds
	Line     string       `json:"line,omitzero"`
}

type reply struct {
	Code     string     `json:"code,omitzero"`
	Message  string     `json:"message,omitzero"`
	Version  int        `json:"version,omitzero"`
	Draining bool       `json:"draining,omitzero"`
	Facts    []wireFact `json:"facts,omitzero"`
}

// wireProcess is launch.Process; durations are nanoseconds. What the kernel takes
// as bytes travels as bytes, since it need not be UTF-8.
type wireProcess struct {
	Attempt     string        `json:"attempt"`
	Argv        [][]byte      `json:"argv"`
	Env         [][]byte      `json:"env"`
	Dir         []byte        `json:"dir"`
	Timeout     int64         `json:"timeout,omitzero"`
	Grace       int64         `json:"grace,omitzero"`
	OutputLimit int64         `json:"outputLimit,omitzero"`
	Limits      launch.Limits `json:"limits,omitzero"`
}

func wireOf(p launch.Process) *wireProcess {
	return &wireProcess{
		Attempt: p.Attempt, Argv: convert[[]byte](p.Argv), Env: convert[[]byte](p.Env), Dir: []byte(p.Dir), Timeout: int64(p.Timeout),
		Grace: int64(p.Grace), OutputLimit: p.OutputLimit, Limits: p.Limits,
	}
}

func (w *wireProcess) process() launch.Process {
	return launch.Process{
		Attempt: w.Attempt, Argv: convert[string](w.Argv), Env: convert[string](w.Env), Dir: string(w.Dir), Timeout: time.Duration(w.Timeout),
		Grace: time.Duration(w.Grace), OutputLimit: w.OutputLimit, Limits: w.Limits,
	}
}

// wireFact is launch.Fact, on the socket, in the journal and in the end frame.
type wireFact struct {
	Attempt  string       `json:"attempt"`
	State    launch.State `json:"state"`
	At       int64        `json:"at"` // Unix nanoseconds
	Pid      int          `json:"pid,omitzero"`
	Cause    launch.Cause `json:"cause,omitzero"`
	ExitCode int          `json:"exit,omitzero"`
	Signal   int          `json:"signal,omitzero"`
	Reason   string       `json:"reason,omitzero"`
	Tail     []byte       `json:"tail,omitzero"`
	CPU      int64        `json:"cpu,omitzero"`
	MaxRSS   int64        `json:"maxrss,omitzero"`
	InForce  string       `json:"inForce,omitzero"`
}

func toWire(f launch.Fact) wireFact {
	return wireFact{
		Attempt: f.Attempt, State: f.State, At: f.At.UnixNano(), Pid: f.Pid, Cause: f.Cause, ExitCode: f.ExitCode,
		Signal: f.Signal, Reason: f.Reason, Tail: f.Tail, CPU: int64(f.CPU), MaxRSS: f.MaxRSS, InForce: f.InForce,
	}
}

func (w wireFact) fact() launch.Fact {
	return launch.Fact{
		Attempt: w.Attempt, State: w.State, At: time.Unix(0, w.At), Pid: w.Pid, Cause: w.Cause, ExitCode: w.ExitCode,
		Signal: w.Signal, Reason: w.Reason, Tail: w.Tail, CPU: time.Duration(w.CPU), MaxRSS: w.MaxRSS, InForce: w.InForce,
	}
}

// decodeFact reads the data of an end frame.
func decodeFact(data []byte) (launch.Fact, error) {
	var w wireFact
	if err := json.Unmarshal(data, &w); err != nil {
		return launch.Fact{}, fmt.Errorf("read end of output: %w", err)
	}
	return w.fact(), nil
}

func facts(wire []wireFact) []launch.Fact {
	out := make([]launch.Fact, len(wire))
	for i, w := range wire {
		out[i] = w.fact()
	}
	return out
}

func convert[T, F ~string | ~[]byte](from []F) []T {
	to := make([]T, len(from))
	for i, f := range from {
		to[i] = T(f)
	}
	return to
}

// lenient replaces what is no UTF-8 in sentences for people, rather than failing.
var lenient = jsontext.AllowInvalidUTF8(true)

func encode(v any) ([]byte, error) {
	data, err := json.Marshal(v, lenient)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return data, nil
}

// writeMessage sends a length (4 bytes, big endian) and JSON in one write.
func writeMessage(w io.Writer, v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	if len(data) > maxMessage {
		return fmt.Errorf("message of %d bytes is too long", len(data))
	}
	frame := make([]byte, 4+len(data))
	binary.BigEndian.PutUint32(frame, uint32(len(data)))
	copy(frame[4:], data)
	if _, err := w.Write(frame); err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	return nil
}

// readMessage is the reverse.
func readMessage(r *bufio.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("receive message: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxMessage {
		return fmt.Errorf("message of %d bytes is too long", n)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return fmt.Errorf("receive message: %w", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decode message: %w", err)
	}
	return nil
}
