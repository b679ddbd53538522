package jobrun

import "math"

// Names of commands (spec/jobs §1.2).
const (
	PythonShell = "pythonshell"
	ETL         = "glueetl"
	Streaming   = "gluestreaming"
	Ray         = "glueray"
)

// dpu is the capacity of one worker (spec/jobs §1.4).
var dpu = map[string]float64{
	"Standard": 1, "G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8, "G.12X": 12, "G.16X": 16, "G.025X": 0.25,
	"R.1X": 1, "R.2X": 2, "R.4X": 4, "R.8X": 8, "Z.2X": 2,
}

// maxWorkers are the limits that are known per type (spec/jobs §1.4).
var maxWorkers = map[string]int{"G.1X": 299, "G.2X": 149, "G.025X": 299}

// Capacity is NumberOfWorkers × the capacity of the type; an unknown type counts
// as one unit.
func Capacity(workerType string, workers int) float64 {
	unit, ok := dpu[workerType]
	if !ok {
		unit = 1
	}
	return unit * float64(workers)
}

// Allocated is AllocatedCapacity, always derived (spec/jobs §1.4).
func Allocated(maxCapacity float64) int { return int(math.Floor(maxCapacity)) }

// size merges the sizing of a job and a request: what the request gives replaces
// the job's sizing as a whole (spec/jobs §2.4, step 2).
func size(d Definition, q Request) (workerType string, workers int, capacity float64) {
	switch {
	case q.WorkerType != "" || q.NumberOfWorkers != nil:
		t := or(q.WorkerType, d.WorkerType)
		n := deref(q.NumberOfWorkers, deref(d.NumberOfWorkers, 0))
		return t, n, Capacity(t, n)
	case q.MaxCapacity != nil:
		return "", 0, *q.MaxCapacity
	case q.AllocatedCapacity != nil && *q.AllocatedCapacity != 0:
		return "", 0, float64(*q.AllocatedCapacity)
	case d.WorkerType != "":
		n := deref(d.NumberOfWorkers, 0)
		return d.WorkerType, n, Capacity(d.WorkerType, n)
	}
	return "", 0, deref(d.MaxCapacity, DefaultCapacity(d.Command.Name))
}

// DefaultCapacity is what a job has that declares none (spec/jobs §1.3).
func DefaultCapacity(command string) float64 {
	if command == PythonShell {
		return 0.0625
	}
	return 10
}

// SizeRule names a broken rule of spec/jobs §1.4.
type SizeRule string

// The rules, in checking order.
const (
	WorkersAndCapacity SizeRule = "workers and capacity"
	BothCapacities     SizeRule = "allocated and max capacity"
	HalfWorkers        SizeRule = "worker type or number alone"
	WorkersOnShell     SizeRule = "workers on pythonshell"
	TooFewWorkers      SizeRule = "too few workers"
	TooManyWorkers     SizeRule = "too many workers"
	ShellCapacity      SizeRule = "pythonshell capacity"
	SparkCapacity      SizeRule = "spark capacity"
	TimeoutTooLong     SizeRule = "timeout too long"
	FlexUnsupported    SizeRule = "flex unsupported"
)

// MaxTimeout is seven days, in minutes.
const MaxTimeout = 10080

// SizeError is a broken rule of sizing; Limit and WorkerType are what its
// sentence names.
type SizeError struct {
	Rule       SizeRule
	WorkerType string
	Limit      int
}

// Error returns the rule; the API has the sentence for people.
func (e *SizeError) Error() string { return "job sizing breaks rule " + string(e.Rule) }

// Size is the sizing of a job or run as somebody gave it; nil is not given.
type Size struct {
	Command           string
	GlueVersion       string
	MaxCapacity       *float64
	AllocatedCapacity *int
	WorkerType        string
	NumberOfWorkers   *int
	Timeout           *int
	ExecutionClass    string
}

// CheckSize returns the first rule of spec/jobs §1.4 that s breaks, as a
// *SizeError, or nil.
func CheckSize(s Size) error {
	workers := s.WorkerType != "" || s.NumberOfWorkers != nil
	capacity := s.MaxCapacity != nil
	allocated := s.AllocatedCapacity != nil && *s.AllocatedCapacity != 0
	shell := s.Command == PythonShell
	switch {
	case workers && capacity:
		return &SizeError{Rule: WorkersAndCapacity}
	case allocated && capacity:
		return &SizeError{Rule: BothCapacities}
	case workers && (s.WorkerType == "" || s.NumberOfWorkers == nil):
		return &SizeError{Rule: HalfWorkers}
	case shell && s.WorkerType != "":
		return &SizeError{Rule: WorkersOnShell}
	case workers && s.Command != Ray && *s.NumberOfWorkers < 2:
		return &SizeError{Rule: TooFewWorkers, WorkerType: s.WorkerType, Limit: 2}
	case workers && maxWorkers[s.WorkerType] > 0 && *s.NumberOfWorkers > maxWorkers[s.WorkerType]:
		return &SizeError{Rule: TooManyWorkers, WorkerType: s.WorkerType, Limit: maxWorkers[s.WorkerType]}
	case shell && capacity && *s.MaxCapacity != 0.0625 && *s.MaxCapacity != 1:
		return &SizeError{Rule: ShellCapacity}
	case (s.Command == ETL || s.Command == Streaming) && capacity && !sparkCapacity(*s.MaxCapacity):
		return &SizeError{Rule: SparkCapacity}
	case s.Timeout != nil && *s.Timeout > MaxTimeout:
		return &SizeError{Rule: TimeoutTooLong, Limit: MaxTimeout}
	case s.ExecutionClass == "FLEX" && (s.Command != ETL || VersionBelow(s.GlueVersion, 3)):
		return &SizeError{Rule: FlexUnsupported}
	}
	return nil
}

func sparkCapacity(c float64) bool { return c == math.Trunc(c) && c >= 2 && c <= 100 }

// VersionBelow tells whether a Glue version's major number is below n; a version
// that is not a number is not.
func VersionBelow(version string, n int) bool {
	major := 0
	for i, c := range version {
		if c < '0' || c > '9' {
			if i == 0 {
				return false
			}
			break
		}
		major = min(major*10+int(c-'0'), 1<<20) // digits without end
	}
	return version != "" && major < n
}

// DefaultGlueVersion is what AWS gives a new Spark job (spec/jobs §1.3).
const DefaultGlueVersion = "5.1"

// DefaultTimeout is the timeout, in minutes, of a job that declares none;
// 0 means that it has none (spec/jobs §1.3).
func DefaultTimeout(command, glueVersion string) int {
	switch {
	case command == Streaming:
		return 0
	case command == PythonShell || VersionBelow(glueVersion, 5):
		return 2880
	}
	return 480
}
