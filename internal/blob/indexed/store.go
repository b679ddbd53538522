package indexed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"tenon/internal/blob"
)

// Store is a blob.Store over an Index and Contents.
type Store struct {
	index    Index
	contents Contents
	now      func() time.Time
	newID    func() string
	pins     *pins
}

// Config has what the store takes from outside. Now is required; NewID gives
// unique, unguessable ids of letters and digits and is random when nil.
type Config struct {
	Now   func() time.Time
	NewID func() string
}

var _ blob.Store = (*Store)(nil)

// New builds the store. It starts nothing; whoever opens durable contents calls
// Sweep once.
func New(index Index, contents Contents, c Config) *Store {
	if c.NewID == nil {
		c.NewID = rand.Text
	}
	// Milliseconds are what every kind of index can give back as it got them.
	now := func() time.Time { return c.Now().UTC().Truncate(time.Millisecond) }
	return &Store{index: index, contents: contents, now: now, newID: c.NewID, pins: newPins()}
}

func (s *Store) CreateBucket(ctx context.Context, name string) error {
	if err := blob.CheckBucketName(name); err != nil {
		return err
	}
	return s.index.CreateBucket(ctx, blob.Bucket{Name: name, Created: s.now()})
}

func (s *Store) DeleteBucket(ctx context.Context, name string) error {
	freed, err := s.index.DeleteBucket(ctx, name)
	if err != nil {
		return err
	}
	s.remove(s.pins.doom(freed))
	return nil
}

func (s *Store) HeadBucket(ctx context.Context, name string) (blob.Bucket, error) {
	return s.index.GetBucket(ctx, name)
}

func (s *Store) ListBuckets(ctx context.Context) ([]blob.Bucket, error) {
	return s.index.ListBuckets(ctx)
}

// find reads a row and pins its contents; release must be called when err is nil.
func (s *Store) find(ctx context.Context, bucket, key string) (row ObjectRow, ids []string, err error) {
	if err := blob.CheckKey(key); err != nil {
		return ObjectRow{}, nil, err
	}
	s.pins.gate.RLock()
	defer s.pins.gate.RUnlock()
	row, err = s.index.GetObject(ctx, bucket, key)
	if err != nil {
		return ObjectRow{}, nil, err
	}
	for _, p := range row.Pieces {
		ids = append(ids, p.Content)
	}
	s.pins.hold(ids...)
	return row, ids, nil
}

// choose places what GetOptions ask for in an object.
func choose(row ObjectRow, o blob.GetOptions) (offset, length int64, err error) {
	if err := o.If.CheckRead(row.Info); err != nil {
		return 0, 0, err
	}
	switch {
	case o.Range != nil:
		return o.Range.Resolve(row.Info.Size)
	case o.Part == 0 || o.Part == 1 && row.Info.Parts == 0:
		return 0, row.Info.Size, nil
	case o.Part < 0 || o.Part > row.Info.Parts:
		return 0, 0, blob.ErrInvalidPartNumber
	}
	for _, p := range row.Pieces[:o.Part-1] {
		offset += p.Size
	}
	return offset, row.Pieces[o.Part-1].Size, nil
}

func (s *Store) Get(ctx context.Context, bucket, key string, o blob.GetOptions) (*blob.Object, error) {
	row, ids, err := s.find(ctx, bucket, key)
	if err != nil {
		return nil, err
	}
	offset, length, err := choose(row, o)
	if err != nil {
		s.remove(s.pins.release(ids...))
		return nil, err
	}
	body := &reader{store: s, ids: ids, pieces: row.Pieces, skip: offset, left: length}
	return &blob.Object{Info: row.Info, Offset: offset, Length: length, Body: body}, nil
}

func (s *Store) Stat(ctx context.Context, bucket, key string, o blob.GetOptions) (*blob.Object, error) {
	object, err := s.Get(ctx, bucket, key, o)
	if err != nil {
		return nil, err
	}
	if err := object.Body.Close(); err != nil {
		return nil, err
	}
	object.Body = nil
	return object, nil
}

// receive writes a body under a new content id, verified and durable. The id
// stays pinned, so that Sweep leaves it alone: the caller calls settle.
func (s *Store) receive(body io.Reader, e blob.Expect, also blob.Algorithm) (Piece, *blob.Hasher, error) {
	if a := e.Checksum.Algorithm; a != "" && a.New() == nil {
		return Piece{}, nil, fmt.Errorf("%w: checksum algorithm %q is not known", blob.ErrInvalidRequest, a)
	}
	id := s.newID()
	s.pins.hold(id)
	h := blob.NewHasher(e.Checksum.Algorithm, also)
	err := func() error {
		w, err := s.contents.Create(id)
		if err != nil {
			return fmt.Errorf("create content: %w", err)
		}
		if _, err = io.Copy(io.MultiWriter(w, h), body); err == nil {
			if err = e.Check(h); err == nil {
				return w.Commit()
			}
		}
		return errors.Join(err, w.Abort())
	}()
	if err != nil {
		s.pins.release(id)
		return Piece{}, nil, err
	}
	return Piece{Content: id, Size: h.Size()}, h, nil
}

