package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	maxChunkLine = 512
	maxTrailers  = 16 << 10
	emptyHash    = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// Body is a request body as the client meant it: aws-chunked framing removed, hashes and chunk signatures
// checked while it is read. Bytes are handed out before their check is complete, so nothing read may count
// until Read has returned io.EOF; every other end means the body is not what was signed.
type Body struct {
	s       *Signed
	r       io.Reader
	br      *bufio.Reader // aws-chunked only
	sum     hash.Hash     // of the body or of the current chunk; nil if nothing is hashed
	want    []byte        // plain: the declared hash
	err     error         // sticky
	decoded int64         // declared length after decoding, -1 if unknown
	read    int64

	left     int64 // of the current chunk
	open     bool  // inside a chunk
	trailing bool  // past the last chunk
	last     []byte
	chunkSig []byte
	trailer  http.Header
}

// Body wraps the body of a verified S3 request. On a request that was not verified every Read fails.
func (s *Signed) Body(r io.Reader) *Body {
	b := &Body{s: s, r: r, decoded: -1}
	if s.state == unverified {
		b.err = errors.New("read body of a request whose signature was not verified")
		return b
	}
	hash := s.PayloadHash
	switch {
	case s.Chunked():
		b.br = bufio.NewReader(r)
		if hash != streamingUnsigned {
			b.sum = sha256.New()
			b.last = s.signature[:]
		}
		b.decoded, b.err = s.decodedLength()
	case validHash(hash):
		b.sum = sha256.New()
		b.want, b.err = hex.DecodeString(hash)
	}
	return b
}

// Chunked reports whether the body comes in aws-chunked framing.
func (s *Signed) Chunked() bool {
	switch s.PayloadHash {
	case streamingSigned, streamingTrailer, streamingUnsigned:
		return s.Service == ServiceS3
	}
	return false
}

// Length returns how many bytes Read will give in all, or -1 if the client did not say.
func (b *Body) Length() int64 {
	if b.br == nil {
		return b.s.r.ContentLength
	}
	return b.decoded
}

// Trailer returns the trailing headers of an aws-chunked body, once Read has returned io.EOF; before that, nil.
func (b *Body) Trailer() http.Header {
	if b.err != io.EOF {
		return nil
	}
	return b.trailer
}

