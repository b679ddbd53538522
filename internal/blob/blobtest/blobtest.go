// Package blobtest is the conformance suite of package blob. It guarantees that
// adapters which pass it can stand in for one another; it does not test what only
// one of them has, such as crash safety.
package blobtest

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"tenon/internal/blob"
)

// Run holds a store to the port. open gives an empty one for each case.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	cases := []struct {
		name string
		run  func(*fixture)
	}{
		{"Buckets", buckets},
		{"PutGet", putGet},
		{"Keys", keys},
		{"AbsentThings", absent},
		{"Ranges", ranges},
		{"ReadConditions", readConditions},
		{"WriteConditions", writeConditions},
		{"OneWinner", oneWinner},
		{"Digests", digests},
		{"BrokenBody", brokenBody},
		{"ReplacedWhileRead", replacedWhileRead},
		{"Delete", deleting},
		{"List", listing},
		{"ListPages", listPages},
		{"Copy", copying},
		{"Upload", uploading},
		{"UploadErrors", uploadErrors},
		{"UploadChecksums", uploadChecksums},
		{"UploadPages", uploadPages},
		{"CopyPart", copyPart},
		{"Open", opening},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := &fixture{T: t, ctx: t.Context(), s: open(t)}
			f.ok(f.s.CreateBucket(f.ctx, bucket))
			c.run(f)
		})
	}
}

const bucket = "the-bucket"

type fixture struct {
	*testing.T
	ctx context.Context
	s   blob.Store
}

func (f *fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatalf("unexpected error: %v", err)
	}
}

func (f *fixture) fails(err error, want *blob.Error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Errorf("error is %v, want %s", err, want.Code)
	}
}

func (f *fixture) equal(got, want any) {
	f.Helper()
	if !reflect.DeepEqual(got, want) {
		f.Errorf("got  %#v\nwant %#v", got, want)
	}
}

func (f *fixture) put(key, body string) blob.Info {
	f.Helper()
	info, err := f.s.Put(f.ctx, bucket, key, strings.NewReader(body), blob.PutOptions{})
	f.ok(err)
	return info
}

func (f *fixture) read(key string, o blob.GetOptions) string {
	f.Helper()
	object, err := f.s.Get(f.ctx, bucket, key, o)
	f.ok(err)
	body, err := io.ReadAll(object.Body)
	f.ok(err)
	f.ok(object.Body.Close())
	f.equal(object.Length, int64(len(body)))
	return string(body)
}

