// Package indexed builds a blob.Store out of two parts: an Index of small rows
// that changes in transactions, and Contents that holds bytes under random ids.
// It guarantees that a row never refers to bytes that are not yet durable, that
// bytes are removed only after the row that named them is gone and the last
// reader has closed, and that names never become paths.
//
// It neither knows how rows are stored nor where bytes lie: fsblob, memblob and
// the server's database supply that.
package indexed

import (
	"context"

	"tenon/internal/blob"
)

// Piece is a run of bytes under one content id. A content id belongs to exactly
// one object or part, so that removing its owner frees it.
type Piece struct {
	Content string
	Size    int64
}

// ObjectRow is one object. Info.Bucket and Info.Key are its identity.
type ObjectRow struct {
	Info   blob.Info
	Pieces []Piece // in order; one per part, none when the object is empty
	Upload string  // id of the upload that made it, for a repeated completion
}

// UploadRow is one upload in progress. ID is unique on the server.
type UploadRow struct {
	Upload   blob.Upload
	Headers  blob.Headers
	Metadata map[string]string
}

// PartRow is one part of an upload; (Upload, Part.Number) is its identity.
type PartRow struct {
	Upload string
	Part   blob.Part
	Piece  Piece
}

// Span is a half-open stretch of keys in byte order; an empty To has no end. From
// and To need not be valid UTF-8: they are to be compared as bytes.
type Span struct{ From, To string }

// Contains says whether key lies in the span.
func (s Span) Contains(key string) bool { return key >= s.From && (s.To == "" || key < s.To) }

// Index holds the rows. Each method is one transaction: it has happened durably
// when nil is returned and not at all when one of blob's errors is; after any
// other error the outcome is unknown and bytes are left for Sweep.
//
// Methods that remove or replace rows return freed: the content ids that no row
// names any more. Every method on a bucket that does not exist answers
// blob.ErrNoSuchBucket.
type Index interface {
	CreateBucket(ctx context.Context, b blob.Bucket) error // blob.ErrBucketExists
	// DeleteBucket also removes the bucket's uploads; blob.ErrBucketNotEmpty.
	DeleteBucket(ctx context.Context, name string) (freed []string, err error)
	GetBucket(ctx context.Context, name string) (blob.Bucket, error)
	ListBuckets(ctx context.Context) ([]blob.Bucket, error) // by name

	GetObject(ctx context.Context, bucket, key string) (ObjectRow, error) // blob.ErrNoSuchKey
	// PutObject inserts or replaces the row after if.CheckWrite(existing).
	PutObject(ctx context.Context, row ObjectRow, cond blob.Conditions) (freed []string, err error)
	// DeleteObjects removes those of the keys that exist. Conditions, when there
	// are any, go with a single key and are decided by cond.CheckWrite(existing).
	DeleteObjects(ctx context.Context, bucket string, keys []string, cond blob.Conditions) (freed []string, err error)
	// ListObjects gives at most limit objects by key; Headers and Metadata may be left out.
	ListObjects(ctx context.Context, bucket string, keys Span, limit int) ([]blob.Info, error)

	CreateUpload(ctx context.Context, row UploadRow) error
	GetUpload(ctx context.Context, u blob.UploadRef) (UploadRow, error) // blob.ErrNoSuchUpload
	// ListUploads gives at most limit uploads by (key, id), those of key keys.From
	// only when their id is greater than afterID.
	ListUploads(ctx context.Context, bucket string, keys Span, afterID string, limit int) ([]blob.Upload, error)
	// PutPart inserts or replaces the part; blob.ErrNoSuchUpload.
	PutPart(ctx context.Context, row PartRow) (freed []string, err error)
	// ListParts gives at most limit parts with numbers above after; blob.ErrNoSuchUpload.
	ListParts(ctx context.Context, upload string, after, limit int) ([]PartRow, error)
	// CompleteUpload puts row, whose Upload names the upload, as PutObject does and
	// removes the upload and its parts. It answers blob.ErrNoSuchUpload when the
	// upload is gone and blob.ErrInvalidPart when a piece of row is no longer one
	// of its parts. Parts that row does not use are among freed.
	CompleteUpload(ctx context.Context, row ObjectRow, cond blob.Conditions) (freed []string, err error)
	AbortUpload(ctx context.Context, u blob.UploadRef) (freed []string, err error) // blob.ErrNoSuchUpload

	// Unknown gives those of the content ids that no object and no part names.
	Unknown(ctx context.Context, contents []string) ([]string, error)
}

// PrefixSpan is the span of all keys that begin with prefix.
func PrefixSpan(prefix string) Span { return Span{From: prefix, To: prefixEnd(prefix)} }

// prefixEnd is the first string behind every string that begins with prefix, or
// empty when there is none.
func prefixEnd(prefix string) string {
	end := []byte(prefix)
	for len(end) > 0 {
		if last := len(end) - 1; end[last] < 0xFF {
			end[last]++
			return string(end)
		}
		end = end[:len(end)-1]
	}
	return ""
}
