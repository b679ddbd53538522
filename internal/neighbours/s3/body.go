package s3

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"tenon/internal/blob"
)

// maxDocument bounds request documents; the largest that S3 allows, 10,000 parts
// with checksums, is below it.
const maxDocument = 2 << 20

// body is the payload, held to the length that was announced for it.
type body struct {
	r        io.Reader
	trailers func() http.Header
	length   int64 // announced bytes, -1 when unknown
	read     int64
	limit    int64
	err      error // what was wrong with the payload, as an answer to the client
}

func newBody(r *http.Request, payload io.Reader, trailers func() http.Header) *body {
	b := &body{r: payload, trailers: trailers, length: r.ContentLength, limit: blob.MaxPutSize}
	if b.r == nil {
		b.r = http.NoBody
	}
	if s := r.Header.Get("X-Amz-Decoded-Content-Length"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			b.err = refusef("InvalidArgument", "The value of x-amz-decoded-content-length is not a length.")
			return b
		}
		b.length = n
	}
	return b
}

// announced refuses an object without a length, or with one that is too large,
// before a byte of it is read.
func (b *body) announced() error {
	switch {
	case b.err != nil:
		return b.err
	case b.length < 0:
		return refusef("MissingContentLength", "You must provide the Content-Length HTTP header.")
	case b.length > b.limit:
		return blob.ErrEntityTooLarge
	}
	return nil
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	b.read += int64(n)
	switch {
	case b.read > b.limit:
		b.err = blob.ErrEntityTooLarge
	case b.length >= 0 && b.read > b.length,
		errors.Is(err, io.EOF) && b.length >= 0 && b.read != b.length,
		errors.Is(err, io.ErrUnexpectedEOF):
		b.err = refusef("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header.")
	case err != nil && !errors.Is(err, io.EOF):
		b.err = payloadError(err)
	default:
		return n, err
	}
	return n, b.err
}

// payloadError keeps what the gate says of a payload and turns the rest, which is
// the connection's failing, into S3's word for it.
func payloadError(err error) error {
	var told interface {
		ErrorCode() string
		ErrorMessage() string
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &told):
		return err
	case errors.As(err, &tooLarge):
		return blob.ErrEntityTooLarge
	}
	return refusef("IncompleteBody", "The request body could not be read to its end.")
}

// headerName is that of a checksum, canonical as net/http has it.
func headerName(a blob.Algorithm) string {
	return http.CanonicalHeaderKey("x-amz-checksum-" + strings.ToLower(string(a)))
}

