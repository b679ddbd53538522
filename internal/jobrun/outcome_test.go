package jobrun

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const traceback = "Traceback (most recent call last):\n" +
	"  File \"/tmp/job.py\", line 3, in <module>\n" +
	"    load()\n" +
	"    ~~~~^^\n"

// spec/jobs §2.8: the exception's last line where a script died of one, else the
// exit code.
func TestFailureMessage(t *testing.T) {
	long := strings.Repeat("é", maxMessage)
	tests := []struct {
		name         string
		exit, signal int
		tail         string
		want         string
	}{
		{"nothing was written", 1, 0, "", "Command failed with exit code 1"},
		{"argparse", 2, 0, "usage: job.py [-h]\njob.py: error: unrecognized arguments: x\n", "Command failed with exit code 2"},
		{"an exception, but not exit code 1", 3, 0, traceback + "ValueError: x\n", "Command failed with exit code 3"},
		{"killed by the kernel", 0, 9, "", "Command failed with exit code 137"},
		{"killed from outside, as a shell reports it", 137, 0, "", "Command failed with exit code 137"},
		{"aborted", 1, 6, traceback + "ValueError: x\n", "Command failed with exit code 134"},
		{"uncaught exception", 1, 0, "starting\n" + traceback + "ModuleNotFoundError: No module named 'common'\n", "ModuleNotFoundError: No module named 'common'"},
		{"without message", 1, 0, traceback + "KeyboardInterrupt\n", "KeyboardInterrupt"},
		{"of a module", 1, 0, traceback + "botocore.exceptions.ClientError: An error occurred (403)\n", "botocore.exceptions.ClientError: An error occurred (403)"},
		{"of a name that says nothing", 1, 0, traceback + "Oops\n", "Oops"},
		{"no newline at the end", 1, 0, traceback + "ValueError: x", "ValueError: x"},
		{"lines that end as on Windows", 1, 0, strings.ReplaceAll(traceback+"ValueError: x\n", "\n", "\r\n"), "ValueError: x"},
		{"message of several lines", 1, 0, traceback + "ValueError: first\nsecond\n  third\n", "ValueError: first"},
		{"output after it", 1, 0, traceback + "ValueError: x\nbye\n", "ValueError: x"},
		{"chained", 1, 0, traceback + "KeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\n" + traceback + "ValueError: b\n", "ValueError: b"},
		{"caused", 1, 0, traceback + "KeyError: 'a'\n\nThe above exception was the direct cause of the following exception:\n\n" + traceback + "RuntimeError: b\n", "RuntimeError: b"},
		{"an earlier one was logged", 1, 0, "ERROR:root:retrying\n" + traceback + "OSError: flaky\n" + traceback + "OSError: gone\n", "OSError: gone"},
		{"cut off in the middle of frames", 1, 0, traceback, "Command failed with exit code 1"},
		{"binary", 1, 0, "\x00\xff\xfe" + traceback + "ValueError: \xff\x00\n", "ValueError: \uFFFD\x00"},
		{"binary without traceback", 1, 0, "\xff\xfe\x00\n\x80Error: x\n", "Command failed with exit code 1"},
		{"long", 1, 0, traceback + "ValueError: " + long + "\n", "ValueError: " + long[:maxMessage-len("ValueError: ")]},
		{"long, cut between the bytes of a letter", 1, 0, traceback + "ValueErro: " + long + "\n", "ValueErro: " + long[:maxMessage-len("ValueErro: ")-1]},
		{"does not compile", 1, 0, "  File \"/tmp/job.py\", line 1\n    x x\n      ^\nSyntaxError: invalid syntax\n", "SyntaxError: invalid syntax"},
		{"does not compile, wrong blanks", 1, 0, "  File \"/tmp/job.py\", line 2\n    x\nIndentationError: unexpected indent\n", "IndentationError: unexpected indent"},
		{"no header, bare name", 1, 0, "KeyboardInterrupt\n", "KeyboardInterrupt"},
		{"no header, name with dots", 1, 0, "pkg.mod.Refused: nothing to do\n", "pkg.mod.Refused: nothing to do"},
		{"no header, the last counts", 1, 0, "ValueError: a\nTypeError: b\nbye\n", "TypeError: b"},
		{"no header, a log line", 1, 0, "ERROR: table is missing\nmy.module: no rows\ndata.csv\n", "Command failed with exit code 1"},
		{"no header, a sentence", 1, 0, "The last Error: was fine\n", "Command failed with exit code 1"},
		{"no header, indented", 1, 0, "  ValueError: x\n", "Command failed with exit code 1"},
		{"sys.exit with a text", 1, 0, "no input files\n", "Command failed with exit code 1"},
	}
	for _, tt := range tests {
		got := FailureMessage(tt.exit, tt.signal, []byte(tt.tail))
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if len(got) > maxMessage || !utf8.ValidString(got) {
			t.Errorf("%s: %d bytes, valid: %v", tt.name, len(got), utf8.ValidString(got))
		}
	}
}

func FuzzFailureMessage(f *testing.F) {
	f.Add([]byte(traceback + "ValueError: x\n"))
	f.Add([]byte("  File \"x\", line 1\nSyntaxError: y"))
	f.Fuzz(func(t *testing.T, tail []byte) {
		got := FailureMessage(1, 0, tail)
		if got == "" || len(got) > maxMessage || !utf8.ValidString(got) || strings.Contains(got, "\n") {
			t.Errorf("%q from %q", got, tail)
		}
	})
}

// Only FAILED is tried again, MaxRetries times (spec/jobs §2.7).
func TestRetries(t *testing.T) {
	for _, s := range append(States(), "") {
		for attempt := range 4 {
			for most := range 4 {
				if got := Retries(s, attempt, most); got != (s == Failed && attempt < most) {
					t.Errorf("Retries(%s, %d, %d) = %v", s, attempt, most, got)
				}
			}
		}
	}
	if RetryDelay != 30*time.Second { // the only recording there is
		t.Errorf("RetryDelay = %v", RetryDelay)
	}
}

// spec/jobs §2.4, step 3, for all small numbers: active runs are those that hold
// a slot and those that wait.
func TestDecide(t *testing.T) {
	for slots := 1; slots <= 4; slots++ {
		for holding := 0; holding <= 5; holding++ {
			for waiting := 0; waiting <= 5; waiting++ {
				want := Admit
				if holding+waiting >= slots {
					want = Refuse
				}
				if got := Decide(slots, holding, waiting, false); got != want {
					t.Errorf("Decide(%d, %d, %d, no queue) = %s, want %s", slots, holding, waiting, got, want)
				}
				// Nobody overtakes those who wait, and nobody waits for nothing.
				want = Queue
				if waiting == 0 && holding < slots {
					want = Admit
				}
				if got := Decide(slots, holding, waiting, true); got != want {
					t.Errorf("Decide(%d, %d, %d, queue) = %s, want %s", slots, holding, waiting, got, want)
				}
			}
		}
	}
}
