package blob

import (
	"strconv"
	"strings"
)

// Range is a stretch of bytes as HTTP writes it (RFC 9110 §14.1.2).
type Range struct {
	First  int64 // first byte, when Suffix is 0
	Last   int64 // last byte, inclusive; negative means to the end
	Suffix int64 // when positive: the last so many bytes
}

// ParseRange reads "bytes=a-b", "bytes=a-" or "bytes=-n". ok is false for
// anything else, several ranges included; HTTP says to ignore such a header.
func ParseRange(s string) (r Range, ok bool) {
	spec, found := strings.CutPrefix(s, "bytes=")
	if !found {
		return Range{}, false
	}
	first, last, found := strings.Cut(strings.TrimSpace(spec), "-")
	if !found {
		return Range{}, false
	}
	if first == "" {
		// "bytes=-0" is well formed and never satisfiable; a range that begins
		// behind every object says so.
		n, ok := parseOffset(last)
		if ok && n == 0 {
			return Range{First: 1<<63 - 1, Last: -1}, true
		}
		return Range{Suffix: n}, ok
	}
	if r.First, ok = parseOffset(first); !ok {
		return Range{}, false
	}
	if last == "" {
		r.Last = -1
		return r, true
	}
	if r.Last, ok = parseOffset(last); !ok || r.Last < r.First {
		return Range{}, false
	}
	return r, true
}

// parseOffset takes digits only: ParseInt would let signs through.
func parseOffset(s string) (int64, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func (r Range) String() string {
	switch {
	case r.Suffix > 0:
		return "bytes=-" + strconv.FormatInt(r.Suffix, 10)
	case r.Last < 0:
		return "bytes=" + strconv.FormatInt(r.First, 10) + "-"
	}
	return "bytes=" + strconv.FormatInt(r.First, 10) + "-" + strconv.FormatInt(r.Last, 10)
}

// Resolve places the range in an object of size bytes; ErrInvalidRange when no
// byte of it lies inside.
func (r Range) Resolve(size int64) (offset, length int64, err error) {
	if r.Suffix > 0 {
		if size == 0 {
			return 0, 0, ErrInvalidRange
		}
		n := min(r.Suffix, size)
		return size - n, n, nil
	}
	if r.First >= size {
		return 0, 0, ErrInvalidRange
	}
	last := r.Last
	if last < 0 || last >= size {
		last = size - 1
	}
	return r.First, last - r.First + 1, nil
}
