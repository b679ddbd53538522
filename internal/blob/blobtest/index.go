package blobtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tenon/internal/blob"
	"tenon/internal/blob/indexed"
)

// RunIndex holds an index to indexed.Index. open gives an empty one for each case.
func RunIndex(t *testing.T, open func(t *testing.T) indexed.Index) {
	cases := []struct {
		name string
		run  func(*indexFixture)
	}{
		{"Buckets", indexBuckets},
		{"Objects", indexObjects},
		{"Conditions", indexConditions},
		{"Spans", indexSpans},
		{"Uploads", indexUploads},
		{"Completion", indexCompletion},
		{"Unknown", indexUnknown},
		{"Race", indexRace},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := &indexFixture{T: t, ctx: t.Context(), x: open(t)}
			f.ok(f.x.CreateBucket(f.ctx, blob.Bucket{Name: bucket, Created: clock}))
			c.run(f)
		})
	}
}

// clock is what rows carry: whole milliseconds in UTC come back as they went in.
var clock = time.Date(2026, 11, 22, 14, 45, 49, 123e6, time.UTC)

type indexFixture struct {
	*testing.T
	ctx context.Context
	x   indexed.Index
}

func (f *indexFixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatalf("unexpected error: %v", err)
	}
}

func (f *indexFixture) fails(err error, want *blob.Error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Errorf("error is %v, want %s", err, want.Code)
	}
}

func (f *indexFixture) equal(got, want any) {
	f.Helper()
	if !reflect.DeepEqual(got, want) {
		f.Errorf("got  %#v\nwant %#v", got, want)
	}
}

// freed compares ids without regard to their order.
func (f *indexFixture) freed(got []string, err error) func(want ...string) {
	f.Helper()
	f.ok(err)
	return func(want ...string) {
		f.Helper()
		got = slices.Sorted(slices.Values(got))
		if !slices.Equal(got, want) {
			f.Errorf("freed %q, want %q", got, want)
		}
	}
}

func row(key string, contents ...string) indexed.ObjectRow {
	r := indexed.ObjectRow{Info: blob.Info{
		Bucket: bucket, Key: key, ETag: etag(key + strings.Join(contents, "")), Modified: clock, Parts: len(contents) - 1,
		Checksum: blob.Checksum{Algorithm: blob.CRC64NVME, Type: blob.FullObject, Value: "rosUhgp5mIg="},
		Headers:  blob.Headers{ContentType: "text/csv", Expires: "never"}, Metadata: map[string]string{"a": "1", "b": "ü\n"},
	}}
	for i, c := range contents {
		r.Pieces = append(r.Pieces, indexed.Piece{Content: c, Size: int64(5<<30 + i)})
		r.Info.Size += int64(5<<30 + i)
	}
	return r
}

var none blob.Conditions

func indexBuckets(f *indexFixture) {
	f.fails(f.x.CreateBucket(f.ctx, blob.Bucket{Name: bucket, Created: clock.Add(time.Hour)}), blob.ErrBucketExists)
	f.ok(f.x.CreateBucket(f.ctx, blob.Bucket{Name: "another", Created: clock}))
	all, err := f.x.ListBuckets(f.ctx)
	f.ok(err)
	f.equal(all, []blob.Bucket{{Name: "another", Created: clock}, {Name: bucket, Created: clock}})
	got, err := f.x.GetBucket(f.ctx, bucket)
	f.ok(err)
	f.equal(got, all[1])
	_, err = f.x.PutObject(f.ctx, row("k", "1"), none)
	f.ok(err)
	_, err = f.x.DeleteBucket(f.ctx, bucket)
	f.fails(err, blob.ErrBucketNotEmpty)
	f.freed(f.x.DeleteObjects(f.ctx, bucket, []string{"k"}, none))("1")
	f.upload("k", "u", "2", "3")
	f.freed(f.x.DeleteBucket(f.ctx, bucket))("2", "3")
	for _, err := range []error{
		errorOf(f.x.DeleteBucket(f.ctx, bucket)), errorOf(f.x.GetBucket(f.ctx, bucket)), errorOf(f.x.GetObject(f.ctx, bucket, "k")),
		errorOf(f.x.PutObject(f.ctx, row("k", "1"), none)), errorOf(f.x.DeleteObjects(f.ctx, bucket, []string{"k"}, none)),
		errorOf(f.x.ListObjects(f.ctx, bucket, indexed.Span{}, 1)), errorOf(f.x.ListUploads(f.ctx, bucket, indexed.Span{}, "", 1)),
		f.x.CreateUpload(f.ctx, indexed.UploadRow{Upload: blob.Upload{UploadRef: blob.UploadRef{Bucket: bucket, Key: "k", ID: "v"}}}),
		errorOf(f.x.GetUpload(f.ctx, blob.UploadRef{Bucket: bucket, Key: "k", ID: "u"})),
		errorOf(f.x.AbortUpload(f.ctx, blob.UploadRef{Bucket: bucket, Key: "k", ID: "u"})),
	} {
		f.fails(err, blob.ErrNoSuchBucket)
	}
}