func (s *Signed) decodedLength() (int64, error) {
	v := s.r.Header.Get("X-Amz-Decoded-Content-Length")
	if v == "" {
		return -1, nil
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil {
		return -1, refuse(KindMalformed, "x-amz-decoded-content-length must be a number of bytes.")
	}
	return int64(n), nil
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	var n int
	if b.br != nil {
		n, b.err = b.readChunked(p)
	} else {
		n, b.err = b.readPlain(p)
	}
	return n, b.err
}

func (b *Body) readPlain(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.sum == nil {
		return n, err
	}
	b.sum.Write(p[:n])
	if err == io.EOF && subtle.ConstantTimeCompare(b.sum.Sum(nil), b.want) == 0 {
		return n, refuse(KindPayloadMismatch, "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return n, err
}

func (b *Body) readChunked(p []byte) (int, error) {
	for b.left == 0 {
		if b.open {
			if err := b.closeChunk(); err != nil {
				return 0, err
			}
		}
		if err := b.openChunk(); err != nil {
			return 0, err
		}
		if b.left == 0 {
			return 0, b.finish()
		}
	}
	n, err := b.br.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	b.read += int64(n)
	if b.sum != nil {
		b.sum.Write(p[:n])
	}
	if err == io.EOF {
		if n == 0 {
			return 0, cut()
		}
		err = nil // the next read meets it again, where it is known whether it came too soon
	}
	return n, err
}

// openChunk reads "SIZE[;chunk-signature=HEX]\r\n".
func (b *Body) openChunk() error {
	line, err := b.line(maxChunkLine)
	if err != nil {
		return err
	}
	line, crlf := bytes.CutSuffix(line, []byte("\r\n"))
	size, ext, hasExt := strings.Cut(string(line), ";")
	n, err := strconv.ParseUint(size, 16, 63)
	if !crlf || err != nil {
		return broken("a chunk does not begin with its size")
	}
	if b.sum != nil {
		sig, ok := strings.CutPrefix(ext, "chunk-signature=")
		if !ok || !validHash(sig) {
			return broken("a chunk has no signature")
		}
		if b.chunkSig, err = hex.DecodeString(sig); err != nil {
			return broken("a chunk has no signature")
		}
		b.sum.Reset()
	} else if hasExt {
		return broken("a chunk of an unsigned stream has an extension")
	}
	// Checked before its bytes are handed out, so that a consumer can trust Length as a bound.
	if b.decoded >= 0 && int64(n) > b.decoded-b.read {
		return broken("the body is longer than x-amz-decoded-content-length")
	}
	b.left, b.open = int64(n), true
	return nil
}

func (b *Body) closeChunk() error {
	b.open = false
	if err := b.checkChunk(); err != nil {
		return err
	}
	var end [2]byte
	if _, err := io.ReadFull(b.br, end[:]); err != nil {
		return eof(err)
	}
	if end != [2]byte{'\r', '\n'} {
		return broken("a chunk does not end where its size says")
	}
	return nil
}

func (b *Body) checkChunk() error {
	if b.sum == nil || b.s.state == trusted {
		return nil
	}
	return b.checkLink("AWS4-HMAC-SHA256-PAYLOAD", emptyHash+"\n"+hex.EncodeToString(b.sum.Sum(nil)), b.chunkSig)
}

// checkLink verifies one signature of the chain: each covers the one before, so chunks cannot be left out,
// repeated or reordered.
func (b *Body) checkLink(label, rest string, sig []byte) error {
	s := b.s
	text := label + "\n" + s.amzDate + "\n" + s.scope + "\n" + hex.EncodeToString(b.last) + "\n" + rest
	if subtle.ConstantTimeCompare(mac(s.key, []byte(text)), sig) == 0 {
		return mismatch()
	}
	b.last = sig
	return nil
}

// finish checks the last, empty chunk and what follows it, and answers io.EOF if all is well.
func (b *Body) finish() error {
	b.open, b.trailing = false, true
	if err := b.checkChunk(); err != nil {
		return err
	}
	if b.decoded >= 0 && b.read != b.decoded {
		return broken("the body is shorter than x-amz-decoded-content-length")
	}
	if err := b.readTrailers(); err != nil {
		return err
	}
	return io.EOF
}

// readTrailers reads "name:value" lines to the end of the body. Only what x-amz-trailer announced may come, and
// all of it must. Lines may end in LF alone and blank lines do not matter: AWS's own text and its SDKs differ
// there, and the signature covers names and values, not line ends.
func (b *Body) readTrailers() error {
	declared := b.declaredTrailers()
	got := make(map[string]string, len(declared))
	signature := ""
	for budget := maxTrailers; ; {
		line, err := b.line(budget)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		budget -= len(line)
		text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		if text == "" {
			continue
		}
		name, value, ok := strings.Cut(text, ":")
		name, value = strings.ToLower(name), strings.Trim(value, " \t")
		_, again := got[name]
		switch {
		case !ok || again || signature != "":
			return badTrailer("a line after the last chunk is not a trailer")
		case name == "x-amz-trailer-signature" && b.s.PayloadHash == streamingTrailer:
			signature = value
		case slices.Contains(declared, name):
			got[name] = value
		default:
			return badTrailer("a trailer was not announced in x-amz-trailer")
		}
	}
	if len(got) != len(declared) {
		return badTrailer("a trailer announced in x-amz-trailer is missing")
	}
	return b.checkTrailers(declared, got, signature)
}

func (b *Body) declaredTrailers() []string {
	if b.s.PayloadHash == streamingSigned {
		return nil
	}
	var names []string
	for _, v := range b.s.r.Header["X-Amz-Trailer"] {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func (b *Body) checkTrailers(names []string, got map[string]string, signature string) error {
	trailer := make(http.Header, len(names))
	var text strings.Builder
	for _, name := range names {
		trailer.Set(name, got[name])
		text.WriteString(name + ":" + got[name] + "\n")
	}
	if b.s.PayloadHash == streamingTrailer && b.s.state != trusted {
		if !validHash(signature) {
			return badTrailer("x-amz-trailer-signature is missing")
		}
		sig, err := hex.DecodeString(signature)
		if err != nil {
			return badTrailer("x-amz-trailer-signature is not hexadecimal")
		}
		sum := sha256.Sum256([]byte(text.String()))
		if err := b.checkLink("AWS4-HMAC-SHA256-TRAILER", hex.EncodeToString(sum[:]), sig); err != nil {
			return err
		}
	}
	b.trailer = trailer
	return nil
}

// line reads up to and including LF. A clean end of input before the first byte is io.EOF while trailers are
// read, and a cut body before that.
func (b *Body) line(limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := b.br.ReadSlice('\n')
		if len(line)+len(part) > limit {
			return nil, broken("a line of the aws-chunked framing is too long")
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case err == io.EOF && len(line) == 0 && b.trailing:
			return nil, io.EOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, eof(err)
		}
	}
}

func eof(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return cut()
	}
	return err
}

func cut() error { return broken("it ends too early") }

func broken(why string) error {
	return refuse(KindIncompleteBody, "The aws-chunked body is not complete: "+why+".")
}

func badTrailer(why string) error {
	return refuse(KindMalformedTrailer, "The trailers of the request are not valid: "+why+".")
}
