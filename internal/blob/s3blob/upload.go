package s3blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"tenon/internal/blob"
)

func (s *Store) CreateUpload(ctx context.Context, bucket, key string, o blob.UploadOptions) (blob.Upload, error) {
	if err := checkName(bucket, key); err != nil {
		return blob.Upload{}, err
	}
	if o.Algorithm == "" {
		o.Algorithm = blob.CRC64NVME
	}
	typ, err := o.Algorithm.CheckUploadType(o.Type)
	if err != nil {
		return blob.Upload{}, err
	}
	out, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &bucket, Key: &key, Metadata: o.Metadata,
		ContentType: optional(o.Headers.ContentType), CacheControl: optional(o.Headers.CacheControl),
		ContentDisposition: optional(o.Headers.ContentDisposition), ContentEncoding: optional(o.Headers.ContentEncoding),
		ContentLanguage: optional(o.Headers.ContentLanguage), Expires: expires(o.Headers.Expires),
		ChecksumAlgorithm: types.ChecksumAlgorithm(o.Algorithm), ChecksumType: types.ChecksumType(typ),
	})
	if err != nil {
		return blob.Upload{}, refused("create upload", err, nil)
	}
	ref := blob.UploadRef{Bucket: bucket, Key: key, ID: aws.ToString(out.UploadId)}
	return blob.Upload{UploadRef: ref, Created: s.now(), Algorithm: o.Algorithm, Type: typ}, nil
}

func checkPart(u blob.UploadRef, number int) error {
	if number < 1 || number > blob.MaxParts {
		return fmt.Errorf("%w: part number must be an integer between 1 and %d, inclusive", blob.ErrInvalidArgument, blob.MaxParts)
	}
	return checkUpload(u)
}

func checkUpload(u blob.UploadRef) error {
	if u.ID == "" { // the SDK would send another request
		return blob.ErrNoSuchUpload
	}
	return checkName(u.Bucket, u.Key)
}

func (s *Store) PutPart(ctx context.Context, u blob.UploadRef, number int, body io.Reader, e blob.Expect) (blob.Part, error) {
	if err := checkPart(u, number); err != nil {
		return blob.Part{}, err
	}
	r, h, done, err := s.spooled(body, e, "")
	if err != nil {
		return blob.Part{}, fmt.Errorf("put part: %w", err)
	}
	defer done()
	sum := h.Checksum(e.Checksum.Algorithm)
	out, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.Bucket, Key: &u.Key, UploadId: &u.ID, PartNumber: aws.Int32(int32(number)), Body: r, ContentLength: aws.Int64(h.Size()),
		ChecksumCRC32: member(sum, blob.CRC32), ChecksumCRC32C: member(sum, blob.CRC32C), ChecksumCRC64NVME: member(sum, blob.CRC64NVME),
		ChecksumSHA1: member(sum, blob.SHA1), ChecksumSHA256: member(sum, blob.SHA256),
	})
	if err != nil {
		return blob.Part{}, refused("put part", err, nil)
	}
	return blob.Part{
		Number: number, Size: h.Size(), ETag: blob.TrimETag(aws.ToString(out.ETag)), Modified: s.now().Truncate(time.Second),
		Checksum: stated("", out.ChecksumCRC32, out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA1, out.ChecksumSHA256),
	}, nil
}

func (s *Store) CopyPart(ctx context.Context, u blob.UploadRef, number int, from blob.Source) (blob.Part, error) {
	if err := errors.Join(checkPart(u, number), checkName(from.Bucket, from.Key)); err != nil {
		return blob.Part{}, err
	}
	_, err := s.client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
		Bucket: &u.Bucket, Key: &u.Key, UploadId: &u.ID, PartNumber: aws.Int32(int32(number)),
		CopySource: sourceHeader(from), CopySourceRange: rangeHeader(from.Range),
		CopySourceIfMatch: quoted(from.If.IfMatch), CopySourceIfNoneMatch: quoted(from.If.IfNoneMatch),
		CopySourceIfModifiedSince: optionalTime(from.If.IfModifiedSince), CopySourceIfUnmodifiedSince: optionalTime(from.If.IfUnmodifiedSince),
	})
	if err != nil {
		return blob.Part{}, refused("copy part", err, blob.ErrNoSuchKey)
	}
	// The answer does not say how large the part is; the list of parts does.
	page, err := s.ListParts(ctx, u, number-1, 1)
	if err != nil {
		return blob.Part{}, err
	}
	if len(page.Parts) == 0 || page.Parts[0].Number != number {
		return blob.Part{}, blob.ErrNoSuchUpload
	}
	return page.Parts[0], nil
}

