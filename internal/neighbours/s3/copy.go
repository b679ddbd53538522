package s3

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"tenon/internal/blob"
)

// parseCopySource reads x-amz-copy-source: [/]BUCKET/KEY, percent-encoded, with an
// optional ?versionId=null behind it.
func parseCopySource(s string) (blob.Source, error) {
	invalid := refusef("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	path, version, versioned := strings.Cut(s, "?versionId=")
	if versioned && version != "null" {
		return blob.Source{}, refusef("NoSuchVersion", "The specified version does not exist.")
	}
	// Plus stays plus: it is the path form of the encoding that SDKs use.
	path, err := url.PathUnescape(path)
	if err != nil {
		return blob.Source{}, invalid
	}
	bucket, key, found := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !found || bucket == "" || key == "" {
		return blob.Source{}, invalid
	}
	if err := blob.CheckBucketName(bucket); err != nil {
		return blob.Source{}, err
	}
	if err := blob.CheckKey(key); err != nil {
		return blob.Source{}, err
	}
	return blob.Source{Bucket: bucket, Key: key}, nil
}

// parseCopyRange reads x-amz-copy-source-range, which needs both ends.
func parseCopyRange(s string) (*blob.Range, error) {
	if s == "" {
		return nil, nil
	}
	r, ok := blob.ParseRange(s)
	if !ok || r.Suffix > 0 || r.Last < 0 {
		return nil, refusef("InvalidArgument", "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	}
	return &r, nil
}

const sourcePrefix = "X-Amz-Copy-Source-"

func (c *call) copySource() (blob.Source, error) {
	source, err := parseCopySource(c.r.Header.Get("X-Amz-Copy-Source"))
	source.If = conditions(c.r.Header, sourcePrefix)
	return source, err
}

func (c *call) copyObject() error {
	source, err := c.copySource()
	if err != nil {
		return err
	}
	h := c.r.Header
	var o blob.CopyOptions
	switch directive := h.Get("X-Amz-Metadata-Directive"); directive {
	case "", "COPY":
	case "REPLACE":
		o.Replace = true
	default:
		return refusef("InvalidArgument", "Unknown metadata directive.")
	}
	if o.Algorithm, err = algorithm(h.Get("X-Amz-Checksum-Algorithm")); err != nil {
		return err
	}
	if o.Replace {
		if o.Headers, o.Metadata, err = c.storedHeaders(); err != nil {
			return err
		}
	}
	same := source.Bucket == c.bucket && source.Key == c.key
	if same && !o.Replace && o.Algorithm == "" && h.Get("X-Amz-Storage-Class") == "" && h.Get("X-Amz-Server-Side-Encryption") == "" {
		return refusef("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	if o.If, err = c.writeConditions(); err != nil {
		return err
	}
	info, err := c.store.Copy(c.ctx, source, c.bucket, c.key, o)
	if err != nil {
		return err
	}
	return c.copyResult("CopyObjectResult", info.ETag, info.Modified, info.Checksum)
}

func (c *call) uploadPartCopy() error {
	source, err := c.copySource()
	if err != nil {
		return err
	}
	if source.Range, err = parseCopyRange(c.r.Header.Get(sourcePrefix + "Range")); err != nil {
		return err
	}
	number, err := c.partNumber()
	if err != nil {
		return err
	}
	part, err := c.store.CopyPart(c.ctx, c.upload(), number, source)
	if err != nil {
		return err
	}
	return c.copyResult("CopyPartResult", part.ETag, part.Modified, part.Checksum)
}

func (c *call) copyResult(root, etag string, modified time.Time, sum blob.Checksum) error {
	x := newDocument()
	x.root(root)
	x.time("LastModified", modified)
	x.etag(etag)
	checksumElements(x, sum)
	x.close(root)
	return x.send(c.w, http.StatusOK)
}
