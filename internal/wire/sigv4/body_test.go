package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// chunkedRequest is AWS's published example of a streamed upload ("Signature Calculations for the Authorization
// Header: Transferring Payload in Multiple Chunks" and its trailer variant), seed signature included.
func chunkedRequest(t testing.TB, trailer bool, body []byte) (*Signed, *Body) {
	t.Helper()
	hash, extraName, extra := streamingSigned, "", ""
	seed := "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
	if trailer {
		hash, extraName, extra = streamingTrailer, ";x-amz-trailer", "x-amz-trailer: x-amz-checksum-crc32c\r\n"
		seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
	}
	names := "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class"
	if trailer {
		names = strings.Replace(names, "content-length;", "", 1)
	}
	r := raw(t, "PUT /examplebucket/chunkObject.txt HTTP/1.1\r\nHost: s3.amazonaws.com\r\nx-amz-date: 20130524T000000Z\r\n"+
		"x-amz-storage-class: REDUCED_REDUNDANCY\r\nContent-Encoding: aws-chunked\r\nx-amz-decoded-content-length: 66560\r\n"+extra+
		"x-amz-content-sha256: "+hash+"\r\nContent-Length: 66824\r\nAuthorization: AWS4-HMAC-SHA256 Credential="+exampleKey+
		"/20130524/us-east-1/s3/aws4_request,SignedHeaders="+names+extraName+",Signature="+seed+"\r\n\r\n")
	s, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := at(time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)).VerifyHead(s); err != nil {
		t.Fatal(err)
	}
	return s, s.Body(bytes.NewReader(body))
}

func exampleChunks(trailer bool) string {
	sigs := []string{"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
		"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"}
	end := "\r\n"
	if trailer {
		sigs = []string{"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
			"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
			"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"}
		end = "x-amz-checksum-crc32c:sOO8/Q==\n\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
	}
	return "10000;chunk-signature=" + sigs[0] + "\r\n" + strings.Repeat("a", 65536) + "\r\n400;chunk-signature=" + sigs[1] + "\r\n" +
		strings.Repeat("a", 1024) + "\r\n0;chunk-signature=" + sigs[2] + "\r\n" + end
}

func TestPublishedChunkedExample(t *testing.T) {
	for _, trailer := range []bool{false, true} {
		t.Run(fmt.Sprint("trailer=", trailer), func(t *testing.T) {
			_, b := chunkedRequest(t, trailer, []byte(exampleChunks(trailer)))
			got, err := io.ReadAll(iotest.OneByteReader(b))
			if err != nil || string(got) != strings.Repeat("a", 66560) || b.Length() != 66560 {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if trailer && b.Trailer().Get("X-Amz-Checksum-Crc32c") != "sOO8/Q==" {
				t.Errorf("trailer %v", b.Trailer())
			}
		})
	}
}

// A signed stream cut anywhere, or with any one byte changed, never ends in io.EOF – blank line ends aside.
func TestChunkedCutAndGarbled(t *testing.T) {
	for _, trailer := range []bool{false, true} {
		text := exampleChunks(trailer)
		meaning := strings.TrimRight(text, "\r\n")
		for i := 0; i < len(meaning); i++ {
			if i > 200 && i < len(text)-1400 && i%4099 != 0 {
				continue // inside the long runs of 'a'
			}
			_, b := chunkedRequest(t, trailer, []byte(text[:i]))
			if _, err := io.Copy(io.Discard, b); err == nil {
				t.Fatalf("trailer=%v: cut at %d passed", trailer, i)
			}
			garbled := []byte(text)
			garbled[i] ^= 0x01
			_, b = chunkedRequest(t, trailer, garbled)
			if _, err := io.Copy(io.Discard, b); err == nil {
				t.Fatalf("trailer=%v: byte %d %q changed passed", trailer, i, text[i])
			}
			if b.Trailer() != nil {
				t.Fatal("trailers of a refused body")
			}
		}
	}
}

func TestChunkedRefusals(t *testing.T) {
	const sig1 = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
	good, goodTrailer := exampleChunks(false), exampleChunks(true)
	cases := []struct {
		name    string
		trailer bool
		text    string
		want    Kind
	}{
		{"unsigned chunk", false, "10000\r\n", KindIncompleteBody},
		{"negative size", false, "-1;chunk-signature=" + sig1 + "\r\n", KindIncompleteBody},
		{"huge size", false, "ffffffffffffffff;chunk-signature=" + sig1 + "\r\n", KindIncompleteBody},
		{"no size", false, ";chunk-signature=" + sig1 + "\r\n", KindIncompleteBody},
		{"line without end", false, strings.Repeat("0", 1<<20), KindIncompleteBody},
		{"LF alone", false, strings.Replace(good, "\r\n", "\n", 1), KindIncompleteBody},
		{"more than declared", false, strings.Replace(good, "400;", "401;", 1), KindIncompleteBody},
		{"chunks left out", false, good[strings.Index(good, "0;chunk"):], KindBadSignature},
		{"bytes after the end", false, good + "x", KindIncompleteBody},
		{"line after the end", false, good + "x\r\n", KindMalformedTrailer},
		{"other trailer", true, strings.Replace(goodTrailer, "x-amz-checksum-crc32c", "x-amz-checksum-sha1", 1), KindMalformedTrailer},
		{"trailer twice", true, strings.Replace(goodTrailer, "x-amz-checksum-crc32c:", "x-amz-checksum-crc32c:a\nx-amz-checksum-crc32c:", 1), KindMalformedTrailer},
		{"trailer missing", true, strings.Replace(goodTrailer, "x-amz-checksum-crc32c:sOO8/Q==", "", 1), KindMalformedTrailer},
		{"trailer signature missing", true, goodTrailer[:strings.Index(goodTrailer, "x-amz-trailer-sig")], KindMalformedTrailer},
		{"trailer value changed", true, strings.Replace(goodTrailer, "sOO8", "sOO9", 1), KindBadSignature},
		{"endless trailer", true, goodTrailer + strings.Repeat("\r\n", maxTrailers), KindIncompleteBody},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, b := chunkedRequest(t, c.trailer, []byte(c.text))
			_, err := io.Copy(io.Discard, b)
			if kindOf(err) != c.want {
				t.Errorf("got %v, want kind %d", err, c.want)
			}
			if _, again := b.Read(make([]byte, 1)); again != err {
				t.Errorf("read on after %v: %v", err, again)
			}
		})
	}
}

