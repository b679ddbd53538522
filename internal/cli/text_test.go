package cli

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tenon/internal/wire/auth"
)

// Spec: faults K7.
func TestVisible(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain – ünicode 🙂", "plain – ünicode 🙂"},
		{"\x1b[2J\x1b]0;owned\a", `\x1b[2J\x1b]0;owned\x07`},
		{"a\nb\tc\rd", `a\nb\tc\rd`},
		{"\u009b31m", `\x9b31m`},
		{"\u202eevil\u2066", `\u202eevil\u2066`},
		{"a\u2028b\ufeff", `a\u2028b\ufeff`},
		{"\xff\xfe", `\xff\xfe`},
		{"\ufffd", "\ufffd"},
		{"\x7f", `\x7f`},
	} {
		if got := visible(c.in); got != c.want {
			t.Errorf("visible(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	if got := lines("a\n\tb\x1b"); got != "a\n\tb\\x1b" {
		t.Errorf("lines keeps too much or too little: %q", got)
	}
}

func TestVisibleIsSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		got := visible(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, hostile) {
			t.Fatalf("visible(%q) = %q", s, got)
		}
	})
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.00s", 0: "0.00s", 1234 * time.Millisecond: "1.23s", 9999 * time.Millisecond: "9.99s", 10 * time.Second: "10.0s",
		59999 * time.Millisecond: "59.9s", 60 * time.Second: "1m00s", 3*time.Minute + 5*time.Second: "3m05s", 2*time.Hour + 3*time.Minute: "2h03m",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{{"äöü", 3, "äöü"}, {"äöüx", 3, "äö…"}, {"abc", 0, "abc"}, {"abc", 1, "…"}} {
		if got := clip(c.in, c.width); got != c.want {
			t.Errorf("clip(%q, %d) = %q, want %q", c.in, c.width, got, c.want)
		}
	}
}

func TestAssignments(t *testing.T) {
	got, err := assignments("param", []string{"a=b=c", "d=", "é=1"})
	if diff := cmp.Diff(map[string]string{"a": "b=c", "d": "", "é": "1"}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestExports(t *testing.T) {
	c := auth.Credential{AccessKeyID: "AKIAEXAMPLE", Secret: `a/b+c'$(reboot)"`}
	want := `export AWS_ENDPOINT_URL='http://127.0.0.1:8366'
export AWS_REGION='eu-west-1'
export AWS_DEFAULT_REGION='eu-west-1'
export AWS_ACCESS_KEY_ID='AKIAEXAMPLE'
export AWS_SECRET_ACCESS_KEY='a/b+c'\''$(reboot)"'
unset AWS_SESSION_TOKEN AWS_PROFILE
`
	if diff := cmp.Diff(want, exports("http://127.0.0.1:8366", "eu-west-1", c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
