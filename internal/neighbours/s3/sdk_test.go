package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"tenon/internal/blob"
	"tenon/internal/blob/indexed"
	"tenon/internal/blob/memblob"
	"tenon/internal/testkit/s3loop"
)

func client(server *s3loop.Server, change ...func(*s3.Options)) *s3.Client {
	credentials := func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: s3loop.AccessKey, SecretAccessKey: s3loop.SecretKey}, nil
	}
	return s3.New(s3.Options{
		Region: s3loop.Region, BaseEndpoint: aws.String(server.URL), UsePathStyle: true, HTTPClient: server.Client,
		Credentials: aws.CredentialsProviderFunc(credentials),
	}, change...)
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("error is %v, want %s", err, code)
	}
}

// stream hides that a body could be rewound, as a pipe cannot.
func stream(body string) io.Reader { return struct{ io.Reader }{strings.NewReader(body)} }

// TestSDK runs the Go SDK with its defaults, in clear and over TLS, where it puts
// checksums behind aws-chunked bodies.
func TestSDK(t *testing.T) {
	for name, start := range map[string]func(testing.TB, blob.Store) *s3loop.Server{"http": s3loop.Start, "https": s3loop.StartTLS} {
		t.Run(name, func(t *testing.T) {
			server := start(t, memblob.New(indexed.Config{Now: time.Now}))
			c := client(server)
			must[*s3.CreateBucketOutput](t)(c.CreateBucket(t.Context(), &s3.CreateBucketInput{
				Bucket:                    aws.String("bucket"),
				CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: s3loop.Region},
			}))
			t.Run("Put", func(t *testing.T) { sdkPut(t, c, name == "https") })
			t.Run("List", func(t *testing.T) { sdkList(t, c) })
			t.Run("Upload", func(t *testing.T) { sdkUpload(t, c) })
			t.Run("Presigned", func(t *testing.T) { sdkPresigned(t, c, server) })
		})
	}
}

func sdkPut(t *testing.T, c *s3.Client, streams bool) {
	ctx, bucket := t.Context(), aws.String("bucket")
	for _, a := range append(types.ChecksumAlgorithm("").Values()[:5], "") {
		var body io.Reader = strings.NewReader("123456789")
		if streams {
			body = stream("123456789")
		}
		must[*s3.PutObjectOutput](t)(c.PutObject(ctx, &s3.PutObjectInput{
			Bucket: bucket, Key: aws.String("a b+ü/\n%2e"), Body: body, ContentLength: aws.Int64(9), ChecksumAlgorithm: a,
			ContentType: aws.String("text/csv"), ContentEncoding: aws.String("identity"), Metadata: map[string]string{"m": "1"},
		}))
		out := must[*s3.GetObjectOutput](t)(c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("a b+ü/\n%2e"), ChecksumMode: types.ChecksumModeEnabled}))
		if got := must[[]byte](t)(io.ReadAll(out.Body)); string(got) != "123456789" {
			t.Errorf("%s: got %q", a, got)
		}
		if aws.ToString(out.ContentType) != "text/csv" || aws.ToString(out.ContentEncoding) != "identity" || out.Metadata["m"] != "1" {
			t.Errorf("%s: headers are %q %q %v", a, *out.ContentType, *out.ContentEncoding, out.Metadata)
		}
		if a == types.ChecksumAlgorithmCrc64nvme && aws.ToString(out.ChecksumCRC64NVME) != "rosUhgp5mIg=" {
			t.Errorf("checksum is %v", out.ChecksumCRC64NVME)
		}
	}
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("a b+ü/\n%2e"), Body: strings.NewReader("x"), IfNoneMatch: aws.String("*")})
	wantCode(t, err, "PreconditionFailed")
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("absent")})
	var absent *types.NoSuchKey
	if !errors.As(err, &absent) {
		t.Errorf("error is %v", err)
	}
	_, err = c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("absent")})
	wantCode(t, err, "NotFound")
	_, err = c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("absent")})
	wantCode(t, err, "NotFound")
	must[*s3.DeleteObjectOutput](t)(c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("a b+ü/\n%2e")}))
}