func etag(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

func buckets(f *fixture) {
	f.fails(f.s.CreateBucket(f.ctx, bucket), blob.ErrBucketExists)
	f.fails(f.s.CreateBucket(f.ctx, "No_Such-Name"), blob.ErrInvalidBucketName)
	f.ok(f.s.CreateBucket(f.ctx, "a.second.one"))
	all, err := f.s.ListBuckets(f.ctx)
	f.ok(err)
	if len(all) != 2 || all[0].Name != "a.second.one" || all[1].Name != bucket {
		f.Errorf("buckets are %v", all)
	}
	if age := time.Since(all[1].Created); age < -time.Minute || age > time.Hour {
		f.Errorf("bucket was created %v ago", age)
	}
	_, err = f.s.HeadBucket(f.ctx, bucket)
	f.ok(err)
	_, err = f.s.HeadBucket(f.ctx, "absent-bucket")
	f.fails(err, blob.ErrNoSuchBucket)
	f.put("k", "v")
	f.fails(f.s.DeleteBucket(f.ctx, bucket), blob.ErrBucketNotEmpty)
	f.ok(f.s.Delete(f.ctx, bucket, "k", blob.Conditions{}))
	u, err := f.s.CreateUpload(f.ctx, bucket, "k", blob.UploadOptions{})
	f.ok(err)
	f.ok(f.s.DeleteBucket(f.ctx, bucket))
	f.fails(f.s.DeleteBucket(f.ctx, bucket), blob.ErrNoSuchBucket)
	f.ok(f.s.CreateBucket(f.ctx, bucket))
	_, err = f.s.ListParts(f.ctx, u.UploadRef, 0, 10)
	f.fails(err, blob.ErrNoSuchUpload)
}

func putGet(f *fixture) {
	for _, size := range []int{0, 1, 4096, 100_000, 3 << 20} {
		body := strings.Repeat("tenon.", size/6+1)[:size]
		o := blob.PutOptions{
			Headers: blob.Headers{
				ContentType: "text/x-tenon", CacheControl: "no-store", ContentDisposition: `attachment; filename="x"`,
				ContentEncoding: "identity", ContentLanguage: "de", Expires: "Thu, 01 Dec 2033 16:00:00 GMT",
			},
			Metadata: map[string]string{"one": "1", "two-words": "a b"},
		}
		info, err := f.s.Put(f.ctx, bucket, "k", iotest.OneByteReader(io.LimitReader(strings.NewReader(body), 5)), o)
		f.ok(err)
		f.equal(info.Size, int64(min(5, size)))
		info, err = f.s.Put(f.ctx, bucket, "k", strings.NewReader(body), o)
		f.ok(err)
		f.equal(info.ETag, etag(body))
		object, err := f.s.Stat(f.ctx, bucket, "k", blob.GetOptions{})
		f.ok(err)
		f.equal(object.ETag, etag(body))
		f.equal(object.Size, int64(size))
		f.equal(object.Headers, o.Headers)
		f.equal(object.Metadata, o.Metadata)
		if age := time.Since(object.Modified); age < -time.Minute || age > time.Hour {
			f.Errorf("object was modified %v ago", age)
		}
		if f.read("k", blob.GetOptions{}) != body {
			f.Errorf("%d bytes came back changed", size)
		}
	}
}

// strangeKeys are those of spec/faults I7 that are valid UTF-8.
var strangeKeys = []string{
	"..", "../../etc/passwd", "/", "//", "/leading", "trailing/", "a//b", "a/./b", "a/../b", "%2e%2e%2f", "%", "a%20b", "a+b", "a b",
	"line\nbreak", "carriage\rreturn", "tab\t", "nul\x00byte", "\x01\x7f", "ünïcödé/日本語/🪵", "\u202egnp.exe", "\ufeffbom", "quote\"'<&>", "?query=1#frag",
	"C:\\windows\\x", "~", "*", "|;$(x)", strings.Repeat("k", 1024), strings.Repeat("é", 512), "\U0010ffff",
}

func keys(f *fixture) {
	for i, key := range strangeKeys {
		f.put(key, fmt.Sprint(i))
	}
	for i, key := range strangeKeys {
		f.equal(f.read(key, blob.GetOptions{}), fmt.Sprint(i))
	}
	page, err := f.s.List(f.ctx, bucket, blob.ListOptions{Limit: 1000})
	f.ok(err)
	var got []string
	for _, o := range page.Objects {
		got = append(got, o.Key)
	}
	f.equal(got, slices.Sorted(slices.Values(strangeKeys)))
	errs, err := f.s.DeleteMany(f.ctx, bucket, []string{"..", "a//b", "ünïcödé/日本語/🪵", "line\nbreak"})
	f.ok(err)
	f.equal(errs, make([]error, 4))
	_, err = f.s.Stat(f.ctx, bucket, "line\nbreak", blob.GetOptions{})
	f.fails(err, blob.ErrNoSuchKey)
	_, err = f.s.Put(f.ctx, bucket, strings.Repeat("k", 1025), strings.NewReader(""), blob.PutOptions{})
	f.fails(err, blob.ErrKeyTooLong)
	_, err = f.s.Put(f.ctx, bucket, "bad\xffutf8", strings.NewReader(""), blob.PutOptions{})
	f.fails(err, blob.ErrInvalidKey)
	_, err = f.s.Put(f.ctx, bucket, "", strings.NewReader(""), blob.PutOptions{})
	f.fails(err, blob.ErrInvalidKey)
}

func absent(f *fixture) {
	_, err := f.s.Get(f.ctx, bucket, "absent", blob.GetOptions{})
	f.fails(err, blob.ErrNoSuchKey)
	_, err = f.s.Stat(f.ctx, bucket, "absent", blob.GetOptions{})
	f.fails(err, blob.ErrNoSuchKey)
	_, err = f.s.Get(f.ctx, "absent-bucket", "k", blob.GetOptions{})
	f.fails(err, blob.ErrNoSuchBucket)
	_, err = f.s.Put(f.ctx, "absent-bucket", "k", strings.NewReader("x"), blob.PutOptions{})
	f.fails(err, blob.ErrNoSuchBucket)
	_, err = f.s.List(f.ctx, "absent-bucket", blob.ListOptions{Limit: 1})
	f.fails(err, blob.ErrNoSuchBucket)
	f.fails(f.s.Delete(f.ctx, "absent-bucket", "k", blob.Conditions{}), blob.ErrNoSuchBucket)
	_, err = f.s.CreateUpload(f.ctx, "absent-bucket", "k", blob.UploadOptions{})
	f.fails(err, blob.ErrNoSuchBucket)
	_, err = f.s.Copy(f.ctx, blob.Source{Bucket: bucket, Key: "absent"}, bucket, "k", blob.CopyOptions{})
	f.fails(err, blob.ErrNoSuchKey)
}

func ranges(f *fixture) {
	f.put("k", "0123456789")
	f.put("empty", "")
	for _, c := range []struct {
		header, want string
		offset       int64
	}{
		{"bytes=0-0", "0", 0}, {"bytes=2-4", "234", 2}, {"bytes=7-", "789", 7}, {"bytes=-3", "789", 7},
		{"bytes=5-100", "56789", 5}, {"bytes=-100", "0123456789", 0}, {"bytes=9-9", "9", 9},
	} {
		r, ok := blob.ParseRange(c.header)
		if !ok {
			f.Fatalf("range %s was not parsed", c.header)
		}
		f.equal(f.read("k", blob.GetOptions{Range: &r}), c.want)
		object, err := f.s.Stat(f.ctx, bucket, "k", blob.GetOptions{Range: &r})
		f.ok(err)
		f.equal([]int64{object.Offset, object.Length, object.Size}, []int64{c.offset, int64(len(c.want)), 10})
	}
	for _, r := range []blob.Range{{First: 10, Last: -1}, {First: 10, Last: 20}} {
		_, err := f.s.Get(f.ctx, bucket, "k", blob.GetOptions{Range: &r})
		f.fails(err, blob.ErrInvalidRange)
	}
	_, err := f.s.Get(f.ctx, bucket, "empty", blob.GetOptions{Range: &blob.Range{Last: -1}})
	f.fails(err, blob.ErrInvalidRange)
	f.equal(f.read("k", blob.GetOptions{Part: 1}), "0123456789")
	_, err = f.s.Get(f.ctx, bucket, "k", blob.GetOptions{Part: 2})
	f.fails(err, blob.ErrInvalidPartNumber)
}

func readConditions(f *fixture) {
	info := f.put("k", "v")
	before, after := info.Modified.Add(-time.Hour), info.Modified.Add(time.Hour)
	for _, c := range []struct {
		name string
		cond blob.Conditions
		want *blob.Error
	}{
		{"match", blob.Conditions{IfMatch: info.ETag}, nil},
		{"match any", blob.Conditions{IfMatch: "*"}, nil},
		{"match other", blob.Conditions{IfMatch: etag("other")}, blob.ErrPreconditionFailed},
		{"none match", blob.Conditions{IfNoneMatch: info.ETag}, blob.ErrNotModified},
		{"none match other", blob.Conditions{IfNoneMatch: etag("other")}, nil},
		{"modified since before", blob.Conditions{IfModifiedSince: before}, nil},
		{"unmodified since before", blob.Conditions{IfUnmodifiedSince: before}, blob.ErrPreconditionFailed},
		{"unmodified since after", blob.Conditions{IfUnmodifiedSince: after}, nil},
		{"match outweighs date", blob.Conditions{IfMatch: info.ETag, IfUnmodifiedSince: before}, nil},
		{"none match outweighs date", blob.Conditions{IfNoneMatch: info.ETag, IfModifiedSince: before}, blob.ErrNotModified},
	} {
		for verb, call := range map[string]func(context.Context, string, string, blob.GetOptions) (*blob.Object, error){
			"get": f.s.Get, "stat": f.s.Stat,
		} {
			object, err := call(f.ctx, bucket, "k", blob.GetOptions{If: c.cond})
			if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
				f.Errorf("%s, %s: error is %v, want %v", verb, c.name, err, c.want)
			}
			if err == nil && object.Body != nil {
				f.ok(object.Body.Close())
			}
		}
	}
}

