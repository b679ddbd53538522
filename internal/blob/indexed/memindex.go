package indexed

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"tenon/internal/blob"
)

// MemIndex is an Index in memory, gone with the process.
type MemIndex struct {
	mu       sync.Mutex
	buckets  map[string]*memBucket
	uploads  map[string]*memUpload // by id
	contents map[string]struct{}   // every id that a row names
}

type memBucket struct {
	blob.Bucket
	rows map[string]ObjectRow
	keys []string // sorted, the keys of rows
}

type memUpload struct {
	UploadRow
	parts map[int]PartRow
}

// NewMemIndex gives an empty index.
func NewMemIndex() *MemIndex {
	return &MemIndex{buckets: map[string]*memBucket{}, uploads: map[string]*memUpload{}, contents: map[string]struct{}{}}
}

var _ Index = (*MemIndex)(nil)

// bucket locks the index and finds a bucket; the caller unlocks in any case.
func (x *MemIndex) bucket(name string) (*memBucket, error) {
	x.mu.Lock()
	b, ok := x.buckets[name]
	if !ok {
		return nil, blob.ErrNoSuchBucket
	}
	return b, nil
}

// upload does the same for an upload, which must be the one that all of u names.
func (x *MemIndex) upload(u blob.UploadRef) (*memUpload, error) {
	if _, err := x.bucket(u.Bucket); err != nil {
		return nil, err
	}
	up, ok := x.uploads[u.ID]
	if !ok || up.Upload.UploadRef != u {
		return nil, blob.ErrNoSuchUpload
	}
	return up, nil
}

func (x *MemIndex) CreateBucket(_ context.Context, b blob.Bucket) error {
	_, err := x.bucket(b.Name)
	defer x.mu.Unlock()
	if err == nil {
		return blob.ErrBucketExists
	}
	x.buckets[b.Name] = &memBucket{Bucket: b, rows: map[string]ObjectRow{}}
	return nil
}

func (x *MemIndex) DeleteBucket(_ context.Context, name string) ([]string, error) {
	b, err := x.bucket(name)
	defer x.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if len(b.rows) > 0 {
		return nil, blob.ErrBucketNotEmpty
	}
	var freed []string
	for _, up := range x.uploads {
		if up.Upload.Bucket == name {
			freed = append(freed, x.removeUpload(up, nil)...)
		}
	}
	delete(x.buckets, name)
	return freed, nil
}

func (x *MemIndex) GetBucket(_ context.Context, name string) (blob.Bucket, error) {
	b, err := x.bucket(name)
	defer x.mu.Unlock()
	if err != nil {
		return blob.Bucket{}, err
	}
	return b.Bucket, nil
}

func (x *MemIndex) ListBuckets(context.Context) ([]blob.Bucket, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := make([]blob.Bucket, 0, len(x.buckets))
	for _, b := range x.buckets {
		out = append(out, b.Bucket)
	}
	slices.SortFunc(out, func(a, b blob.Bucket) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (x *MemIndex) GetObject(_ context.Context, bucket, key string) (ObjectRow, error) {
	b, err := x.bucket(bucket)
	defer x.mu.Unlock()
	if err != nil {
		return ObjectRow{}, err
	}
	row, ok := b.rows[key]
	if !ok {
		return ObjectRow{}, blob.ErrNoSuchKey
	}
	return row, nil
}

func (x *MemIndex) PutObject(_ context.Context, row ObjectRow, cond blob.Conditions) ([]string, error) {
	b, err := x.bucket(row.Info.Bucket)
	defer x.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return x.put(b, row, cond)
}

func (b *memBucket) existing(key string) *blob.Info {
	if row, ok := b.rows[key]; ok {
		return &row.Info
	}
	return nil
}

func (x *MemIndex) put(b *memBucket, row ObjectRow, cond blob.Conditions) ([]string, error) {
	key := row.Info.Key
	if err := cond.CheckWrite(b.existing(key)); err != nil {
		return nil, err
	}
	var freed []string
	if old, ok := b.rows[key]; ok {
		freed = x.forget(old.Pieces)
	} else {
		at, _ := slices.BinarySearch(b.keys, key)
		b.keys = slices.Insert(b.keys, at, key)
	}
	b.rows[key] = row
	for _, p := range row.Pieces {
		x.contents[p.Content] = struct{}{}
	}
	return freed, nil
}

func (x *MemIndex) forget(pieces []Piece) []string {
	freed := make([]string, 0, len(pieces))
	for _, p := range pieces {
		delete(x.contents, p.Content)
		freed = append(freed, p.Content)
	}
	return freed
}

func (x *MemIndex) DeleteObjects(_ context.Context, bucket string, keys []string, cond blob.Conditions) ([]string, error) {
	b, err := x.bucket(bucket)
	defer x.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var freed []string
	for _, key := range keys {
		if err := cond.CheckWrite(b.existing(key)); err != nil {
			return nil, err
		}
		row, ok := b.rows[key]
		if !ok {
			continue
		}
		freed = append(freed, x.forget(row.Pieces)...)
		delete(b.rows, key)
		at, _ := slices.BinarySearch(b.keys, key)
		b.keys = slices.Delete(b.keys, at, at+1)
	}
	return freed, nil
}

func (x *MemIndex) ListObjects(_ context.Context, bucket string, keys Span, limit int) ([]blob.Info, error) {
	b, err := x.bucket(bucket)
	defer x.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var out []blob.Info
	at, _ := slices.BinarySearch(b.keys, keys.From)
	for ; at < len(b.keys) && len(out) < limit && keys.Contains(b.keys[at]); at++ {
		out = append(out, b.rows[b.keys[at]].Info)
	}
	return out, nil
}

func (x *MemIndex) CreateUpload(_ context.Context, row UploadRow) error {
	_, err := x.bucket(row.Upload.Bucket)
	defer x.mu.Unlock()
	if err != nil {
		return err
	}
	x.uploads[row.Upload.ID] = &memUpload{UploadRow: row, parts: map[int]PartRow{}}
	return nil
}

func (x *MemIndex) GetUpload(_ context.Context, u blob.UploadRef) (UploadRow, error) {
	up, err := x.upload(u)
	defer x.mu.Unlock()
	if err != nil {
		return UploadRow{}, err
	}
	return up.UploadRow, nil
}

func (x *MemIndex) ListUploads(_ context.Context, bucket string, keys Span, afterID string, limit int) ([]blob.Upload, error) {
	_, err := x.bucket(bucket)
	defer x.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var out []blob.Upload
	for _, up := range x.uploads {
		u := up.Upload
		if u.Bucket == bucket && keys.Contains(u.Key) && (u.Key != keys.From || u.ID > afterID) {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b blob.Upload) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.ID, b.ID))
	})
	return out[:min(limit, len(out))], nil
}

