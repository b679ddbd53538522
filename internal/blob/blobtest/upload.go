package blobtest

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	"strings"

	"tenon/internal/blob"
)

// Bodies of parts: two large enough to come first, and a last one.
var (
	first  = strings.Repeat("1", blob.MinPartSize)
	second = strings.Repeat("2", blob.MinPartSize+1)
	third  = "the end"
)

func (f *fixture) upload(key string, o blob.UploadOptions, bodies ...string) (blob.Upload, []blob.CompletedPart) {
	f.Helper()
	u, err := f.s.CreateUpload(f.ctx, bucket, key, o)
	f.ok(err)
	var parts []blob.CompletedPart
	for i, body := range bodies {
		part, err := f.s.PutPart(f.ctx, u.UploadRef, i+1, strings.NewReader(body), blob.Expect{})
		f.ok(err)
		f.equal(part.ETag, etag(body))
		parts = append(parts, blob.CompletedPart{Number: i + 1, ETag: part.ETag, Checksum: part.Checksum})
	}
	return u, parts
}

func uploading(f *fixture) {
	o := blob.UploadOptions{Headers: blob.Headers{ContentType: "text/csv"}, Metadata: map[string]string{"m": "1"}}
	u, parts := f.upload("k", o, first, "replaced", third)
	part, err := f.s.PutPart(f.ctx, u.UploadRef, 2, strings.NewReader(second), blob.Expect{})
	f.ok(err)
	parts[1] = blob.CompletedPart{Number: 2, ETag: part.ETag}
	_, err = f.s.Stat(f.ctx, bucket, "k", blob.GetOptions{})
	f.fails(err, blob.ErrNoSuchKey)

	info, err := f.s.CompleteUpload(f.ctx, u.UploadRef, parts, blob.CompleteOptions{})
	f.ok(err)
	sum := md5.New()
	for _, body := range []string{first, second, third} {
		one := md5.Sum([]byte(body))
		sum.Write(one[:])
	}
	f.equal(info.ETag, hex.EncodeToString(sum.Sum(nil))+"-3")
	whole := first + second + third
	if f.read("k", blob.GetOptions{}) != whole {
		f.Error("the parts were not joined")
	}
	object, err := f.s.Stat(f.ctx, bucket, "k", blob.GetOptions{Part: 2})
	f.ok(err)
	f.equal([]any{object.Size, object.Offset, object.Length, object.Parts}, []any{int64(len(whole)), int64(len(first)), int64(len(second)), 3})
	f.equal(object.Headers, o.Headers)
	f.equal(object.Metadata, o.Metadata)
	f.equal(f.read("k", blob.GetOptions{Part: 3}), third)
	_, err = f.s.Get(f.ctx, bucket, "k", blob.GetOptions{Part: 4})
	f.fails(err, blob.ErrInvalidPartNumber)
	r := blob.Range{First: int64(len(first)) - 2, Last: int64(len(first)) + 1}
	f.equal(f.read("k", blob.GetOptions{Range: &r}), "1122")
	r = blob.Range{Suffix: int64(len(third)) + 1}
	f.equal(f.read("k", blob.GetOptions{Range: &r}), "2"+third)

	// The reply was lost and the client asks again.
	again, err := f.s.CompleteUpload(f.ctx, u.UploadRef, parts, blob.CompleteOptions{})
	f.ok(err)
	f.equal(again.ETag, info.ETag)
	f.put("k", "newer")
	_, err = f.s.CompleteUpload(f.ctx, u.UploadRef, parts, blob.CompleteOptions{})
	f.fails(err, blob.ErrNoSuchUpload)
	f.equal(f.read("k", blob.GetOptions{}), "newer")
}

