package s3

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"tenon/internal/blob"
)

func (c *call) upload() blob.UploadRef {
	return blob.UploadRef{Bucket: c.bucket, Key: c.key, ID: c.query.Get("uploadId")}
}

func (c *call) partNumber() (int, error) {
	n, err := strconv.Atoi(c.query.Get("partNumber"))
	if err != nil || n < 1 || n > blob.MaxParts {
		return 0, fmt.Errorf("%w: Part number must be an integer between 1 and %d, inclusive", blob.ErrInvalidArgument, blob.MaxParts)
	}
	return n, nil
}

func (c *call) createUpload() error {
	var o blob.UploadOptions
	var err error
	if o.Headers, o.Metadata, err = c.storedHeaders(); err != nil {
		return err
	}
	if o.Algorithm, err = algorithm(c.r.Header.Get("X-Amz-Checksum-Algorithm")); err != nil {
		return err
	}
	o.Type = blob.ChecksumType(c.r.Header.Get("X-Amz-Checksum-Type"))
	if o.Type != "" && o.Algorithm == "" {
		return refusef("InvalidRequest", "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	}
	u, err := c.store.CreateUpload(c.ctx, c.bucket, c.key, o)
	if err != nil {
		return err
	}
	if o.Algorithm != "" {
		c.w.Header().Set("X-Amz-Checksum-Algorithm", string(u.Algorithm))
		c.w.Header().Set("X-Amz-Checksum-Type", string(u.Type))
	}
	x := newDocument()
	x.root("InitiateMultipartUploadResult")
	x.text("Bucket", c.bucket)
	x.text("Key", c.key)
	x.text("UploadId", u.ID)
	x.close("InitiateMultipartUploadResult")
	return x.send(c.w, http.StatusOK)
}

func (c *call) uploadPart() error {
	if err := c.body.announced(); err != nil {
		return err
	}
	number, err := c.partNumber()
	if err != nil {
		return err
	}
	e, err := c.expect()
	if err != nil {
		return err
	}
	part, err := c.store.PutPart(c.ctx, c.upload(), number, c.body, e)
	if err != nil {
		return err
	}
	c.w.Header().Set("Etag", quote(part.ETag))
	if part.Checksum.Value != "" {
		c.w.Header().Set(headerName(part.Checksum.Algorithm), part.Checksum.Value)
	}
	return c.empty(http.StatusOK)
}

// completion is the document of CompleteMultipartUpload.
type completion struct {
	XMLName xml.Name        `xml:"CompleteMultipartUpload"`
	Parts   []completedPart `xml:"Part"`
}

type completedPart struct {
	PartNumber        int
	ETag              string
	ChecksumCRC32     string
	ChecksumCRC32C    string
	ChecksumCRC64NVME string
	ChecksumSHA1      string
	ChecksumSHA256    string
}

// checksum gives the one that is stated.
func (p completedPart) checksum() blob.Checksum {
	for a, value := range map[blob.Algorithm]string{
		blob.CRC32: p.ChecksumCRC32, blob.CRC32C: p.ChecksumCRC32C, blob.CRC64NVME: p.ChecksumCRC64NVME,
		blob.SHA1: p.ChecksumSHA1, blob.SHA256: p.ChecksumSHA256,
	} {
		if value != "" {
			return blob.Checksum{Algorithm: a, Value: value}
		}
	}
	return blob.Checksum{}
}

func (c *call) completeUpload() error {
	o, err := c.completeOptions()
	if err != nil {
		return err
	}
	var d completion
	// The checksum headers speak of the object here, not of this document.
	if err := c.documentWith(blob.Expect{}, &d); err != nil {
		return err
	}
	if len(d.Parts) == 0 || len(d.Parts) > blob.MaxParts {
		return errMalformed
	}
	parts := make([]blob.CompletedPart, 0, len(d.Parts))
	for _, p := range d.Parts {
		parts = append(parts, blob.CompletedPart{Number: p.PartNumber, ETag: p.ETag, Checksum: p.checksum()})
	}
	info, err := c.store.CompleteUpload(c.ctx, c.upload(), parts, o)
	if err != nil {
		return err
	}
	x := newDocument()
	x.root("CompleteMultipartUploadResult")
	scheme := "http"
	if c.r.TLS != nil {
		scheme = "https"
	}
	x.text("Location", scheme+"://"+c.r.Host+escape(c.r.URL.Path))
	x.text("Bucket", c.bucket)
	x.text("Key", c.key)
	x.etag(info.ETag)
	checksumElements(x, info.Checksum)
	x.close("CompleteMultipartUploadResult")
	return x.send(c.w, http.StatusOK)
}

func (c *call) completeOptions() (o blob.CompleteOptions, err error) {
	if o.If, err = c.writeConditions(); err != nil {
		return o, err
	}
	if o.Checksum, err = statedChecksum(c.r.Header, true); err != nil {
		return o, err
	}
	if s := c.r.Header.Get("X-Amz-Mp-Object-Size"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return o, refusef("InvalidRequest", "Value for x-amz-mp-object-size header is invalid.")
		}
		o.Size = &n
	}
	return o, nil
}

func checksumElements(x *document, sum blob.Checksum) {
	if sum.Value != "" {
		x.text("Checksum"+string(sum.Algorithm), sum.Value)
		x.optional("ChecksumType", string(sum.Type))
	}
}

func (c *call) abortUpload() error {
	if err := c.store.AbortUpload(c.ctx, c.upload()); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

func (c *call) listParts() error {
	after, err := c.number("part-number-marker", 0)
	if err != nil {
		return err
	}
	limit, err := c.number("max-parts", blob.MaxPage)
	if err != nil {
		return err
	}
	limit = min(limit, blob.MaxPage)
	page, err := c.store.ListParts(c.ctx, c.upload(), after, limit)
	if err != nil {
		return err
	}
	x := newDocument()
	x.root("ListPartsResult")
	x.text("Bucket", c.bucket)
	x.text("Key", c.key)
	x.text("UploadId", page.Upload.ID)
	c.ownerElement("Initiator")(x)
	c.ownerElement("Owner")(x)
	x.text("StorageClass", "STANDARD")
	x.number("PartNumberMarker", int64(after))
	next := after
	if len(page.Parts) > 0 {
		next = page.Parts[len(page.Parts)-1].Number
	}
	x.number("NextPartNumberMarker", int64(next))
	x.number("MaxParts", int64(limit))
	x.flag("IsTruncated", page.More)
	x.text("ChecksumAlgorithm", string(page.Upload.Algorithm))
	x.text("ChecksumType", string(page.Upload.Type))
	for _, p := range page.Parts {
		x.open("Part")
		x.number("PartNumber", int64(p.Number))
		x.time("LastModified", p.Modified)
		x.etag(p.ETag)
		x.number("Size", p.Size)
		if p.Checksum.Value != "" {
			x.text("Checksum"+string(p.Checksum.Algorithm), p.Checksum.Value)
		}
		x.close("Part")
	}
	x.close("ListPartsResult")
	return x.send(c.w, http.StatusOK)
}

// listUploads rolls uploads up to common prefixes within the page; uploads in
// progress are few, so it does not jump over prefixes as object listings do.
func (c *call) listUploads() error {
	encode, err := c.encoder()
	if err != nil {
		return err
	}
	limit, err := c.number("max-uploads", blob.MaxPage)
	if err != nil {
		return err
	}
	limit = min(limit, blob.MaxPage)
	prefix, delimiter := c.query.Get("prefix"), c.query.Get("delimiter")
	o := blob.UploadListOptions{Prefix: prefix, AfterKey: c.query.Get("key-marker"), Limit: limit}
	if o.AfterKey != "" {
		o.AfterID = c.query.Get("upload-id-marker")
	}
	page, err := c.store.ListUploads(c.ctx, c.bucket, o)
	if err != nil {
		return err
	}
	x := newDocument()
	x.root("ListMultipartUploadsResult")
	x.text("Bucket", c.bucket)
	x.text("KeyMarker", encode(o.AfterKey))
	x.text("UploadIdMarker", o.AfterID)
	if page.More && len(page.Uploads) > 0 {
		last := page.Uploads[len(page.Uploads)-1]
		x.text("NextKeyMarker", encode(last.Key))
		x.text("NextUploadIdMarker", last.ID)
	}
	x.text("Prefix", encode(prefix))
	x.optional("Delimiter", encode(delimiter))
	x.optional("EncodingType", c.query.Get("encoding-type"))
	x.number("MaxUploads", int64(limit))
	x.flag("IsTruncated", page.More)
	var common []string
	for _, u := range page.Uploads {
		if p, ok := commonPrefix(u.Key, prefix, delimiter); ok {
			if len(common) == 0 || common[len(common)-1] != p {
				common = append(common, p)
			}
			continue
		}
		x.open("Upload")
		x.text("Key", encode(u.Key))
		x.text("UploadId", u.ID)
		c.ownerElement("Initiator")(x)
		c.ownerElement("Owner")(x)
		x.text("StorageClass", "STANDARD")
		x.time("Initiated", u.Created)
		x.text("ChecksumAlgorithm", string(u.Algorithm))
		x.text("ChecksumType", string(u.Type))
		x.close("Upload")
	}
	prefixes(x, common, encode)
	x.close("ListMultipartUploadsResult")
	return x.send(c.w, http.StatusOK)
}

func commonPrefix(key, prefix, delimiter string) (string, bool) {
	rest, ok := strings.CutPrefix(key, prefix)
	if !ok || delimiter == "" {
		return "", false
	}
	head, _, found := strings.Cut(rest, delimiter)
	return prefix + head + delimiter, found
}
