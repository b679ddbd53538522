package blob_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tenon/internal/blob"
)

func TestCheckBucketName(t *testing.T) {
	for name, valid := range map[string]bool{
		"abc": true, "a-b.c9": true, strings.Repeat("a", 63): true, "123": true,
		"": false, "ab": false, strings.Repeat("a", 64): false, "Abc": false, "a_b": false, "-abc": false, "abc-": false, ".abc": false,
		"a..b": false, "192.168.0.1": false, "xn--abc": false, "abc-s3alias": false, "abc--ol-s3": false, "../..": false, "a/b": false, "a\x00b": false,
		"aws-glue-assets-123456789012-us-east-1": true,
	} {
		if err := blob.CheckBucketName(name); (err == nil) != valid {
			t.Errorf("%q: error is %v, want valid %v", name, err, valid)
		}
	}
}

func TestParseURI(t *testing.T) {
	for s, want := range map[string]blob.URI{
		"s3://bucket/a/b": {"bucket", "a/b"}, "s3a://bucket//a": {"bucket", "/a"}, "s3n://bucket": {"bucket", ""},
		"s3://bucket/": {"bucket", ""}, "s3://bucket/a%20b?c#d": {"bucket", "a%20b?c#d"},
	} {
		if got, err := blob.ParseURI(s); err != nil || got != want {
			t.Errorf("%q is %v, error %v", s, got, err)
		}
	}
	for _, s := range []string{"", "s3:/bucket/k", "http://bucket/k", "S3://bucket/k", "s3://", "s3:///k", "s3://B/k", "s3://bucket/\xff", "file:///etc/passwd"} {
		if got, err := blob.ParseURI(s); err == nil {
			t.Errorf("%q is %v, want an error", s, got)
		}
	}
}

func TestRangeResolve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := blob.Range{First: rapid.Int64Range(0, 20).Draw(t, "first"), Last: rapid.Int64Range(-1, 20).Draw(t, "last"), Suffix: rapid.Int64Range(0, 20).Draw(t, "suffix")}
		if r.Last >= 0 {
			r.Last = max(r.Last, r.First)
		}
		size := rapid.Int64Range(0, 15).Draw(t, "size")
		want := int64(0)
		first := int64(-1)
		for i := range size {
			if r.Suffix > 0 && i >= size-r.Suffix || r.Suffix == 0 && i >= r.First && (r.Last < 0 || i <= r.Last) {
				if want++; first < 0 {
					first = i
				}
			}
		}
		offset, length, err := r.Resolve(size)
		if want == 0 {
			if !errors.Is(err, blob.ErrInvalidRange) {
				t.Fatalf("%v of %d: error is %v", r, size, err)
			}
			return
		}
		if err != nil || offset != first || length != want {
			t.Fatalf("%v of %d is %d+%d, error %v; want %d+%d", r, size, offset, length, err, first, want)
		}
	})
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-1", "bytes=5-", "bytes=-5", "bytes=-0", "bytes=1-0", "bytes=0-1,3-4", "bytes=9223372036854775808-", "bytes=+1-2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := blob.ParseRange(s)
		if !ok {
			return
		}
		if again, ok := blob.ParseRange(r.String()); !ok || again != r {
			t.Errorf("%q is %+v, written %q, read back %+v %v", s, r, r.String(), again, ok)
		}
		for _, size := range []int64{0, 1, 10, math.MaxInt64} {
			if offset, length, err := r.Resolve(size); err == nil && (offset < 0 || length < 1 || offset > size-length) {
				t.Errorf("%q of %d is %d+%d", s, size, offset, length)
			}
		}
	})
}

// The check value of CRC-64/NVME in the catalogue of CRC algorithms.
func TestCRC64NVME(t *testing.T) {
	h := blob.CRC64NVME.New()
	if _, err := h.Write([]byte("123456789")); err != nil {
		t.Fatal(err)
	}
	if got := binary.BigEndian.Uint64(h.Sum(nil)); got != 0xAE8B14860A799888 {
		t.Errorf("check value is %X", got)
	}
}

// The CRC of a whole, computed from its parts, is the CRC of its bytes.
func TestJoinFullObject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		algorithm := rapid.SampledFrom([]blob.Algorithm{blob.CRC32, blob.CRC32C, blob.CRC64NVME}).Draw(t, "algorithm")
		whole := blob.NewHasher(algorithm)
		var parts []blob.Part
		for _, body := range rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 1, 5).Draw(t, "parts") {
			h := blob.NewHasher(algorithm)
			h.Write(body)
			whole.Write(body)
			parts = append(parts, blob.Part{Size: h.Size(), ETag: h.ETag(), Checksum: h.Checksum(algorithm)})
		}
		got, err := blob.JoinChecksum(algorithm, blob.FullObject, parts)
		if err != nil || got != whole.Checksum(algorithm) {
			t.Fatalf("joined %v, error %v, want %v", got, err, whole.Checksum(algorithm))
		}
	})
}

// A composite is the hash of the parts' hashes (User Guide, "Checking object integrity").
func TestJoinComposite(t *testing.T) {
	part := blob.NewHasher(blob.SHA256)
	part.Write([]byte("part"))
	raw, err := base64.StdEncoding.DecodeString(part.Checksum(blob.SHA256).Value)
	if err != nil {
		t.Fatal(err)
	}
	both := blob.NewHasher(blob.SHA256)
	both.Write(raw)
	both.Write(raw)
	p := blob.Part{Checksum: part.Checksum(blob.SHA256)}
	got, err := blob.JoinChecksum(blob.SHA256, blob.Composite, []blob.Part{p, p})
	if want := both.Checksum(blob.SHA256).Value + "-2"; err != nil || got.Value != want {
		t.Errorf("composite is %v, error %v, want %s", got, err, want)
	}
	if _, err := blob.JoinChecksum(blob.SHA256, blob.Composite, []blob.Part{{}}); err == nil {
		t.Error("a part without a checksum was joined")
	}
}

func TestErrorsByCode(t *testing.T) {
	for code, err := range blob.Errors() {
		if code == "" || err.Code != code || err.Message == "" {
			t.Errorf("%q: %+v", code, err)
		}
	}
	if blob.Errors()["NoSuchKey"] != blob.ErrNoSuchKey {
		t.Error("NoSuchKey is not found by its code")
	}
}