func uploadErrors(f *fixture) {
	complete := func(u blob.Upload, o blob.CompleteOptions, parts ...blob.CompletedPart) error {
		_, err := f.s.CompleteUpload(f.ctx, u.UploadRef, parts, o)
		return err
	}
	u, p := f.upload("k", blob.UploadOptions{}, "small", third)
	f.fails(complete(u, blob.CompleteOptions{}, p[0], p[1]), blob.ErrEntityTooSmall)
	f.fails(complete(u, blob.CompleteOptions{}, p[1], p[0]), blob.ErrInvalidPartOrder)
	f.fails(complete(u, blob.CompleteOptions{}, p[0], p[0]), blob.ErrInvalidPartOrder)
	f.fails(complete(u, blob.CompleteOptions{}, blob.CompletedPart{Number: 3, ETag: p[0].ETag}), blob.ErrInvalidPart)
	f.fails(complete(u, blob.CompleteOptions{}, blob.CompletedPart{Number: 1, ETag: p[1].ETag}), blob.ErrInvalidPart)
	other := blob.Checksum{Algorithm: p[0].Checksum.Algorithm, Value: p[1].Checksum.Value}
	f.fails(complete(u, blob.CompleteOptions{}, blob.CompletedPart{Number: 1, ETag: p[0].ETag, Checksum: other}), blob.ErrInvalidPart)
	wrong := int64(99)
	f.fails(complete(u, blob.CompleteOptions{Size: &wrong}, p[0]), blob.ErrInvalidRequest)
	f.put("k", "there already")
	f.fails(complete(u, blob.CompleteOptions{If: blob.Conditions{IfNoneMatch: "*"}}, p[0]), blob.ErrPreconditionFailed)
	f.equal(f.read("k", blob.GetOptions{}), "there already")
	f.ok(complete(u, blob.CompleteOptions{If: blob.Conditions{IfMatch: etag("there already")}}, p[0]))
	f.equal(f.read("k", blob.GetOptions{}), "small")

	u, p = f.upload("k2", blob.UploadOptions{}, third)
	_, err := f.s.PutPart(f.ctx, u.UploadRef, 0, strings.NewReader(""), blob.Expect{})
	f.fails(err, blob.ErrInvalidArgument)
	_, err = f.s.PutPart(f.ctx, u.UploadRef, 10001, strings.NewReader(""), blob.Expect{})
	f.fails(err, blob.ErrInvalidArgument)
	_, err = f.s.PutPart(f.ctx, u.UploadRef, 2, strings.NewReader("x"), blob.Expect{Checksum: blob.Checksum{Algorithm: blob.CRC32, Value: "AAAAAA=="}})
	f.fails(err, blob.ErrBadDigest)
	elsewhere := u.UploadRef
	elsewhere.Key = "k3"
	f.fails(f.s.AbortUpload(f.ctx, elsewhere), blob.ErrNoSuchUpload)
	f.ok(f.s.AbortUpload(f.ctx, u.UploadRef))
	f.fails(f.s.AbortUpload(f.ctx, u.UploadRef), blob.ErrNoSuchUpload)
	f.fails(complete(u, blob.CompleteOptions{}, p[0]), blob.ErrNoSuchUpload)
	_, err = f.s.PutPart(f.ctx, u.UploadRef, 1, strings.NewReader("x"), blob.Expect{})
	f.fails(err, blob.ErrNoSuchUpload)
	_, err = f.s.CreateUpload(f.ctx, bucket, "k", blob.UploadOptions{Algorithm: blob.SHA256, Type: blob.FullObject})
	f.fails(err, blob.ErrInvalidRequest)
}

