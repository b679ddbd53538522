package s3blob_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"tenon/internal/blob"
	"tenon/internal/blob/blobtest"
	"tenon/internal/blob/s3blob"
	"tenon/internal/testkit/s3loop"
)

func connect(t *testing.T, url string) *s3blob.Store {
	t.Helper()
	s, err := s3blob.New(s3blob.Config{
		Endpoint: url, Region: s3loop.Region, PathStyle: true, AccessKey: s3loop.AccessKey, SecretKey: s3loop.SecretKey,
		SpoolDir: t.TempDir(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The adapter meets our own door, which proves both at once.
func TestConformance(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		return connect(t, s3loop.StartEmpty(t).URL)
	})
}

// TestBadEndpoint is spec/faults H3 and H5: answers that are complete and wrong.
func TestBadEndpoint(t *testing.T) {
	answer := func(body string, headers ...string) *s3blob.Store {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			if _, err := w.Write([]byte(body)); err != nil {
				t.Log(err)
			}
		}))
		t.Cleanup(server.Close)
		return connect(t, server.URL)
	}
	read := func(s *s3blob.Store) error {
		object, err := s.Get(t.Context(), "bucket", "k", blob.GetOptions{})
		if err != nil {
			return err
		}
		defer object.Body.Close()
		_, err = io.Copy(io.Discard, object.Body)
		return err
	}
	if err := read(answer("hello", "X-Amz-Checksum-Crc32", "NhCmhg==")); err != nil {
		t.Errorf("a right checksum: %v", err)
	}
	if err := read(answer("jello", "X-Amz-Checksum-Crc32", "NhCmhg==")); err == nil {
		t.Error("a wrong checksum was not noticed")
	}
	if err := read(answer("hello", "Content-Length", "50")); err == nil {
		t.Error("a cut body was not noticed")
	}
	listing := func(entries string) error {
		s := answer("<ListBucketResult><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>" + entries + "</ListBucketResult>")
		_, err := s.List(t.Context(), "bucket", blob.ListOptions{After: "m", Limit: 10})
		return err
	}
	if err := listing("<Contents><Key>n</Key></Contents>"); err != nil {
		t.Errorf("a page that goes on: %v", err)
	}
	if err := listing("<Contents><Key>a</Key></Contents>"); err == nil {
		t.Error("a page that goes back was not noticed")
	}
	if err := listing(""); err == nil {
		t.Error("an empty page with a next one was not noticed")
	}
}

func TestConfig(t *testing.T) {
	good := s3blob.Config{Region: "r", AccessKey: "a", SecretKey: "hidden-value", Now: time.Now}
	if _, err := s3blob.New(good); err != nil {
		t.Error(err)
	}
	for _, spoil := range []func(*s3blob.Config){
		func(c *s3blob.Config) { c.Region = "" },
		func(c *s3blob.Config) { c.AccessKey = "" },
		func(c *s3blob.Config) { c.Endpoint = "minio:9000" },
		func(c *s3blob.Config) { c.Endpoint = "file:///etc/passwd" },
	} {
		c := good
		spoil(&c)
		_, err := s3blob.New(c)
		if err == nil {
			t.Errorf("%s %s %s was accepted", c.Region, c.AccessKey, c.Endpoint)
		} else if strings.Contains(err.Error(), "hidden-value") {
			t.Error("the error shows the secret")
		}
	}
}

// S3 would list a common prefix again that a page is to go on behind.
func TestListGoesOnBehindAPrefix(t *testing.T) {
	var after []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		after = append(after, r.URL.Query().Get("start-after"))
		if _, err := io.WriteString(w, "<ListBucketResult/>"); err != nil {
			t.Log(err)
		}
	}))
	defer server.Close()
	s := connect(t, server.URL)
	for _, o := range []blob.ListOptions{{After: "a/", Delimiter: "/"}, {After: "a/"}, {After: "a", Delimiter: "/"}} {
		o.Limit = 1
		if _, err := s.List(t.Context(), "bucket", o); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"a/\U0010ffff", "a/", "a"}; !slices.Equal(after, want) {
		t.Errorf("start-after was %q, want %q", after, want)
	}
}