func errorOf[T any](_ T, err error) error { return err }

func indexObjects(f *indexFixture) {
	want := row("k", "1", "2", "3")
	want.Upload = "made-by"
	f.freed(f.x.PutObject(f.ctx, want, none))()
	got, err := f.x.GetObject(f.ctx, bucket, "k")
	f.ok(err)
	f.equal(got, want)
	want = row("k")
	want.Info.Metadata, want.Info.Parts = nil, 0
	f.freed(f.x.PutObject(f.ctx, want, none))("1", "2", "3")
	got, err = f.x.GetObject(f.ctx, bucket, "k")
	f.ok(err)
	f.equal(got, want)
	_, err = f.x.GetObject(f.ctx, bucket, "K")
	f.fails(err, blob.ErrNoSuchKey)
	for _, key := range strangeKeys {
		_, err := f.x.PutObject(f.ctx, row(key, "of "+key), none)
		f.ok(err)
	}
	for _, key := range strangeKeys {
		got, err := f.x.GetObject(f.ctx, bucket, key)
		f.ok(err)
		f.equal(got, row(key, "of "+key))
	}
	f.freed(f.x.DeleteObjects(f.ctx, bucket, []string{"..", "absent", "..", "nul\x00byte"}, none))("of ..", "of nul\x00byte")
	f.freed(f.x.DeleteObjects(f.ctx, bucket, nil, none))()
}

func indexConditions(f *indexFixture) {
	absent := blob.Conditions{IfNoneMatch: "*"}
	_, err := f.x.PutObject(f.ctx, row("k", "1"), blob.Conditions{IfMatch: "x"})
	f.fails(err, blob.ErrNoSuchKey)
	f.freed(f.x.PutObject(f.ctx, row("k", "1"), absent))()
	_, err = f.x.PutObject(f.ctx, row("k", "2"), absent)
	f.fails(err, blob.ErrPreconditionFailed)
	is := blob.Conditions{IfMatch: row("k", "1").Info.ETag}
	f.freed(f.x.PutObject(f.ctx, row("k", "3"), is))("1")
	_, err = f.x.DeleteObjects(f.ctx, bucket, []string{"k"}, is)
	f.fails(err, blob.ErrPreconditionFailed)
	_, err = f.x.DeleteObjects(f.ctx, bucket, []string{"absent"}, is)
	f.fails(err, blob.ErrNoSuchKey)
	got, err := f.x.GetObject(f.ctx, bucket, "k")
	f.ok(err)
	f.equal(got, row("k", "3"))
}

