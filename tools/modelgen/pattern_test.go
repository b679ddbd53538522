package main

import (
	"regexp"
	"strings"
	"testing"
)

func TestTranslate(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`[a-zA-Z0-9_-]*`, `[a-zA-Z0-9_-]*`},
		{`[\u0020-\uD7FF\uD800\uDC00-\uDBFF\uDFFF\t]*`, `[\x{20}-\x{D7FF}\x{10000}-\x{10FFFF}\t]*`},
		{`\S+\s`, `[\x00-\x08\x0E-\x1F\x21-\x{10FFFF}]+[\t\n\v\f\r ]`},
		{`[\s\S]`, `[\t\n\v\f\r \x00-\x08\x0E-\x1F\x21-\x{10FFFF}]`},
		{`^[A-Z\_]+\\s$`, `^[A-Z\_]+\\s$`},
	} {
		got, err := translate(c.in)
		if err != nil || got != c.want {
			t.Errorf("translate(%q) = %q, %v; want %q", c.in, got, err, c.want)
		}
	}
}

func TestTranslateRefuses(t *testing.T) {
	for _, p := range []string{`(?!x)y`, `\uD800`, `[\uDC00]`, `\u12`, `[a[b]]`, `[a&&b]`, `(`} {
		if got, err := translate(p); err == nil {
			t.Errorf("translate(%q) = %q, want an error", p, got)
		}
	}
}

// The rewritten look-aheads agree with a plain reading of the original on every
// short word over an alphabet that holds all the characters they distinguish.
func TestRewritten(t *testing.T) {
	plain := map[string]func(string) bool{
		`^(?![0-9_])\w+$|^_\w*[a-zA-Z0-9]\w*$`: func(s string) bool {
			word := regexp.MustCompile(`\A\w+\z`).MatchString(s)
			digitOrBar := s != "" && strings.Contains("0123456789_", s[:1])
			return word && !digitOrBar || regexp.MustCompile(`\A_\w*[a-zA-Z0-9]\w*\z`).MatchString(s)
		},
		`^(?!(.*[.\/\\]|aws:)).*$`: func(s string) bool {
			return !strings.ContainsAny(s, `./\`) && !strings.HasPrefix(s, "aws:")
		},
	}
	if len(plain) != len(rewritten) {
		t.Fatalf("%d rewritten patterns, %d proven", len(rewritten), len(plain))
	}
	for p, want := range plain {
		got, err := translate(p)
		if err != nil {
			t.Fatal(err)
		}
		re := regexp.MustCompile(`\A(?s:` + got + `)\z`)
		words(`aws:0_./\`+"\n", 5, func(s string) {
			if re.MatchString(s) != want(s) {
				t.Fatalf("%q on %q: got %v", p, s, re.MatchString(s))
			}
		})
	}
}

// words calls f with every string of up to n letters of the alphabet.
func words(alphabet string, n int, f func(string)) {
	var grow func(string)
	grow = func(s string) {
		f(s)
		if len(s) == n {
			return
		}
		for i := range alphabet {
			grow(s + alphabet[i:i+1])
		}
	}
	grow("")
}
