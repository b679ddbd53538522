// Package s3blob is a blob.Store on an S3 or MinIO endpoint. It guarantees that a
// body is received and verified in full before a byte of it is sent on, so that
// one call makes or leaves the object, and that what comes back is held against
// the checksum the endpoint states.
//
// It decides nothing itself: conditions, listings and uploads are the endpoint's.
// A body passes through a temporary file when it is larger than a megabyte.
package s3blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"tenon/internal/blob"
)

// Config names the endpoint.
type Config struct {
	Endpoint  string // such as https://minio.example:9000; empty is AWS itself
	Region    string
	PathStyle bool // MinIO and most others want it

	AccessKey, SecretKey, SessionToken string

	HTTPClient *http.Client // nil: the SDK's
	SpoolDir   string       // for large bodies on their way; empty: the system's
	Now        func() time.Time
}

// Store is a blob.Store on the endpoint.
type Store struct {
	client *s3.Client
	region string
	spool  string
	now    func() time.Time
}

var _ blob.Store = (*Store)(nil)

// New connects to nothing yet.
func New(c Config) (*Store, error) {
	if c.Region == "" || c.AccessKey == "" || c.SecretKey == "" || c.Now == nil {
		return nil, errors.New("configure s3 endpoint: region, access key, secret key and clock are required")
	}
	o := s3.Options{
		Region:       c.Region,
		UsePathStyle: c.PathStyle,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: c.AccessKey, SecretAccessKey: c.SecretKey, SessionToken: c.SessionToken}, nil
		}),
		// Bodies carry the checksums computed here; older endpoints do not
		// understand the trailers the SDK would add by itself.
		RequestChecksumCalculation:                aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation:                aws.ResponseChecksumValidationWhenSupported,
		DisableLogOutputChecksumValidationSkipped: true,
	}
	if c.HTTPClient != nil {
		o.HTTPClient = c.HTTPClient
	}
	if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("configure s3 endpoint: the address is not an http or https URL")
		}
		o.BaseEndpoint = aws.String(c.Endpoint)
	}
	return &Store{client: s3.New(o), region: c.Region, spool: c.SpoolDir, now: c.Now}, nil
}

var byCode = func() map[string]*blob.Error {
	m := blob.Errors()
	m["BucketAlreadyExists"] = blob.ErrBucketExists
	return m
}()

// refused turns the endpoint's refusal into the port's. Answers to HEAD have no
// body, so their status must do; absent says what a bare 404 means there. Other
// refusals, such as AccessDenied or SlowDown, pass through as they are.
func refused(doing string, err error, absent *blob.Error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		if known, ok := byCode[api.ErrorCode()]; ok {
			if message := api.ErrorMessage(); message != "" && message != known.Message {
				return fmt.Errorf("%w: %s", known, message)
			}
			return known
		}
	}
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		switch response.HTTPStatusCode() {
		case http.StatusNotFound:
			if absent != nil {
				return absent
			}
		case http.StatusNotModified:
			return blob.ErrNotModified
		case http.StatusPreconditionFailed:
			return blob.ErrPreconditionFailed
		case http.StatusRequestedRangeNotSatisfiable:
			return blob.ErrInvalidRange
		}
	}
	return fmt.Errorf("%s at s3 endpoint: %w", doing, err)
}

// CreateBucket asks first: in us-east-1 S3 would accept a repetition.
func (s *Store) CreateBucket(ctx context.Context, name string) error {
	if err := blob.CheckBucketName(name); err != nil {
		return err
	}
	_, err := s.HeadBucket(ctx, name)
	if err == nil {
		return blob.ErrBucketExists
	}
	if !errors.Is(err, blob.ErrNoSuchBucket) {
		return err
	}
	in := &s3.CreateBucketInput{Bucket: &name}
	if s.region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(s.region)}
	}
	if _, err := s.client.CreateBucket(ctx, in); err != nil {
		return refused("create bucket", err, nil)
	}
	return nil
}

func (s *Store) DeleteBucket(ctx context.Context, name string) error {
	if err := blob.CheckBucketName(name); err != nil {
		return blob.ErrNoSuchBucket
	}
	if _, err := s.client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &name}); err != nil {
		return refused("delete bucket", err, blob.ErrNoSuchBucket)
	}
	return nil
}

// HeadBucket cannot say when the bucket was made; only ListBuckets can.
func (s *Store) HeadBucket(ctx context.Context, name string) (blob.Bucket, error) {
	if err := blob.CheckBucketName(name); err != nil {
		return blob.Bucket{}, blob.ErrNoSuchBucket
	}
	if _, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name}); err != nil {
		return blob.Bucket{}, refused("look up bucket", err, blob.ErrNoSuchBucket)
	}
	return blob.Bucket{Name: name}, nil
}

func (s *Store) ListBuckets(ctx context.Context) ([]blob.Bucket, error) {
	out, err := s.client.ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil {
		return nil, refused("list buckets", err, nil)
	}
	all := make([]blob.Bucket, 0, len(out.Buckets))
	for _, b := range out.Buckets {
		all = append(all, blob.Bucket{Name: aws.ToString(b.Name), Created: aws.ToTime(b.CreationDate)})
	}
	return all, nil
}

