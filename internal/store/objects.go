package store

import "time"

// Objects is the index of the built-in object store. It holds rows by their
// identity and knows nothing of S3: bodies are the owner's encoding, and what a
// replaced row frees is for the owner to see, in the same transaction. Names and
// keys are compared as bytes and need not be valid UTF-8. To look up or delete
// what is absent is ErrNotFound, contents excepted.
type Objects interface {
	Bucket(name string) (Bucket, error)
	InsertBucket(Bucket) error // ErrExists
	DeleteBucket(name string) error
	ListBuckets() ([]Bucket, error) // by name

	Object(bucket, key string) (Object, error)
	PutObject(Object) error // inserts or replaces
	DeleteObject(bucket, key string) error
	// ListObjects returns objects with from <= key < to in order; an empty to has no end.
	ListObjects(bucket, from, to string, limit int) ([]Object, error)

	Upload(id string) (Upload, error)
	InsertUpload(Upload) error
	DeleteUpload(id string) error // its parts with it
	// ListUploads returns uploads with from <= key < to by (key, id), those of key
	// from only if their id is greater than afterID.
	ListUploads(bucket, from, to, afterID string, limit int) ([]Upload, error)
	PutUploadPart(UploadPart) error // inserts or replaces
	UploadPart(upload string, number int) (UploadPart, error)
	ListUploadParts(upload string, after, limit int) ([]UploadPart, error)

	// AddContents and DeleteContents keep the set of content ids that some object
	// or part names; KnownContents returns those of ids that are in it.
	AddContents(ids []string) error
	DeleteContents(ids []string) error
	KnownContents(ids []string) ([]string, error)
}

// Bucket is a bucket of the built-in object store; names are global to the server.
type Bucket struct {
	Name    string
	Created time.Time
	Body    []byte
}

// Object is one object.
type Object struct {
	Bucket, Key string
	Body        []byte
}

// Upload is a multipart upload in progress.
type Upload struct {
	ID, Bucket, Key string
	Body            []byte
}

// UploadPart is one part of an upload.
type UploadPart struct {
	Upload string
	Number int
	Body   []byte
}