func (x *MemIndex) PutPart(_ context.Context, row PartRow) ([]string, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	up, ok := x.uploads[row.Upload]
	if !ok {
		return nil, blob.ErrNoSuchUpload
	}
	var freed []string
	if old, ok := up.parts[row.Part.Number]; ok {
		freed = x.forget([]Piece{old.Piece})
	}
	up.parts[row.Part.Number] = row
	x.contents[row.Piece.Content] = struct{}{}
	return freed, nil
}

func (x *MemIndex) ListParts(_ context.Context, upload string, after, limit int) ([]PartRow, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	up, ok := x.uploads[upload]
	if !ok {
		return nil, blob.ErrNoSuchUpload
	}
	var out []PartRow
	for n, row := range up.parts {
		if n > after {
			out = append(out, row)
		}
	}
	slices.SortFunc(out, func(a, b PartRow) int { return cmp.Compare(a.Part.Number, b.Part.Number) })
	return out[:min(limit, len(out))], nil
}

func (x *MemIndex) CompleteUpload(_ context.Context, row ObjectRow, cond blob.Conditions) ([]string, error) {
	up, err := x.upload(blob.UploadRef{Bucket: row.Info.Bucket, Key: row.Info.Key, ID: row.Upload})
	defer x.mu.Unlock()
	if err != nil {
		return nil, err
	}
	held := map[string]bool{}
	for _, p := range up.parts {
		held[p.Piece.Content] = true
	}
	for _, p := range row.Pieces {
		if !held[p.Content] {
			return nil, blob.ErrInvalidPart
		}
	}
	freed, err := x.put(x.buckets[row.Info.Bucket], row, cond)
	if err != nil {
		return nil, err
	}
	return append(freed, x.removeUpload(up, row.Pieces)...), nil
}

// removeUpload forgets an upload and those of its parts that keep does not name.
func (x *MemIndex) removeUpload(up *memUpload, keep []Piece) []string {
	kept := map[string]bool{}
	for _, p := range keep {
		kept[p.Content] = true
	}
	var freed []string
	for _, p := range up.parts {
		if !kept[p.Piece.Content] {
			freed = append(freed, x.forget([]Piece{p.Piece})...)
		}
	}
	delete(x.uploads, up.Upload.ID)
	return freed
}

func (x *MemIndex) AbortUpload(_ context.Context, u blob.UploadRef) ([]string, error) {
	up, err := x.upload(u)
	defer x.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return x.removeUpload(up, nil), nil
}

func (x *MemIndex) Unknown(_ context.Context, contents []string) ([]string, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []string
	for _, id := range contents {
		if _, ok := x.contents[id]; !ok {
			out = append(out, id)
		}
	}
	return out, nil
}