func sdkList(t *testing.T, c *s3.Client) {
	ctx, bucket := t.Context(), aws.String("bucket")
	keys := []string{"a/1", "a/2", "b/1", "c", "d"}
	for _, key := range keys {
		must[*s3.PutObjectOutput](t)(c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String(key), Body: strings.NewReader(key)}))
	}
	var got []string
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: bucket, MaxKeys: aws.Int32(2), Delimiter: aws.String("/")})
	for pages.HasMorePages() {
		page := must[*s3.ListObjectsV2Output](t)(pages.NextPage(ctx))
		for _, p := range page.CommonPrefixes {
			got = append(got, *p.Prefix)
		}
		for _, o := range page.Contents {
			got = append(got, *o.Key)
		}
	}
	if strings.Join(got, " ") != "a/ b/ c d" {
		t.Errorf("listed %v", got)
	}
	v1 := must[*s3.ListObjectsOutput](t)(c.ListObjects(ctx, &s3.ListObjectsInput{Bucket: bucket, Marker: aws.String("a/2"), MaxKeys: aws.Int32(2)}))
	if len(v1.Contents) != 2 || *v1.Contents[0].Key != "b/1" || !*v1.IsTruncated {
		t.Errorf("version 1 listed %v", v1.Contents)
	}
	var ids []types.ObjectIdentifier
	for _, key := range keys {
		ids = append(ids, types.ObjectIdentifier{Key: aws.String(key)})
	}
	deleted := must[*s3.DeleteObjectsOutput](t)(c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: ids}}))
	if len(deleted.Deleted) != len(keys) || len(deleted.Errors) != 0 {
		t.Errorf("deleted %v, failed %v", deleted.Deleted, deleted.Errors)
	}
}

func sdkUpload(t *testing.T, c *s3.Client) {
	ctx, bucket, key := t.Context(), aws.String("bucket"), aws.String("large")
	u := must[*s3.CreateMultipartUploadOutput](t)(c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key}))
	bodies := [][]byte{bytes.Repeat([]byte("1"), blob.MinPartSize), []byte("end")}
	var parts []types.CompletedPart
	for i, body := range bodies {
		n := aws.Int32(int32(i + 1))
		out := must[*s3.UploadPartOutput](t)(c.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: bucket, Key: key, UploadId: u.UploadId, PartNumber: n, Body: bytes.NewReader(body),
		}))
		parts = append(parts, types.CompletedPart{PartNumber: n, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC64NVME: out.ChecksumCRC64NVME})
	}
	must[*s3.CompleteMultipartUploadOutput](t)(c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: bucket, Key: key, UploadId: u.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}))
	out := must[*s3.GetObjectOutput](t)(c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled}))
	if got := must[[]byte](t)(io.ReadAll(out.Body)); !bytes.Equal(got, bytes.Join(bodies, nil)) {
		t.Errorf("%d bytes came back", len(got))
	}
	second := must[*s3.GetObjectOutput](t)(c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, PartNumber: aws.Int32(2)}))
	if got := must[[]byte](t)(io.ReadAll(second.Body)); string(got) != "end" || aws.ToInt32(second.PartsCount) != 2 {
		t.Errorf("part 2 of %d is %q", aws.ToInt32(second.PartsCount), got)
	}
	must[*s3.DeleteObjectOutput](t)(c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: key}))
}

func sdkPresigned(t *testing.T, c *s3.Client, server *s3loop.Server) {
	presign := s3.NewPresignClient(c)
	put, err := presign.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("presigned key")})
	if err != nil {
		t.Fatal(err)
	}
	r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), put.Method, put.URL, strings.NewReader("by link")))
	answer := must[*http.Response](t)(server.Client.Do(r))
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("put by link: %s, %v", answer.Status, err)
	}
	get, err := presign.PresignGetObject(t.Context(), &s3.GetObjectInput{
		Bucket: aws.String("bucket"), Key: aws.String("presigned key"), ResponseContentType: aws.String("text/x-linked"),
	})
	if err != nil {
		t.Fatal(err)
	}
	r = must[*http.Request](t)(http.NewRequestWithContext(t.Context(), get.Method, get.URL, nil))
	answer = must[*http.Response](t)(server.Client.Do(r))
	body := must[[]byte](t)(io.ReadAll(answer.Body))
	if err := answer.Body.Close(); err != nil || string(body) != "by link" || answer.Header.Get("Content-Type") != "text/x-linked" {
		t.Errorf("got by link: %s %q, %v", answer.Status, body, err)
	}
}

// TestSDKVirtualHost: the bucket in the host name, as SDKs have it by default.
func TestSDKVirtualHost(t *testing.T) {
	server := s3loop.Start(t, memblob.New(indexed.Config{Now: time.Now}))
	address := strings.TrimPrefix(server.URL, "http://")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	c := client(server, func(o *s3.Options) {
		o.UsePathStyle = false
		o.BaseEndpoint = aws.String("http://s3.localhost:" + port)
		var dialer net.Dialer
		o.HTTPClient = &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp", address)
			},
		}}
	})
	bucket := aws.String("by-host")
	must[*s3.CreateBucketOutput](t)(c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}))
	must[*s3.PutObjectOutput](t)(c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("//k"), Body: strings.NewReader("x")}))
	out := must[*s3.ListObjectsV2Output](t)(c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket}))
	if len(out.Contents) != 1 || *out.Contents[0].Key != "//k" {
		t.Errorf("listed %v", out.Contents)
	}
	all := must[*s3.ListBucketsOutput](t)(c.ListBuckets(t.Context(), &s3.ListBucketsInput{}))
	if len(all.Buckets) != 1 || *all.Buckets[0].Name != "by-host" {
		t.Errorf("buckets are %v", all.Buckets)
	}
}
