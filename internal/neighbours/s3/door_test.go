package s3_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"tenon/internal/blob"
	"tenon/internal/blob/indexed"
	"tenon/internal/blob/memblob"
	"tenon/internal/neighbours/s3"
)

// fixture calls the door without a network or a gate.
type fixture struct {
	*testing.T
	store blob.Store
	door  *s3.Door
}

func open(t *testing.T) *fixture {
	t.Helper()
	store := memblob.New(indexed.Config{Now: time.Now})
	if err := store.CreateBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	return &fixture{T: t, store: store, door: s3.New(store, s3.Config{Hosts: []string{"localhost"}, Region: "eu-central-1"})}
}

type request struct {
	method, target string
	headers        []string // "Name: value"
	body           io.Reader
	length         int64
	trailers       func() http.Header
}

func send(body string, headers ...string) request {
	return request{method: "PUT", target: "/bucket/k", body: strings.NewReader(body), length: int64(len(body)), headers: headers}
}

func (f *fixture) do(q request) *httptest.ResponseRecorder {
	f.Helper()
	r := httptest.NewRequestWithContext(f.Context(), q.method, "http://localhost:8366"+q.target, nil)
	r.ContentLength = q.length
	for _, h := range q.headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	if err := f.door.Serve(w, r, q.body, q.trailers, "id-1"); err != nil {
		f.Errorf("%s %s failed: %v", q.method, q.target, err)
	}
	if got := w.Header().Get("X-Amz-Request-Id"); got != "id-1" {
		f.Errorf("request id is %q", got)
	}
	return w
}

// code reads the error document, or is empty.
func (f *fixture) code(w *httptest.ResponseRecorder) string {
	f.Helper()
	var document struct {
		XMLName                            xml.Name `xml:"Error"`
		Code, Message, Resource, RequestId string
	}
	if w.Code < 300 {
		return ""
	}
	if err := xml.Unmarshal(w.Body.Bytes(), &document); err != nil {
		f.Fatalf("status %d: no error document in %q", w.Code, w.Body)
	}
	if document.Message == "" || document.RequestId != "id-1" || document.Resource == "" {
		f.Errorf("error document is %+v", document)
	}
	return document.Code
}

func (f *fixture) want(q request, status int, code string) *httptest.ResponseRecorder {
	f.Helper()
	w := f.do(q)
	if got := f.code(w); w.Code != status || got != code {
		f.Errorf("%s %s %v: status %d %s, want %d %s: %s", q.method, q.target, q.headers, w.Code, got, status, code, w.Body)
	}
	return w
}

func get(target string, headers ...string) request {
	return request{method: "GET", target: target, headers: headers}
}

func (f *fixture) wantStored(want string) {
	f.Helper()
	object, err := f.store.Get(f.Context(), "bucket", "k", blob.GetOptions{})
	if err != nil {
		f.Fatal(err)
	}
	got, err := io.ReadAll(object.Body)
	if err != nil || string(got) != want {
		f.Errorf("stored is %q, error %v, want %q", got, err, want)
	}
	if err := object.Body.Close(); err != nil {
		f.Error(err)
	}
}

