package s3blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"tenon/internal/blob"
)

// stated collects the checksum fields that the SDK has one member each for.
func stated(typ types.ChecksumType, crc32, crc32c, crc64, sha1, sha256 *string) blob.Checksum {
	c := blob.Checksum{Type: blob.ChecksumType(typ)}
	for i, value := range []*string{crc32, crc32c, crc64, sha1, sha256} {
		if value != nil {
			c.Algorithm, c.Value = blob.Algorithms[i], *value
		}
	}
	if c.Value == "" {
		return blob.Checksum{}
	}
	if c.Type == "" {
		// Endpoints from before checksum types mark composites by their form alone.
		c.Type = blob.FullObject
		if strings.Contains(c.Value, "-") {
			c.Type = blob.Composite
		}
	}
	return c
}

// member gives the value for the field of one algorithm.
func member(c blob.Checksum, a blob.Algorithm) *string {
	if c.Algorithm != a {
		return nil
	}
	return optional(c.Value)
}

func rangeHeader(r *blob.Range) *string {
	if r == nil {
		return nil
	}
	return aws.String(r.String())
}

func partNumber(n int) *int32 {
	if n == 0 {
		return nil
	}
	return aws.Int32(int32(n))
}

// contentRange reads where an answer lies in its object: "bytes 5-9/10".
func contentRange(header *string, length int64) (offset, size int64, err error) {
	if header == nil {
		return 0, length, nil
	}
	var last int64
	if _, err := fmt.Sscanf(*header, "bytes %d-%d/%d", &offset, &last, &size); err != nil || last-offset+1 != length {
		return 0, 0, fmt.Errorf("read object at s3 endpoint: content range %q does not fit %d bytes", *header, length)
	}
	return offset, size, nil
}

// unreadable names the reason for a refused read. A bare 404 to HEAD may mean
// key or bucket; a bare 416 may mean range or part.
func (s *Store) unreadable(ctx context.Context, bucket string, o blob.GetOptions, err error) error {
	err = refused("read object", err, blob.ErrNoSuchKey)
	if errors.Is(err, blob.ErrNoSuchKey) {
		if _, err := s.HeadBucket(ctx, bucket); err != nil {
			return err
		}
	}
	if errors.Is(err, blob.ErrInvalidRange) && o.Part > 0 {
		return blob.ErrInvalidPartNumber
	}
	return err
}

func (s *Store) Get(ctx context.Context, bucket, key string, o blob.GetOptions) (*blob.Object, error) {
	if err := checkName(bucket, key); err != nil {
		return nil, err
	}
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &bucket, Key: &key, Range: rangeHeader(o.Range), PartNumber: partNumber(o.Part), ChecksumMode: types.ChecksumModeEnabled,
		IfMatch: quoted(o.If.IfMatch), IfNoneMatch: quoted(o.If.IfNoneMatch),
		IfModifiedSince: optionalTime(o.If.IfModifiedSince), IfUnmodifiedSince: optionalTime(o.If.IfUnmodifiedSince),
	})
	if err != nil {
		return nil, s.unreadable(ctx, bucket, o, err)
	}
	object := &blob.Object{Body: out.Body, Length: aws.ToInt64(out.ContentLength), Info: blob.Info{
		Bucket: bucket, Key: key, ETag: blob.TrimETag(aws.ToString(out.ETag)), Modified: aws.ToTime(out.LastModified),
		Parts: int(aws.ToInt32(out.PartsCount)), Metadata: metadata(out.Metadata),
		Checksum: stated(out.ChecksumType, out.ChecksumCRC32, out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA1, out.ChecksumSHA256),
		Headers: blob.Headers{
			ContentType: aws.ToString(out.ContentType), CacheControl: aws.ToString(out.CacheControl),
			ContentDisposition: aws.ToString(out.ContentDisposition), ContentEncoding: aws.ToString(out.ContentEncoding),
			ContentLanguage: aws.ToString(out.ContentLanguage), Expires: aws.ToString(out.ExpiresString),
		},
	}}
	if object.Offset, object.Size, err = contentRange(out.ContentRange, object.Length); err != nil {
		return nil, errors.Join(err, out.Body.Close())
	}
	return object, nil
}

func (s *Store) Stat(ctx context.Context, bucket, key string, o blob.GetOptions) (*blob.Object, error) {
	if err := checkName(bucket, key); err != nil {
		return nil, err
	}
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &bucket, Key: &key, Range: rangeHeader(o.Range), PartNumber: partNumber(o.Part), ChecksumMode: types.ChecksumModeEnabled,
		IfMatch: quoted(o.If.IfMatch), IfNoneMatch: quoted(o.If.IfNoneMatch),
		IfModifiedSince: optionalTime(o.If.IfModifiedSince), IfUnmodifiedSince: optionalTime(o.If.IfUnmodifiedSince),
	})
	if err != nil {
		return nil, s.unreadable(ctx, bucket, o, err)
	}
	object := &blob.Object{Length: aws.ToInt64(out.ContentLength), Info: blob.Info{
		Bucket: bucket, Key: key, ETag: blob.TrimETag(aws.ToString(out.ETag)), Modified: aws.ToTime(out.LastModified),
		Parts: int(aws.ToInt32(out.PartsCount)), Metadata: metadata(out.Metadata),
		Checksum: stated(out.ChecksumType, out.ChecksumCRC32, out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA1, out.ChecksumSHA256),
		Headers: blob.Headers{
			ContentType: aws.ToString(out.ContentType), CacheControl: aws.ToString(out.CacheControl),
			ContentDisposition: aws.ToString(out.ContentDisposition), ContentEncoding: aws.ToString(out.ContentEncoding),
			ContentLanguage: aws.ToString(out.ContentLanguage), Expires: aws.ToString(out.ExpiresString),
		},
	}}
	if object.Offset, object.Size, err = contentRange(out.ContentRange, object.Length); err != nil {
		return nil, err
	}
	return object, nil
}

