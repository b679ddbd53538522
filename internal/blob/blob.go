// Package blob is the port to object storage: buckets of one server, and in
// them objects that are whole or absent. It guarantees that an object becomes
// visible only after its last byte was received, verified and made durable,
// that conditions are decided in the same step as the change they guard, that a
// reader keeps the version it opened, and that keys come back byte for byte.
//
// It keeps no versions, tags, access lists or encryption settings, and it knows
// nothing of accounts: bucket names are global to the server, and who may touch
// them is decided in front of the port.
package blob

import (
	"context"
	"io"
	"time"
)

// Limits of the S3 API (User Guide, "Amazon S3 multipart upload limits").
const (
	MaxPutSize  = 5 << 30 // bytes of one put or one part
	MinPartSize = 5 << 20 // bytes of every part but the last
	MaxParts    = 10000
	MaxKeyBytes = 1024
	MaxPage     = 1000 // entries of one listing page
)

// Store is one server's object storage.
type Store interface {
	Buckets
	Objects
	Uploads
}

// Buckets are the namespaces of objects.
type Buckets interface {
	// CreateBucket answers ErrBucketExists when the name is taken.
	CreateBucket(ctx context.Context, name string) error
	// DeleteBucket answers ErrBucketNotEmpty while it holds objects; uploads in
	// progress go with the bucket.
	DeleteBucket(ctx context.Context, name string) error
	HeadBucket(ctx context.Context, name string) (Bucket, error)
	// ListBuckets gives all of them by name.
	ListBuckets(ctx context.Context) ([]Bucket, error)
}

// Objects are read and written whole.
type Objects interface {
	// Get opens an object for reading; the caller closes Body.
	Get(ctx context.Context, bucket, key string, o GetOptions) (*Object, error)
	// Stat is Get without the bytes: Body is nil.
	Stat(ctx context.Context, bucket, key string, o GetOptions) (*Object, error)
	// Put reads body to its end and replaces the object. Any error from body
	// leaves the old object as it was.
	Put(ctx context.Context, bucket, key string, body io.Reader, o PutOptions) (Info, error)
	// Copy makes the object from another one, inside the server.
	Copy(ctx context.Context, from Source, bucket, key string, o CopyOptions) (Info, error)
	// Delete succeeds when the object is absent, unless a condition is given.
	Delete(ctx context.Context, bucket, key string, c Conditions) error
	// DeleteMany removes up to MaxPage keys. The error is about the call; the
	// slice holds, per key, nil or why it was not removed.
	DeleteMany(ctx context.Context, bucket string, keys []string) ([]error, error)
	List(ctx context.Context, bucket string, o ListOptions) (Page, error)
}

// Uploads are objects that arrive in numbered parts.
type Uploads interface {
	CreateUpload(ctx context.Context, bucket, key string, o UploadOptions) (Upload, error)
	PutPart(ctx context.Context, u UploadRef, number int, body io.Reader, e Expect) (Part, error)
	CopyPart(ctx context.Context, u UploadRef, number int, from Source) (Part, error)
	// ListParts gives at most limit parts with numbers above after.
	ListParts(ctx context.Context, u UploadRef, after, limit int) (PartPage, error)
	// CompleteUpload makes the object of the named parts. Repeating a completed
	// call answers as the first did while that object still stands, because
	// clients repeat it when the reply was lost.
	CompleteUpload(ctx context.Context, u UploadRef, parts []CompletedPart, o CompleteOptions) (Info, error)
	AbortUpload(ctx context.Context, u UploadRef) error
	ListUploads(ctx context.Context, bucket string, o UploadListOptions) (UploadPage, error)
}

// Bucket is a namespace of objects.
type Bucket struct {
	Name    string
	Created time.Time
}

// Headers are the HTTP headers that are stored with an object and given back.
type Headers struct {
	ContentType        string
	CacheControl       string
	ContentDisposition string
	ContentEncoding    string
	ContentLanguage    string
	Expires            string // verbatim, clients put anything in it
}