func (s *Store) ListParts(ctx context.Context, u blob.UploadRef, after, limit int) (blob.PartPage, error) {
	if err := checkUpload(u); err != nil {
		return blob.PartPage{}, err
	}
	in := &s3.ListPartsInput{Bucket: &u.Bucket, Key: &u.Key, UploadId: &u.ID, MaxParts: aws.Int32(int32(min(limit, blob.MaxPage)))}
	if after > 0 {
		in.PartNumberMarker = aws.String(strconv.Itoa(after))
	}
	out, err := s.client.ListParts(ctx, in)
	if err != nil {
		return blob.PartPage{}, refused("list parts", err, blob.ErrNoSuchUpload)
	}
	page := blob.PartPage{More: aws.ToBool(out.IsTruncated), Upload: blob.Upload{
		UploadRef: u, Algorithm: blob.Algorithm(out.ChecksumAlgorithm), Type: blob.ChecksumType(out.ChecksumType),
	}}
	for _, p := range out.Parts {
		page.Parts = append(page.Parts, blob.Part{
			Number: int(aws.ToInt32(p.PartNumber)), Size: aws.ToInt64(p.Size), ETag: blob.TrimETag(aws.ToString(p.ETag)),
			Modified: aws.ToTime(p.LastModified),
			Checksum: stated("", p.ChecksumCRC32, p.ChecksumCRC32C, p.ChecksumCRC64NVME, p.ChecksumSHA1, p.ChecksumSHA256),
		})
	}
	return page, nil
}

func (s *Store) CompleteUpload(ctx context.Context, u blob.UploadRef, parts []blob.CompletedPart, o blob.CompleteOptions) (blob.Info, error) {
	if err := checkUpload(u); err != nil {
		return blob.Info{}, err
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &u.Bucket, Key: &u.Key, UploadId: &u.ID, MultipartUpload: &types.CompletedMultipartUpload{}, MpuObjectSize: o.Size,
		IfMatch: quoted(o.If.IfMatch), IfNoneMatch: quoted(o.If.IfNoneMatch), ChecksumType: types.ChecksumType(o.Checksum.Type),
		ChecksumCRC32: member(o.Checksum, blob.CRC32), ChecksumCRC32C: member(o.Checksum, blob.CRC32C),
		ChecksumCRC64NVME: member(o.Checksum, blob.CRC64NVME), ChecksumSHA1: member(o.Checksum, blob.SHA1),
		ChecksumSHA256: member(o.Checksum, blob.SHA256),
	}
	for _, p := range parts {
		in.MultipartUpload.Parts = append(in.MultipartUpload.Parts, types.CompletedPart{
			PartNumber: aws.Int32(int32(p.Number)), ETag: quoted(p.ETag),
			ChecksumCRC32: member(p.Checksum, blob.CRC32), ChecksumCRC32C: member(p.Checksum, blob.CRC32C),
			ChecksumCRC64NVME: member(p.Checksum, blob.CRC64NVME), ChecksumSHA1: member(p.Checksum, blob.SHA1),
			ChecksumSHA256: member(p.Checksum, blob.SHA256),
		})
	}
	out, err := s.client.CompleteMultipartUpload(ctx, in)
	if err != nil {
		return blob.Info{}, refused("complete upload", err, nil)
	}
	return s.made(ctx, u.Bucket, u.Key, aws.ToString(out.ETag))
}

func (s *Store) AbortUpload(ctx context.Context, u blob.UploadRef) error {
	if err := checkUpload(u); err != nil {
		return err
	}
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.Bucket, Key: &u.Key, UploadId: &u.ID})
	if err != nil {
		return refused("abort upload", err, blob.ErrNoSuchUpload)
	}
	return nil
}

func (s *Store) ListUploads(ctx context.Context, bucket string, o blob.UploadListOptions) (blob.UploadPage, error) {
	in := &s3.ListMultipartUploadsInput{
		Bucket: &bucket, Prefix: optional(o.Prefix), KeyMarker: optional(o.AfterKey), MaxUploads: aws.Int32(int32(min(o.Limit, blob.MaxPage))),
	}
	if o.AfterKey != "" {
		in.UploadIdMarker = optional(o.AfterID)
	}
	out, err := s.client.ListMultipartUploads(ctx, in)
	if err != nil {
		return blob.UploadPage{}, refused("list uploads", err, blob.ErrNoSuchBucket)
	}
	page := blob.UploadPage{More: aws.ToBool(out.IsTruncated)}
	for _, u := range out.Uploads {
		page.Uploads = append(page.Uploads, blob.Upload{
			UploadRef: blob.UploadRef{Bucket: bucket, Key: aws.ToString(u.Key), ID: aws.ToString(u.UploadId)},
			Created:   aws.ToTime(u.Initiated), Algorithm: blob.Algorithm(u.ChecksumAlgorithm), Type: blob.ChecksumType(u.ChecksumType),
		})
	}
	return page, nil
}