func metadata(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

func (s *Store) Put(ctx context.Context, bucket, key string, body io.Reader, o blob.PutOptions) (blob.Info, error) {
	if err := checkName(bucket, key); err != nil {
		return blob.Info{}, err
	}
	algorithm := o.Expect.Checksum.Algorithm
	if algorithm == "" {
		algorithm = blob.CRC64NVME
	}
	r, h, done, err := s.spooled(body, o.Expect, algorithm)
	if err != nil {
		return blob.Info{}, fmt.Errorf("put object: %w", err)
	}
	defer done()
	sum := h.Checksum(algorithm)
	out, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: r, ContentLength: aws.Int64(h.Size()), Metadata: o.Metadata,
		ContentType: optional(o.Headers.ContentType), CacheControl: optional(o.Headers.CacheControl),
		ContentDisposition: optional(o.Headers.ContentDisposition), ContentEncoding: optional(o.Headers.ContentEncoding),
		ContentLanguage: optional(o.Headers.ContentLanguage), Expires: expires(o.Headers.Expires),
		IfMatch: quoted(o.If.IfMatch), IfNoneMatch: quoted(o.If.IfNoneMatch),
		ChecksumCRC32: member(sum, blob.CRC32), ChecksumCRC32C: member(sum, blob.CRC32C), ChecksumCRC64NVME: member(sum, blob.CRC64NVME),
		ChecksumSHA1: member(sum, blob.SHA1), ChecksumSHA256: member(sum, blob.SHA256),
	})
	if err != nil {
		return blob.Info{}, refused("put object", err, nil)
	}
	return blob.Info{
		Bucket: bucket, Key: key, Size: h.Size(), ETag: blob.TrimETag(aws.ToString(out.ETag)), Modified: s.now().Truncate(time.Second),
		Checksum: sum, Headers: o.Headers, Metadata: o.Metadata,
	}, nil
}

// expires is lost when it is no date: the SDK has a time there.
func expires(s string) *time.Time {
	for _, layout := range []string{time.RFC1123, time.RFC850, time.ANSIC, time.RFC3339} {
		if at, err := time.Parse(layout, s); err == nil {
			return &at
		}
	}
	return nil
}

// sourceHeader writes x-amz-copy-source, which the SDK leaves to its caller.
func sourceHeader(from blob.Source) *string {
	key := strings.ReplaceAll(url.PathEscape(from.Key), "+", "%2B")
	return aws.String(from.Bucket + "/" + key)
}

func (s *Store) Copy(ctx context.Context, from blob.Source, bucket, key string, o blob.CopyOptions) (blob.Info, error) {
	if err := errors.Join(checkName(bucket, key), checkName(from.Bucket, from.Key)); err != nil {
		return blob.Info{}, err
	}
	in := &s3.CopyObjectInput{
		Bucket: &bucket, Key: &key, CopySource: sourceHeader(from),
		CopySourceIfMatch: quoted(from.If.IfMatch), CopySourceIfNoneMatch: quoted(from.If.IfNoneMatch),
		CopySourceIfModifiedSince: optionalTime(from.If.IfModifiedSince), CopySourceIfUnmodifiedSince: optionalTime(from.If.IfUnmodifiedSince),
		ChecksumAlgorithm: types.ChecksumAlgorithm(o.Algorithm),
		IfMatch:           quoted(o.If.IfMatch), IfNoneMatch: quoted(o.If.IfNoneMatch),
	}
	if o.Replace {
		in.MetadataDirective, in.Metadata = types.MetadataDirectiveReplace, o.Metadata
		in.ContentType, in.CacheControl = optional(o.Headers.ContentType), optional(o.Headers.CacheControl)
		in.ContentDisposition, in.ContentEncoding = optional(o.Headers.ContentDisposition), optional(o.Headers.ContentEncoding)
		in.ContentLanguage, in.Expires = optional(o.Headers.ContentLanguage), expires(o.Headers.Expires)
	}
	out, err := s.client.CopyObject(ctx, in)
	if err != nil {
		return blob.Info{}, refused("copy object", err, blob.ErrNoSuchKey)
	}
	if out.CopyObjectResult == nil {
		return blob.Info{}, errors.New("copy object at s3 endpoint: the answer has no result")
	}
	return s.made(ctx, bucket, key, aws.ToString(out.CopyObjectResult.ETag))
}

// made looks up an object that was just made from others and whose size the
// endpoint did not tell. Should it be replaced already, its tag is all there is.
func (s *Store) made(ctx context.Context, bucket, key, etag string) (blob.Info, error) {
	object, err := s.Stat(ctx, bucket, key, blob.GetOptions{If: blob.Conditions{IfMatch: etag}})
	switch {
	case errors.Is(err, blob.ErrPreconditionFailed), errors.Is(err, blob.ErrNoSuchKey):
		return blob.Info{Bucket: bucket, Key: key, ETag: blob.TrimETag(etag), Modified: s.now()}, nil
	case err != nil:
		return blob.Info{}, err
	}
	return object.Info, nil
}