func indexSpans(f *indexFixture) {
	all := []string{"A", "a", "a/1", "a/2", "a0", "b", "ü", "\U0010ffff"}
	for _, key := range all {
		_, err := f.x.PutObject(f.ctx, row(key, "of "+key), none)
		f.ok(err)
	}
	f.ok(f.x.CreateBucket(f.ctx, blob.Bucket{Name: "another", Created: clock}))
	elsewhere := row("a/3", "elsewhere")
	elsewhere.Info.Bucket = "another"
	_, err := f.x.PutObject(f.ctx, elsewhere, none)
	f.ok(err)
	for _, span := range []indexed.Span{
		{}, indexed.PrefixSpan("a"), indexed.PrefixSpan("a/"), indexed.PrefixSpan("ü"), indexed.PrefixSpan("\U0010ffff"), indexed.PrefixSpan("none"),
		{From: "a/1\x00"}, {From: "a/1", To: "a0"}, {From: "b", To: "a"},
	} {
		for _, limit := range []int{1, 3, 100} {
			var want []string
			for _, key := range all {
				if span.Contains(key) && len(want) < limit {
					want = append(want, key)
				}
			}
			infos, err := f.x.ListObjects(f.ctx, bucket, span, limit)
			f.ok(err)
			var got []string
			for _, i := range infos {
				got = append(got, i.Key)
				w := row(i.Key, "of "+i.Key).Info
				f.equal([]any{i.Bucket, i.Size, i.ETag, i.Modified, i.Checksum, i.Parts}, []any{w.Bucket, w.Size, w.ETag, w.Modified, w.Checksum, w.Parts})
			}
			f.equal(got, want)
		}
	}
}

// upload makes one with a part per content, numbered from 1.
func (f *indexFixture) upload(key, id string, contents ...string) indexed.UploadRow {
	f.Helper()
	u := indexed.UploadRow{
		Upload: blob.Upload{
			UploadRef: blob.UploadRef{Bucket: bucket, Key: key, ID: id}, Created: clock, Algorithm: blob.CRC32, Type: blob.Composite,
		},
		Headers: blob.Headers{ContentType: "text/csv"}, Metadata: map[string]string{"a": "1"},
	}
	f.ok(f.x.CreateUpload(f.ctx, u))
	for i, c := range contents {
		f.freed(f.x.PutPart(f.ctx, part(id, i+1, c)))()
	}
	return u
}

func part(upload string, number int, content string) indexed.PartRow {
	return indexed.PartRow{Upload: upload, Piece: indexed.Piece{Content: content, Size: 7}, Part: blob.Part{
		Number: number, Size: 7, ETag: etag(content), Modified: clock,
		Checksum: blob.Checksum{Algorithm: blob.CRC32, Type: blob.FullObject, Value: "y/Q5Jg=="},
	}}
}

func indexUploads(f *indexFixture) {
	u := f.upload("k", "u", "1", "2", "3")
	got, err := f.x.GetUpload(f.ctx, u.Upload.UploadRef)
	f.ok(err)
	f.equal(got, u)
	for _, wrong := range []blob.UploadRef{{Bucket: bucket, Key: "k", ID: "v"}, {Bucket: bucket, Key: "l", ID: "u"}, {Bucket: bucket, Key: "k"}} {
		f.fails(errorOf(f.x.GetUpload(f.ctx, wrong)), blob.ErrNoSuchUpload)
		f.fails(errorOf(f.x.AbortUpload(f.ctx, wrong)), blob.ErrNoSuchUpload)
	}
	f.freed(f.x.PutPart(f.ctx, part("u", 2, "4")))("2")
	parts, err := f.x.ListParts(f.ctx, "u", 1, 1)
	f.ok(err)
	f.equal(parts, []indexed.PartRow{part("u", 2, "4")})
	parts, err = f.x.ListParts(f.ctx, "u", 0, 10)
	f.ok(err)
	f.equal(parts, []indexed.PartRow{part("u", 1, "1"), part("u", 2, "4"), part("u", 3, "3")})

	for _, at := range [][2]string{{"k", "w"}, {"k", "v"}, {"a", "z"}, {"l", "a"}} {
		f.upload(at[0], at[1])
	}
	list := func(span indexed.Span, after string, limit int) (ids []string) {
		uploads, err := f.x.ListUploads(f.ctx, bucket, span, after, limit)
		f.ok(err)
		for _, u := range uploads {
			ids = append(ids, u.ID)
		}
		return ids
	}
	f.equal(list(indexed.Span{}, "", 100), []string{"z", "u", "v", "w", "a"})
	f.equal(list(indexed.Span{}, "", 2), []string{"z", "u"})
	f.equal(list(indexed.Span{From: "k"}, "u", 100), []string{"v", "w", "a"})
	f.equal(list(indexed.PrefixSpan("k"), "v", 100), []string{"w"})
	f.freed(f.x.AbortUpload(f.ctx, u.Upload.UploadRef))("1", "3", "4")
	f.fails(errorOf(f.x.GetUpload(f.ctx, u.Upload.UploadRef)), blob.ErrNoSuchUpload)
	f.fails(errorOf(f.x.ListParts(f.ctx, "u", 0, 10)), blob.ErrNoSuchUpload)
	f.fails(errorOf(f.x.PutPart(f.ctx, part("u", 1, "5"))), blob.ErrNoSuchUpload)
}

