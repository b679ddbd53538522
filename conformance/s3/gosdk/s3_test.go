//go:build conformance

// Package gosdk proves that the AWS SDK for Go v2 can store, read, list and upload
// in parts through the S3 door of the built binary, which conformance/s3/run
// starts: with checksums of every algorithm in trailers, as the SDK sends them.
package gosdk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

func client(options ...func(*s3.Options)) *s3.Client {
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")}, nil
	})
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL")), Region: os.Getenv("AWS_REGION"), Credentials: credentials, UsePathStyle: true,
	}, options...)
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func bucket(t *testing.T, c *s3.Client, name string) *string {
	t.Helper()
	must[*s3.CreateBucketOutput](t)(c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}))
	return &name
}

// read gets a whole object; the SDK checks its checksum meanwhile.
func read(t *testing.T, c *s3.Client, b *string, key string) []byte {
	t.Helper()
	out := must[*s3.GetObjectOutput](t)(c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: b, Key: &key, ChecksumMode: types.ChecksumModeEnabled}))
	defer out.Body.Close()
	return must[[]byte](t)(io.ReadAll(out.Body))
}

func noise(seed uint64, size int) []byte {
	b := make([]byte, size)
	var s [32]byte
	s[0] = byte(seed)
	_, _ = rand.NewChaCha8(s).Read(b) // never fails
	return b
}

// stream hides that a body can be rewound, so that the SDK sends it in chunks with
// the checksum behind them. Its length is known, as S3 demands.
type stream struct{ *bytes.Reader }

// TestChecksumTrailers proves that bodies whose checksum comes behind them are stored and checked.
func TestChecksumTrailers(t *testing.T) {
	c := client()
	b := bucket(t, c, "go-trailers")
	body := noise(1, 300<<10+17)
	for _, algorithm := range types.ChecksumAlgorithm("").Values() {
		switch algorithm {
		case types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256:
		default:
			continue // newer than what S3 documents as of this release
		}
		t.Run(string(algorithm), func(t *testing.T) {
			key := string(algorithm)
			must[*s3.PutObjectOutput](t)(c.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: b, Key: &key, Body: stream{bytes.NewReader(body)}, ContentLength: aws.Int64(int64(len(body))), ChecksumAlgorithm: algorithm,
			}))
			if !bytes.Equal(read(t, c, b, key), body) {
				t.Error("the object is not what was put")
			}
			got := must[*s3.GetObjectAttributesOutput](t)(c.GetObjectAttributes(t.Context(), &s3.GetObjectAttributesInput{
				Bucket: b, Key: &key, ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesChecksum, types.ObjectAttributesObjectSize},
			}))
			if aws.ToInt64(got.ObjectSize) != int64(len(body)) || got.Checksum == nil {
				t.Errorf("attributes are %+v", got)
			}
		})
	}
}

// TestUploadInParts does what upload managers do: parts at once, in any order.
func TestUploadInParts(t *testing.T) {
	const size = 5 << 20
	ctx, c := t.Context(), client()
	b, key := bucket(t, c, "go-parts"), aws.String("deep/in parts ü")
	body := noise(2, 3*size+99)
	up := must[*s3.CreateMultipartUploadOutput](t)(c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: b, Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	}))
	type result struct {
		part types.CompletedPart
		err  error
	}
	const parts = 4
	results := make(chan result, parts)
	for n := range parts {
		go func() {
			out, err := c.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: b, Key: key, UploadId: up.UploadId, PartNumber: aws.Int32(int32(n + 1)),
				Body: bytes.NewReader(body[n*size : min((n+1)*size, len(body))]), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
			})
			if err != nil {
				results <- result{err: err}
				return
			}
			results <- result{part: types.CompletedPart{PartNumber: aws.Int32(int32(n + 1)), ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32}}
		}()
	}
	done := make([]types.CompletedPart, parts)
	for range parts {
		r := <-results
		if r.err != nil {
			t.Fatal(r.err)
		}
		done[*r.part.PartNumber-1] = r.part
	}
	must[*s3.CompleteMultipartUploadOutput](t)(c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: b, Key: key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	}))
	if !bytes.Equal(read(t, c, b, *key), body) {
		t.Error("the object is not what was uploaded")
	}
}

