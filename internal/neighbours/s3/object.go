package s3

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tenon/internal/blob"
)

// maxMetadata is S3's bound on user metadata, names and values together.
const maxMetadata = 2 << 10

const metadataPrefix = "x-amz-meta-"

// storedHeaders reads what is kept with an object and given back with it.
func (c *call) storedHeaders() (blob.Headers, map[string]string, error) {
	h := c.r.Header
	headers := blob.Headers{
		ContentType: h.Get("Content-Type"), CacheControl: h.Get("Cache-Control"), ContentDisposition: h.Get("Content-Disposition"),
		ContentLanguage: h.Get("Content-Language"), Expires: h.Get("Expires"),
	}
	// aws-chunked is how the body travelled, not what it is.
	var encodings []string
	for _, e := range strings.Split(strings.Join(h.Values("Content-Encoding"), ","), ",") {
		if e = strings.TrimSpace(e); e != "" && !strings.EqualFold(e, "aws-chunked") {
			encodings = append(encodings, e)
		}
	}
	headers.ContentEncoding = strings.Join(encodings, ",")
	metadata, size := map[string]string{}, 0
	for name, values := range h {
		if name, ok := strings.CutPrefix(strings.ToLower(name), metadataPrefix); ok {
			metadata[name] = strings.Join(values, ",")
			size += len(name) + len(metadata[name])
		}
	}
	if size > maxMetadata {
		return headers, nil, refusef("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
	}
	if len(metadata) == 0 {
		metadata = nil
	}
	return headers, metadata, nil
}

// conditions reads the conditional headers that begin with prefix. HTTP says to
// ignore a date that is none.
func conditions(h http.Header, prefix string) blob.Conditions {
	date := func(name string) time.Time {
		at, err := http.ParseTime(h.Get(prefix + name))
		if err != nil {
			return time.Time{}
		}
		return at
	}
	return blob.Conditions{
		IfMatch: h.Get(prefix + "If-Match"), IfNoneMatch: h.Get(prefix + "If-None-Match"),
		IfModifiedSince: date("If-Modified-Since"), IfUnmodifiedSince: date("If-Unmodified-Since"),
	}
}

// writeConditions are those S3 knows for writes: If-Match with a tag and
// If-None-Match with "*" (User Guide, "Conditional writes").
func (c *call) writeConditions() (blob.Conditions, error) {
	cond := blob.Conditions{IfMatch: c.r.Header.Get("If-Match"), IfNoneMatch: c.r.Header.Get("If-None-Match")}
	if cond.IfNoneMatch != "" && cond.IfNoneMatch != "*" {
		return cond, refusef("NotImplemented", "A header you provided implies functionality that is not implemented: If-None-Match with an entity tag")
	}
	return cond, nil
}

func (c *call) putObject() error {
	if err := c.body.announced(); err != nil {
		return err
	}
	var o blob.PutOptions
	var err error
	if o.Headers, o.Metadata, err = c.storedHeaders(); err != nil {
		return err
	}
	if o.If, err = c.writeConditions(); err != nil {
		return err
	}
	if o.Expect, err = c.expect(); err != nil {
		return err
	}
	info, err := c.store.Put(c.ctx, c.bucket, c.key, c.body, o)
	if err != nil {
		return err
	}
	c.w.Header().Set("Etag", quote(info.ETag))
	c.checksumHeaders(info.Checksum)
	return c.empty(http.StatusOK)
}

func quote(etag string) string { return `"` + etag + `"` }

func (c *call) checksumHeaders(sum blob.Checksum) {
	if sum.Value == "" {
		return
	}
	c.w.Header().Set(headerName(sum.Algorithm), sum.Value)
	c.w.Header().Set("X-Amz-Checksum-Type", string(sum.Type))
}

// readOptions read what part of an object is wanted, and when.
func (c *call) readOptions() (o blob.GetOptions, err error) {
	o.If = conditions(c.r.Header, "")
	if r, ok := blob.ParseRange(c.r.Header.Get("Range")); ok {
		o.Range = &r
	}
	if c.query.Has("partNumber") {
		if o.Part, err = c.number("partNumber", 0); err != nil {
			return o, err
		}
		if o.Part < 1 || o.Part > blob.MaxParts {
			return o, fmt.Errorf("%w: Part number must be an integer between 1 and %d, inclusive", blob.ErrInvalidArgument, blob.MaxParts)
		}
		if o.Range != nil {
			return o, refusef("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
		}
	}
	return o, nil
}

func (c *call) getObject() error {
	o, err := c.readOptions()
	if err != nil {
		return err
	}
	object, err := c.store.Get(c.ctx, c.bucket, c.key, o)
	if err != nil {
		return err
	}
	c.w.WriteHeader(c.describe(object, o))
	n, err := io.Copy(c.w, object.Body)
	if err == nil && n != object.Length {
		err = io.ErrUnexpectedEOF
	}
	// Less than Content-Length was written: net/http closes the connection, and
	// the client sees a broken body rather than a short object.
	if err := errors.Join(err, object.Body.Close()); err != nil {
		return &lateError{fmt.Errorf("send object: %w", err)}
	}
	return nil
}

func (c *call) headObject() error {
	o, err := c.readOptions()
	if err != nil {
		return err
	}
	object, err := c.store.Stat(c.ctx, c.bucket, c.key, o)
	if err != nil {
		return err
	}
	c.w.WriteHeader(c.describe(object, o))
	return nil
}

// overrides are the headers a reader may choose, by query parameter.
var overrides = map[string]string{
	"response-content-type": "Content-Type", "response-content-language": "Content-Language", "response-expires": "Expires",
	"response-cache-control": "Cache-Control", "response-content-disposition": "Content-Disposition", "response-content-encoding": "Content-Encoding",
}

// describe sets the headers of an object, or of the stretch of it that was asked
// for, and gives the status.
func (c *call) describe(object *blob.Object, o blob.GetOptions) int {
	h := c.w.Header()
	for name, value := range map[string]string{
		"Content-Type": object.Headers.ContentType, "Cache-Control": object.Headers.CacheControl, "Expires": object.Headers.Expires,
		"Content-Disposition": object.Headers.ContentDisposition, "Content-Encoding": object.Headers.ContentEncoding,
		"Content-Language": object.Headers.ContentLanguage,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "binary/octet-stream")
	}
	for parameter, name := range overrides {
		if value := c.query.Get(parameter); value != "" {
			h.Set(name, value)
		}
	}
	for name, value := range object.Metadata {
		// Not canonical: clients such as boto3 take the names as they are written,
		// and S3 writes them in lower case.
		h[metadataPrefix+name] = []string{value}
	}
	h.Set("Etag", quote(object.ETag))
	h.Set("Last-Modified", object.Modified.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(object.Length, 10))
	// Objects share an origin with the console; a page among them must not be able
	// to act there in the name of whoever looks at it.
	h.Set("Content-Security-Policy", "sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	if o.Part > 0 && object.Parts > 0 {
		h.Set("X-Amz-Mp-Parts-Count", strconv.Itoa(object.Parts))
	}
	whole := object.Length == object.Size
	if whole && strings.EqualFold(c.r.Header.Get("X-Amz-Checksum-Mode"), "ENABLED") {
		c.checksumHeaders(object.Checksum)
	}
	if o.Range == nil && o.Part == 0 || object.Length == 0 {
		return http.StatusOK
	}
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", object.Offset, object.Offset+object.Length-1, object.Size))
	return http.StatusPartialContent
}

func (c *call) deleteObject() error {
	cond := blob.Conditions{IfMatch: c.r.Header.Get("If-Match")}
	if err := c.store.Delete(c.ctx, c.bucket, c.key, cond); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

// deletion is the document of DeleteObjects.
type deletion struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Objects []struct {
		Key       string
		VersionID string `xml:"VersionId"`
		ETag      string
	} `xml:"Object"`
}

func (c *call) deleteObjects() error {
	var d deletion
	if err := c.document(&d); err != nil {
		return err
	}
	if len(d.Objects) == 0 || len(d.Objects) > blob.MaxPage {
		return errMalformed
	}
	errs := make([]error, len(d.Objects))
	var keys []string
	var at []int // places of keys in errs
	for i, o := range d.Objects {
		switch {
		case o.VersionID != "" && o.VersionID != "null":
			errs[i] = refusef("NoSuchVersion", "The specified version does not exist.")
		case o.ETag != "":
			errs[i] = c.store.Delete(c.ctx, c.bucket, o.Key, blob.Conditions{IfMatch: o.ETag})
		default:
			keys, at = append(keys, o.Key), append(at, i)
		}
	}
	removed, err := c.store.DeleteMany(c.ctx, c.bucket, keys)
	if err != nil {
		return err
	}
	for i, err := range removed {
		errs[at[i]] = err
	}
	return c.deletionResult(d, errs)
}

func (c *call) deletionResult(d deletion, errs []error) error {
	x := newDocument()
	x.root("DeleteResult")
	for i, o := range d.Objects {
		if errs[i] == nil {
			if !d.Quiet {
				x.open("Deleted")
				x.text("Key", o.Key)
				x.close("Deleted")
			}
			continue
		}
		code, message := "InternalError", "We encountered an internal error. Please try again."
		var refused *blob.Error
		if errors.As(errs[i], &refused) {
			code, message = refused.Code, refused.Message
		}
		x.open("Error")
		x.text("Key", o.Key)
		x.optional("VersionId", o.VersionID)
		x.text("Code", code)
		x.text("Message", message)
		x.close("Error")
	}
	x.close("DeleteResult")
	return x.send(c.w, http.StatusOK)
}

// ofObject answers a question about an existing object.
func (c *call) ofObject(write func(*document, *blob.Object)) error {
	object, err := c.store.Stat(c.ctx, c.bucket, c.key, blob.GetOptions{})
	if err != nil {
		return err
	}
	x := newDocument()
	write(x, object)
	return x.send(c.w, http.StatusOK)
}

func (c *call) objectACL() error {
	return c.ofObject(func(x *document, _ *blob.Object) { c.acl(x) })
}

// objectTagging is empty: tags are refused when they are set.
func (c *call) objectTagging() error {
	return c.ofObject(func(x *document, _ *blob.Object) {
		x.root("Tagging")
		x.text("TagSet", "")
		x.close("Tagging")
	})
}

func noObjectLock(c *call) error {
	if _, err := c.store.Stat(c.ctx, c.bucket, c.key, blob.GetOptions{}); err != nil {
		return err
	}
	return refusef("NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration")
}

func (c *call) objectAttributes() error {
	wanted := map[string]bool{}
	for _, name := range strings.Split(strings.Join(c.r.Header.Values("X-Amz-Object-Attributes"), ","), ",") {
		wanted[strings.TrimSpace(name)] = true
	}
	if wanted[""] {
		return refusef("InvalidRequest", "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	return c.ofObject(func(x *document, o *blob.Object) {
		c.w.Header().Set("Last-Modified", o.Modified.UTC().Format(http.TimeFormat))
		x.root("GetObjectAttributesResponse")
		if wanted["ETag"] {
			x.text("ETag", o.ETag) // without quotes here, unlike everywhere else
		}
		if wanted["Checksum"] && o.Checksum.Value != "" {
			x.open("Checksum")
			x.text("Checksum"+string(o.Checksum.Algorithm), o.Checksum.Value)
			x.text("ChecksumType", string(o.Checksum.Type))
			x.close("Checksum")
		}
		if wanted["ObjectParts"] && o.Parts > 0 {
			x.open("ObjectParts")
			x.number("PartsCount", int64(o.Parts))
			x.close("ObjectParts")
		}
		if wanted["StorageClass"] {
			x.text("StorageClass", "STANDARD")
		}
		if wanted["ObjectSize"] {
			x.number("ObjectSize", o.Size)
		}
		x.close("GetObjectAttributesResponse")
	})
}
