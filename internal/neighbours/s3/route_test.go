package s3_test

import (
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"tenon/internal/neighbours/s3"
)

// TestNeeds holds every operation to the IAM action that the Service
// Authorization Reference names for it, and every key to the one that was meant.
func TestNeeds(t *testing.T) {
	door := s3.New(nil, s3.Config{Hosts: []string{"localhost:8366", "s3.localhost"}})
	for _, c := range []struct{ request, operation, action, resource string }{
		{"GET localhost:8366 /", "ListBuckets", "s3:ListAllMyBuckets", "*"},
		{"PUT localhost /b", "CreateBucket", "s3:CreateBucket", "arn:aws:s3:::b"},
		{"PUT localhost /b/", "CreateBucket", "s3:CreateBucket", "arn:aws:s3:::b"},
		{"DELETE localhost /b", "DeleteBucket", "s3:DeleteBucket", "arn:aws:s3:::b"},
		{"HEAD localhost /b", "HeadBucket", "s3:ListBucket", "arn:aws:s3:::b"},
		{"GET localhost /b?list-type=2", "ListObjectsV2", "s3:ListBucket", "arn:aws:s3:::b"},
		{"GET localhost /b?prefix=x", "ListObjects", "s3:ListBucket", "arn:aws:s3:::b"},
		{"GET localhost /b?uploads", "ListMultipartUploads", "s3:ListBucketMultipartUploads", "arn:aws:s3:::b"},
		{"POST localhost /b?delete", "DeleteObjects", "s3:DeleteObject", "arn:aws:s3:::b/*"},
		{"GET localhost /b/k", "GetObject", "s3:GetObject", "arn:aws:s3:::b/k"},
		{"GET localhost /b/k?x-id=GetObject&X-Amz-Signature=0", "GetObject", "s3:GetObject", "arn:aws:s3:::b/k"},
		{"HEAD localhost /b/k", "HeadObject", "s3:GetObject", "arn:aws:s3:::b/k"},
		{"PUT localhost /b/k", "PutObject", "s3:PutObject", "arn:aws:s3:::b/k"},
		{"DELETE localhost /b/k", "DeleteObject", "s3:DeleteObject", "arn:aws:s3:::b/k"},
		{"POST localhost /b/k?uploads", "CreateMultipartUpload", "s3:PutObject", "arn:aws:s3:::b/k"},
		{"PUT localhost /b/k?partNumber=1&uploadId=u", "UploadPart", "s3:PutObject", "arn:aws:s3:::b/k"},
		{"GET localhost /b/k?uploadId=u", "ListParts", "s3:ListMultipartUploadParts", "arn:aws:s3:::b/k"},
		{"POST localhost /b/k?uploadId=u", "CompleteMultipartUpload", "s3:PutObject", "arn:aws:s3:::b/k"},
		{"DELETE localhost /b/k?uploadId=u", "AbortMultipartUpload", "s3:AbortMultipartUpload", "arn:aws:s3:::b/k"},
		{"GET localhost /b?location", "GetBucketLocation", "s3:GetBucketLocation", "arn:aws:s3:::b"},
		{"PUT localhost /b/k?tagging", "PUT ?tagging", "s3:Unsupported", "arn:aws:s3:::b/k"},
		{"PATCH localhost /b/k", "", "", ""},
		{"POST localhost /", "", "", ""},

		// Keys are decoded once and never cleaned (spec/faults J11).
		{"GET localhost /b//k", "GetObject", "s3:GetObject", "arn:aws:s3:::b//k"},
		{"GET localhost /b/a/../k", "GetObject", "s3:GetObject", "arn:aws:s3:::b/a/../k"},
		{"GET localhost /b/%2e%2e/%252e", "GetObject", "s3:GetObject", "arn:aws:s3:::b/../%2e"},
		{"GET localhost /b/a%2Fb+c%20d", "GetObject", "s3:GetObject", "arn:aws:s3:::b/a/b+c d"},
		{"GET localhost /b/%0A%00", "GetObject", "s3:GetObject", "arn:aws:s3:::b/\n\x00"},

		// Hosts.
		{"GET b.localhost:8366 /k", "GetObject", "s3:GetObject", "arn:aws:s3:::b/k"},
		{"GET b.s3.localhost /k", "GetObject", "s3:GetObject", "arn:aws:s3:::b/k"},
		{"GET b.c.S3.LocalHost:1 //k", "GetObject", "s3:GetObject", "arn:aws:s3:::b.c//k"},
		{"GET s3.localhost /b/k", "GetObject", "s3:GetObject", "arn:aws:s3:::b/k"},
		{"PUT b.localhost /", "CreateBucket", "s3:CreateBucket", "arn:aws:s3:::b"},
		{"GET 127.0.0.1:8366 /b/k", "GetObject", "s3:GetObject", "arn:aws:s3:::b/k"},
		{"GET [::1]:8366 /b/k", "GetObject", "s3:GetObject", "arn:aws:s3:::b/k"},
		{"GET b.example.com /c/k", "GetObject", "s3:GetObject", "arn:aws:s3:::c/k"},
	} {
		method, rest, _ := strings.Cut(c.request, " ")
		host, target, _ := strings.Cut(rest, " ")
		r := httptest.NewRequest(method, target, nil)
		r.Host = host
		if got := door.Operation(r); got != c.operation {
			t.Errorf("%s is %q, want %q", c.request, got, c.operation)
		}
		var want []s3.Need
		if c.action != "" {
			want = []s3.Need{{Action: c.action, Resource: c.resource}}
		}
		if got := door.Needs(r); !reflect.DeepEqual(got, want) {
			t.Errorf("%s needs %v, want %v", c.request, got, want)
		}
	}
}

