package tenon

import (
	"context"
	"errors"

	"tenon/internal/blob"
	"tenon/internal/blob/indexed"
	"tenon/internal/store"
)

func (x objectIndex) CreateUpload(ctx context.Context, row indexed.UploadRow) error {
	u := row.Upload
	body, err := encodeBody(uploadBody{
		V: objectEncoding, Created: u.Created, Algorithm: u.Algorithm, Type: u.Type, Headers: row.Headers, Metadata: row.Metadata,
	})
	if err != nil {
		return err
	}
	return x.store.Write(ctx, func(tx store.Tx) error {
		if err := hasBucket(tx, u.Bucket); err != nil {
			return err
		}
		return tx.InsertUpload(store.Upload{ID: u.ID, Bucket: u.Bucket, Key: u.Key, Body: body})
	})
}

// hasUpload says whether the upload is there under all three of its names.
func hasUpload(tx store.Tx, u blob.UploadRef) (store.Upload, error) {
	if err := hasBucket(tx, u.Bucket); err != nil {
		return store.Upload{}, err
	}
	row, err := tx.Upload(u.ID)
	if err == nil && (row.Bucket != u.Bucket || row.Key != u.Key) {
		err = blob.ErrNoSuchUpload
	}
	return row, or(err, blob.ErrNoSuchUpload)
}

func uploadRow(u store.Upload) (row indexed.UploadRow, err error) {
	var b uploadBody
	if err := decodeBody(u.Body, &b, &b.V); err != nil {
		return row, err
	}
	return indexed.UploadRow{
		Upload: blob.Upload{
			UploadRef: blob.UploadRef{Bucket: u.Bucket, Key: u.Key, ID: u.ID}, Created: b.Created, Algorithm: b.Algorithm, Type: b.Type,
		},
		Headers: b.Headers, Metadata: b.Metadata,
	}, nil
}

func (x objectIndex) GetUpload(ctx context.Context, u blob.UploadRef) (row indexed.UploadRow, err error) {
	err = x.store.Read(ctx, func(tx store.Tx) error {
		found, err := hasUpload(tx, u)
		if err != nil {
			return err
		}
		row, err = uploadRow(found)
		return err
	})
	return row, err
}

func (x objectIndex) ListUploads(ctx context.Context, bucket string, keys indexed.Span, afterID string, limit int) (out []blob.Upload, err error) {
	err = x.store.Read(ctx, func(tx store.Tx) error {
		if err := hasBucket(tx, bucket); err != nil {
			return err
		}
		rows, err := tx.ListUploads(bucket, keys.From, keys.To, afterID, limit)
		if err != nil {
			return err
		}
		out = make([]blob.Upload, 0, len(rows))
		for _, u := range rows {
			row, err := uploadRow(u)
			if err != nil {
				return err
			}
			out = append(out, row.Upload)
		}
		return nil
	})
	return out, err
}

func partRow(p store.UploadPart) (row indexed.PartRow, err error) {
	var b partBody
	if err := decodeBody(p.Body, &b, &b.V); err != nil {
		return row, err
	}
	return indexed.PartRow{
		Upload: p.Upload, Piece: b.Piece,
		Part: blob.Part{Number: p.Number, Size: b.Size, ETag: b.ETag, Modified: b.Modified, Checksum: b.Checksum},
	}, nil
}

func (x objectIndex) PutPart(ctx context.Context, row indexed.PartRow) (freed []string, err error) {
	p := row.Part
	body, err := encodeBody(partBody{V: objectEncoding, Size: p.Size, ETag: p.ETag, Modified: p.Modified, Checksum: p.Checksum, Piece: row.Piece})
	if err != nil {
		return nil, err
	}
	err = x.store.Write(ctx, func(tx store.Tx) error {
		freed = nil
		if _, err := tx.Upload(row.Upload); err != nil {
			return or(err, blob.ErrNoSuchUpload)
		}
		old, err := tx.UploadPart(row.Upload, p.Number)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return err
		default:
			was, err := partRow(old)
			if err != nil {
				return err
			}
			freed = []string{was.Piece.Content}
			if err := tx.DeleteContents(freed); err != nil {
				return err
			}
		}
		if err := tx.AddContents([]string{row.Piece.Content}); err != nil {
			return err
		}
		return tx.PutUploadPart(store.UploadPart{Upload: row.Upload, Number: p.Number, Body: body})
	})
	return freed, err
}

func (x objectIndex) ListParts(ctx context.Context, upload string, after, limit int) (out []indexed.PartRow, err error) {
	err = x.store.Read(ctx, func(tx store.Tx) error {
		if _, err := tx.Upload(upload); err != nil {
			return or(err, blob.ErrNoSuchUpload)
		}
		out, err = partRows(tx, upload, after, limit)
		return err
	})
	return out, err
}

func partRows(tx store.Tx, upload string, after, limit int) ([]indexed.PartRow, error) {
	parts, err := tx.ListUploadParts(upload, after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]indexed.PartRow, 0, len(parts))
	for _, p := range parts {
		row, err := partRow(p)
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}

func (x objectIndex) CompleteUpload(ctx context.Context, row indexed.ObjectRow, cond blob.Conditions) (freed []string, err error) {
	err = x.store.Write(ctx, func(tx store.Tx) error {
		_, err := hasUpload(tx, blob.UploadRef{Bucket: row.Info.Bucket, Key: row.Info.Key, ID: row.Upload})
		if err != nil {
			return err
		}
		parts, err := partRows(tx, row.Upload, 0, blob.MaxParts)
		if err != nil {
			return err
		}
		held := map[string]bool{}
		for _, p := range parts {
			held[p.Piece.Content] = true
		}
		keep := map[string]bool{}
		for _, p := range row.Pieces {
			if !held[p.Content] {
				return blob.ErrInvalidPart
			}
			keep[p.Content] = true
		}
		if freed, err = putObject(tx, row, cond); err != nil {
			return err
		}
		gone, err := removeUpload(tx, row.Upload, keep)
		freed = append(freed, gone...)
		return err
	})
	return freed, err
}

// removeUpload deletes an upload and returns the contents of those of its parts
// that keep does not name.
func removeUpload(tx store.Tx, id string, keep map[string]bool) ([]string, error) {
	parts, err := partRows(tx, id, 0, blob.MaxParts)
	if err != nil {
		return nil, err
	}
	var freed []string
	for _, p := range parts {
		if !keep[p.Piece.Content] {
			freed = append(freed, p.Piece.Content)
		}
	}
	if err := tx.DeleteContents(freed); err != nil {
		return nil, err
	}
	return freed, tx.DeleteUpload(id)
}

func (x objectIndex) AbortUpload(ctx context.Context, u blob.UploadRef) (freed []string, err error) {
	err = x.store.Write(ctx, func(tx store.Tx) error {
		if _, err := hasUpload(tx, u); err != nil {
			return err
		}
		freed, err = removeUpload(tx, u.ID, nil)
		return err
	})
	return freed, err
}

func (x objectIndex) Unknown(ctx context.Context, contents []string) (out []string, err error) {
	err = x.store.Read(ctx, func(tx store.Tx) error {
		known, err := tx.KnownContents(contents)
		if err != nil {
			return err
		}
		is := make(map[string]bool, len(known))
		for _, id := range known {
			is[id] = true
		}
		for _, id := range contents {
			if !is[id] {
				out = append(out, id)
			}
		}
		return nil
	})
	return out, err
}