func uploadChecksums(f *fixture) {
	whole := blob.NewHasher(blob.Algorithms...)
	_, err := io.WriteString(whole, first+second+third)
	f.ok(err)
	for _, c := range []struct {
		algorithm blob.Algorithm
		typ, want blob.ChecksumType
	}{
		{blob.CRC64NVME, "", blob.FullObject}, {blob.CRC32, blob.FullObject, blob.FullObject}, {blob.CRC32C, blob.FullObject, blob.FullObject},
		{blob.CRC32, "", blob.Composite}, {blob.SHA256, "", blob.Composite}, {blob.SHA1, blob.Composite, blob.Composite},
	} {
		u, parts := f.upload("k", blob.UploadOptions{Algorithm: c.algorithm, Type: c.typ}, first, second, third)
		want := blob.Checksum{Algorithm: c.algorithm, Type: c.want, Value: whole.Checksum(c.algorithm).Value}
		if c.want == blob.Composite {
			var received []blob.Part
			for _, p := range parts {
				received = append(received, blob.Part{Checksum: p.Checksum})
			}
			want, err = blob.JoinChecksum(c.algorithm, c.want, received)
			f.ok(err)
		}
		bad := want
		bad.Value = "AAAA" + bad.Value[4:]
		_, err := f.s.CompleteUpload(f.ctx, u.UploadRef, parts, blob.CompleteOptions{Checksum: bad})
		f.fails(err, blob.ErrBadDigest)
		info, err := f.s.CompleteUpload(f.ctx, u.UploadRef, parts, blob.CompleteOptions{Checksum: want})
		f.ok(err)
		f.equal(info.Checksum, want)
		object, err := f.s.Stat(f.ctx, bucket, "k", blob.GetOptions{})
		f.ok(err)
		f.equal(object.Checksum, want)
	}
}

func uploadPages(f *fixture) {
	var refs []blob.UploadRef
	for _, key := range []string{"a/1", "a/1", "a/2", "b", "b", "b"} {
		u, _ := f.upload(key, blob.UploadOptions{}, "x")
		refs = append(refs, u.UploadRef)
	}
	seen := map[blob.UploadRef]bool{}
	o := blob.UploadListOptions{Limit: 2}
	for range len(refs) {
		page, err := f.s.ListUploads(f.ctx, bucket, o)
		f.ok(err)
		for _, u := range page.Uploads {
			seen[u.UploadRef] = true
		}
		if !page.More {
			break
		}
		last := page.Uploads[len(page.Uploads)-1]
		o.AfterKey, o.AfterID = last.Key, last.ID
	}
	f.equal(len(seen), len(refs))
	page, err := f.s.ListUploads(f.ctx, bucket, blob.UploadListOptions{Prefix: "a/", AfterKey: "a/1", Limit: 10})
	f.ok(err)
	if len(page.Uploads) != 1 || page.Uploads[0].Key != "a/2" {
		f.Errorf("uploads are %v", page.Uploads)
	}
	for n := 2; n <= 5; n++ {
		_, err := f.s.PutPart(f.ctx, refs[0], n, strings.NewReader("xx"), blob.Expect{})
		f.ok(err)
	}
	parts, err := f.s.ListParts(f.ctx, refs[0], 1, 2)
	f.ok(err)
	if !parts.More || len(parts.Parts) != 2 || parts.Parts[0].Number != 2 || parts.Parts[1].Size != 2 {
		f.Errorf("parts are %+v", parts)
	}
}

func copyPart(f *fixture) {
	f.put("from", "0123456789")
	u, err := f.s.CreateUpload(f.ctx, bucket, "to", blob.UploadOptions{})
	f.ok(err)
	source := blob.Source{Bucket: bucket, Key: "from", Range: &blob.Range{First: 2, Last: 4}}
	part, err := f.s.CopyPart(f.ctx, u.UploadRef, 7, source)
	f.ok(err)
	f.equal(part.ETag, etag("234"))
	source.If.IfMatch = etag("x")
	_, err = f.s.CopyPart(f.ctx, u.UploadRef, 8, source)
	f.fails(err, blob.ErrPreconditionFailed)
	_, err = f.s.CompleteUpload(f.ctx, u.UploadRef, []blob.CompletedPart{{Number: 7, ETag: part.ETag}}, blob.CompleteOptions{})
	f.ok(err)
	f.equal(f.read("to", blob.GetOptions{}), "234")
}