// Info describes an object.
type Info struct {
	Bucket   string
	Key      string
	Size     int64  // bytes
	ETag     string // without quotes
	Modified time.Time
	Checksum Checksum
	Parts    int // number of parts it was uploaded in, 0 when put in one piece
	Headers  Headers
	Metadata map[string]string // names in lower case, without x-amz-meta-
}

// Object is an opened object, or a stretch of one.
type Object struct {
	Info
	Offset int64 // first byte of Body in the object
	Length int64 // bytes in Body
	Body   io.ReadCloser
}

// GetOptions choose what to read. The zero value is the whole object.
type GetOptions struct {
	If    Conditions
	Range *Range // at most one of Range and Part
	Part  int    // 1-based; an object put in one piece has part 1 only
}

// Expect holds what the sender says about a body; a body that does not match
// is refused with ErrBadDigest.
type Expect struct {
	MD5 []byte
	// Checksum names the algorithm to compute and keep; Value may be empty.
	Checksum Checksum
	// Trailer, when set, is called after the last byte and gives the value that
	// was sent behind the body.
	Trailer func() (string, error)
}

// PutOptions go with a new object.
type PutOptions struct {
	Headers  Headers
	Metadata map[string]string
	Expect   Expect
	If       Conditions // IfMatch and IfNoneMatch "*" only
}

// Source names the object a copy is made from.
type Source struct {
	Bucket, Key string
	If          Conditions
	Range       *Range // parts only
}

// CopyOptions go with a copied object.
type CopyOptions struct {
	// Replace takes Headers and Metadata from here instead of the source.
	Replace   bool
	Headers   Headers
	Metadata  map[string]string
	Algorithm Algorithm // empty: that of the source
	If        Conditions
}

// ListOptions choose a page of a bucket, in the byte order of the keys.
type ListOptions struct {
	Prefix    string
	Delimiter string
	// After is exclusive. When it is itself a common prefix, everything below
	// it is left out too, so that a page can go on behind one.
	After string
	Limit int // 0 gives an empty page
}

// Page is one page of a listing.
type Page struct {
	Objects  []Info   // Headers and Metadata may be empty
	Prefixes []string // common prefixes, only with a delimiter
	More     bool
	Next     string // After of the next page, when More
}

// UploadRef names an upload; all three must agree.
type UploadRef struct{ Bucket, Key, ID string }

// Upload is an object that is still arriving.
type Upload struct {
	UploadRef
	Created   time.Time
	Algorithm Algorithm
	Type      ChecksumType
}

// UploadOptions go with the object that an upload will make.
type UploadOptions struct {
	Headers   Headers
	Metadata  map[string]string
	Algorithm Algorithm    // empty: CRC64NVME
	Type      ChecksumType // empty: the algorithm's default
}

// Part is one received part.
type Part struct {
	Number   int
	Size     int64
	ETag     string
	Modified time.Time
	Checksum Checksum
}

// PartPage is one page of parts.
type PartPage struct {
	Upload Upload
	Parts  []Part
	More   bool
}

// CompletedPart is how the sender names a part it has uploaded. Checksum may be
// empty; when it is not, it must match.
type CompletedPart struct {
	Number   int
	ETag     string
	Checksum Checksum
}

// CompleteOptions guard the completion.
type CompleteOptions struct {
	If       Conditions
	Checksum Checksum // of the whole object, when its Value is set
	Size     *int64   // of the whole object, when set
}

// UploadListOptions choose a page of uploads, ordered by key and then id.
type UploadListOptions struct {
	Prefix   string
	AfterKey string
	AfterID  string // only with AfterKey: that key's uploads behind this id also count
	Limit    int
}

// UploadPage is one page of uploads.
type UploadPage struct {
	Uploads []Upload
	More    bool
}