// TestBodies: what is not exactly what was announced changes nothing
// (spec/faults J1, S3 "Checking object integrity").
func TestBodies(t *testing.T) {
	f := open(t)
	f.want(send("old"), 200, "")
	bad := func(change func(*request), status int, code string) {
		t.Helper()
		q := send("123456789")
		change(&q)
		f.want(q, status, code)
		f.wantStored("old")
	}
	endless := &zeros{}
	bad(func(q *request) { q.body = endless }, 400, "IncompleteBody")
	if endless.read > 1<<20 {
		t.Errorf("%d bytes were read of a body of 9", endless.read)
	}
	header := func(h ...string) func(*request) { return func(q *request) { q.headers = h } }
	bad(func(q *request) { q.length = 10 }, 400, "IncompleteBody")
	bad(func(q *request) { q.length = 8 }, 400, "IncompleteBody")
	bad(func(q *request) { q.length = -1 }, 411, "MissingContentLength")
	bad(func(q *request) { q.length = blob.MaxPutSize + 1 }, 400, "EntityTooLarge")
	bad(header("X-Amz-Decoded-Content-Length: 10"), 400, "IncompleteBody")
	bad(header("X-Amz-Decoded-Content-Length: -1"), 400, "InvalidArgument")
	bad(func(q *request) { q.body = iotest.ErrReader(errors.New("connection reset")) }, 400, "IncompleteBody")
	bad(func(q *request) { q.body = iotest.ErrReader(io.ErrUnexpectedEOF) }, 400, "IncompleteBody")
	bad(func(q *request) { q.body = iotest.ErrReader(&http.MaxBytesError{Limit: 1}) }, 400, "EntityTooLarge")
	mismatch := &blob.Error{Code: "XAmzContentSHA256Mismatch", Message: "The provided 'x-amz-content-sha256' header does not match what was computed."}
	bad(func(q *request) { q.body = io.MultiReader(strings.NewReader("123456789"), iotest.ErrReader(mismatch)) }, 400, "XAmzContentSHA256Mismatch")

	bad(header("Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="), 400, "BadDigest")
	bad(header("Content-MD5: x"), 400, "InvalidDigest")
	bad(header("X-Amz-Checksum-Crc32: AAAAAA=="), 400, "BadDigest")
	bad(header("X-Amz-Checksum-Crc32: AAAA"), 400, "InvalidRequest")
	bad(header("X-Amz-Checksum-Crc32: y/Q5Jg==-2"), 400, "InvalidRequest")
	bad(header("X-Amz-Checksum-Crc32: y/Q5Jg==", "X-Amz-Checksum-Sha1: 98O8HYCOBHMq32eZZczDTKeuNEE="), 400, "InvalidRequest")
	bad(header("X-Amz-Checksum-Xxhash64: AAAAAAAAAAA="), 400, "InvalidRequest")
	bad(header("X-Amz-Checksum-: AAAA"), 400, "InvalidRequest")
	bad(header("X-Amz-Sdk-Checksum-Algorithm: CRC16"), 400, "InvalidRequest")
	bad(header("X-Amz-Trailer: x-amz-checksum-crc16"), 400, "InvalidRequest")
	bad(header("X-Amz-Trailer: x-amz-checksum-crc32", "X-Amz-Checksum-Crc32: y/Q5Jg=="), 400, "InvalidRequest")

	trailing := func(values http.Header) func(*request) {
		return func(q *request) {
			q.headers = []string{"X-Amz-Trailer: x-amz-checksum-crc32", "X-Amz-Decoded-Content-Length: 9", "Content-Encoding: gzip, aws-chunked"}
			q.length, q.trailers = 55, func() http.Header { return values }
		}
	}
	bad(trailing(http.Header{"X-Amz-Checksum-Crc32": {"AAAAAA=="}}), 400, "BadDigest")
	bad(trailing(http.Header{}), 400, "MalformedTrailerError")
	bad(trailing(nil), 400, "MalformedTrailerError")

	q := send("123456789")
	trailing(http.Header{"X-Amz-Checksum-Crc32": {"y/Q5Jg=="}})(&q)
	w := f.want(q, 200, "")
	f.wantStored("123456789")
	if got := w.Header().Get("X-Amz-Checksum-Crc32"); got != "y/Q5Jg==" {
		t.Errorf("checksum is %q", got)
	}
	w = f.want(get("/bucket/k", "X-Amz-Checksum-Mode: ENABLED"), 200, "")
	for name, want := range map[string]string{
		"X-Amz-Checksum-Crc32": "y/Q5Jg==", "X-Amz-Checksum-Type": "FULL_OBJECT", "Content-Encoding": "gzip", "Content-Type": "binary/octet-stream",
		"Etag": `"25f9e794323b453885f5181f1b624d0b"`, "Accept-Ranges": "bytes", "Content-Length": "9", "Content-Security-Policy": "sandbox",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// TestDocuments: XML is bounded and parsed strictly (spec/faults J1, J2).
func TestDocuments(t *testing.T) {
	f := open(t)
	f.want(send("kept"), 200, "")
	post := func(body string, headers ...string) request {
		return request{method: "POST", target: "/bucket?delete", body: strings.NewReader(body), length: int64(len(body)), headers: headers}
	}
	const one = "<Delete><Object><Key>k</Key></Object></Delete>"
	for _, body := range []string{
		"", "x", "<Delete>", "<Delete></Delete>", "<Other/>", one + "x", one + one, "<!DOCTYPE a [<!ENTITY x \"y\">]>" + one,
		"<Delete><Object><Key>&x;</Key></Object></Delete>", "<Delete><Object><Key>k\xff</Key></Object></Delete>",
		"<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 1001) + "</Delete>",
		strings.Repeat("<a>", 100_000),
	} {
		f.want(post(body), 400, "MalformedXML")
	}
	f.want(post(one+strings.Repeat(" ", 2<<20)), 400, "MaxMessageLengthExceeded")
	f.want(post(one, "Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="), 400, "BadDigest")
	f.want(post(one, "X-Amz-Checksum-Crc32: AAAAAA=="), 400, "BadDigest")
	f.wantStored("kept")
	w := f.want(post("<?xml version=\"1.0\"?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a&#xA;b</Key></Object>"+
		"<Object><Key>k</Key><VersionId>7</VersionId></Object><Object><Key>k</Key><ETag>other</ETag></Object></Delete>\n"), 200, "")
	for _, want := range []string{"<Deleted><Key>a&#xa;b</Key></Deleted>", "<Code>NoSuchVersion</Code>", "<Code>PreconditionFailed</Code>"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is not in %s", want, w.Body)
		}
	}
	f.wantStored("kept")
	w = f.want(post("<Delete><Quiet>true</Quiet><Object><Key>k</Key></Object></Delete>"), 200, "")
	if strings.Contains(w.Body.String(), "Deleted") {
		t.Errorf("quiet answer is %s", w.Body)
	}
	f.want(get("/bucket/k"), 404, "NoSuchKey")
}

// TestRefused: what is not done is said, and changes nothing (DESIGN P8).
func TestRefused(t *testing.T) {
	f := open(t)
	f.want(send("old"), 200, "")
	for _, h := range []string{
		"X-Amz-Tagging: a=b", "X-Amz-Object-Lock-Mode: GOVERNANCE", "X-Amz-Server-Side-Encryption-Customer-Algorithm: AES256",
		"X-Amz-Website-Redirect-Location: /", "X-Amz-Write-Offset-Bytes: 3", `If-None-Match: "x"`,
	} {
		f.want(send("new", h), 501, "NotImplemented")
	}
	f.want(send("new", "X-Amz-Acl: public-read"), 400, "AccessControlListNotSupported")
	f.want(send("new", "X-Amz-Grant-Read: id=1"), 400, "AccessControlListNotSupported")
	f.want(send("new", "X-Amz-Meta-Big: "+strings.Repeat("x", 3000)), 400, "MetadataTooLarge")
	for _, sub := range []string{"tagging", "acl", "retention", "legal-hold", "torrent", "renameObject", "restore"} {
		q := send("new")
		q.target += "?" + sub
		f.want(q, 501, "NotImplemented")
	}
	for _, sub := range []string{"policy", "versioning", "lifecycle", "encryption", "website", "cors", "versions"} {
		f.want(request{method: "PUT", target: "/bucket?" + sub, body: strings.NewReader("x"), length: 1}, 501, "NotImplemented")
		f.want(request{method: "DELETE", target: "/bucket?" + sub}, 501, "NotImplemented")
	}
	f.want(request{method: "DELETE", target: "/bucket/k?versionId=3"}, 404, "NoSuchVersion")
	f.want(get("/bucket?versions"), 501, "NotImplemented")
	f.want(request{method: "POST", target: "/bucket"}, 501, "NotImplemented")
	f.want(request{method: "PATCH", target: "/bucket/k"}, 405, "MethodNotAllowed")
	f.want(request{method: "PUT", target: "/"}, 405, "MethodNotAllowed")
	f.want(request{method: "PUT", target: "/UPPER"}, 400, "InvalidBucketName")
	f.want(request{method: "PUT", target: "/bucket/" + strings.Repeat("k", 1025)}, 400, "KeyTooLongError")
	f.want(request{method: "PUT", target: "/bucket/%ff"}, 400, "InvalidURI")
	f.want(request{method: "PUT", target: "/bucket/k?partNumber=0&uploadId=x"}, 400, "InvalidArgument")
	f.want(request{method: "PUT", target: "/bucket/k?partNumber=1&uploadId=x"}, 404, "NoSuchUpload")
	f.wantStored("old")
	f.want(send("new", "X-Amz-Acl: bucket-owner-full-control", "X-Amz-Storage-Class: STANDARD_IA", "X-Amz-Server-Side-Encryption: AES256"), 200, "")
	f.wantStored("new")
}

// TestQuestions: what clients ask of every bucket has an honest answer.
func TestQuestions(t *testing.T) {
	f := open(t)
	f.want(send("x"), 200, "")
	for target, want := range map[string]string{
		"/bucket?location":       `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-central-1</LocationConstraint>`,
		"/bucket?versioning":     `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></VersioningConfiguration>`,
		"/bucket?acl":            "<Permission>FULL_CONTROL</Permission>",
		"/bucket?notification":   "<NotificationConfiguration",
		"/bucket?logging":        "<BucketLoggingStatus",
		"/bucket?requestPayment": "<Payer>BucketOwner</Payer>",
		"/bucket/k?tagging":      "<TagSet></TagSet>",
		"/bucket/k?acl":          "<Permission>FULL_CONTROL</Permission>",
		"/":                      "<Name>bucket</Name>",
		"/?prefix=c":             "<Buckets></Buckets>",
	} {
		w := f.want(get(target), 200, "")
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %s is not in %s", target, want, w.Body)
		}
	}
	for target, code := range map[string]string{
		"/bucket?policy": "NoSuchBucketPolicy", "/bucket?tagging": "NoSuchTagSet", "/bucket?lifecycle": "NoSuchLifecycleConfiguration",
		"/bucket?cors": "NoSuchCORSConfiguration", "/bucket?website": "NoSuchWebsiteConfiguration",
		"/bucket?encryption":  "ServerSideEncryptionConfigurationNotFoundError",
		"/bucket?object-lock": "ObjectLockConfigurationNotFoundError", "/bucket?replication": "ReplicationConfigurationNotFoundError",
		"/bucket?publicAccessBlock": "NoSuchPublicAccessBlockConfiguration", "/bucket?ownershipControls": "OwnershipControlsNotFoundError",
		"/bucket/k?retention": "NoSuchObjectLockConfiguration",
		"/absent?versioning":  "NoSuchBucket", "/absent?policy": "NoSuchBucket", "/absent?location": "NoSuchBucket", "/bucket/absent?tagging": "NoSuchKey",
	} {
		f.want(get(target), 404, code)
	}
	w := f.want(get("/bucket/k?attributes", "X-Amz-Object-Attributes: ETag,ObjectSize,Checksum"), 200, "")
	if body := w.Body.String(); !strings.Contains(body, "<ETag>9dd4e461268c8034f5c8564e155c67a6</ETag>") || !strings.Contains(body, "<ObjectSize>1</ObjectSize>") {
		t.Errorf("attributes are %s", body)
	}
	f.want(get("/bucket/k?attributes"), 400, "InvalidRequest")
}