// statedChecksum reads the one x-amz-checksum-ALGORITHM header there may be. Its
// value may carry the "-N" of a composite only where composite is set.
func statedChecksum(h http.Header, composite bool) (c blob.Checksum, err error) {
	for name := range h {
		suffix, ok := strings.CutPrefix(name, "X-Amz-Checksum-")
		if !ok || suffix == "Mode" || suffix == "Algorithm" || suffix == "Type" {
			continue
		}
		// One that cannot be verified must not pass for verified.
		a, err := algorithm(suffix)
		if err != nil || a == "" {
			return blob.Checksum{}, errUnknownAlgorithm
		}
		value := h.Get(name)
		if c.Algorithm != "" {
			return blob.Checksum{}, refusef("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		sum, count, joined := strings.Cut(value, "-")
		raw, err := base64.StdEncoding.DecodeString(sum)
		if err != nil || len(raw) != a.New().Size() || joined && (!composite || count == "") {
			return blob.Checksum{}, refusef("InvalidRequest", "Value for %s header is invalid.", strings.ToLower(headerName(a)))
		}
		c = blob.Checksum{Algorithm: a, Value: value}
	}
	return c, nil
}

// expect reads what the headers say of the payload.
func (c *call) expect() (e blob.Expect, err error) {
	if s := c.r.Header.Get("Content-Md5"); s != "" {
		e.MD5, err = base64.StdEncoding.DecodeString(s)
		if err != nil || len(e.MD5) != md5.Size {
			return blob.Expect{}, refusef("InvalidDigest", "The Content-MD5 you specified is not valid.")
		}
	}
	if e.Checksum, err = statedChecksum(c.r.Header, false); err != nil {
		return blob.Expect{}, err
	}
	trailing, err := trailingAlgorithm(c.r.Header)
	if err != nil {
		return blob.Expect{}, err
	}
	if trailing != "" {
		if e.Checksum.Algorithm != "" {
			return blob.Expect{}, refusef("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		e.Checksum.Algorithm = trailing
		e.Trailer = func() (string, error) { return c.body.trailingChecksum(trailing) }
	}
	if e.Checksum.Algorithm == "" {
		named := c.r.Header.Get("X-Amz-Sdk-Checksum-Algorithm")
		if e.Checksum.Algorithm, err = algorithm(named); err != nil {
			return blob.Expect{}, err
		}
	}
	return e, nil
}

var errUnknownAlgorithm = &blob.Error{
	Code: "InvalidRequest", Message: "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
}

// algorithm checks a name from the request; empty stays empty.
func algorithm(name string) (blob.Algorithm, error) {
	a := blob.Algorithm(strings.ToUpper(name))
	if a != "" && a.New() == nil {
		return "", errUnknownAlgorithm
	}
	return a, nil
}

// trailingAlgorithm reads the announcement x-amz-trailer: x-amz-checksum-crc32.
func trailingAlgorithm(h http.Header) (found blob.Algorithm, err error) {
	for _, line := range h.Values("X-Amz-Trailer") {
		for _, name := range strings.Split(line, ",") {
			suffix, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(name)), "x-amz-checksum-")
			if !ok {
				continue
			}
			if found, err = algorithm(suffix); err != nil {
				return "", err
			}
		}
	}
	return found, nil
}

func (b *body) trailingChecksum(a blob.Algorithm) (string, error) {
	var value string
	if b.trailers != nil {
		value = strings.TrimSpace(b.trailers().Get(headerName(a)))
	}
	// Announced and not sent must not pass for "nothing to check".
	if value == "" {
		b.err = refusef("MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.")
		return "", b.err
	}
	return value, nil
}

// document reads a bounded XML document into v and holds it against its digests.
func (c *call) document(v any) error {
	e, err := c.expect()
	if err != nil {
		return err
	}
	return c.documentWith(e, v)
}

func (c *call) documentWith(e blob.Expect, v any) error {
	h := blob.NewHasher(e.Checksum.Algorithm)
	raw, err := io.ReadAll(io.TeeReader(io.LimitReader(c.body, maxDocument+1), h))
	if err != nil {
		return err
	}
	if len(raw) > maxDocument {
		return refusef("MaxMessageLengthExceeded", "Your request was too large.")
	}
	if err := e.Check(h); err != nil {
		return err
	}
	return parseDocument(raw, v)
}

var errMalformed = &blob.Error{Code: "MalformedXML", Message: "The XML you provided was not well-formed or did not validate against our published schema"}

// parseDocument reads exactly one element. encoding/xml expands no entities but
// the five of XML itself; a DOCTYPE, which no client sends, is refused all the same.
func parseDocument(raw []byte, v any) error {
	if strings.Contains(string(raw), "<!DOCTYPE") {
		return errMalformed
	}
	decoder := xml.NewDecoder(strings.NewReader(string(raw)))
	if err := decoder.Decode(v); err != nil {
		return errMalformed
	}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errMalformed
		}
		switch t := token.(type) {
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return errMalformed
			}
		case xml.Comment, xml.ProcInst:
		default:
			return errMalformed
		}
	}
}

// number reads an integer parameter between 0 and the largest 32-bit one.
func (c *call) number(name string, byDefault int) (int, error) {
	s := c.query.Get(name)
	if s == "" {
		return byDefault, nil
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: Argument %s must be an integer between 0 and 2147483647", blob.ErrInvalidArgument, name)
	}
	return int(n), nil
}