func writeConditions(f *fixture) {
	put := func(body string, c blob.Conditions) error {
		_, err := f.s.Put(f.ctx, bucket, "k", strings.NewReader(body), blob.PutOptions{If: c})
		return err
	}
	f.fails(put("0", blob.Conditions{IfMatch: etag("x")}), blob.ErrNoSuchKey)
	f.ok(put("1", blob.Conditions{IfNoneMatch: "*"}))
	f.fails(put("2", blob.Conditions{IfNoneMatch: "*"}), blob.ErrPreconditionFailed)
	f.fails(put("3", blob.Conditions{IfMatch: etag("x")}), blob.ErrPreconditionFailed)
	f.equal(f.read("k", blob.GetOptions{}), "1")
	f.ok(put("4", blob.Conditions{IfMatch: etag("1")}))
	f.fails(f.s.Delete(f.ctx, bucket, "k", blob.Conditions{IfMatch: etag("1")}), blob.ErrPreconditionFailed)
	f.equal(f.read("k", blob.GetOptions{}), "4")
	f.ok(f.s.Delete(f.ctx, bucket, "k", blob.Conditions{IfMatch: etag("4")}))
}

// oneWinner: of many conditional creations at once, one happens.
func oneWinner(f *fixture) {
	const racers = 16
	errs := make([]error, racers)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			_, errs[i] = f.s.Put(f.ctx, bucket, "k", strings.NewReader(fmt.Sprint(i)), blob.PutOptions{If: blob.Conditions{IfNoneMatch: "*"}})
		})
	}
	wg.Wait()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won >= 0:
			f.Errorf("both %d and %d won", won, i)
		case err == nil:
			won = i
		default:
			f.fails(err, blob.ErrPreconditionFailed)
		}
	}
	f.equal(f.read("k", blob.GetOptions{}), fmt.Sprint(won))
}

