package s3

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// namespace of every S3 document but errors.
const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// document writes XML. encoding/xml would replace what XML 1.0 cannot hold, such
// as \x01 in a key, by U+FFFD – another key; S3 writes a character reference,
// which at least no reader mistakes, and encoding-type=url for those who ask.
type document struct{ bytes.Buffer }

func newDocument() *document {
	x := &document{}
	x.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	return x
}

func (x *document) root(name string) {
	x.WriteString("<" + name + ` xmlns="` + namespace + `">`)
}

func (x *document) open(name string)  { x.WriteString("<" + name + ">") }
func (x *document) close(name string) { x.WriteString("</" + name + ">") }

func (x *document) text(name, value string) {
	x.open(name)
	for _, c := range value {
		switch {
		case c == '&':
			x.WriteString("&amp;")
		case c == '<':
			x.WriteString("&lt;")
		case c == '>':
			x.WriteString("&gt;")
		case c == '"':
			x.WriteString("&quot;")
		case c < ' ' || c == 0x7F || c == 0xFFFE || c == 0xFFFF:
			x.WriteString("&#x" + strconv.FormatInt(int64(c), 16) + ";")
		default:
			x.WriteRune(c)
		}
	}
	x.close(name)
}

// optional leaves an empty value out.
func (x *document) optional(name, value string) {
	if value != "" {
		x.text(name, value)
	}
}

func (x *document) number(name string, n int64)    { x.text(name, strconv.FormatInt(n, 10)) }
func (x *document) flag(name string, b bool)       { x.text(name, strconv.FormatBool(b)) }
func (x *document) etag(tag string)                { x.text("ETag", `"`+tag+`"`) }
func (x *document) time(name string, at time.Time) { x.text(name, seconds(at).Format(timeLayout)) }

// timeLayout has whole seconds, as the Last-Modified header must: a client that
// compares a listing with a HEAD would else see every object changed.
const timeLayout = "2006-01-02T15:04:05.000Z"

func seconds(at time.Time) time.Time { return at.UTC().Truncate(time.Second) }

func (x *document) send(w http.ResponseWriter, status int) error {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(x.Len()))
	w.WriteHeader(status)
	if _, err := w.Write(x.Bytes()); err != nil {
		return &lateError{fmt.Errorf("write answer: %w", err)}
	}
	return nil
}

// encoder is how keys are written: plainly, or escaped when the client asked for
// encoding-type=url. Space and plus are both escaped, so that it does not matter
// which of the two decodings the client has.
func (c *call) encoder() (func(string) string, error) {
	switch c.query.Get("encoding-type") {
	case "":
		return func(s string) string { return s }, nil
	case "url":
		return escape, nil
	}
	return nil, refusef("InvalidArgument", "Invalid Encoding Method specified in Request")
}

func escape(s string) string {
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~', c == '/':
			out = append(out, c)
		default:
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(out)
}
