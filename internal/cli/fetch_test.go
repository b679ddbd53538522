package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestFetch: only what is new or changed is copied, and no key leads out of the
// folder.
func TestFetch(t *testing.T) {
	data := serve(t, quick)
	p, _, errs := process(nil)
	s, done := newSession(p, &Globals{Data: data, Region: "us-east-1"})
	defer done()
	ctx := context.Background()
	cl, err := s.connect(ctx, serverFlags{})
	if err != nil {
		t.Fatal(err)
	}
	bucket := "fetch-data"
	if err := cl.ensureBucket(ctx, bucket); err != nil {
		t.Fatal(err)
	}
	if err := cl.ensureBucket(ctx, bucket); err != nil {
		t.Fatalf("a bucket that is there: %v", err)
	}
	put := func(key, body string) {
		t.Helper()
		if _, err := cl.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(body)}); err != nil {
			t.Fatalf("put %s: %v", key, err)
		}
	}
	put("same", "1")
	put("changed", "1")
	before, err := cl.contents(ctx, []string{bucket})
	if err != nil {
		t.Fatal(err)
	}
	put("changed", "2")
	put("deep/new", "3")
	put("a/../../../out", "4")
	put("folder/", "")
	dir := filepath.Join(t.TempDir(), "copies")
	if err := s.fetch(ctx, cl, dir, before); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"changed": "2", "deep/new": "3"} {
		if got, err := os.ReadFile(filepath.Join(dir, bucket, file)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", file, got, err, want)
		}
	}
	for _, file := range []string{filepath.Join(bucket, "same"), "out", "../out", filepath.Join(bucket, "folder")} {
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			t.Errorf("%s was written", file)
		}
	}
	if got := strings.Count(errs.String(), "is not copied"); got != 2 {
		t.Errorf("%d objects are reported as not copied, want 2: %s", got, errs)
	}
}
