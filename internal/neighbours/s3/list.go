package s3

import (
	"encoding/base64"
	"net/http"

	"tenon/internal/blob"
)

// token and c.token carry a place in a listing. It is opaque but not sealed: it
// says no more than start-after could.
func token(after string) string { return base64.RawURLEncoding.EncodeToString([]byte("1" + after)) }

func (c *call) token(name string) (string, error) {
	s := c.query.Get(name)
	if s == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(raw) < 2 || raw[0] != '1' {
		return "", refusef("InvalidArgument", "The continuation token provided is incorrect")
	}
	return string(raw[1:]), nil
}

// listing is what both versions of ListObjects have in common.
type listing struct {
	options blob.ListOptions
	limit   int // as the client asked
	encode  func(string) string
}

func (c *call) listing() (l listing, err error) {
	if l.encode, err = c.encoder(); err != nil {
		return l, err
	}
	if l.limit, err = c.number("max-keys", blob.MaxPage); err != nil {
		return l, err
	}
	l.limit = min(l.limit, blob.MaxPage)
	l.options = blob.ListOptions{Prefix: c.query.Get("prefix"), Delimiter: c.query.Get("delimiter"), Limit: l.limit}
	return l, nil
}

func (c *call) listObjects() error {
	l, err := c.listing()
	if err != nil {
		return err
	}
	l.options.After = c.query.Get("marker")
	page, err := c.store.List(c.ctx, c.bucket, l.options)
	if err != nil {
		return err
	}
	x := newDocument()
	x.root("ListBucketResult")
	x.text("Name", c.bucket)
	x.text("Prefix", l.encode(l.options.Prefix))
	x.text("Marker", l.encode(l.options.After))
	// Without a delimiter the client goes on from the last key it got.
	if page.More && l.options.Delimiter != "" {
		x.text("NextMarker", l.encode(page.Next))
	}
	c.entries(x, l, page, true)
	x.close("ListBucketResult")
	return x.send(c.w, http.StatusOK)
}

func (c *call) listObjectsV2() error {
	l, err := c.listing()
	if err != nil {
		return err
	}
	start := c.query.Get("start-after")
	l.options.After = start
	if c.query.Has("continuation-token") {
		if l.options.After, err = c.token("continuation-token"); err != nil {
			return err
		}
	}
	page, err := c.store.List(c.ctx, c.bucket, l.options)
	if err != nil {
		return err
	}
	x := newDocument()
	x.root("ListBucketResult")
	x.text("Name", c.bucket)
	x.text("Prefix", l.encode(l.options.Prefix))
	x.optional("StartAfter", l.encode(start))
	x.optional("ContinuationToken", c.query.Get("continuation-token"))
	if page.More {
		x.text("NextContinuationToken", token(page.Next))
	}
	x.number("KeyCount", int64(len(page.Objects)+len(page.Prefixes)))
	c.entries(x, l, page, c.query.Get("fetch-owner") == "true")
	x.close("ListBucketResult")
	return x.send(c.w, http.StatusOK)
}

func (c *call) entries(x *document, l listing, page blob.Page, owner bool) {
	x.number("MaxKeys", int64(l.limit))
	x.optional("Delimiter", l.encode(l.options.Delimiter))
	x.optional("EncodingType", c.query.Get("encoding-type"))
	x.flag("IsTruncated", page.More)
	for _, o := range page.Objects {
		x.open("Contents")
		x.text("Key", l.encode(o.Key))
		x.time("LastModified", o.Modified)
		x.etag(o.ETag)
		if o.Checksum.Value != "" {
			x.text("ChecksumAlgorithm", string(o.Checksum.Algorithm))
			x.text("ChecksumType", string(o.Checksum.Type))
		}
		x.number("Size", o.Size)
		if owner {
			c.ownerElement("Owner")(x)
		}
		x.text("StorageClass", "STANDARD")
		x.close("Contents")
	}
	prefixes(x, page.Prefixes, l.encode)
}

func prefixes(x *document, all []string, encode func(string) string) {
	for _, p := range all {
		x.open("CommonPrefixes")
		x.text("Prefix", encode(p))
		x.close("CommonPrefixes")
	}
}
