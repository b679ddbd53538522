package indexed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"tenon/internal/blob"
)

func (s *Store) CreateUpload(ctx context.Context, bucket, key string, o blob.UploadOptions) (blob.Upload, error) {
	if err := blob.CheckKey(key); err != nil {
		return blob.Upload{}, err
	}
	algorithm := o.Algorithm
	if algorithm == "" {
		algorithm = blob.CRC64NVME
	}
	typ, err := algorithm.CheckUploadType(o.Type)
	if err != nil {
		return blob.Upload{}, err
	}
	u := blob.Upload{
		UploadRef: blob.UploadRef{Bucket: bucket, Key: key, ID: s.newID()},
		Created:   s.now(), Algorithm: algorithm, Type: typ,
	}
	return u, s.index.CreateUpload(ctx, UploadRow{Upload: u, Headers: o.Headers, Metadata: maps.Clone(o.Metadata)})
}

func (s *Store) PutPart(ctx context.Context, u blob.UploadRef, number int, body io.Reader, e blob.Expect) (blob.Part, error) {
	if number < 1 || number > blob.MaxParts {
		return blob.Part{}, fmt.Errorf("%w: part number must be an integer between 1 and %d, inclusive", blob.ErrInvalidArgument, blob.MaxParts)
	}
	up, err := s.index.GetUpload(ctx, u)
	if err != nil {
		return blob.Part{}, err
	}
	// The sender may verify with another algorithm than the one the upload keeps.
	piece, h, err := s.receive(body, e, up.Upload.Algorithm)
	if err != nil {
		return blob.Part{}, fmt.Errorf("put part: %w", err)
	}
	part := blob.Part{
		Number: number, Size: h.Size(), ETag: h.ETag(), Modified: s.now(), Checksum: h.Checksum(up.Upload.Algorithm),
	}
	freed, err := s.index.PutPart(ctx, PartRow{Upload: u.ID, Part: part, Piece: piece})
	s.settle(piece, freed, err)
	if err != nil {
		return blob.Part{}, err
	}
	return part, nil
}

func (s *Store) CopyPart(ctx context.Context, u blob.UploadRef, number int, from blob.Source) (blob.Part, error) {
	source, err := s.source(ctx, from)
	if err != nil {
		return blob.Part{}, err
	}
	defer source.Body.Close() // read to its end or failed already; nothing more to learn
	if source.Length > blob.MaxPutSize {
		return blob.Part{}, fmt.Errorf("copy part: %w", blob.ErrEntityTooLarge)
	}
	return s.PutPart(ctx, u, number, contextReader{ctx, source.Body}, blob.Expect{})
}

func (s *Store) ListParts(ctx context.Context, u blob.UploadRef, after, limit int) (blob.PartPage, error) {
	up, err := s.index.GetUpload(ctx, u)
	if err != nil {
		return blob.PartPage{}, err
	}
	limit = min(limit, blob.MaxPage)
	rows, err := s.index.ListParts(ctx, u.ID, after, limit+1)
	if err != nil {
		return blob.PartPage{}, err
	}
	page := blob.PartPage{Upload: up.Upload}
	if len(rows) > limit {
		rows, page.More = rows[:limit], true
	}
	for _, row := range rows {
		page.Parts = append(page.Parts, row.Part)
	}
	return page, nil
}

func (s *Store) CompleteUpload(ctx context.Context, u blob.UploadRef, parts []blob.CompletedPart, o blob.CompleteOptions) (blob.Info, error) {
	up, err := s.index.GetUpload(ctx, u)
	if errors.Is(err, blob.ErrNoSuchUpload) {
		return s.completed(ctx, u)
	}
	if err != nil {
		return blob.Info{}, err
	}
	have, err := s.index.ListParts(ctx, u.ID, 0, blob.MaxParts)
	if err != nil {
		return blob.Info{}, err
	}
	row, err := assemble(up, have, parts, o)
	if err != nil {
		return blob.Info{}, err
	}
	row.Info.Modified = s.now()
	freed, err := s.index.CompleteUpload(ctx, row, o.If)
	if errors.Is(err, blob.ErrNoSuchUpload) {
		return s.completed(ctx, u)
	}
	if err != nil {
		return blob.Info{}, err
	}
	s.remove(s.pins.doom(freed))
	return row.Info, nil
}

