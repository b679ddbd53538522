package tenon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tenon/internal/blob"
	"tenon/internal/blob/indexed"
	"tenon/internal/store"
)

// objectIndex keeps the index of the built-in object store in the server's own
// store, so that an object and whatever else a call changes can be one commit.
// Every method is one transaction, in which conditions are decided and freed
// contents are found.
type objectIndex struct{ store store.Store }

var _ indexed.Index = objectIndex{}

// objectEncoding is written into every body below.
const objectEncoding = 1

// The bodies of rows, without what is a column of its own. Members may be added
// but never changed.
type (
	bucketBody struct {
		V int `json:"v"`
	}
	objectBody struct {
		V        int               `json:"v"`
		Size     int64             `json:"size,omitzero"`
		ETag     string            `json:"etag,omitzero"`
		Modified time.Time         `json:"modified"`
		Checksum blob.Checksum     `json:"checksum,omitzero"`
		Parts    int               `json:"parts,omitzero"`
		Headers  blob.Headers      `json:"headers,omitzero"`
		Metadata map[string]string `json:"metadata,omitzero"`
		Pieces   []indexed.Piece   `json:"pieces,omitzero"`
		Upload   string            `json:"upload,omitzero"`
	}
	uploadBody struct {
		V         int               `json:"v"`
		Created   time.Time         `json:"created"`
		Algorithm blob.Algorithm    `json:"algorithm,omitzero"`
		Type      blob.ChecksumType `json:"type,omitzero"`
		Headers   blob.Headers      `json:"headers,omitzero"`
		Metadata  map[string]string `json:"metadata,omitzero"`
	}
	partBody struct {
		V        int           `json:"v"`
		Size     int64         `json:"size,omitzero"`
		ETag     string        `json:"etag,omitzero"`
		Modified time.Time     `json:"modified"`
		Checksum blob.Checksum `json:"checksum,omitzero"`
		Piece    indexed.Piece `json:"piece"`
	}
)

func encodeBody(v any) ([]byte, error) {
	b, err := json.Marshal(v, json.Deterministic(true), json.OmitZeroStructFields(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("encode row of the object index: %w", err)
	}
	return b, nil
}

// decodeBody reads a body into v, whose version is at got.
func decodeBody(b []byte, v any, got *int) error {
	if err := json.Unmarshal(b, v, jsontext.AllowInvalidUTF8(true)); err != nil {
		return fmt.Errorf("decode row of the object index: %w", err)
	}
	if *got != objectEncoding {
		return fmt.Errorf("decode row of the object index: version %d is not known", *got)
	}
	return nil
}

// or replaces the store's word for a row that is missing, or there already.
func or(err, word error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) {
		return word
	}
	return err
}

func hasBucket(tx store.Tx, name string) error {
	_, err := tx.Bucket(name)
	return or(err, blob.ErrNoSuchBucket)
}

func (x objectIndex) CreateBucket(ctx context.Context, b blob.Bucket) error {
	body, err := encodeBody(bucketBody{V: objectEncoding})
	if err != nil {
		return err
	}
	return x.store.Write(ctx, func(tx store.Tx) error {
		return or(tx.InsertBucket(store.Bucket{Name: b.Name, Created: b.Created, Body: body}), blob.ErrBucketExists)
	})
}

func (x objectIndex) DeleteBucket(ctx context.Context, name string) (freed []string, err error) {
	err = x.store.Write(ctx, func(tx store.Tx) error {
		freed = nil
		if err := hasBucket(tx, name); err != nil {
			return err
		}
		if some, err := tx.ListObjects(name, "", "", 1); err != nil || len(some) > 0 {
			return errors.Join(err, notEmpty(some))
		}
		for {
			uploads, err := tx.ListUploads(name, "", "", "", blob.MaxPage)
			if err != nil {
				return err
			}
			if len(uploads) == 0 {
				return tx.DeleteBucket(name)
			}
			for _, u := range uploads {
				gone, err := removeUpload(tx, u.ID, nil)
				if err != nil {
					return err
				}
				freed = append(freed, gone...)
			}
		}
	})
	return freed, err
}

func notEmpty(objects []store.Object) error {
	if len(objects) > 0 {
		return blob.ErrBucketNotEmpty
	}
	return nil
}

func (x objectIndex) GetBucket(ctx context.Context, name string) (out blob.Bucket, err error) {
	err = x.store.Read(ctx, func(tx store.Tx) error {
		b, err := tx.Bucket(name)
		out = blob.Bucket{Name: b.Name, Created: b.Created}
		return or(err, blob.ErrNoSuchBucket)
	})
	return out, err
}

