package sigv4

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The example requests of AWS's "Authenticating Requests: Using the Authorization Header" and
// "Using Query Parameters" (S3 API reference), with their published signatures.
func TestPublishedExamples(t *testing.T) {
	now := time.Date(2013, 5, 24, 0, 0, 30, 0, time.UTC)
	auth := func(headers, sig string) string {
		return "Authorization: AWS4-HMAC-SHA256 Credential=" + exampleKey + "/20130524/us-east-1/s3/aws4_request,SignedHeaders=" + headers + ",Signature=" + sig + "\r\n"
	}
	const common = "Host: examplebucket.s3.amazonaws.com\r\nx-amz-content-sha256: " + emptyHash + "\r\nx-amz-date: 20130524T000000Z\r\n"
	cases := map[string]string{
		"get object": "GET /test.txt HTTP/1.1\r\n" + common + "Range: bytes=0-9\r\n" +
			auth("host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41") + "\r\n",
		"get bucket lifecycle": "GET /?lifecycle HTTP/1.1\r\n" + common +
			auth("host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543") + "\r\n",
		"list objects": "GET /?max-keys=2&prefix=J HTTP/1.1\r\n" + common +
			auth("host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7") + "\r\n",
		"put object, Date header unsigned key order": "PUT /test%24file.text HTTP/1.1\r\nHost: examplebucket.s3.amazonaws.com\r\n" +
			"Date: Fri, 24 May 2013 00:00:00 GMT\r\nx-amz-date: 20130524T000000Z\r\nx-amz-storage-class: REDUCED_REDUNDANCY\r\n" +
			"x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072\r\nContent-Length: 21\r\n" +
			auth("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd") +
			"\r\nWelcome to Amazon S3.",
		"presigned get": "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + exampleKey +
			"%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
			"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1\r\nHost: examplebucket.s3.amazonaws.com\r\n\r\n",
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := check(at(now), raw(t, text))
			if err != nil {
				t.Fatal(err)
			}
			if s.AccessKeyID != exampleKey || s.Region != "us-east-1" || s.Service != "s3" {
				t.Errorf("claims %+v", s)
			}
			if _, err := check(at(now), raw(t, strings.Replace(text, " /", " /x", 1))); kindOf(err) != KindBadSignature {
				t.Errorf("another path: %v", err)
			}
		})
	}
}

// spec/faults J7: windows, day boundary, scope; spec/workflows §1.6: codes and texts.
func TestTimeAndScope(t *testing.T) {
	midnight := time.Date(2026, 3, 15, 0, 0, 30, 0, time.UTC)
	cases := []struct {
		name string
		call call
		now  time.Time
		want Kind
	}{
		{"glue exact", glueCall(), signTime, 0},
		{"glue 4:59 old", glueCall(), signTime.Add(4*time.Minute + 59*time.Second), 0},
		{"glue 5:01 old", glueCall(), signTime.Add(5*time.Minute + time.Second), KindSkewed},
		{"glue 4:59 ahead", glueCall(), signTime.Add(-4*time.Minute - 59*time.Second), 0},
		{"glue 5:01 ahead", glueCall(), signTime.Add(-5*time.Minute - time.Second), KindSkewed},
		{"s3 14:59 old", s3Call(), signTime.Add(14*time.Minute + 59*time.Second), 0},
		{"s3 15:01 old", s3Call(), signTime.Add(15*time.Minute + time.Second), KindSkewed},
		{"s3 14:59 ahead", s3Call(), signTime.Add(-14*time.Minute - 59*time.Second), 0},
		{"s3 15:01 ahead", s3Call(), signTime.Add(-15*time.Minute - time.Second), KindSkewed},
		{"signed yesterday, a minute ago", glueCall().on(midnight.Add(-time.Minute)), midnight, 0},
		{"signed tomorrow, in a minute", glueCall().on(midnight), midnight.Add(-time.Minute), 0},
		{"service not served", glueCall().of("athena"), signTime, KindBadScope},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := check(at(c.now), c.call.signed(t))
			if kindOf(err) != c.want || (c.want == 0 && err != nil) {
				t.Errorf("got %v, want kind %d", err, c.want)
			}
		})
	}
}

func (c call) on(t time.Time) call    { c.date = t; return c }
func (c call) of(service string) call { c.service = service; return c }

