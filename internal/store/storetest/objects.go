package storetest

import (
	"errors"

	"tenon/internal/store"
)

func buckets(f *fixture) {
	b := func(name string) store.Bucket {
		return store.Bucket{Name: name, Created: epoch, Body: []byte("b " + name)}
	}
	f.write(func(tx store.Tx) error { return errors.Join(tx.InsertBucket(b("z")), tx.InsertBucket(b("a"))) })
	f.in(func(tx store.Tx) {
		got(f, b("a"))(tx.Bucket("a"))
		absent(f)(tx.Bucket("b"))
		got(f, []store.Bucket{b("a"), b("z")})(tx.ListBuckets())
	})
	f.write(func(tx store.Tx) error {
		f.is(tx.InsertBucket(b("a")), store.ErrExists)
		f.is(tx.DeleteBucket("none"), store.ErrNotFound)
		return tx.DeleteBucket("a")
	})
	f.in(func(tx store.Tx) { got(f, []store.Bucket{b("z")})(tx.ListBuckets()) })
}

func objects(f *fixture) {
	o := func(key string) store.Object { return store.Object{Bucket: "b", Key: key, Body: []byte("at " + key)} }
	keys := []string{"\xff", "a", "a/b", "a\x00", "A", "b", "é"}
	f.write(func(tx store.Tx) error {
		for _, k := range keys {
			if err := tx.PutObject(o(k)); err != nil {
				return err
			}
		}
		return tx.PutObject(store.Object{Bucket: "c", Key: "a", Body: []byte("elsewhere")})
	})
	f.in(func(tx store.Tx) {
		got(f, o("a\x00"))(tx.Object("b", "a\x00"))
		absent(f)(tx.Object("b", "nope"))
		got(f, []store.Object{o("A"), o("a"), o("a\x00"), o("a/b"), o("b"), o("é"), o("\xff")})(tx.ListObjects("b", "", "", 100))
		got(f, []store.Object{o("a"), o("a\x00"), o("a/b")})(tx.ListObjects("b", "a", "b", 100)) // half open
		got(f, []store.Object{o("a"), o("a\x00")})(tx.ListObjects("b", "a", "b", 2))
		got(f, []store.Object{o("é"), o("\xff")})(tx.ListObjects("b", "b\x00", "", 100))
		got(f, []store.Object{o("A")})(tx.ListObjects("b", "", "a", 100))
		got(f, nil)(tx.ListObjects("d", "", "", 100))
	})
	replaced := store.Object{Bucket: "b", Key: "a", Body: []byte("new")}
	f.write(func(tx store.Tx) error {
		f.is(tx.DeleteObject("b", "nope"), store.ErrNotFound)
		return errors.Join(tx.PutObject(replaced), tx.DeleteObject("b", "A"))
	})
	f.in(func(tx store.Tx) { got(f, []store.Object{replaced})(tx.ListObjects("b", "", "a\x00", 100)) })
}

func uploads(f *fixture) {
	u := func(id, key string) store.Upload {
		return store.Upload{ID: id, Bucket: "b", Key: key, Body: []byte("of " + id)}
	}
	part := func(upload string, n int, body string) store.UploadPart {
		return store.UploadPart{Upload: upload, Number: n, Body: []byte(body)}
	}
	f.write(func(tx store.Tx) error {
		return errors.Join(
			tx.InsertUpload(u("2", "k")), tx.InsertUpload(u("1", "k")), tx.InsertUpload(u("3", "a")), tx.InsertUpload(u("0", "z")),
			tx.PutUploadPart(part("1", 2, "two")), tx.PutUploadPart(part("1", 1, "one")), tx.PutUploadPart(part("1", 10, "ten")), tx.PutUploadPart(part("2", 1, "other")),
		)
	})
	f.in(func(tx store.Tx) {
		got(f, u("1", "k"))(tx.Upload("1"))
		absent(f)(tx.Upload("9"))
		got(f, []store.Upload{u("3", "a"), u("1", "k"), u("2", "k"), u("0", "z")})(tx.ListUploads("b", "", "", "", 10))
		got(f, []store.Upload{u("2", "k"), u("0", "z")})(tx.ListUploads("b", "k", "", "1", 10))
		got(f, []store.Upload{u("1", "k"), u("2", "k")})(tx.ListUploads("b", "k", "l", "", 10))
		got(f, []store.Upload{u("3", "a")})(tx.ListUploads("b", "", "", "", 1))
		got(f, nil)(tx.ListUploads("c", "", "", "", 10))
		got(f, part("1", 2, "two"))(tx.UploadPart("1", 2))
		absent(f)(tx.UploadPart("1", 3))
		got(f, []store.UploadPart{part("1", 1, "one"), part("1", 2, "two"), part("1", 10, "ten")})(tx.ListUploadParts("1", 0, 10))
		got(f, []store.UploadPart{part("1", 2, "two")})(tx.ListUploadParts("1", 1, 1))
	})
	f.write(func(tx store.Tx) error {
		f.is(tx.InsertUpload(u("1", "q")), store.ErrExists)
		f.is(tx.DeleteUpload("9"), store.ErrNotFound)
		return errors.Join(tx.PutUploadPart(part("2", 1, "new")), tx.DeleteUpload("1"))
	})
	f.in(func(tx store.Tx) {
		absent(f)(tx.Upload("1"))
		got(f, nil)(tx.ListUploadParts("1", 0, 10)) // its parts went with it
		got(f, []store.UploadPart{part("2", 1, "new")})(tx.ListUploadParts("2", 0, 10))
	})
}

func contents(f *fixture) {
	f.write(func(tx store.Tx) error {
		return errors.Join(tx.AddContents([]string{"a", "b", "c"}), tx.AddContents([]string{"a"}), tx.DeleteContents([]string{"b", "none"}))
	})
	f.in(func(tx store.Tx) {
		got(f, []string{"a", "c"})(tx.KnownContents([]string{"a", "b", "c", "d"}))
		got(f, nil)(tx.KnownContents(nil))
	})
}