// checkValues are the sums of "123456789".
var checkValues = map[blob.Algorithm]string{
	blob.CRC32: "y/Q5Jg==", blob.CRC32C: "4waSgw==", blob.CRC64NVME: "rosUhgp5mIg=",
	blob.SHA1: "98O8HYCOBHMq32eZZczDTKeuNEE=", blob.SHA256: "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
}

func digests(f *fixture) {
	put := func(e blob.Expect) (blob.Info, error) {
		return f.s.Put(f.ctx, bucket, "k", strings.NewReader("123456789"), blob.PutOptions{Expect: e})
	}
	for a, value := range checkValues {
		info, err := put(blob.Expect{Checksum: blob.Checksum{Algorithm: a, Value: value}})
		f.ok(err)
		f.equal(info.Checksum, blob.Checksum{Algorithm: a, Type: blob.FullObject, Value: value})
		object, err := f.s.Stat(f.ctx, bucket, "k", blob.GetOptions{})
		f.ok(err)
		f.equal(object.Checksum, info.Checksum)
		_, err = put(blob.Expect{Checksum: blob.Checksum{Algorithm: a}, Trailer: func() (string, error) { return value, nil }})
		f.ok(err)
		_, err = put(blob.Expect{Checksum: blob.Checksum{Algorithm: a}, Trailer: func() (string, error) { return checkValues[blob.SHA1], nil }})
		if a != blob.SHA1 {
			f.fails(err, blob.ErrBadDigest)
		}
		_, err = put(blob.Expect{Checksum: blob.Checksum{Algorithm: a, Value: "AAAAAAAA"}})
		f.fails(err, blob.ErrBadDigest)
	}
	info, err := put(blob.Expect{})
	f.ok(err)
	f.equal(info.Checksum, blob.Checksum{Algorithm: blob.CRC64NVME, Type: blob.FullObject, Value: checkValues[blob.CRC64NVME]})
	right, wrong := md5.Sum([]byte("123456789")), md5.Sum(nil)
	_, err = put(blob.Expect{MD5: right[:]})
	f.ok(err)
	_, err = put(blob.Expect{MD5: wrong[:]})
	f.fails(err, blob.ErrBadDigest)
	_, err = put(blob.Expect{Checksum: blob.Checksum{Algorithm: "CRC16", Value: "AAA="}})
	f.fails(err, blob.ErrInvalidRequest)
}

func brokenBody(f *fixture) {
	f.put("k", "old")
	broken := errors.New("connection reset")
	body := io.MultiReader(bytes.NewReader(make([]byte, 200_000)), iotest.ErrReader(broken))
	_, err := f.s.Put(f.ctx, bucket, "k", body, blob.PutOptions{})
	if !errors.Is(err, broken) {
		f.Errorf("error is %v, want the body's", err)
	}
	f.equal(f.read("k", blob.GetOptions{}), "old")
}

// replacedWhileRead: a reader keeps the version it opened (spec/faults H4).
func replacedWhileRead(f *fixture) {
	old := strings.Repeat("old", 1<<20)
	f.put("k", old)
	object, err := f.s.Get(f.ctx, bucket, "k", blob.GetOptions{})
	f.ok(err)
	head := make([]byte, 10)
	_, err = io.ReadFull(object.Body, head)
	f.ok(err)
	f.put("k", "new")
	f.ok(f.s.Delete(f.ctx, bucket, "k", blob.Conditions{}))
	rest, err := io.ReadAll(object.Body)
	f.ok(err)
	if string(head)+string(rest) != old {
		f.Error("the reader saw something else than the version it opened")
	}
	f.ok(object.Body.Close())
}