func indexCompletion(f *indexFixture) {
	f.freed(f.x.PutObject(f.ctx, row("k", "old"), none))()
	u := f.upload("k", "u", "1", "2", "3")
	whole := row("k", "1", "3")
	whole.Upload = "u"
	_, err := f.x.CompleteUpload(f.ctx, whole, blob.Conditions{IfNoneMatch: "*"})
	f.fails(err, blob.ErrPreconditionFailed)
	f.freed(f.x.PutPart(f.ctx, part("u", 3, "4")))("3")
	_, err = f.x.CompleteUpload(f.ctx, whole, none)
	f.fails(err, blob.ErrInvalidPart)
	// After the refusals everything is as it was.
	got, err := f.x.GetObject(f.ctx, bucket, "k")
	f.ok(err)
	f.equal(got, row("k", "old"))
	whole = row("k", "1", "4")
	whole.Upload = "u"
	f.freed(f.x.CompleteUpload(f.ctx, whole, none))("2", "old")
	got, err = f.x.GetObject(f.ctx, bucket, "k")
	f.ok(err)
	f.equal(got, whole)
	f.fails(errorOf(f.x.GetUpload(f.ctx, u.Upload.UploadRef)), blob.ErrNoSuchUpload)
	f.fails(errorOf(f.x.CompleteUpload(f.ctx, whole, none)), blob.ErrNoSuchUpload)
}

func indexUnknown(f *indexFixture) {
	f.freed(f.x.PutObject(f.ctx, row("k", "1", "2"), none))()
	f.upload("k", "u", "3", "4")
	ids := []string{"0", "1", "2", "3", "4", "5"}
	unknown, err := f.x.Unknown(f.ctx, ids)
	f.ok(err)
	f.equal(slices.Sorted(slices.Values(unknown)), []string{"0", "5"})
	whole := row("k", "4")
	whole.Upload = "u"
	f.freed(f.x.CompleteUpload(f.ctx, whole, none))("1", "2", "3")
	unknown, err = f.x.Unknown(f.ctx, ids)
	f.ok(err)
	f.equal(slices.Sorted(slices.Values(unknown)), []string{"0", "1", "2", "3", "5"})
	unknown, err = f.x.Unknown(f.ctx, nil)
	f.ok(err)
	f.equal(len(unknown), 0)
}

// indexRace: whatever the order, every content but the last is freed exactly once.
func indexRace(f *indexFixture) {
	const writers = 16
	freed := make([][]string, writers)
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { freed[i], errs[i] = f.x.PutObject(f.ctx, row("k", fmt.Sprint(i)), none) })
	}
	wg.Wait()
	f.ok(errors.Join(errs...))
	last, err := f.x.GetObject(f.ctx, bucket, "k")
	f.ok(err)
	all := append(slices.Concat(freed...), last.Pieces[0].Content)
	slices.Sort(all)
	if len(all) != writers || len(slices.Compact(slices.Clone(all))) != writers {
		f.Errorf("freed and last are %q", all)
	}
}