// settle ends what receive began: after a commit the freed contents go, after a
// refusal the new one does, after anything else Sweep will know.
func (s *Store) settle(new Piece, freed []string, err error) {
	// Committed a moment ago, it may already have been replaced by somebody else.
	s.remove(s.pins.release(new.Content))
	var refused *blob.Error
	switch {
	case err == nil:
		s.remove(s.pins.doom(freed))
	case errors.As(err, &refused):
		s.remove([]string{new.Content})
	}
}

func (s *Store) Put(ctx context.Context, bucket, key string, body io.Reader, o blob.PutOptions) (blob.Info, error) {
	if err := blob.CheckKey(key); err != nil {
		return blob.Info{}, err
	}
	// Asked before the body is read, not to decide – the index does that – but to
	// spare the sender gigabytes that will be refused.
	if err := s.glance(ctx, bucket, key, o.If); err != nil {
		return blob.Info{}, err
	}
	algorithm := o.Expect.Checksum.Algorithm
	if algorithm == "" {
		algorithm = blob.CRC64NVME
	}
	piece, h, err := s.receive(body, o.Expect, algorithm)
	if err != nil {
		return blob.Info{}, fmt.Errorf("put object: %w", err)
	}
	row := ObjectRow{Info: blob.Info{
		Bucket: bucket, Key: key, Size: h.Size(), ETag: h.ETag(), Modified: s.now(), Checksum: h.Checksum(algorithm),
		Headers: o.Headers, Metadata: maps.Clone(o.Metadata),
	}, Pieces: []Piece{piece}}
	freed, err := s.index.PutObject(ctx, row, o.If)
	s.settle(piece, freed, err)
	if err != nil {
		return blob.Info{}, err
	}
	return row.Info, nil
}

func (s *Store) glance(ctx context.Context, bucket, key string, cond blob.Conditions) error {
	if cond == (blob.Conditions{}) {
		_, err := s.index.GetBucket(ctx, bucket)
		return err
	}
	row, err := s.index.GetObject(ctx, bucket, key)
	switch {
	case errors.Is(err, blob.ErrNoSuchKey):
		return cond.CheckWrite(nil)
	case err != nil:
		return err
	}
	return cond.CheckWrite(&row.Info)
}

// source opens what a copy is made from. A copy has no "not modified": every
// condition that fails is a failed precondition (S3 API, CopyObject).
func (s *Store) source(ctx context.Context, from blob.Source) (*blob.Object, error) {
	object, err := s.Get(ctx, from.Bucket, from.Key, blob.GetOptions{If: from.If, Range: from.Range})
	if errors.Is(err, blob.ErrNotModified) {
		return nil, blob.ErrPreconditionFailed
	}
	return object, err
}

func (s *Store) Copy(ctx context.Context, from blob.Source, bucket, key string, o blob.CopyOptions) (blob.Info, error) {
	source, err := s.source(ctx, from)
	if err != nil {
		return blob.Info{}, err
	}
	defer source.Body.Close() // read to its end or failed already; nothing more to learn
	if source.Size > blob.MaxPutSize {
		return blob.Info{}, fmt.Errorf("copy object: %w", blob.ErrEntityTooLarge)
	}
	put := blob.PutOptions{Headers: o.Headers, Metadata: o.Metadata, If: o.If}
	if !o.Replace {
		put.Headers, put.Metadata = source.Headers, source.Metadata
	}
	put.Expect.Checksum.Algorithm = o.Algorithm
	if o.Algorithm == "" {
		put.Expect.Checksum.Algorithm = source.Checksum.Algorithm
	}
	return s.Put(ctx, bucket, key, contextReader{ctx, source.Body}, put)
}

// contextReader ends a copy inside the server when its caller goes away, as the
// end of the connection does for a body that comes from outside.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

func (s *Store) Delete(ctx context.Context, bucket, key string, c blob.Conditions) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	freed, err := s.index.DeleteObjects(ctx, bucket, []string{key}, c)
	if err != nil {
		return err
	}
	s.remove(s.pins.doom(freed))
	return nil
}

func (s *Store) DeleteMany(ctx context.Context, bucket string, keys []string) ([]error, error) {
	errs := make([]error, len(keys))
	valid := make([]string, 0, len(keys))
	for i, key := range keys {
		if errs[i] = blob.CheckKey(key); errs[i] == nil {
			valid = append(valid, key)
		}
	}
	freed, err := s.index.DeleteObjects(ctx, bucket, valid, blob.Conditions{})
	if err != nil {
		return nil, err
	}
	s.remove(s.pins.doom(freed))
	return errs, nil
}