func deleting(f *fixture) {
	f.put("a", "1")
	f.put("b", "2")
	f.ok(f.s.Delete(f.ctx, bucket, "absent", blob.Conditions{}))
	f.fails(f.s.Delete(f.ctx, bucket, "absent", blob.Conditions{IfMatch: "*"}), blob.ErrNoSuchKey)
	errs, err := f.s.DeleteMany(f.ctx, bucket, []string{"a", "absent", "a", strings.Repeat("k", 1025), "b"})
	f.ok(err)
	for i, err := range errs {
		if i == 3 {
			f.fails(err, blob.ErrKeyTooLong)
		} else {
			f.ok(err)
		}
	}
	page, err := f.s.List(f.ctx, bucket, blob.ListOptions{Limit: 10})
	f.ok(err)
	f.equal(len(page.Objects), 0)
	_, err = f.s.DeleteMany(f.ctx, "absent-bucket", []string{"a"})
	f.fails(err, blob.ErrNoSuchBucket)
}

func copying(f *fixture) {
	o := blob.PutOptions{Headers: blob.Headers{ContentType: "text/csv"}, Metadata: map[string]string{"m": "1"}}
	o.Expect.Checksum.Algorithm = blob.SHA256
	from, err := f.s.Put(f.ctx, bucket, "from", strings.NewReader("123456789"), o)
	f.ok(err)
	source := blob.Source{Bucket: bucket, Key: "from"}
	f.ok(f.s.CreateBucket(f.ctx, "other-bucket"))
	info, err := f.s.Copy(f.ctx, source, "other-bucket", "to + ü", blob.CopyOptions{})
	f.ok(err)
	f.equal(info.ETag, from.ETag)
	object, err := f.s.Stat(f.ctx, "other-bucket", "to + ü", blob.GetOptions{})
	f.ok(err)
	f.equal(object.Headers, o.Headers)
	f.equal(object.Metadata, o.Metadata)
	f.equal(object.Checksum, from.Checksum)

	replaced := blob.CopyOptions{Replace: true, Headers: blob.Headers{ContentType: "text/plain"}, Metadata: map[string]string{"n": "2"}, Algorithm: blob.CRC32C}
	_, err = f.s.Copy(f.ctx, source, bucket, "from", replaced)
	f.ok(err)
	object, err = f.s.Stat(f.ctx, bucket, "from", blob.GetOptions{})
	f.ok(err)
	f.equal(object.Headers, replaced.Headers)
	f.equal(object.Metadata, replaced.Metadata)
	f.equal(object.Checksum.Value, checkValues[blob.CRC32C])
	f.equal(f.read("from", blob.GetOptions{}), "123456789")

	source.If = blob.Conditions{IfMatch: etag("x")}
	_, err = f.s.Copy(f.ctx, source, bucket, "to", blob.CopyOptions{})
	f.fails(err, blob.ErrPreconditionFailed)
	source.If = blob.Conditions{IfNoneMatch: from.ETag}
	_, err = f.s.Copy(f.ctx, source, bucket, "to", blob.CopyOptions{})
	f.fails(err, blob.ErrPreconditionFailed)
	source.If = blob.Conditions{IfMatch: from.ETag}
	_, err = f.s.Copy(f.ctx, source, bucket, "to", blob.CopyOptions{})
	f.ok(err)
	_, err = f.s.Copy(f.ctx, source, bucket, "to", blob.CopyOptions{If: blob.Conditions{IfNoneMatch: "*"}})
	f.fails(err, blob.ErrPreconditionFailed)
}

func opening(f *fixture) {
	f.put("scripts/etl.py", "print()")
	object, err := blob.Open(f.ctx, f.s, "s3://"+bucket+"/scripts/etl.py")
	f.ok(err)
	body, err := io.ReadAll(object.Body)
	f.ok(err)
	f.ok(object.Body.Close())
	f.equal(string(body), "print()")
	_, err = blob.Open(f.ctx, f.s, "s3a://"+bucket+"/absent")
	f.fails(err, blob.ErrNoSuchKey)
	if _, err := blob.Open(f.ctx, f.s, "s3://"+bucket); err == nil {
		f.Error("a bucket was opened as an object")
	}
}
