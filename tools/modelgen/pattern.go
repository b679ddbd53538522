package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Java looks ahead and Go's regular expressions do not, so these two are
// rewritten by hand. The tests compare each with a plain reading of the original.
var rewritten = map[string]string{
	// A word that begins with a letter, or an underscore followed by a letter or digit somewhere.
	`^(?![0-9_])\w+$|^_\w*[a-zA-Z0-9]\w*$`: `[A-Za-z]\w*|_\w*[a-zA-Z0-9]\w*`,
	// No dot, slash or backslash anywhere, and not the prefix "aws:".
	`^(?!(.*[.\/\\]|aws:)).*$`: `(?:a|aw|aws)?|(?:[^a./\\]|a[^w./\\]|aw[^s./\\]|aws[^:./\\])[^./\\]*`,
}

// Java's \s has the vertical tab, Go's has not.
const space = `\t\n\v\f\r `
const notSpace = `\x00-\x08\x0E-\x1F\x21-\x{10FFFF}`

// translate turns a pattern of the model (Java's dialect) into one for package
// regexp. Anchoring and the meaning of "." are added where it is compiled.
func translate(p string) (string, error) {
	if r, ok := rewritten[p]; ok {
		return r, nil
	}
	var b strings.Builder
	inClass := false
	for i := 0; i < len(p); {
		c := p[i]
		switch {
		case c == '\\' && i+1 < len(p):
			n, err := translateEscape(&b, p[i:], inClass)
			if err != nil {
				return "", fmt.Errorf("translate %q: %w", p, err)
			}
			i += n
			continue
		case c == '[' && inClass, c == '&' && inClass && strings.HasPrefix(p[i:], "&&"):
			return "", fmt.Errorf("translate %q: nested character class", p)
		case c == '[':
			inClass = true
		case c == ']':
			inClass = false
		}
		b.WriteByte(c)
		i++
	}
	return b.String(), check(b.String())
}

// translateEscape writes the escape at the start of p and returns its length.
func translateEscape(b *strings.Builder, p string, inClass bool) (int, error) {
	switch p[1] {
	case 's', 'S':
		set := space
		if p[1] == 'S' {
			set = notSpace
		}
		if !inClass {
			set = "[" + set + "]"
		}
		b.WriteString(set)
		return 2, nil
	case 'u':
		hi, err := unit(p)
		if err != nil {
			return 0, err
		}
		if hi < 0xD800 || hi > 0xDFFF {
			fmt.Fprintf(b, `\x{%X}`, hi)
			return 6, nil
		}
		lo, err := unit(p[6:])
		if err != nil || hi > 0xDBFF || lo < 0xDC00 || lo > 0xDFFF {
			return 0, fmt.Errorf("lone surrogate %s", p[:6])
		}
		fmt.Fprintf(b, `\x{%X}`, (hi-0xD800)<<10|(lo-0xDC00)+0x10000)
		return 12, nil
	}
	b.WriteString(p[:2])
	return 2, nil
}

// unit reads one \uXXXX escape.
func unit(p string) (uint64, error) {
	if len(p) < 6 || p[:2] != `\u` {
		return 0, fmt.Errorf("want a \\u escape at %q", p)
	}
	return strconv.ParseUint(p[2:6], 16, 32)
}

func check(p string) error {
	if _, err := regexp.Compile(`\A(?s:` + p + `)\z`); err != nil {
		return fmt.Errorf("compile translated pattern: %w", err)
	}
	return nil
}