func (x objectIndex) ListBuckets(ctx context.Context) (out []blob.Bucket, err error) {
	err = x.store.Read(ctx, func(tx store.Tx) error {
		all, err := tx.ListBuckets()
		out = make([]blob.Bucket, len(all))
		for i, b := range all {
			out[i] = blob.Bucket{Name: b.Name, Created: b.Created}
		}
		return err
	})
	return out, err
}

// object returns the row of an object; ErrNoSuchKey.
func object(tx store.Tx, bucket, key string) (row indexed.ObjectRow, err error) {
	o, err := tx.Object(bucket, key)
	if err != nil {
		return row, or(err, blob.ErrNoSuchKey)
	}
	return objectRow(o)
}

func objectRow(o store.Object) (row indexed.ObjectRow, err error) {
	var b objectBody
	if err := decodeBody(o.Body, &b, &b.V); err != nil {
		return row, err
	}
	return indexed.ObjectRow{
		Info: blob.Info{
			Bucket: o.Bucket, Key: o.Key, Size: b.Size, ETag: b.ETag, Modified: b.Modified, Checksum: b.Checksum,
			Parts: b.Parts, Headers: b.Headers, Metadata: b.Metadata,
		},
		Pieces: b.Pieces, Upload: b.Upload,
	}, nil
}

// checked returns the row that a write is about to replace, nil if there is
// none, after the condition on it held.
func checked(tx store.Tx, bucket, key string, cond blob.Conditions) (*indexed.ObjectRow, error) {
	row, err := object(tx, bucket, key)
	switch {
	case errors.Is(err, blob.ErrNoSuchKey):
		return nil, cond.CheckWrite(nil)
	case err != nil:
		return nil, err
	}
	return &row, cond.CheckWrite(&row.Info)
}

func contentsOf(pieces []indexed.Piece) []string {
	ids := make([]string, len(pieces))
	for i, p := range pieces {
		ids[i] = p.Content
	}
	return ids
}

func (x objectIndex) GetObject(ctx context.Context, bucket, key string) (row indexed.ObjectRow, err error) {
	err = x.store.Read(ctx, func(tx store.Tx) error {
		if err := hasBucket(tx, bucket); err != nil {
			return err
		}
		row, err = object(tx, bucket, key)
		return err
	})
	return row, err
}

func (x objectIndex) PutObject(ctx context.Context, row indexed.ObjectRow, cond blob.Conditions) (freed []string, err error) {
	err = x.store.Write(ctx, func(tx store.Tx) error {
		if err := hasBucket(tx, row.Info.Bucket); err != nil {
			return err
		}
		freed, err = putObject(tx, row, cond)
		return err
	})
	return freed, err
}

func putObject(tx store.Tx, row indexed.ObjectRow, cond blob.Conditions) ([]string, error) {
	i := row.Info
	old, err := checked(tx, i.Bucket, i.Key, cond)
	if err != nil {
		return nil, err
	}
	var freed []string
	if old != nil {
		freed = contentsOf(old.Pieces)
		if err := tx.DeleteContents(freed); err != nil {
			return nil, err
		}
	}
	body, err := encodeBody(objectBody{
		V: objectEncoding, Size: i.Size, ETag: i.ETag, Modified: i.Modified, Checksum: i.Checksum, Parts: i.Parts,
		Headers: i.Headers, Metadata: i.Metadata, Pieces: row.Pieces, Upload: row.Upload,
	})
	if err != nil {
		return nil, err
	}
	if err := tx.AddContents(contentsOf(row.Pieces)); err != nil {
		return nil, err
	}
	return freed, tx.PutObject(store.Object{Bucket: i.Bucket, Key: i.Key, Body: body})
}

func (x objectIndex) DeleteObjects(ctx context.Context, bucket string, keys []string, cond blob.Conditions) (freed []string, err error) {
	err = x.store.Write(ctx, func(tx store.Tx) error {
		freed = nil
		if err := hasBucket(tx, bucket); err != nil {
			return err
		}
		for _, key := range keys {
			old, err := checked(tx, bucket, key, cond)
			if err != nil {
				return err
			}
			if old == nil {
				continue
			}
			freed = append(freed, contentsOf(old.Pieces)...)
			if err := tx.DeleteObject(bucket, key); err != nil {
				return err
			}
		}
		return tx.DeleteContents(freed)
	})
	return freed, err
}

func (x objectIndex) ListObjects(ctx context.Context, bucket string, keys indexed.Span, limit int) (out []blob.Info, err error) {
	err = x.store.Read(ctx, func(tx store.Tx) error {
		if err := hasBucket(tx, bucket); err != nil {
			return err
		}
		rows, err := tx.ListObjects(bucket, keys.From, keys.To, limit)
		if err != nil {
			return err
		}
		out = make([]blob.Info, 0, len(rows))
		for _, o := range rows {
			row, err := objectRow(o)
			if err != nil {
				return err
			}
			out = append(out, row.Info)
		}
		return nil
	})
	return out, err
}