func TestReading(t *testing.T) {
	f := open(t)
	f.want(send("0123456789", "Content-Type: text/html", "X-Amz-Meta-Two-Words: a b", "Expires: never"), 200, "")
	for _, c := range []struct {
		header, want, place string
		status              int
	}{
		{"Range: bytes=2-4", "234", "bytes 2-4/10", 206}, {"Range: bytes=-3", "789", "bytes 7-9/10", 206}, {"Range: bytes=7-", "789", "bytes 7-9/10", 206},
		{"Range: bytes=0-99", "0123456789", "bytes 0-9/10", 206}, {"Range: bytes=1-2,4-5", "0123456789", "", 200}, {"Range: lines=1-2", "0123456789", "", 200},
	} {
		w := f.want(get("/bucket/k", c.header), c.status, "")
		if w.Body.String() != c.want || w.Header().Get("Content-Range") != c.place || w.Header().Get("Content-Length") != strconv.Itoa(len(c.want)) {
			t.Errorf("%s: %q at %q", c.header, w.Body, w.Header().Get("Content-Range"))
		}
	}
	f.want(get("/bucket/k", "Range: bytes=10-"), 416, "InvalidRange")
	f.want(get("/bucket/k", "Range: bytes=-0"), 416, "InvalidRange")
	f.want(get("/bucket/k?partNumber=2"), 416, "InvalidPartNumber")
	f.want(get("/bucket/k?partNumber=0"), 400, "InvalidArgument")
	f.want(get("/bucket/k?partNumber=1"), 206, "")
	f.want(get("/bucket/k", `If-Match: "x"`), 412, "PreconditionFailed")
	w := f.do(get("/bucket/k", "If-None-Match: *"))
	if w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("status %d with %q", w.Code, w.Body)
	}
	w = f.want(get("/bucket/k?response-content-type=text/plain&response-content-disposition=attachment"), 200, "")
	for name, want := range map[string]string{
		"Content-Type": "text/plain", "Content-Disposition": "attachment", "Expires": "never",
		"X-Amz-Checksum-Crc64nvme": "",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := w.Header()["x-amz-meta-two-words"]; len(got) != 1 || got[0] != "a b" {
		t.Errorf("metadata is %q in %v", got, w.Header())
	}
	w = f.do(request{method: "HEAD", target: "/bucket/k", headers: []string{"Range: bytes=2-4"}})
	if w.Code != 206 || w.Header().Get("Content-Length") != "3" || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d, %v, %q", w.Code, w.Header(), w.Body)
	}
}

