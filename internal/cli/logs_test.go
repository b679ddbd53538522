package cli

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLogPrinter(t *testing.T) {
	pieces := []logRecord{
		{at(0), "stdout", []byte("one\ntw")},
		{at(1), "stderr", []byte("bad\n")},
		{at(2), "stdout", []byte("o \xc3")},
		{at(3), "stdout", []byte("\xa9\x1b[31m\nthree")},
		{at(4), "meta", []byte("output was cut\x1b[0m\n")},
	}
	for name, c := range map[string]struct {
		p    logPrinter
		want string
	}{
		"as it is":        {logPrinter{only: "all"}, "one\ntwbad\no é\x1b[31m\nthree"},
		"stdout alone":    {logPrinter{only: "stdout"}, "one\ntwo é\x1b[31m\nthree"},
		"stderr alone":    {logPrinter{only: "stderr"}, "bad\n"},
		"on a terminal":   {logPrinter{only: "all", safe: true}, "one\nbad\ntwo é\\x1b[31m\nthree\n"},
		"with a prefix":   {logPrinter{only: "all", prefix: "job | "}, "job | one\njob | bad\njob | two é\x1b[31m\njob | three\n"},
		"time of a line":  {logPrinter{only: "stdout", stamps: true, safe: true}, "2026-03-01T12:00:00.000Z one\n2026-03-01T12:00:00.000Z two é\\x1b[31m\n2026-03-01T12:00:03.000Z three\n"},
		"stderr, flushed": {logPrinter{only: "stderr", safe: true}, "bad\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, meta bytes.Buffer
			c.p.out, c.p.meta = &out, &meta
			for _, r := range pieces {
				if err := c.p.print(r); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.p.flush(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if want := c.p.prefix + "[tenon] output was cut\\x1b[0m\n"; meta.String() != want {
				t.Errorf("meta %q, want %q", meta.String(), want)
			}
		})
	}
}

func TestLogLineWithoutEnd(t *testing.T) {
	var out bytes.Buffer
	p := logPrinter{out: &out, only: "all", safe: true}
	for range 40 {
		if err := p.print(logRecord{t0, "stdout", bytes.Repeat([]byte("x"), 64<<10)}); err != nil {
			t.Fatal(err)
		}
	}
	if kept := len(p.partial["stdout"]); kept > 1<<20 {
		t.Errorf("%d bytes are kept of a line that never ends", kept)
	}
	if out.Len() < 1<<20 {
		t.Errorf("only %d bytes were printed", out.Len())
	}
}

func TestTail(t *testing.T) {
	tl := &tail{most: 2, lines: map[string][]string{}}
	for _, s := range []string{"one\n", "two\n", "three\r\n"} {
		tl.Write("stderr", []byte(s))
	}
	if diff := cmp.Diff([]string{"two", "three"}, tl.lines["stderr"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
