package sigv4

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	exampleKey    = "AKIAIOSFODNN7EXAMPLE" // AWS's documentation credentials
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

var (
	exampleCreds = aws.Credentials{AccessKeyID: exampleKey, SecretAccessKey: exampleSecret}
	signTime     = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
)

func exampleKeys(_ context.Context, id, token string) (string, error) {
	switch {
	case id == exampleKey && token == "expired":
		return "", ErrExpiredToken
	case id == "AKIABROKENSTORE":
		return "", errors.New("disk on fire")
	case id == exampleKey:
		return exampleSecret, nil
	}
	return "", ErrUnknownKey
}

func at(t time.Time) *Verifier {
	return New(exampleKeys, func() time.Time { return t }, "glue", "logs", "sts", ServiceS3)
}

func hexSum(body []byte) string {
	h := sha256.Sum256(body)
	return hex.EncodeToString(h[:])
}

// sent is the request as a server would read it off the wire.
func sent(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	var buf bytes.Buffer
	if err := r.Write(&buf); err != nil {
		t.Fatal(err)
	}
	return raw(t, buf.String())
}

func raw(t testing.TB, text string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type call struct {
	method, url, body string
	header            http.Header
	service, region   string
	hash              string // payload hash signed; default: of the body
	date              time.Time
	creds             aws.Credentials
}

func (c call) request(t testing.TB) (*http.Request, string) {
	t.Helper()
	r, err := http.NewRequest(c.method, c.url, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range c.header {
		r.Header[k] = v
	}
	hash := c.hash
	if hash == "" {
		hash = hexSum([]byte(c.body))
	}
	if c.service == ServiceS3 {
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	return r, hash
}

// signed has the SDK's own signer sign the call: the oracle.
func (c call) signed(t testing.TB) *http.Request {
	t.Helper()
	r, hash := c.request(t)
	sign(t, c, r, hash)
	return sent(t, r)
}

func (c call) presigned(t testing.TB, expires string) *http.Request {
	t.Helper()
	r, hash := c.request(t)
	r.Header.Del("X-Amz-Content-Sha256")
	if c.service == ServiceS3 {
		hash = unsignedPayload
	}
	if expires != "" {
		q := r.URL.Query()
		q.Set("X-Amz-Expires", expires)
		r.URL.RawQuery = q.Encode()
	}
	url, header, err := v4.NewSigner().PresignHTTP(context.Background(), c.creds, r, hash, c.service, c.region, c.date, c.options)
	if err != nil {
		t.Fatal(err)
	}
	out, err := http.NewRequest(c.method, url, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	out.Header = header
	out.Header.Del("Host")
	return sent(t, out)
}

func (c call) options(o *v4.SignerOptions) { o.DisableURIPathEscaping = c.service == ServiceS3 }

func glueCall() call {
	return call{
		method: "POST", url: "http://127.0.0.1:8366/", body: `{"Name":"w"}`, service: "glue", region: "us-east-1",
		header: http.Header{
			"X-Amz-Target":          {"AWSGlue.StartWorkflowRun"},
			"Content-Type":          {"application/x-amz-json-1.1"},
			"Amz-Sdk-Invocation-Id": {"7c1e5a52-6d43-4a6e-9f0e-6f1d0f4b8a11"},
			"Amz-Sdk-Request":       {"attempt=1; max=3"},
			"User-Agent":            {"aws-sdk-go-v2/1.47.7"},
		},
		date: signTime, creds: exampleCreds,
	}
}

func s3Call() call {
	c := glueCall()
	c.method, c.url, c.service, c.body = "PUT", "http://127.0.0.1:8366/bucket/a%20b/%C3%A9%2B%281%29?partNumber=1&uploadId=x%2Fy", ServiceS3, "hello"
	c.header = http.Header{"X-Amz-Meta-Note": {"two  spaces"}, "Content-Type": {"text/plain"}}
	return c
}

// check verifies a request the way its door does and returns what a caller would be told.
func check(v *Verifier, r *http.Request) (*Signed, error) {
	s, err := Parse(r)
	if err != nil {
		return nil, err
	}
	if s.Service == ServiceS3 {
		if err := v.VerifyHead(s); err != nil {
			return nil, err
		}
		_, err := io.Copy(io.Discard, s.Body(r.Body))
		return s, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return s, v.VerifyBody(s, body)
}

func kindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return 0
}

func sign(t testing.TB, c call, r *http.Request, hash string) {
	t.Helper()
	if err := v4.NewSigner().SignHTTP(context.Background(), c.creds, r, hash, c.service, c.region, c.date, c.options); err != nil {
		t.Fatal(err)
	}
}
