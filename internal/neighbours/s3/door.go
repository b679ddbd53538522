// Package s3 speaks the S3 REST API over a blob.Store. It guarantees that bodies
// stream in both directions in flat memory, that a key reaches the store byte for
// byte as the client meant it, that documents are bounded and parsed without
// expansion, and that what it does not do is refused and never pretended.
//
// It authenticates nobody: one gate in front verifies the request, asks Needs
// which permissions it takes, and hands over a body that is already verified and
// free of aws-chunked framing. It has no versions, tags, access lists, policies,
// replication or locks. Storage class and server-side encryption with managed
// keys are accepted and, since neither applies to a local disk, not reported back.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tenon/internal/blob"
)

// Config is what the door must know of its server.
type Config struct {
	// Hosts are the names under which the server is addressed, without ports.
	// BUCKET.HOST is virtual-host style; every other name is path style.
	Hosts  []string
	Region string // what GetBucketLocation tells
	Owner  string // the owner's id in listings
}

// Door serves S3 requests.
type Door struct {
	store  blob.Store
	hosts  []string // lower case, longest first
	region string
	owner  string
}

// New gives a door to the store.
func New(store blob.Store, c Config) *Door {
	d := &Door{store: store, region: c.Region, owner: cmp.Or(c.Owner, "tenon")}
	for _, host := range c.Hosts {
		d.hosts = append(d.hosts, strings.ToLower(hostname(host)))
	}
	// s3.localhost before localhost, or "s3" would be taken for a bucket.
	slices.SortFunc(d.hosts, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return d
}

// call is one request on its way through the door.
type call struct {
	*Door
	w         http.ResponseWriter
	r         *http.Request
	ctx       context.Context
	query     url.Values
	bucket    string
	key       string
	body      *body
	requestID string
}

// Need is one permission a request takes.
type Need struct {
	Action   string // "s3:GetObject"
	Resource string // "arn:aws:s3:::bucket/key"
}

// Needs lists every permission that r takes, all of which must be granted. It is
// empty for a request that is no S3 operation; such a request is to be denied.
func (d *Door) Needs(r *http.Request) []Need {
	bucket, key := d.address(r)
	op := route(r, bucket, key)
	if op == nil || op.action == "" {
		return nil
	}
	resource := "*"
	if bucket != "" {
		resource = "arn:aws:s3:::" + bucket
	}
	switch {
	case key != "":
		resource += "/" + key
	case op.name == "DeleteObjects": // names its keys in the body
		resource += "/*"
	}
	needs := []Need{{Action: "s3:" + op.action, Resource: resource}}
	if op.copies {
		// An unreadable source is refused when served; it must not widen anything.
		source, err := parseCopySource(r.Header.Get("X-Amz-Copy-Source"))
		if err != nil {
			return nil
		}
		needs = append(needs, Need{Action: "s3:GetObject", Resource: "arn:aws:s3:::" + source.Bucket + "/" + source.Key})
	}
	return needs
}

// Operation names the S3 operation of r, such as "PutObject", or is empty.
func (d *Door) Operation(r *http.Request) string {
	bucket, key := d.address(r)
	if op := route(r, bucket, key); op != nil {
		return op.name
	}
	return ""
}

// Serve answers r. body gives the decoded payload and fails when it does not match
// its signature; an error of body that has ErrorCode() and ErrorMessage() is told
// to the client as it is. trailers, which may be nil, gives the trailing headers
// once body has ended. The error is for the log: the client has been told, or was
// past telling because its answer had begun.
func (d *Door) Serve(w http.ResponseWriter, r *http.Request, payload io.Reader, trailers func() http.Header, requestID string) error {
	bucket, key := d.address(r)
	c := &call{
		Door: d, w: w, r: r, ctx: r.Context(), query: r.URL.Query(), bucket: bucket, key: key,
		body: newBody(r, payload, trailers), requestID: requestID,
	}
	w.Header().Set("X-Amz-Request-Id", requestID)
	op := route(r, bucket, key)
	if op == nil {
		return c.fail(refusef("MethodNotAllowed", "The specified method is not allowed against this resource."))
	}
	if op.serve == nil {
		return c.fail(refusef("NotImplemented", "%s is not implemented by this server.", op.name))
	}
	if err := c.check(); err != nil {
		return c.fail(err)
	}
	if err := op.serve(c); err != nil {
		return c.fail(err)
	}
	return nil
}

// check refuses what no operation can honour.
func (c *call) check() error {
	if v := c.query.Get("versionId"); v != "" && v != "null" {
		return refusef("NoSuchVersion", "The specified version does not exist.")
	}
	if c.key != "" {
		if err := blob.CheckKey(c.key); err != nil {
			return err
		}
	}
	for name, values := range c.r.Header {
		name = strings.ToLower(name)
		switch {
		case strings.HasPrefix(name, "x-amz-server-side-encryption-customer-"),
			strings.HasPrefix(name, "x-amz-copy-source-server-side-encryption-customer-"),
			strings.HasPrefix(name, "x-amz-object-lock-"), name == "x-amz-bucket-object-lock-enabled" && values[0] != "false",
			name == "x-amz-tagging", name == "x-amz-website-redirect-location", name == "x-amz-write-offset-bytes":
			return refusef("NotImplemented", "A header you provided implies functionality that is not implemented: %s", name)
		case strings.HasPrefix(name, "x-amz-grant-"),
			name == "x-amz-acl" && values[0] != "private" && values[0] != "bucket-owner-full-control":
			return refusef("AccessControlListNotSupported", "The bucket does not allow ACLs")
		}
	}
	return nil
}

// address finds bucket and key. The path is taken as net/http decoded it, once:
// a second decoding, or cleaning, would make two keys one.
func (d *Door) address(r *http.Request) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	host := strings.ToLower(hostname(r.Host))
	for _, own := range d.hosts {
		if host == own {
			break
		}
		if name, ok := strings.CutSuffix(host, "."+own); ok {
			return name, path
		}
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// fail tells the client why and gives back what belongs into the log: nothing for
// a refusal, which is the client's affair.
func (c *call) fail(err error) error {
	if c.body.err != nil {
		err = c.body.err // the reason behind whatever the store made of it
	}
	var told interface {
		ErrorCode() string
		ErrorMessage() string
	}
	var late *lateError
	switch {
	case errors.As(err, &late):
		return err
	case errors.As(err, &told):
		message := told.ErrorMessage()
		// blob's sentinels come wrapped with what exactly was wrong.
		if _, detail, ok := strings.Cut(err.Error(), message+": "); ok {
			message = detail
		}
		c.WriteError(c.w, c.r, told.ErrorCode(), message, c.requestID)
		return nil
	}
	c.WriteError(c.w, c.r, "InternalError", "We encountered an internal error. Please try again.", c.requestID)
	return fmt.Errorf("serve s3 request: %w", err)
}

// lateError happened after the answer had begun.
type lateError struct{ error }

func (e *lateError) Unwrap() error { return e.error }

// refusal is an answer of the door itself, in the form of blob.Error.
func refusef(code, format string, args ...any) error {
	return &blob.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// statuses are those that differ from 400 (API Reference, "Error responses").
var statuses = map[string]int{
	"NotModified": http.StatusNotModified,

	"AccessDenied": http.StatusForbidden, "InvalidAccessKeyId": http.StatusForbidden, "SignatureDoesNotMatch": http.StatusForbidden,
	"RequestTimeTooSkewed": http.StatusForbidden,

	"NoSuchBucket": http.StatusNotFound, "NoSuchKey": http.StatusNotFound, "NoSuchUpload": http.StatusNotFound, "NoSuchVersion": http.StatusNotFound,
	"NoSuchBucketPolicy": http.StatusNotFound, "NoSuchTagSet": http.StatusNotFound, "NoSuchLifecycleConfiguration": http.StatusNotFound,
	"NoSuchCORSConfiguration": http.StatusNotFound, "NoSuchWebsiteConfiguration": http.StatusNotFound,
	"NoSuchPublicAccessBlockConfiguration": http.StatusNotFound, "NoSuchObjectLockConfiguration": http.StatusNotFound,
	"ServerSideEncryptionConfigurationNotFoundError": http.StatusNotFound, "ReplicationConfigurationNotFoundError": http.StatusNotFound,
	"ObjectLockConfigurationNotFoundError": http.StatusNotFound, "OwnershipControlsNotFoundError": http.StatusNotFound,

	"MethodNotAllowed":        http.StatusMethodNotAllowed,
	"BucketAlreadyOwnedByYou": http.StatusConflict, "BucketAlreadyExists": http.StatusConflict, "BucketNotEmpty": http.StatusConflict,
	"MissingContentLength": http.StatusLengthRequired,
	"PreconditionFailed":   http.StatusPreconditionFailed,
	"InvalidRange":         http.StatusRequestedRangeNotSatisfiable, "InvalidPartNumber": http.StatusRequestedRangeNotSatisfiable,

	"InternalError": http.StatusInternalServerError, "NotImplemented": http.StatusNotImplemented,
	"ServiceUnavailable": http.StatusServiceUnavailable, "SlowDown": http.StatusServiceUnavailable,
}

// WriteError answers with an S3 error document; the gate uses it too. Codes it
// does not know have status 400.
func (d *Door) WriteError(w http.ResponseWriter, r *http.Request, code, message, requestID string) {
	status := cmp.Or(statuses[code], http.StatusBadRequest)
	w.Header().Set("X-Amz-Request-Id", requestID)
	if status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	x := newDocument()
	x.open("Error")
	x.text("Code", code)
	x.text("Message", message)
	x.text("Resource", r.URL.Path)
	x.text("RequestId", requestID)
	x.close("Error")
	// The client has gone when this fails, and there is nobody left to tell.
	_ = x.send(w, status)
}