// completed answers a completion whose upload is gone: when the object that
// stands was made by it, this is a repeated call and not an error.
func (s *Store) completed(ctx context.Context, u blob.UploadRef) (blob.Info, error) {
	row, err := s.index.GetObject(ctx, u.Bucket, u.Key)
	if err == nil && row.Upload == u.ID {
		return row.Info, nil
	}
	if err == nil || errors.Is(err, blob.ErrNoSuchKey) {
		return blob.Info{}, blob.ErrNoSuchUpload
	}
	return blob.Info{}, err
}

// assemble builds the object out of the parts the sender names.
func assemble(up UploadRow, have []PartRow, want []blob.CompletedPart, o blob.CompleteOptions) (ObjectRow, error) {
	byNumber := make(map[int]PartRow, len(have))
	for _, p := range have {
		byNumber[p.Part.Number] = p
	}
	u := up.Upload
	row := ObjectRow{Upload: u.ID, Info: blob.Info{
		Bucket: u.Bucket, Key: u.Key, Parts: len(want), Headers: up.Headers, Metadata: up.Metadata,
	}}
	if len(want) == 0 {
		return row, fmt.Errorf("%w: an upload needs at least one part", blob.ErrInvalidRequest)
	}
	for i := 1; i < len(want); i++ {
		if want[i].Number <= want[i-1].Number {
			return row, blob.ErrInvalidPartOrder
		}
	}
	parts := make([]blob.Part, 0, len(want))
	for i, w := range want {
		p, ok := byNumber[w.Number]
		if !ok || blob.TrimETag(w.ETag) != p.Part.ETag {
			return row, blob.ErrInvalidPart
		}
		if c := w.Checksum; c.Value != "" && c.Algorithm == p.Part.Checksum.Algorithm && c.Value != p.Part.Checksum.Value {
			return row, blob.ErrInvalidPart
		}
		if i < len(want)-1 && p.Part.Size < blob.MinPartSize {
			return row, blob.ErrEntityTooSmall
		}
		parts = append(parts, p.Part)
		row.Pieces = append(row.Pieces, p.Piece)
		row.Info.Size += p.Part.Size
	}
	if o.Size != nil && *o.Size != row.Info.Size {
		return row, fmt.Errorf("%w: the parts have %d bytes in all, not %d", blob.ErrInvalidRequest, row.Info.Size, *o.Size)
	}
	var err error
	if row.Info.ETag, err = blob.JoinETag(parts); err != nil {
		return row, err
	}
	if row.Info.Checksum, err = blob.JoinChecksum(u.Algorithm, u.Type, parts); err != nil {
		return row, err
	}
	if c := o.Checksum; c.Value != "" && (c.Algorithm != u.Algorithm || c.Value != row.Info.Checksum.Value) {
		return row, blob.ErrBadDigest
	}
	return row, nil
}

func (s *Store) AbortUpload(ctx context.Context, u blob.UploadRef) error {
	freed, err := s.index.AbortUpload(ctx, u)
	if err != nil {
		return err
	}
	s.remove(s.pins.doom(freed))
	return nil
}

func (s *Store) ListUploads(ctx context.Context, bucket string, o blob.UploadListOptions) (blob.UploadPage, error) {
	limit := min(o.Limit, blob.MaxPage)
	span, afterID := PrefixSpan(o.Prefix), ""
	if o.AfterKey != "" {
		from := o.AfterKey + "\x00"
		if o.AfterID != "" {
			from, afterID = o.AfterKey, o.AfterID
		}
		// An id counts only for the key it was given with.
		if from < span.From {
			from, afterID = span.From, ""
		}
		span.From = from
	}
	uploads, err := s.index.ListUploads(ctx, bucket, span, afterID, limit+1)
	if err != nil {
		return blob.UploadPage{}, err
	}
	page := blob.UploadPage{Uploads: uploads}
	if len(uploads) > limit {
		page.Uploads, page.More = uploads[:limit], true
	}
	return page, nil
}
