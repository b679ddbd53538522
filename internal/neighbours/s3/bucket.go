package s3

import (
	"encoding/xml"
	"errors"
	"net/http"
	"strings"

	"tenon/internal/blob"
)

func (c *call) ownerElement(name string) func(*document) {
	return func(x *document) {
		x.open(name)
		x.text("ID", c.owner)
		x.text("DisplayName", c.owner)
		x.close(name)
	}
}

// listBuckets pages only when asked to, by max-buckets (S3 API, ListBuckets).
func (c *call) listBuckets() error {
	all, err := c.store.ListBuckets(c.ctx)
	if err != nil {
		return err
	}
	limit, err := c.number("max-buckets", len(all))
	if err != nil {
		return err
	}
	after, err := c.token("continuation-token")
	if err != nil {
		return err
	}
	prefix := c.query.Get("prefix")
	x := newDocument()
	x.root("ListAllMyBucketsResult")
	c.ownerElement("Owner")(x)
	x.open("Buckets")
	written, last, more := 0, "", false
	for _, b := range all {
		if b.Name <= after || !strings.HasPrefix(b.Name, prefix) {
			continue
		}
		if more = written == limit; more {
			break
		}
		x.open("Bucket")
		x.text("Name", b.Name)
		x.time("CreationDate", b.Created)
		x.text("BucketRegion", c.region)
		x.close("Bucket")
		written, last = written+1, b.Name
	}
	x.close("Buckets")
	x.optional("Prefix", prefix)
	if more && last != "" {
		x.text("ContinuationToken", token(last))
	}
	x.close("ListAllMyBucketsResult")
	return x.send(c.w, http.StatusOK)
}

// createBucket takes any location: buckets belong to the server, not to a region.
func (c *call) createBucket() error {
	if c.body.length != 0 {
		var configuration struct {
			XMLName            xml.Name `xml:"CreateBucketConfiguration"`
			LocationConstraint string
		}
		// An unknown length is often no body at all.
		if err := c.document(&configuration); err != nil && (c.body.length > 0 || c.body.read > 0) {
			return err
		}
	}
	err := c.store.CreateBucket(c.ctx, c.bucket)
	// In this one region S3 accepts the repetition (S3 API, CreateBucket).
	if err != nil && (c.region != "us-east-1" || !errors.Is(err, blob.ErrBucketExists)) {
		return err
	}
	c.w.Header().Set("Location", "/"+c.bucket)
	return c.empty(http.StatusOK)
}

func (c *call) deleteBucket() error {
	if err := c.store.DeleteBucket(c.ctx, c.bucket); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

func (c *call) headBucket() error {
	if _, err := c.store.HeadBucket(c.ctx, c.bucket); err != nil {
		return err
	}
	c.w.Header().Set("X-Amz-Bucket-Region", c.region)
	c.w.Header().Set("Content-Type", "application/xml")
	return c.empty(http.StatusOK)
}

func (c *call) empty(status int) error {
	if status != http.StatusNoContent {
		c.w.Header().Set("Content-Length", "0")
	}
	c.w.WriteHeader(status)
	return nil
}

// ofBucket answers a question about an existing bucket.
func (c *call) ofBucket(write func(*document)) error {
	if _, err := c.store.HeadBucket(c.ctx, c.bucket); err != nil {
		return err
	}
	x := newDocument()
	write(x)
	return x.send(c.w, http.StatusOK)
}

// bucketLocation is empty for us-east-1, for reasons of S3's history.
func (c *call) bucketLocation() error {
	return c.ofBucket(func(x *document) {
		region := c.region
		if region == "us-east-1" {
			region = ""
		}
		x.WriteString(`<LocationConstraint xmlns="` + namespace + `">`)
		x.WriteString(escape(region))
		x.close("LocationConstraint")
	})
}

func (c *call) bucketPayment() error {
	return c.ofBucket(func(x *document) {
		x.root("RequestPaymentConfiguration")
		x.text("Payer", "BucketOwner")
		x.close("RequestPaymentConfiguration")
	})
}

// emptyDocument is what S3 answers when a feature was never configured, as none
// of these can be.
func emptyDocument(root string) func(*call) error {
	return func(c *call) error {
		return c.ofBucket(func(x *document) {
			x.root(root)
			x.close(root)
		})
	}
}

// absent is the same for features whose absence is an error.
func absent(code, message string) func(*call) error {
	return func(c *call) error {
		if _, err := c.store.HeadBucket(c.ctx, c.bucket); err != nil {
			return err
		}
		return refusef(code, "%s", message)
	}
}

// acl is the one that every bucket with disabled access lists has.
func (c *call) acl(x *document) {
	x.root("AccessControlPolicy")
	c.ownerElement("Owner")(x)
	x.open("AccessControlList")
	x.open("Grant")
	x.WriteString(`<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">`)
	x.text("ID", c.owner)
	x.text("DisplayName", c.owner)
	x.close("Grantee")
	x.text("Permission", "FULL_CONTROL")
	x.close("Grant")
	x.close("AccessControlList")
	x.close("AccessControlPolicy")
}

func (c *call) bucketACL() error { return c.ofBucket(c.acl) }
