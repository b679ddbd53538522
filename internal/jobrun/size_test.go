package jobrun

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func p[T any](v T) *T { return &v }

// The table of spec/jobs §1.4, in its order.
func TestCheckSize(t *testing.T) {
	tests := []struct {
		name string
		size Size
		want *SizeError
	}{
		{name: "nothing given", size: Size{Command: ETL}},
		{name: "by workers", size: Size{Command: ETL, WorkerType: "G.1X", NumberOfWorkers: p(2)}},
		{name: "by capacity", size: Size{Command: ETL, MaxCapacity: p(10.0)}},
		{name: "allocated capacity", size: Size{Command: ETL, AllocatedCapacity: p(10)}},
		{name: "row 1: type", size: Size{Command: ETL, WorkerType: "G.1X", MaxCapacity: p(10.0)}, want: &SizeError{Rule: WorkersAndCapacity}},
		{name: "row 1: number", size: Size{Command: ETL, NumberOfWorkers: p(2), MaxCapacity: p(10.0)}, want: &SizeError{Rule: WorkersAndCapacity}},
		{name: "row 1 before row 2", size: Size{Command: ETL, NumberOfWorkers: p(2), MaxCapacity: p(10.0), AllocatedCapacity: p(1)}, want: &SizeError{Rule: WorkersAndCapacity}},
		{name: "row 2", size: Size{Command: ETL, MaxCapacity: p(10.0), AllocatedCapacity: p(10)}, want: &SizeError{Rule: BothCapacities}},
		{name: "row 2: 0 is not given", size: Size{Command: ETL, MaxCapacity: p(10.0), AllocatedCapacity: p(0)}},
		{name: "row 3: type alone", size: Size{Command: ETL, WorkerType: "G.1X"}, want: &SizeError{Rule: HalfWorkers}},
		{name: "row 3: number alone", size: Size{Command: ETL, NumberOfWorkers: p(2)}, want: &SizeError{Rule: HalfWorkers}},
		{name: "row 3 before row 4", size: Size{Command: PythonShell, WorkerType: "G.1X"}, want: &SizeError{Rule: HalfWorkers}},
		{name: "row 4", size: Size{Command: PythonShell, WorkerType: "G.1X", NumberOfWorkers: p(1)}, want: &SizeError{Rule: WorkersOnShell}},
		{name: "row 5", size: Size{Command: ETL, WorkerType: "G.1X", NumberOfWorkers: p(1)}, want: &SizeError{Rule: TooFewWorkers, WorkerType: "G.1X", Limit: 2}},
		{name: "row 5: not for ray", size: Size{Command: Ray, WorkerType: "Z.2X", NumberOfWorkers: p(1)}},
		{name: "row 6: G.1X", size: Size{Command: ETL, WorkerType: "G.1X", NumberOfWorkers: p(300)}, want: &SizeError{Rule: TooManyWorkers, WorkerType: "G.1X", Limit: 299}},
		{name: "row 6: G.1X at its limit", size: Size{Command: ETL, WorkerType: "G.1X", NumberOfWorkers: p(299)}},
		{name: "row 6: G.2X", size: Size{Command: ETL, WorkerType: "G.2X", NumberOfWorkers: p(150)}, want: &SizeError{Rule: TooManyWorkers, WorkerType: "G.2X", Limit: 149}},
		{name: "row 6: G.025X", size: Size{Command: Streaming, WorkerType: "G.025X", NumberOfWorkers: p(300)}, want: &SizeError{Rule: TooManyWorkers, WorkerType: "G.025X", Limit: 299}},
		{name: "row 6: a type without known limit", size: Size{Command: ETL, WorkerType: "G.4X", NumberOfWorkers: p(5000)}},
		{name: "row 7", size: Size{Command: PythonShell, MaxCapacity: p(2.0)}, want: &SizeError{Rule: ShellCapacity}},
		{name: "row 7: 0", size: Size{Command: PythonShell, MaxCapacity: p(0.0)}, want: &SizeError{Rule: ShellCapacity}},
		{name: "row 7: a sixteenth", size: Size{Command: PythonShell, MaxCapacity: p(0.0625)}},
		{name: "row 7: one", size: Size{Command: PythonShell, MaxCapacity: p(1.0)}},
		{name: "row 8: fraction", size: Size{Command: ETL, MaxCapacity: p(2.5)}, want: &SizeError{Rule: SparkCapacity}},
		{name: "row 8: below 2", size: Size{Command: Streaming, MaxCapacity: p(1.0)}, want: &SizeError{Rule: SparkCapacity}},
		{name: "row 8: above 100", size: Size{Command: ETL, MaxCapacity: p(101.0)}, want: &SizeError{Rule: SparkCapacity}},
		{name: "row 8: 2", size: Size{Command: ETL, MaxCapacity: p(2.0)}},
		{name: "row 8: 100", size: Size{Command: ETL, MaxCapacity: p(100.0)}},
		{name: "row 11", size: Size{Command: PythonShell, Timeout: p(10081)}, want: &SizeError{Rule: TimeoutTooLong, Limit: 10080}},
		{name: "row 11: seven days", size: Size{Command: PythonShell, Timeout: p(10080)}},
		{name: "row 12: command", size: Size{Command: PythonShell, ExecutionClass: "FLEX"}, want: &SizeError{Rule: FlexUnsupported}},
		{name: "row 12: streaming", size: Size{Command: Streaming, GlueVersion: "4.0", ExecutionClass: "FLEX"}, want: &SizeError{Rule: FlexUnsupported}},
		{name: "row 12: version", size: Size{Command: ETL, GlueVersion: "2.0", ExecutionClass: "FLEX"}, want: &SizeError{Rule: FlexUnsupported}},
		{name: "row 12: fine", size: Size{Command: ETL, GlueVersion: "3.0", ExecutionClass: "FLEX"}},
		{name: "row 12: STANDARD is for all", size: Size{Command: PythonShell, ExecutionClass: "STANDARD"}},
	}
	for _, tt := range tests {
		err := CheckSize(tt.size)
		var got *SizeError
		if err != nil && !errors.As(err, &got) {
			t.Fatalf("%s: %v is no SizeError", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// The capacity algebra of spec/jobs §1.4.
func TestCapacity(t *testing.T) {
	tests := []struct {
		typ       string
		workers   int
		capacity  float64
		allocated int
	}{
		{"G.1X", 10, 10, 10}, {"G.025X", 2, 0.5, 0}, {"G.2X", 3, 6, 6}, {"Standard", 2, 2, 2}, {"G.16X", 2, 32, 32},
		{"R.8X", 1, 8, 8}, {"Z.2X", 2, 4, 4}, {"unheard of", 3, 3, 3},
	}
	for _, tt := range tests {
		c := Capacity(tt.typ, tt.workers)
		if c != tt.capacity || Allocated(c) != tt.allocated {
			t.Errorf("%s × %d = %v, %d", tt.typ, tt.workers, c, Allocated(c))
		}
	}
	if Allocated(0.0625) != 0 || Allocated(1) != 1 {
		t.Error("pythonshell: 0.0625 is 0, 1 is 1")
	}
	if DefaultCapacity(PythonShell) != 0.0625 || DefaultCapacity(ETL) != 10 {
		t.Error("defaults (spec/jobs §1.3)")
	}
}

// spec/jobs §1.3.
func TestDefaultTimeout(t *testing.T) {
	tests := []struct {
		command, version string
		want             int
	}{
		{ETL, "5.1", 480}, {ETL, "5.0", 480}, {ETL, "6.0", 480}, {ETL, "10.0", 480}, {ETL, "4.0", 2880}, {ETL, "0.9", 2880}, {ETL, "", 480},
		{Ray, "5.0", 480}, {Ray, "4.0", 2880}, {Streaming, "4.0", 0}, {Streaming, "5.0", 0}, {PythonShell, "1.0", 2880}, {PythonShell, "5.1", 2880}, {PythonShell, "", 2880},
	}
	for _, tt := range tests {
		if got := DefaultTimeout(tt.command, tt.version); got != tt.want {
			t.Errorf("DefaultTimeout(%q, %q) = %d, want %d", tt.command, tt.version, got, tt.want)
		}
	}
}

func TestVersionBelow(t *testing.T) {
	tests := []struct {
		version string
		n       int
		want    bool
	}{
		{"2.0", 3, true}, {"3.0", 3, false}, {"0.9", 1, true}, {"10.0", 5, false}, {"4", 5, true}, {"5", 5, false},
		{"", 5, false}, {"latest", 5, false}, {".1", 5, false}, {"2beta", 3, true}, {"99999999999999999999.0", 5, false}, {"18446744073709551617.0", 5, false},
	}
	for _, tt := range tests {
		if got := VersionBelow(tt.version, tt.n); got != tt.want {
			t.Errorf("VersionBelow(%q, %d) = %v", tt.version, tt.n, got)
		}
	}
}

// spec/jobs §2.4: a request overrides the job, and a sizing replaces the other
// as a whole.
func TestEffective(t *testing.T) {
	workers := Definition{Command: Command{Name: ETL}, WorkerType: "G.1X", NumberOfWorkers: p(10)}
	capacity := Definition{Command: Command{Name: ETL}, MaxCapacity: p(20.0)}
	shell := Definition{Command: Command{Name: PythonShell}}
	full := Definition{
		Role: "arn:aws:iam::1:role/svc/etl", Command: Command{Name: ETL}, MaxRetries: 2, Timeout: p(60), GlueVersion: "4.0", JobMode: "SCRIPT", MaintenanceWindow: "Sun:1",
		JobRunQueuingEnabled: p(true), SecurityConfiguration: "sec", ExecutionClass: "FLEX", NotificationProperty: &NotificationProperty{NotifyDelayAfter: p(5)}, MaxCapacity: p(2.0),
	}
	fullWant := Settings{
		MaxRetries: 2, Timeout: 60, GlueVersion: "4.0", JobMode: "SCRIPT", MaintenanceWindow: "Sun:1", Queuing: true, SecurityConfiguration: "sec",
		ExecutionClass: "FLEX", Notify: true, NotifyDelayAfter: 5, MaxCapacity: 2, LogGroupName: "/aws-glue/jobs-etl-sec",
	}
	with := func(s Settings, f func(*Settings)) Settings { f(&s); return s }
	const logs = "/aws-glue/jobs"
	tests := []struct {
		name string
		def  Definition
		req  Request
		want Settings
	}{
		{"job by workers", workers, Request{}, Settings{WorkerType: "G.1X", NumberOfWorkers: 10, MaxCapacity: 10, LogGroupName: logs}},
		{"number alone overrides", workers, Request{NumberOfWorkers: p(4)}, Settings{WorkerType: "G.1X", NumberOfWorkers: 4, MaxCapacity: 4, LogGroupName: logs}},
		{"type alone overrides", workers, Request{WorkerType: "G.2X"}, Settings{WorkerType: "G.2X", NumberOfWorkers: 10, MaxCapacity: 20, LogGroupName: logs}},
		{"capacity replaces workers", workers, Request{MaxCapacity: p(3.0)}, Settings{MaxCapacity: 3, LogGroupName: logs}},
		{"allocated capacity replaces workers", workers, Request{AllocatedCapacity: p(3)}, Settings{MaxCapacity: 3, LogGroupName: logs}},
		{"allocated capacity of 0 is not given", workers, Request{AllocatedCapacity: p(0)}, Settings{WorkerType: "G.1X", NumberOfWorkers: 10, MaxCapacity: 10, LogGroupName: logs}},
		{"job by capacity", capacity, Request{}, Settings{MaxCapacity: 20, LogGroupName: logs}},
		{"workers replace capacity", capacity, Request{WorkerType: "G.1X", NumberOfWorkers: p(4)}, Settings{WorkerType: "G.1X", NumberOfWorkers: 4, MaxCapacity: 4, LogGroupName: logs}},
		{"shell default", shell, Request{}, Settings{MaxCapacity: 0.0625, LogGroupName: "/aws-glue/python-jobs"}},
		{"spark default", Definition{Command: Command{Name: ETL}}, Request{}, Settings{MaxCapacity: 10, LogGroupName: logs}},
		{"everything of the job", full, Request{}, fullWant},
		{"the request wins", full, Request{
			Timeout: p(7), Queuing: p(false), SecurityConfiguration: "other", ExecutionClass: "STANDARD", NotifyDelayAfter: p(0), ExecutionRoleSessionPolicy: "{}",
		}, with(fullWant, func(s *Settings) {
			s.Timeout, s.Queuing, s.SecurityConfiguration, s.ExecutionClass, s.NotifyDelayAfter = 7, false, "other", "STANDARD", 0
			s.ExecutionRoleSessionPolicy, s.LogGroupName = "{}", "/aws-glue/jobs-etl-other"
		})},
		{"an empty notification property", Definition{Command: Command{Name: PythonShell}, NotificationProperty: &NotificationProperty{}}, Request{}, Settings{Notify: true, MaxCapacity: 0.0625, LogGroupName: "/aws-glue/python-jobs"}},
		{"a role that is a plain name", Definition{Role: "etl", Command: Command{Name: PythonShell}, SecurityConfiguration: "s"}, Request{}, Settings{SecurityConfiguration: "s", MaxCapacity: 0.0625, LogGroupName: "/aws-glue/python-jobs-etl-s"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, Effective(tt.def, tt.req)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// The merge order of spec/jobs §3.1.
func TestMerge(t *testing.T) {
	d := Definition{
		DefaultArguments:        map[string]string{"--a": "default", "--b": "default", "--c": "default", "bare": ""},
		NonOverridableArguments: map[string]string{"--c": "fixed", "--d": "fixed"},
	}
	got := Merge(d, map[string]string{"--b": "run", "--c": "run", "--d": "run", "--e": "run"})
	want := []Argument{{"--a", "default"}, {"--b", "run"}, {"--c", "fixed"}, {"--d", "fixed"}, {"--e", "run"}, {"bare", ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Merge (-want +got):\n%s", diff)
	}
	if d.DefaultArguments["--b"] != "default" || len(d.DefaultArguments) != 4 {
		t.Errorf("Merge changed the definition: %v", d.DefaultArguments)
	}
	if got := Merge(Definition{}, nil); len(got) != 0 {
		t.Errorf("Merge of nothing = %v", got)
	}
	if got := ArgumentBytes(map[string]string{"--ab": "é", "x": ""}); got != 7 {
		t.Errorf("ArgumentBytes = %d, want 7", got)
	}
}

// One run at a time unless the job says otherwise (spec/jobs §2.6).
func TestSlots(t *testing.T) {
	for given, want := range map[*ExecutionProperty]int{nil: 1, {MaxConcurrentRuns: 0}: 1, {MaxConcurrentRuns: 1}: 1, {MaxConcurrentRuns: 7}: 7} {
		if got := (Definition{ExecutionProperty: given}).Slots(); got != want {
			t.Errorf("Slots of %+v = %d, want %d", given, got, want)
		}
	}
}

// Whole seconds from running to the end, 0 until then (spec/jobs §2.5).
func TestExecutionTime(t *testing.T) {
	began := time.Unix(1000, 0)
	tests := []struct {
		run  Run
		want int
	}{
		{Run{}, 0},
		{Run{StartedOn: began, RunningOn: began}, 0},
		{Run{StartedOn: began, CompletedOn: began.Add(time.Minute)}, 0},
		{Run{StartedOn: began, RunningOn: began.Add(9 * time.Second), CompletedOn: began.Add(70*time.Second - 1)}, 60},
	}
	for _, tt := range tests {
		if got := tt.run.ExecutionTime(); got != tt.want {
			t.Errorf("%+v: %d, want %d", tt.run, got, tt.want)
		}
	}
}