func unsignedTrailerBody(t testing.TB, text string, length string) *Body {
	t.Helper()
	c := s3Call()
	c.hash = streamingUnsigned
	c.header = http.Header{"X-Amz-Trailer": {"x-amz-checksum-crc32"}, "X-Amz-Decoded-Content-Length": {length}, "Content-Encoding": {"aws-chunked"}}
	s, err := Parse(c.signed(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := at(signTime).VerifyHead(s); err != nil {
		t.Fatal(err)
	}
	return s.Body(strings.NewReader(text))
}

// What SDKs send by default since checksums became the default.
func TestUnsignedTrailer(t *testing.T) {
	cases := []struct {
		name, text, length string
		want               Kind
	}{
		{"sdk", "5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n", "11", 0},
		{"without the last blank line", "B\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n", "11", 0},
		{"shorter than declared", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n", "11", KindIncompleteBody},
		{"longer than declared", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n", "4", KindIncompleteBody},
		{"length not a number", "0\r\n\r\n", "x", KindMalformed},
		{"trailer cut", "B\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUo", "11", KindIncompleteBody},
		{"trailer missing", "B\r\nhello world\r\n0\r\n\r\n", "11", KindMalformedTrailer},
		{"no last chunk", "B\r\nhello world\r\n", "11", KindIncompleteBody},
		{"chunk end missing", "5\r\nhello6\r\n world\r\n0\r\n\r\n", "11", KindIncompleteBody},
		{"signature smuggled", "B;chunk-signature=0\r\nhello world\r\n0\r\n\r\n", "11", KindIncompleteBody},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := unsignedTrailerBody(t, c.text, c.length)
			got, err := io.ReadAll(b)
			if kindOf(err) != c.want || (c.want == 0 && err != nil) {
				t.Fatalf("got %v, want kind %d", err, c.want)
			}
			if err == nil && (string(got) != "hello world" || b.Trailer().Get("X-Amz-Checksum-Crc32") != "DUoRhQ==") {
				t.Errorf("%q, trailers %v", got, b.Trailer())
			}
		})
	}
}

// A failure below, such as a body limit or a broken connection, is passed on as it is.
func TestBodyPassesReadErrors(t *testing.T) {
	want := errors.New("connection reset")
	_, b := chunkedRequest(t, false, nil)
	b = b.s.Body(io.MultiReader(strings.NewReader(exampleChunks(false)[:66000]), iotest.ErrReader(want)))
	if _, err := io.Copy(io.Discard, b); err != want {
		t.Errorf("got %v", err)
	}
}

// Insecure mode still removes the framing, without keys.
func TestTrustedChunked(t *testing.T) {
	s, _ := chunkedRequest(t, true, nil)
	s.TrustUnverified()
	s.key = nil
	b := s.Body(strings.NewReader(strings.ReplaceAll(exampleChunks(true), "a", "b")))
	if _, err := io.Copy(io.Discard, b); err == nil {
		t.Error("an unannounced trailer passed") // "x-bmz-…"
	}
	b = s.Body(strings.NewReader(strings.ReplaceAll(exampleChunks(true), "aaaa", "bbbb")))
	if n, err := io.Copy(io.Discard, b); err != nil || n != 66560 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func FuzzChunked(f *testing.F) {
	f.Add("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n", false)
	f.Add("5;chunk-signature="+emptyHash+"\r\nhello\r\n0;chunk-signature="+emptyHash+"\r\n\r\n", true)
	f.Fuzz(func(t *testing.T, text string, signed bool) {
		var b *Body
		if signed {
			_, b = chunkedRequest(t, false, []byte(text))
		} else {
			b = unsignedTrailerBody(t, text, "5")
		}
		h := sha256.New()
		n, err := io.Copy(h, b)
		if err != nil {
			return
		}
		if signed && hex.EncodeToString(h.Sum(nil)) != hexSum(bytes.Repeat([]byte("a"), 66560)) {
			t.Error("forged stream accepted")
		}
		if !signed && n != 5 {
			t.Errorf("%d bytes, 5 declared", n)
		}
	})
}