// A scope that was changed after signing fails, whatever it is changed to.
func TestScopeIsSigned(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     Kind
	}{
		{"/us-east-1/", "/eu-west-1/", KindBadSignature},
		{"/glue/", "/logs/", KindBadSignature},
		{"/20260314/", "/20260313/", KindBadScope},
		{"aws4_request", "aws4_requesu", KindMalformed},
		{"/us-east-1/", "//", KindMalformed},
		{"/us-east-1/", "/US_EAST/", KindMalformed},
		{exampleKey, "AKIAUNKNOWN", KindUnknownKey},
		{exampleKey, "AKIABROKENSTORE", 0},
	} {
		r := glueCall().signed(t)
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), c.from, c.to, 1))
		_, err := check(at(signTime), r)
		if err == nil || kindOf(err) != c.want {
			t.Errorf("%s -> %s: got %v, want kind %d", c.from, c.to, err, c.want)
		}
	}
}

func TestErrorTexts(t *testing.T) {
	unknown := glueCall()
	unknown.creds.AccessKeyID = "AKIAUNKNOWN"
	expired := glueCall()
	expired.creds.SessionToken = "expired"
	wrong := glueCall()
	wrong.creds.SecretAccessKey = "not it"
	anonymous := glueCall().signed(t)
	anonymous.Header.Del("Authorization")
	cases := []struct {
		name    string
		r       *http.Request
		now     time.Time
		code    string
		message string
	}{
		{"missing", anonymous, signTime, "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{"wrong secret", wrong.signed(t), signTime, "InvalidSignatureException", "The request signature we calculated does not match the signature you provided."},
		{"unknown key", unknown.signed(t), signTime, "UnrecognizedClientException", "The security token included in the request is invalid."},
		{"ended session", expired.signed(t), signTime, "ExpiredTokenException", "The security token included in the request is expired."},
		{"old", glueCall().signed(t), signTime.Add(time.Hour), "InvalidSignatureException",
			"Signature expired: 20260314T150926Z is now earlier than 20260314T160426Z (20260314T160926Z - 5 min.)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := check(at(c.now), c.r)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != c.code || !strings.HasPrefix(e.Message, c.message) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// spec/faults J8: what must be signed, and tricks with headers and forms.
func TestTricks(t *testing.T) {
	edit := func(c call, f func(*http.Request)) *http.Request {
		r := c.signed(t)
		f(r)
		return r
	}
	swap := func(from, to string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
		}
	}
	noTarget := glueCall()
	delete(noTarget.header, "X-Amz-Target")
	noType := glueCall()
	delete(noType.header, "Content-Type")
	empty, repeated := glueCall(), glueCall()
	empty.header = http.Header{"X-Empty": {""}}
	repeated.url += "?a=1&k=a-b&k=a%2Fb&k=b"
	unsignedGlue := glueCall()
	unsignedGlue.hash = unsignedPayload
	unsignedGlue.header = http.Header{"X-Amz-Content-Sha256": {unsignedPayload}}
	unsignedS3 := s3Call()
	unsignedS3.hash = unsignedPayload
	odd := s3Call()
	odd.hash = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
	cases := []struct {
		name string
		r    *http.Request
		want Kind
	}{
		{"target added unsigned", edit(noTarget, func(r *http.Request) { r.Header.Set("X-Amz-Target", "AWSGlue.DeleteJob") }), KindUnsignedHeader},
		{"content type added unsigned", edit(noType, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }), 0},
		{"proxy adds its headers", edit(glueCall(), func(r *http.Request) {
			r.Header.Set("X-Forwarded-For", "10.0.0.1")
			r.Header.Set("X-Amzn-Trace-Id", "Root=1")
		}), 0},
		{"user agent rewritten", edit(glueCall(), func(r *http.Request) { r.Header.Set("User-Agent", "x") }), 0},
		{"host not signed", edit(glueCall(), swap("host;", "")), KindUnsignedHeader},
		{"date not signed", edit(glueCall(), swap("x-amz-date;", "")), KindUnsignedHeader},
		{"host changed", edit(glueCall(), func(r *http.Request) { r.Host = "evil" }), KindBadSignature},
		{"signed header removed", edit(glueCall(), func(r *http.Request) { r.Header.Del("Amz-Sdk-Request") }), KindBadSignature},
		{"value doubled", edit(glueCall(), func(r *http.Request) { r.Header.Add("X-Amz-Target", "AWSGlue.DeleteJob") }), KindBadSignature},
		{"date doubled", edit(glueCall(), func(r *http.Request) { r.Header.Add("X-Amz-Date", "20260314T150927Z") }), KindAmbiguous},
		{"empty signed header removed", edit(empty, func(r *http.Request) { r.Header.Del("X-Empty") }), KindBadSignature},
		{"query reordered", edit(repeated, func(r *http.Request) { r.URL.RawQuery = "k=b&k=a%2Fb&a=1&k=a-b" }), 0},
		{"spaces folded", edit(s3Call(), func(r *http.Request) { r.Header.Set("X-Amz-Meta-Note", " two spaces ") }), 0},
		{"case of a value", edit(s3Call(), func(r *http.Request) { r.Header.Set("X-Amz-Meta-Note", "Two spaces") }), KindBadSignature},
		{"header list unsorted", edit(glueCall(), swap("SignedHeaders=amz-sdk-invocation-id;amz-sdk-request", "SignedHeaders=amz-sdk-request;amz-sdk-invocation-id")), KindMalformed},
		{"header list repeats", edit(glueCall(), swap("host;", "host;host;")), KindMalformed},
		{"header list upper case", edit(glueCall(), swap("host;", "Host;")), KindMalformed},
		{"signature upper case", edit(glueCall(), func(r *http.Request) {
			head, sig, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
			r.Header.Set("Authorization", head+"Signature="+strings.ToUpper(sig))
		}), KindMalformed},
		{"no spaces after commas", edit(glueCall(), func(r *http.Request) {
			r.Header.Set("Authorization", strings.ReplaceAll(r.Header.Get("Authorization"), ", ", ","))
		}), 0},
		{"part given twice", edit(glueCall(), swap("SignedHeaders=", "Credential=x, SignedHeaders=")), KindMalformed},
		{"unknown part", edit(glueCall(), swap("SignedHeaders=", "Extra=1, SignedHeaders=")), KindMalformed},
		{"two authorizations", edit(glueCall(), func(r *http.Request) { r.Header.Add("Authorization", "Basic eDp5") }), KindAmbiguous},
		{"basic", edit(glueCall(), func(r *http.Request) { r.Header.Set("Authorization", "Basic eDp5") }), KindUnsupported},
		{"bearer", edit(glueCall(), func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }), KindUnsupported},
		{"sigv2", edit(s3Call(), func(r *http.Request) { r.Header.Set("Authorization", "AWS "+exampleKey+":c2ln") }), KindUnsupported},
		{"sigv4a", edit(s3Call(), swap(algorithm, "AWS4-ECDSA-P256-SHA256")), KindUnsupported},
		{"empty", edit(glueCall(), func(r *http.Request) { r.Header.Set("Authorization", "") }), KindUnsupported},
		{"header and query", edit(glueCall(), func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=0" }), KindAmbiguous},
		{"header and escaped query", edit(glueCall(), func(r *http.Request) { r.URL.RawQuery = "%58-Amz-Credential=0" }), KindAmbiguous},
		{"header and query token", edit(glueCall(), func(r *http.Request) { r.URL.RawQuery = "X-Amz-Security-Token=0" }), KindAmbiguous},
		{"sigv2 query", edit(s3Call(), func(r *http.Request) { r.Header.Del("Authorization"); r.URL.RawQuery = "AWSAccessKeyId=x&Signature=y" }), KindUnsupported},
		{"query net/http would drop", edit(glueCall(), func(r *http.Request) { r.URL.RawQuery = "a=%zz" }), KindMalformed},
		{"semicolon query", edit(glueCall(), func(r *http.Request) { r.URL.RawQuery = "a;b" }), KindMalformed},
		{"unsigned payload outside S3", unsignedGlue.signed(t), KindUnsupported},
		{"unsigned payload in S3", unsignedS3.signed(t), 0},
		{"streaming form not known", odd.signed(t), KindUnsupported},
		{"S3 without payload hash", edit(s3Call(), func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }), KindMalformed},
		{"S3 body changed", edit(s3Call(), func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("hullo")) }), KindPayloadMismatch},
		{"glue body changed", edit(glueCall(), func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"Name":"v"}`)) }), KindBadSignature},
		{"S3 slash escaped", edit(s3Call(), func(r *http.Request) { r.URL.RawPath = strings.Replace(r.URL.RawPath, "t/a", "t%2Fa", 1) }), KindBadSignature},
		{"date with fraction", edit(glueCall(), func(r *http.Request) { r.Header.Set("X-Amz-Date", "20260314T150926.0Z") }), KindMalformed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := check(at(signTime), c.r)
			if kindOf(err) != c.want || (c.want == 0 && err != nil) {
				t.Errorf("got %v, want kind %d", err, c.want)
			}
			if err == nil && s.Covers("authorization") {
				t.Error("covers its own signature")
			}
		})
	}
}

func TestDateHeaderInsteadOfAmzDate(t *testing.T) {
	v := at(signTime)
	text := "GET / HTTP/1.1\r\nHost: h\r\nDate: Sat, 14 Mar 2026 15:09:26 GMT\r\nAuthorization: " + algorithm + " Credential=" + exampleKey +
		"/20260314/us-east-1/sts/aws4_request, SignedHeaders=%s, Signature=%064d\r\n\r\n"
	s, err := Parse(raw(t, fmt.Sprintf(text, "date;host", 0)))
	if err != nil {
		t.Fatal(err)
	}
	if !s.Date.Equal(signTime) {
		t.Errorf("date %v", s.Date)
	}
	copy(s.signature[:], s.sign(v.cache.get(s, exampleSecret), emptyHash))
	if err := v.VerifyBody(s, nil); err != nil {
		t.Error(err)
	}
	if _, err := Parse(raw(t, fmt.Sprintf(text, "host", 0))); kindOf(err) != KindMalformed {
		t.Errorf("unsigned Date header: %v", err)
	}
}

func TestCovers(t *testing.T) {
	s, err := Parse(glueCall().signed(t))
	if err != nil {
		t.Fatal(err)
	}
	if !s.Covers("Amz-Sdk-Invocation-Id") || s.Covers("User-Agent") || s.Covers("sdk-request") {
		t.Errorf("covered: %s", s.signedHeaders)
	}
}

func TestPresigned(t *testing.T) {
	get := s3Call()
	get.method, get.body, get.header = "GET", "", http.Header{}
	sts := glueCall()
	sts.method, sts.body, sts.service, sts.url = "GET", "", "sts", "http://127.0.0.1:8366/?Action=GetCallerIdentity&Version=2011-06-15"
	sts.header = http.Header{"X-K8s-Aws-Id": {"cluster"}}
	session := get
	session.creds.SessionToken = "a/token+with=signs"
	cases := []struct {
		name    string
		call    call
		expires string
		after   time.Duration
		want    Kind
	}{
		{"s3 at once", get, "60", 0, 0},
		{"s3 put with signed type", s3Call(), "60", 0, 0},
		{"s3 last second", get, "60", time.Minute, 0},
		{"s3 expired", get, "60", 61 * time.Second, KindPresignExpired},
		{"s3 seven days", get, "604800", 7 * 24 * time.Hour, 0},
		{"s3 more than seven days", get, "604801", 0, KindMalformed},
		{"s3 zero", get, "0", 0, KindMalformed},
		{"s3 negative", get, "-1", 0, KindMalformed},
		{"s3 without expiry", get, "", 0, KindMalformed},
		{"s3 from the future", get, "3600", -16 * time.Minute, KindSkewed},
		{"s3 session token", session, "60", 0, 0},
		{"sts", sts, "60", 0, 0},
		{"sts without expiry", sts, "", 4 * time.Minute, 0},
		{"sts without expiry, late", sts, "", 6 * time.Minute, KindSkewed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := check(at(signTime.Add(c.after)), c.call.presigned(t, c.expires))
			if kindOf(err) != c.want || (c.want == 0 && err != nil) {
				t.Fatalf("got %v, want kind %d", err, c.want)
			}
			if err == nil && (!s.Presigned || s.SessionToken != c.call.creds.SessionToken) {
				t.Errorf("claims %+v", s)
			}
		})
	}
	t.Run("twice the same parameter", func(t *testing.T) {
		r := get.presigned(t, "60")
		r.URL.RawQuery += "&X-Amz-Expires=600"
		if _, err := check(at(signTime), r); kindOf(err) != KindMalformed {
			t.Error(err)
		}
	})
	t.Run("amz header added", func(t *testing.T) {
		r := get.presigned(t, "60")
		r.Header.Set("X-Amz-Acl", "public-read")
		if _, err := check(at(signTime), r); kindOf(err) != KindUnsignedHeader {
			t.Error(err)
		}
	})
	t.Run("two tokens", func(t *testing.T) {
		r := session.presigned(t, "60")
		r.Header.Set("X-Amz-Security-Token", "other")
		if _, err := check(at(signTime), r); kindOf(err) != KindAmbiguous {
			t.Error(err)
		}
	})
	t.Run("two payload hashes", func(t *testing.T) {
		r := get.presigned(t, "60")
		r.URL.RawQuery += "&X-Amz-Content-Sha256=" + emptyHash
		r.Header.Set("X-Amz-Content-Sha256", unsignedPayload)
		if _, err := check(at(signTime), r); kindOf(err) != KindAmbiguous {
			t.Error(err)
		}
	})
	t.Run("any other byte of the query", func(t *testing.T) {
		q := get.presigned(t, "60").URL.RawQuery
		for i := range len(q) {
			r := get.presigned(t, "60")
			r.URL.RawQuery = q[:i] + string(q[i]^1) + q[i+1:]
			if s, err := Parse(r); err == nil && at(signTime).VerifyHead(s) == nil {
				t.Fatalf("changed byte %d of %s passed", i, q)
			}
		}
	})
}

// Whatever the SDK signs verifies; any one byte changed does not (spec/faults J8).
func TestSignedVerifiesAndChangedDoesNot(t *testing.T) {
	segment := rapid.StringMatching(`[a-zA-Z0-9 _.~!'()*+,;=:@&$é%-]{1,8}x`)
	rapid.Check(t, func(rt *rapid.T) {
		c := glueCall()
		if rapid.Bool().Draw(rt, "s3") {
			c = s3Call()
		}
		c.method = rapid.SampledFrom([]string{"GET", "PUT", "POST", "DELETE"}).Draw(rt, "method")
		c.body = rapid.StringN(0, 40, 80).Draw(rt, "body")
		r, hash := c.request(t)
		r.URL.Path = "/" + strings.Join(rapid.SliceOfN(segment, 0, 3).Draw(rt, "path"), "/")
		r.URL.RawPath = ""
		if c.service == ServiceS3 {
			r.URL.RawPath = string(appendOnceEscaped(nil, r.URL.EscapedPath()))
		}
		q := r.URL.Query()
		for _, k := range rapid.SliceOfN(segment, 0, 4).Draw(rt, "query") {
			q.Add(k, rapid.String().Draw(rt, "value"))
		}
		r.URL.RawQuery = q.Encode()
		r.Header.Set("X-Amz-Meta-A", rapid.StringMatching(`[a-z]( {0,3}[a-z0-9]){0,9}`).Draw(rt, "header"))
		sign(t, c, r, hash)
		wire := func() *http.Request {
			r.Body = io.NopCloser(strings.NewReader(c.body))
			return sent(t, r)
		}
		v := at(signTime)
		if _, err := check(v, wire()); err != nil {
			rt.Fatalf("%s %s: %v", r.Method, r.URL, err)
		}
		changed := wire()
		what := mutate(rt, changed, c.body)
		if _, err := check(v, changed); err == nil {
			rt.Fatalf("passed after change of %s: %s %s", what, changed.Method, changed.URL)
		}
	})
}

// mutate changes one byte where the change has a meaning: a signed part, and not only its spelling.
func mutate(rt *rapid.T, r *http.Request, body string) string {
	flip := func(s string) string {
		i := rapid.IntRange(0, len(s)-1).Draw(rt, "at")
		return s[:i] + string(rune('a'+(s[i]^1)%26)) + s[i+1:]
	}
	differs := func(s string) string {
		if c := flip(s); c != s {
			return c
		}
		return s + "x"
	}
	parts := []string{"method", "path", "query", "x-amz-meta-a", "x-amz-date", "host", "authorization"}
	if body != "" {
		parts = append(parts, "body")
	}
	what := rapid.SampledFrom(parts).Draw(rt, "part")
	switch what {
	case "method":
		r.Method = differs(r.Method)
	case "path":
		r.URL.RawPath, r.URL.Path = "", "/"+differs(r.URL.Path[1:]+"y")
	case "query":
		r.URL.RawQuery = strings.TrimSuffix(differs(r.URL.RawQuery+"&z"), "&") + "z=1"
	case "host":
		r.Host = differs(r.Host)
	case "body":
		i := rapid.IntRange(0, len(body)-1).Draw(rt, "at")
		r.Body = io.NopCloser(strings.NewReader(body[:i] + string([]byte{body[i] ^ 1}) + body[i+1:]))
	default:
		r.Header.Set(what, differs(r.Header.Get(what)))
	}
	return what
}

func TestCachedKeyFollowsSecret(t *testing.T) {
	s, err := Parse(glueCall().signed(t))
	if err != nil {
		t.Fatal(err)
	}
	c := &at(signTime).cache
	first := string(c.get(s, "one"))
	if string(c.get(s, "two")) == first || string(c.get(s, "one")) != first {
		t.Error("a derived key outlived its secret")
	}
	seen := map[string]bool{}
	for i := range 4 * len(c.slots) { // more than there are places, so that some share one
		region := fmt.Sprint("r", i)
		seen[string(c.get(&Signed{credential: region, Region: region}, "one"))] = true
	}
	if len(seen) != 4*len(c.slots) {
		t.Errorf("%d keys for %d scopes", len(seen), 4*len(c.slots))
	}
}

// The body in hand must be the declared one, where a hash was declared, and the signed one, where none was.
func TestVerifyBody(t *testing.T) {
	declared := glueCall()
	declared.header = http.Header{"X-Amz-Content-Sha256": {hexSum([]byte(declared.body))}}
	unsigned, streamed := s3Call(), s3Call()
	unsigned.hash, streamed.hash = unsignedPayload, streamingSigned
	cases := []struct {
		name string
		call call
		body string
		want Kind
	}{
		{"declared", declared, declared.body, 0},
		{"declared, changed", declared, declared.body + " ", KindPayloadMismatch},
		{"not declared", glueCall(), glueCall().body, 0},
		{"not declared, changed", glueCall(), glueCall().body + " ", KindBadSignature},
		{"s3", s3Call(), "hello", 0},
		{"s3 changed", s3Call(), "hullo", KindPayloadMismatch},
		{"s3 unsigned", unsigned, "anything", 0},
		{"s3 streamed", streamed, "hello", KindUnsupported},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse(c.call.signed(t))
			if err != nil {
				t.Fatal(err)
			}
			err = at(signTime).VerifyBody(s, []byte(c.body))
			if kindOf(err) != c.want || (c.want == 0 && err != nil) {
				t.Errorf("got %v, want kind %d", err, c.want)
			}
			if err == nil && hex.EncodeToString(s.BodyHash[:]) != hexSum([]byte(c.body)) {
				t.Error("BodyHash is not the body's")
			}
		})
	}
}

func TestBodyOfUnverifiedRequest(t *testing.T) {
	r := s3Call().signed(t)
	s, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(s.Body(r.Body)); err == nil {
		t.Error("read without verification")
	}
	s.TrustUnverified()
	if b, err := io.ReadAll(s.Body(r.Body)); err != nil || string(b) != "hello" {
		t.Errorf("trusted: %q, %v", b, err)
	}
	if err := at(signTime).VerifyHead(&Signed{Service: "glue"}); err == nil {
		t.Error("a JSON request verified without its body")
	}
}

func FuzzParseAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential="+exampleKey+"/20130524/us-east-1/s3/aws4_request,SignedHeaders=host,Signature="+emptyHash, "a=b", "20130524T000000Z")
	f.Add("AWS4-HMAC-SHA256 Credential=/////,SignedHeaders=;,Signature=", "X-Amz-Algorithm=AWS4-HMAC-SHA256", "")
	f.Add("", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature="+emptyHash, "")
	v := at(time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC))
	f.Fuzz(func(t *testing.T, auth, query, date string) {
		r := raw(t, "POST / HTTP/1.1\r\nHost: h\r\n\r\n")
		if auth != "" {
			r.Header["Authorization"] = []string{auth}
		}
		r.Header["X-Amz-Date"] = []string{date}
		r.URL.RawQuery = query
		s, err := Parse(r)
		if err != nil {
			if kindOf(err) == 0 {
				t.Errorf("not an *Error: %v", err)
			}
			return
		}
		if !validScopeWord(s.Region) || !validScopeWord(s.Service) || len(s.amzDate) != 16 {
			t.Errorf("unsound claims %+v", s)
		}
		if v.VerifyBody(s, nil) == nil {
			t.Error("forged")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	body := []byte(glueCall().body)
	r, v := glueCall().signed(b), at(signTime)
	b.ReportAllocs()
	for b.Loop() {
		s, err := Parse(r)
		if err != nil {
			b.Fatal(err)
		}
		if err := v.VerifyBody(s, body); err != nil {
			b.Fatal(err)
		}
	}
}
