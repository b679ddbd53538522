package sigv4

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// param is one decoded query parameter.
type param struct{ name, value string }

// parseQuery decodes a raw query as net/url does ('+' is a space), but refuses what net/url drops in silence:
// a parameter that the signature leaves out yet a handler reads would be unsigned input. An empty piece, as in
// "a&&b", stays a parameter with an empty name.
func parseQuery(raw string) ([]param, error) {
	if raw == "" {
		return nil, nil
	}
	if strings.Contains(raw, ";") {
		return nil, errors.New("semicolon")
	}
	out := make([]param, 0, strings.Count(raw, "&")+1)
	for piece := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(piece, "=")
		n, ok := unescape(name)
		v, ok2 := unescape(value)
		if !ok || !ok2 {
			return nil, errors.New("bad escape")
		}
		out = append(out, param{n, v})
	}
	return out, nil
}

func unescape(s string) (string, bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			b.WriteByte(' ')
		case '%':
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			b.WriteByte(byte(hi<<4 | lo))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), true
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// plain holds the bytes SigV4 never escapes (RFC 3986 unreserved).
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' ||
			c == '-' || c == '.' || c == '_' || c == '~'
	}
	return t
}()

func appendEscaped(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	if plain[c] {
		return append(b, c)
	}
	return append(b, '%', digits[c>>4], digits[c&15])
}

func appendEscapedString(b []byte, s string) []byte {
	for i := range len(s) {
		b = appendEscaped(b, s[i])
	}
	return b
}

// appendCanonical writes the canonical request that the client must have signed.
func (s *Signed) appendCanonical(b []byte, payloadHash string) []byte {
	b = append(b, s.r.Method...)
	b = append(b, '\n')
	b = s.appendPath(b)
	b = append(b, '\n')
	b = s.appendQuery(b)
	b = append(b, '\n')
	for list := s.signedHeaders; list != ""; {
		var name string
		name, list, _ = strings.Cut(list, ";")
		b = append(b, name...)
		b = append(b, ':')
		b = s.appendHeader(b, name)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, s.signedHeaders...)
	b = append(b, '\n')
	return append(b, payloadHash...)
}

// appendPath takes the path as it was sent, not as decoded: "%2F" and "/" must stay two different requests.
func (s *Signed) appendPath(b []byte) []byte {
	path := s.r.URL.EscapedPath()
	if path == "" || path == "/" {
		return append(b, '/')
	}
	if s.Service == ServiceS3 {
		return appendOnceEscaped(b, path)
	}
	if strings.Contains(path, "//") || strings.Contains(path, "/.") {
		path = removeDots(path)
	}
	for i := range len(path) {
		if path[i] == '/' {
			b = append(b, '/')
		} else {
			b = appendEscaped(b, path[i]) // '%' becomes %25: escaped twice
		}
	}
	return b
}

// appendOnceEscaped brings any escaping of a path into the one form S3 signs: unreserved bytes plain, the rest
// as upper-case %XX. EscapedPath has only valid escapes.
func appendOnceEscaped(b []byte, path string) []byte {
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '/':
			b = append(b, '/')
		case c == '%' && i+2 < len(path):
			b = appendEscaped(b, byte(unhex(path[i+1])<<4|unhex(path[i+2])))
			i += 2
		default:
			b = appendEscaped(b, c)
		}
	}
	return b
}

// removeDots drops empty and dot segments as RFC 3986 §5.2.4 and AWS's signing guide say for all but S3.
func removeDots(path string) string {
	var out []string
	for seg := range strings.SplitSeq(path, "/") {
		switch seg {
		case "", ".":
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, seg)
		}
	}
	clean := "/" + strings.Join(out, "/")
	if len(out) > 0 && strings.HasSuffix(path, "/") {
		clean += "/"
	}
	return clean
}

// appendQuery sorts by escaped name, then escaped value: AWS sorts after escaping.
func (s *Signed) appendQuery(b []byte) []byte {
	if len(s.query) == 0 {
		return b
	}
	type pair struct{ name, value string }
	pairs := make([]pair, 0, len(s.query))
	for _, p := range s.query {
		if s.Presigned && p.name == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, pair{escape(p.name), escape(p.value)})
	}
	slices.SortFunc(pairs, func(x, y pair) int {
		if c := strings.Compare(x.name, y.name); c != 0 {
			return c
		}
		return strings.Compare(x.value, y.value)
	})
	for i, p := range pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b
}

func escape(s string) string {
	for i := range len(s) {
		if !plain[s[i]] {
			return string(appendEscapedString(make([]byte, 0, len(s)+16), s))
		}
	}
	return s
}

// appendHeader writes a header's values, joined by commas, each trimmed and with runs of spaces folded.
func (s *Signed) appendHeader(b []byte, name string) []byte {
	if name == "host" {
		return appendFolded(b, s.r.Host)
	}
	values := s.header(name)
	if values == nil && name == "content-length" && s.r.ContentLength >= 0 {
		return strconv.AppendInt(b, s.r.ContentLength, 10)
	}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendFolded(b, v)
	}
	return b
}

// header looks a lower-case name up without allocating its canonical form.
func (s *Signed) header(name string) []string {
	var key [64]byte
	if len(name) > len(key) {
		return s.r.Header.Values(name)
	}
	upper := true
	for i := range len(name) {
		c := name[i]
		if upper && c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper = c == '-'
		key[i] = c
	}
	return s.r.Header[string(key[:len(name)])]
}

func appendFolded(b []byte, v string) []byte {
	v = strings.Trim(v, " \t")
	if !strings.Contains(v, "  ") {
		return append(b, v...)
	}
	for i := range len(v) {
		if v[i] != ' ' || v[i-1] != ' ' { // v[0] is not a space
			b = append(b, v[i])
		}
	}
	return b
}