// TestListingDocument: strange keys come through as the client asked for them.
func TestListingDocument(t *testing.T) {
	f := open(t)
	for _, key := range []string{"a b+c", "line\nbreak", "x\x01<&>", "ü"} {
		if _, err := f.store.Put(t.Context(), "bucket", key, strings.NewReader(""), blob.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	w := f.want(get("/bucket?list-type=2&encoding-type=url&prefix="), 200, "")
	for _, want := range []string{"<Key>a%20b%2Bc</Key>", "<Key>line%0Abreak</Key>", "<Key>x%01%3C%26%3E</Key>", "<Key>%C3%BC</Key>", "<KeyCount>4</KeyCount>", ".000Z</LastModified>"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is not in %s", want, w.Body)
		}
	}
	w = f.want(get("/bucket"), 200, "")
	for _, want := range []string{"<Key>a b+c</Key>", "<Key>line&#xa;break</Key>", "<Key>x&#x1;&lt;&amp;&gt;</Key>", "<Key>ü</Key>"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is not in %s", want, w.Body)
		}
	}
	f.want(get("/bucket?encoding-type=base64"), 400, "InvalidArgument")
	f.want(get("/bucket?max-keys=-1"), 400, "InvalidArgument")
	f.want(get("/bucket?max-keys=99999999999999999999"), 400, "InvalidArgument")
	f.want(get("/bucket?list-type=2&continuation-token=%21"), 400, "InvalidArgument")
	f.want(get("/absent"), 404, "NoSuchBucket")
}