// TestListing proves that the SDK's paginator sees each key once.
func TestListing(t *testing.T) {
	ctx, c := t.Context(), client()
	b := bucket(t, c, "go-listing")
	want := []string{"a&b", "a/1", "a/2", "b c", "ü"}
	for _, key := range want {
		must[*s3.PutObjectOutput](t)(c.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: &key, Body: strings.NewReader(key)}))
	}
	var got []string
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: b, MaxKeys: aws.Int32(2)})
	for pages.HasMorePages() {
		for _, o := range must[*s3.ListObjectsV2Output](t)(pages.NextPage(ctx)).Contents {
			got = append(got, *o.Key)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	ids := make([]types.ObjectIdentifier, len(want))
	for i := range want {
		ids[i].Key = &want[i]
	}
	deleted := must[*s3.DeleteObjectsOutput](t)(c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: b, Delete: &types.Delete{Objects: ids}}))
	if len(deleted.Deleted) != len(want) || len(deleted.Errors) != 0 {
		t.Errorf("deleted %d with %d errors", len(deleted.Deleted), len(deleted.Errors))
	}
}

// TestErrors proves that refusals arrive as the SDK's types.
func TestErrors(t *testing.T) {
	ctx, c := t.Context(), client()
	b := bucket(t, c, "go-errors")
	_, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: aws.String("absent")})
	var noKey *types.NoSuchKey
	if !errors.As(err, &noKey) {
		t.Errorf("error is %v", err)
	}
	_, err = c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: b, Key: aws.String("absent")})
	var notFound *types.NotFound
	if !errors.As(err, &notFound) {
		t.Errorf("error is %v", err)
	}
	_, err = c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("absent-bucket")})
	var noBucket *types.NoSuchBucket
	if !errors.As(err, &noBucket) {
		t.Errorf("error is %v", err)
	}
}

// TestVirtualHost proves that BUCKET.localhost is understood. Not every resolver
// sends such names to loopback, so the dialer does.
func TestVirtualHost(t *testing.T) {
	real := os.Getenv("AWS_ENDPOINT_URL")
	endpoint := strings.Replace(real, "127.0.0.1", "localhost", 1)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if !strings.HasPrefix(address, "go-virtual.localhost:") {
			t.Errorf("the SDK speaks to %s", address)
		}
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(real, "http://"))
	}}
	defer transport.CloseIdleConnections()
	c := client(func(o *s3.Options) {
		o.UsePathStyle, o.BaseEndpoint, o.HTTPClient = false, &endpoint, &http.Client{Transport: transport}
	})
	b, key := bucket(t, c, "go-virtual"), "k"
	must[*s3.PutObjectOutput](t)(c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: b, Key: &key, Body: strings.NewReader("v")}))
	if got := read(t, client(), b, key); string(got) != "v" {
		t.Errorf("path style reads %q", got)
	}
}

// TestPresigned proves that a presigned URL works without the SDK.
func TestPresigned(t *testing.T) {
	ctx, c := t.Context(), client()
	b, key := bucket(t, c, "go-presigned"), "dir/pre signed"
	must[*s3.PutObjectOutput](t)(c.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: &key, Body: strings.NewReader("p")}))
	signed, err := s3.NewPresignClient(c).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: &key}, s3.WithPresignExpires(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, signed.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = signed.SignedHeader
	resp := must[*http.Response](t)(http.DefaultClient.Do(req))
	defer resp.Body.Close()
	if body := must[[]byte](t)(io.ReadAll(resp.Body)); string(body) != "p" {
		t.Errorf("got %s %q", resp.Status, body)
	}
}
