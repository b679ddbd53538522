package memstore

import "tenon/internal/store"

func (t *tx) Bucket(name string) (store.Bucket, error) { return find(t, t.buckets, key{s: name}) }

// find returns a copy of a row of a table.
func find[V any](t *tx, rows *table[V], k key) (V, error) {
	var none V
	if err := t.reads(); err != nil {
		return none, err
	}
	v, ok := rows.get(k)
	if !ok {
		return none, store.ErrNotFound
	}
	return clone(v), nil
}

// remove deletes a row that must exist.
func remove[V any](t *tx, rows *table[V], k key) error {
	if err := t.writes(); err != nil {
		return err
	}
	if !rows.drop(t, k) {
		return store.ErrNotFound
	}
	return nil
}

func (t *tx) InsertBucket(b store.Bucket) error {
	if err := t.writes(); err != nil {
		return err
	}
	if _, ok := t.buckets.get(key{s: b.Name}); ok {
		return store.ErrExists
	}
	b.Created = moment(b.Created)
	t.buckets.put(t, key{s: b.Name}, clone(b))
	return nil
}

func (t *tx) DeleteBucket(name string) error { return remove(t, t.buckets, key{s: name}) }

func (t *tx) ListBuckets() (out []store.Bucket, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for _, b := range t.buckets.from(key{}) {
		out = append(out, clone(b))
	}
	return out, nil
}

func (t *tx) Object(bucket, k string) (store.Object, error) {
	return find(t, t.objects, key{s: bucket, t: k})
}

func (t *tx) PutObject(o store.Object) error {
	if err := t.writes(); err != nil {
		return err
	}
	t.objects.put(t, key{s: o.Bucket, t: o.Key}, clone(o))
	return nil
}

func (t *tx) DeleteObject(bucket, k string) error { return remove(t, t.objects, key{s: bucket, t: k}) }

func (t *tx) ListObjects(bucket, from, to string, limit int) (out []store.Object, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for k, o := range t.objects.from(key{s: bucket, t: from}) {
		if len(out) >= limit || k.s != bucket || to != "" && k.t >= to {
			break
		}
		out = append(out, clone(o))
	}
	return out, nil
}

func uploadPlace(u store.Upload) key { return key{s: u.Bucket, t: u.Key, u: u.ID} }

func (t *tx) Upload(id string) (store.Upload, error) {
	if err := t.reads(); err != nil {
		return store.Upload{}, err
	}
	u, ok := t.uploads[id]
	if !ok {
		return u, store.ErrNotFound
	}
	return clone(u), nil
}

func (t *tx) InsertUpload(u store.Upload) error {
	if err := t.writes(); err != nil {
		return err
	}
	if _, ok := t.uploads[u.ID]; ok {
		return store.ErrExists
	}
	t.uploads.put(t, u.ID, clone(u))
	t.uploadNames.put(t, uploadPlace(u), struct{}{})
	return nil
}

func (t *tx) DeleteUpload(id string) error {
	if err := t.writes(); err != nil {
		return err
	}
	u, ok := t.uploads[id]
	if !ok {
		return store.ErrNotFound
	}
	t.uploads.drop(t, id)
	t.uploadNames.drop(t, uploadPlace(u))
	var parts []key
	for k := range t.uploadParts.from(key{s: id}) {
		if k.s != id {
			break
		}
		parts = append(parts, k)
	}
	for _, k := range parts {
		t.uploadParts.drop(t, k)
	}
	return nil
}

func (t *tx) ListUploads(bucket, from, to, afterID string, limit int) (out []store.Upload, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for k := range t.uploadNames.from(key{s: bucket, t: from, u: afterID}) {
		if len(out) >= limit || k.s != bucket || to != "" && k.t >= to {
			break
		}
		if k.t != from || k.u > afterID {
			out = append(out, clone(t.uploads[k.u]))
		}
	}
	return out, nil
}

func (t *tx) PutUploadPart(p store.UploadPart) error {
	if err := t.writes(); err != nil {
		return err
	}
	t.uploadParts.put(t, key{s: p.Upload, a: int64(p.Number)}, clone(p))
	return nil
}

func (t *tx) UploadPart(upload string, number int) (store.UploadPart, error) {
	return find(t, t.uploadParts, key{s: upload, a: int64(number)})
}

func (t *tx) ListUploadParts(upload string, after, limit int) (out []store.UploadPart, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for k, p := range t.uploadParts.from(key{s: upload, a: int64(after) + 1}) {
		if len(out) >= limit || k.s != upload {
			break
		}
		out = append(out, clone(p))
	}
	return out, nil
}

func (t *tx) AddContents(ids []string) error {
	if err := t.writes(); err != nil {
		return err
	}
	for _, id := range ids {
		t.contents.put(t, id, struct{}{})
	}
	return nil
}

func (t *tx) DeleteContents(ids []string) error {
	if err := t.writes(); err != nil {
		return err
	}
	for _, id := range ids {
		t.contents.drop(t, id)
	}
	return nil
}

func (t *tx) KnownContents(ids []string) (known []string, err error) {
	if err := t.reads(); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if _, ok := t.contents[id]; ok {
			known = append(known, id)
		}
	}
	return known, nil
}