// TestCopyHeaders covers what only the door decides about copies.
func TestCopyHeaders(t *testing.T) {
	f := open(t)
	f.want(send("0123456789"), 200, "")
	copied := func(target string, headers ...string) request {
		return request{method: "PUT", target: target, headers: headers}
	}
	f.want(copied("/bucket/k", "X-Amz-Copy-Source: bucket/k"), 400, "InvalidRequest")
	f.want(copied("/bucket/k", "X-Amz-Copy-Source: bucket/k", "X-Amz-Metadata-Directive: REPLACE"), 200, "")
	f.want(copied("/bucket/c", "X-Amz-Copy-Source: bucket/k", "X-Amz-Metadata-Directive: MERGE"), 400, "InvalidArgument")
	f.want(copied("/bucket/c", "X-Amz-Copy-Source: /bucket/%6b?versionId=null"), 200, "")
	f.want(copied("/bucket/c", "X-Amz-Copy-Source: bucket/k?versionId=1"), 404, "NoSuchVersion")
	f.want(copied("/bucket/c", "X-Amz-Copy-Source: bucket"), 400, "InvalidArgument")
	f.want(copied("/bucket/c", "X-Amz-Copy-Source: bucket/%zz"), 400, "InvalidArgument")
	f.want(copied("/bucket/c", "X-Amz-Copy-Source: ../bucket/k"), 400, "InvalidBucketName")
	f.want(copied("/bucket/c", "X-Amz-Copy-Source: bucket/absent"), 404, "NoSuchKey")
	f.want(copied("/bucket/c", "X-Amz-Copy-Source: bucket/k", "X-Amz-Copy-Source-If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT"), 412, "PreconditionFailed")
	u, err := f.store.CreateUpload(t.Context(), "bucket", "c", blob.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	target := "/bucket/c?partNumber=1&uploadId=" + u.ID
	for _, bad := range []string{"bytes=1-", "bytes=-2", "1-2", "bytes=a-b"} {
		f.want(copied(target, "X-Amz-Copy-Source: bucket/k", "X-Amz-Copy-Source-Range: "+bad), 400, "InvalidArgument")
	}
	f.want(copied(target, "X-Amz-Copy-Source: bucket/k", "X-Amz-Copy-Source-Range: bytes=20-30"), 416, "InvalidRange")
	f.want(copied(target, "X-Amz-Copy-Source: bucket/k", "X-Amz-Copy-Source-Range: bytes=2-3"), 200, "")
}

// zeros end long after anybody should have stopped reading.
type zeros struct{ read int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.read > 4<<20 {
		return 0, io.EOF
	}
	clear(p)
	z.read += len(p)
	return len(p), nil
}
