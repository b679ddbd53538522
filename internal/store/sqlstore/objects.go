package sqlstore

import "tenon/internal/store"

var (
	qBucket       = sql(`SELECT name, created, body FROM buckets WHERE name = ?`)
	qInsertBucket = sql(`INSERT INTO buckets (name, created, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`)
	qDeleteBucket = sql(`DELETE FROM buckets WHERE name = ?`)
	qListBuckets  = sql(`SELECT name, created, body FROM buckets ORDER BY name`)
)

// raw is a name as it is stored. Blobs compare as bytes in every database;
// texts need not.
func raw(s string) []byte { return []byte(s) }

func scanBucket(r row) store.Bucket {
	return store.Bucket{Name: string(r.blob(0)), Created: instant(r.int(1)), Body: r.blob(2)}
}

func (t *tx) Bucket(name string) (b store.Bucket, err error) {
	err = t.one(qBucket, func(r row) error { b = scanBucket(r); return nil }, raw(name))
	return b, err
}

func (t *tx) InsertBucket(b store.Bucket) error {
	return t.insert(qInsertBucket, raw(b.Name), millis(b.Created), blob(b.Body))
}

func (t *tx) DeleteBucket(name string) error { return t.change(qDeleteBucket, raw(name)) }

func (t *tx) ListBuckets() (out []store.Bucket, err error) {
	err = t.query(qListBuckets, func(r row) error { out = append(out, scanBucket(r)); return nil })
	return out, err
}

var (
	qObject       = sql(`SELECT body FROM objects WHERE bucket = ? AND key = ?`)
	qPutObject    = sql(`INSERT INTO objects (bucket, key, body) VALUES (?, ?, ?) ON CONFLICT (bucket, key) DO UPDATE SET body = excluded.body`)
	qDeleteObject = sql(`DELETE FROM objects WHERE bucket = ? AND key = ?`)
	qListObjects  = sql(`SELECT key, body FROM objects WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?`)
	qListAll      = sql(`SELECT key, body FROM objects WHERE bucket = ? AND key >= ? ORDER BY key LIMIT ?`)
)

func (t *tx) Object(bucket, key string) (store.Object, error) {
	body, err := t.body(qObject, raw(bucket), raw(key))
	if err != nil {
		return store.Object{}, err
	}
	return store.Object{Bucket: bucket, Key: key, Body: body}, nil
}

func (t *tx) PutObject(o store.Object) error {
	_, err := t.exec(qPutObject, raw(o.Bucket), raw(o.Key), blob(o.Body))
	return err
}

func (t *tx) DeleteObject(bucket, key string) error {
	return t.change(qDeleteObject, raw(bucket), raw(key))
}

func (t *tx) ListObjects(bucket, from, to string, limit int) (out []store.Object, err error) {
	q, args := qListAll, []any{raw(bucket), raw(from)}
	if to != "" {
		q, args = qListObjects, append(args, raw(to))
	}
	err = t.query(q, func(r row) error {
		out = append(out, store.Object{Bucket: bucket, Key: string(r.blob(0)), Body: r.blob(1)})
		return nil
	}, append(args, int64(limit))...)
	return out, err
}

var (
	qUpload       = sql(`SELECT id, bucket, key, body FROM uploads WHERE id = ?`)
	qInsertUpload = sql(`INSERT INTO uploads (id, bucket, key, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`)
	qDeleteUpload = sql(`DELETE FROM uploads WHERE id = ?`)
	qDeleteParts  = sql(`DELETE FROM upload_parts WHERE upload = ?`)
	qListUploads  = sql(`SELECT id, bucket, key, body FROM uploads WHERE bucket = ? AND key >= ? AND (key > ? OR id > ?) AND key < ? ORDER BY key, id LIMIT ?`)
	qAllUploads   = sql(`SELECT id, bucket, key, body FROM uploads WHERE bucket = ? AND key >= ? AND (key > ? OR id > ?) ORDER BY key, id LIMIT ?`)
	qPutUpPart    = sql(`INSERT INTO upload_parts (upload, number, body) VALUES (?, ?, ?) ON CONFLICT (upload, number) DO UPDATE SET body = excluded.body`)
	qUpPart       = sql(`SELECT body FROM upload_parts WHERE upload = ? AND number = ?`)
	qListUpParts  = sql(`SELECT number, body FROM upload_parts WHERE upload = ? AND number > ? ORDER BY number LIMIT ?`)
)

func scanUpload(r row) store.Upload {
	return store.Upload{ID: string(r.blob(0)), Bucket: string(r.blob(1)), Key: string(r.blob(2)), Body: r.blob(3)}
}

func (t *tx) Upload(id string) (u store.Upload, err error) {
	err = t.one(qUpload, func(r row) error { u = scanUpload(r); return nil }, raw(id))
	return u, err
}

func (t *tx) InsertUpload(u store.Upload) error {
	return t.insert(qInsertUpload, raw(u.ID), raw(u.Bucket), raw(u.Key), blob(u.Body))
}

func (t *tx) DeleteUpload(id string) error {
	if err := t.change(qDeleteUpload, raw(id)); err != nil {
		return err
	}
	_, err := t.exec(qDeleteParts, raw(id))
	return err
}

func (t *tx) ListUploads(bucket, from, to, afterID string, limit int) (out []store.Upload, err error) {
	q, args := qAllUploads, []any{raw(bucket), raw(from), raw(from), raw(afterID)}
	if to != "" {
		q, args = qListUploads, append(args, raw(to))
	}
	err = t.query(q, func(r row) error { out = append(out, scanUpload(r)); return nil }, append(args, int64(limit))...)
	return out, err
}

func (t *tx) PutUploadPart(p store.UploadPart) error {
	_, err := t.exec(qPutUpPart, raw(p.Upload), int64(p.Number), blob(p.Body))
	return err
}

func (t *tx) UploadPart(upload string, number int) (store.UploadPart, error) {
	body, err := t.body(qUpPart, raw(upload), int64(number))
	if err != nil {
		return store.UploadPart{}, err
	}
	return store.UploadPart{Upload: upload, Number: number, Body: body}, nil
}

func (t *tx) ListUploadParts(upload string, after, limit int) (out []store.UploadPart, err error) {
	err = t.query(qListUpParts, func(r row) error {
		out = append(out, store.UploadPart{Upload: upload, Number: int(r.int(0)), Body: r.blob(1)})
		return nil
	}, raw(upload), int64(after), int64(limit))
	return out, err
}

var (
	qAddContent    = sql(`INSERT INTO contents (id) VALUES (?) ON CONFLICT (id) DO NOTHING`)
	qDeleteContent = sql(`DELETE FROM contents WHERE id = ?`)
	qContent       = sql(`SELECT 1 FROM contents WHERE id = ?`)
)

func (t *tx) AddContents(ids []string) error { return t.each(qAddContent, ids) }

func (t *tx) DeleteContents(ids []string) error { return t.each(qDeleteContent, ids) }

func (t *tx) each(q statement, ids []string) error {
	for _, id := range ids {
		if _, err := t.exec(q, raw(id)); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) KnownContents(ids []string) (known []string, err error) {
	for _, id := range ids {
		err := t.query(qContent, func(row) error { known = append(known, id); return nil }, raw(id))
		if err != nil {
			return nil, err
		}
	}
	return known, nil
}