// A copy reads its source: writing rights alone must not open it.
func TestNeedsOfCopies(t *testing.T) {
	door := s3.New(nil, s3.Config{})
	for _, target := range []string{"/bucket/k", "/bucket/k?partNumber=1&uploadId=u"} {
		r := httptest.NewRequest("PUT", target, nil)
		r.Header.Set("X-Amz-Copy-Source", "/other/a%20b")
		want := []s3.Need{{"s3:PutObject", "arn:aws:s3:::bucket/k"}, {"s3:GetObject", "arn:aws:s3:::other/a b"}}
		if got := door.Needs(r); !reflect.DeepEqual(got, want) {
			t.Errorf("copy needs %v, want %v", got, want)
		}
		r.Header.Set("X-Amz-Copy-Source", "nonsense")
		if got := door.Needs(r); got != nil {
			t.Errorf("a copy from nonsense needs %v", got)
		}
	}
}

// FuzzServe sends anything anywhere: the door neither panics nor fails inside, and
// says nothing that is not valid UTF-8.
func FuzzServe(f *testing.F) {
	f.Add("GET", "/bucket/k?partNumber=1", "bytes=1-2", "", "")
	f.Add("PUT", "/bucket/c", "", "bucket/k?versionId=null", "bytes=0-1")
	f.Add("POST", "/bucket?delete", "", "", "<Delete><Object><Key>k</Key></Object></Delete>")
	f.Add("POST", "/bucket/k?uploadId=x", "", "", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>")
	f.Add("GET", "/bucket?list-type=2&continuation-token=MQ&max-keys=3&delimiter=%2f", "", "", "")
	f.Fuzz(func(t *testing.T, method, target, header, source, body string) {
		// Only what net/http lets through reaches the door.
		if _, err := url.ParseRequestURI(target); err != nil || !strings.HasPrefix(target, "/") || strings.ContainsAny(target, " #\r\n") {
			return
		}
		if method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || method == "CONNECT" {
			return
		}
		r := request{method: method, target: target, body: strings.NewReader(body), length: int64(len(body))}
		if header != "" {
			r.headers = append(r.headers, "Range: "+header, "If-Match: "+header, "X-Amz-Checksum-Crc32: "+header, "X-Amz-Trailer: "+header)
		}
		if source != "" {
			r.headers = append(r.headers, "X-Amz-Copy-Source: "+source, "X-Amz-Copy-Source-Range: "+header)
		}
		fixture := open(t)
		fixture.want(send("0123456789"), 200, "")
		w := fixture.do(r)
		if strings.HasPrefix(w.Header().Get("Content-Type"), "application/xml") && !utf8.Valid(w.Body.Bytes()) {
			t.Errorf("the answer is not UTF-8: %q", w.Body)
		}
		if w.Code == 500 {
			t.Errorf("%s %s: %s", method, target, w.Body)
		}
	})
}
