package model

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// matcher tells whether a whole value satisfies a pattern.
type matcher interface{ match(string) bool }

type regexpMatcher struct{ re *regexp.Regexp }

func (m regexpMatcher) match(s string) bool { return m.re.MatchString(s) }

// classMatcher serves the most frequent patterns, one character class repeated,
// about ten times faster than package regexp: names are checked on every call.
type classMatcher struct {
	ascii    [2]uint64 // bit set of the accepted characters below 128
	ranges   []rune    // sorted pairs low, high
	nonEmpty bool
}

func (m *classMatcher) match(s string) bool {
	if s == "" {
		return !m.nonEmpty
	}
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if m.ascii[c>>6]&(1<<(c&63)) == 0 {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if !m.has(r) {
			return false
		}
		i += size
	}
	return true
}

func (m *classMatcher) has(r rune) bool {
	for i := 0; i < len(m.ranges); i += 2 {
		if m.ranges[i] <= r && r <= m.ranges[i+1] {
			return true
		}
	}
	return false
}

// compile anchors the pattern at both ends and lets "." match line breaks too
// (spec/workflows §1.5). The generator has compiled every pattern once.
func compile(pattern string) matcher {
	anchored := `\A(?s:` + pattern + `)\z`
	if m := compileClass(anchored); m != nil {
		return m
	}
	return regexpMatcher{regexp.MustCompile(anchored)}
}

// match tells whether a value satisfies the shape's pattern, if it has one.
func (s *Shape) match(value string) bool {
	if s.goPattern == "" {
		return true
	}
	s.compiled.Do(func() { s.matcher = compile(s.goPattern) })
	return s.matcher.match(value)
}

func compileClass(anchored string) *classMatcher {
	parsed, err := syntax.Parse(anchored, syntax.Perl)
	if err != nil {
		panic(fmt.Sprintf("model: bad pattern %q: %v", anchored, err))
	}
	re := bare(parsed)
	if re.Op != syntax.OpStar && re.Op != syntax.OpPlus {
		return nil
	}
	m := &classMatcher{nonEmpty: re.Op == syntax.OpPlus}
	switch class := bare(re.Sub[0]); class.Op {
	case syntax.OpCharClass:
		m.ranges = class.Rune
	case syntax.OpAnyChar:
		m.ranges = []rune{0, utf8.MaxRune}
	default:
		return nil
	}
	for r := range rune(utf8.RuneSelf) {
		if m.has(r) {
			m.ascii[r>>6] |= 1 << (r & 63)
		}
	}
	return m
}

// bare strips captures and the anchors that the whole match implies anyway.
func bare(re *syntax.Regexp) *syntax.Regexp {
	for {
		switch re.Op {
		case syntax.OpCapture:
			re = re.Sub[0]
		case syntax.OpConcat:
			sub := re.Sub
			for len(sub) > 1 && sub[0].Op == syntax.OpBeginText {
				sub = sub[1:]
			}
			for len(sub) > 1 && sub[len(sub)-1].Op == syntax.OpEndText {
				sub = sub[:len(sub)-1]
			}
			if len(sub) != 1 {
				return re
			}
			re = sub[0]
		default:
			return re
		}
	}
}