// checkName spares the endpoint what it would refuse, and the SDK names it would
// misread as access points.
func checkName(bucket, key string) error {
	if blob.CheckBucketName(bucket) != nil {
		return blob.ErrNoSuchBucket
	}
	return blob.CheckKey(key)
}

// optional is nil for an empty string, so that no empty header is sent.
func optional(v string) *string {
	if v == "" {
		return nil
	}
	return &v
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// quoted makes an entity tag what HTTP wants it to be; "*" and lists stay.
func quoted(tag string) *string {
	if tag == "" || tag == "*" || strings.ContainsAny(tag, `",`) {
		return optional(tag)
	}
	return aws.String(`"` + tag + `"`)
}

func (s *Store) Delete(ctx context.Context, bucket, key string, c blob.Conditions) error {
	if err := checkName(bucket, key); err != nil {
		return err
	}
	if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key, IfMatch: quoted(c.IfMatch)}); err != nil {
		return refused("delete object", err, nil)
	}
	return nil
}

func (s *Store) DeleteMany(ctx context.Context, bucket string, keys []string) ([]error, error) {
	errs := make([]error, len(keys))
	var ids []types.ObjectIdentifier
	for i, key := range keys {
		if errs[i] = checkName(bucket, key); errs[i] == nil {
			ids = append(ids, types.ObjectIdentifier{Key: &keys[i]})
		}
	}
	if len(ids) == 0 {
		_, err := s.HeadBucket(ctx, bucket)
		return errs, err
	}
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
	})
	if err != nil {
		return nil, refused("delete objects", err, nil)
	}
	for _, e := range out.Errors {
		for i, key := range keys {
			if key == aws.ToString(e.Key) {
				failed := &smithy.GenericAPIError{Code: aws.ToString(e.Code), Message: aws.ToString(e.Message)}
				errs[i] = refused("delete object", failed, nil)
			}
		}
	}
	return errs, nil
}

// behind is a suffix that puts a key behind everything that begins with it.
const behind = "\U0010FFFF"

// List asks for one page by key, never by the endpoint's own token, so that there
// is no token that could repeat (spec/faults H5).
func (s *Store) List(ctx context.Context, bucket string, o blob.ListOptions) (blob.Page, error) {
	limit := min(o.Limit, blob.MaxPage)
	if limit == 0 {
		_, err := s.HeadBucket(ctx, bucket)
		return blob.Page{}, err
	}
	after := o.After
	if o.Delimiter != "" && strings.HasSuffix(after, o.Delimiter) {
		after += behind
	}
	out, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &bucket, Prefix: optional(o.Prefix), Delimiter: optional(o.Delimiter), StartAfter: optional(after),
		MaxKeys: aws.Int32(int32(limit)), EncodingType: types.EncodingTypeUrl,
	})
	if err != nil {
		return blob.Page{}, refused("list objects", err, blob.ErrNoSuchBucket)
	}
	page := blob.Page{More: aws.ToBool(out.IsTruncated)}
	accept := func(escaped *string) (string, error) {
		key, err := url.QueryUnescape(aws.ToString(escaped))
		if err != nil {
			return "", fmt.Errorf("list objects at s3 endpoint: %w", err)
		}
		// A prefix that After lies below sorts before it and still has keys behind.
		if key <= o.After && (key == o.After || !strings.HasPrefix(o.After, key)) {
			return "", fmt.Errorf("list objects at s3 endpoint: %q was answered behind %q", key, o.After)
		}
		page.Next = max(page.Next, key)
		return key, nil
	}
	for _, c := range out.Contents {
		key, err := accept(c.Key)
		if err != nil {
			return blob.Page{}, err
		}
		info := blob.Info{
			Bucket: bucket, Key: key, Size: aws.ToInt64(c.Size), ETag: blob.TrimETag(aws.ToString(c.ETag)), Modified: aws.ToTime(c.LastModified),
		}
		page.Objects = append(page.Objects, info)
	}
	for _, c := range out.CommonPrefixes {
		prefix, err := accept(c.Prefix)
		if err != nil {
			return blob.Page{}, err
		}
		page.Prefixes = append(page.Prefixes, prefix)
	}
	if !page.More {
		page.Next = ""
	} else if page.Next == "" {
		return blob.Page{}, errors.New("list objects at s3 endpoint: an empty page claims to have a next one")
	}
	return page, nil
}

// spooled receives a body, holds it against what the sender said, and gives it
// back from the start. done removes it.
func (s *Store) spooled(body io.Reader, e blob.Expect, also blob.Algorithm) (r io.ReadSeeker, h *blob.Hasher, done func(), err error) {
	if a := e.Checksum.Algorithm; a != "" && a.New() == nil {
		return nil, nil, nil, fmt.Errorf("%w: checksum algorithm %q is not known", blob.ErrInvalidRequest, a)
	}
	h = blob.NewHasher(e.Checksum.Algorithm, also)
	sp := &spool{dir: s.spool}
	if _, err = io.Copy(io.MultiWriter(sp, h), body); err == nil {
		if err = e.Check(h); err == nil {
			if r, err = sp.rewind(); err == nil {
				return r, h, sp.remove, nil
			}
		}
	}
	sp.remove()
	return nil, nil, nil, err
}
