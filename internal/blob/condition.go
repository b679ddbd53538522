package blob

import (
	"strings"
	"time"
)

// Conditions guard an operation as HTTP's conditional headers do (RFC 9110 §13).
// The zero value always holds.
type Conditions struct {
	IfMatch           string // "*" or a list of entity tags, quoted or not
	IfNoneMatch       string
	IfModifiedSince   time.Time
	IfUnmodifiedSince time.Time
}

// CheckRead decides for a reader: nil, ErrPreconditionFailed or ErrNotModified. A
// tag condition makes the time condition of its kind void (S3 API, GetObject).
func (c Conditions) CheckRead(o Info) error {
	modified := o.Modified.Truncate(time.Second) // what the client was told
	switch {
	case c.IfMatch != "":
		if !matches(c.IfMatch, o.ETag) {
			return ErrPreconditionFailed
		}
	case !c.IfUnmodifiedSince.IsZero() && modified.After(c.IfUnmodifiedSince):
		return ErrPreconditionFailed
	}
	switch {
	case c.IfNoneMatch != "":
		if matches(c.IfNoneMatch, o.ETag) {
			return ErrNotModified
		}
	case !c.IfModifiedSince.IsZero() && !modified.After(c.IfModifiedSince):
		return ErrNotModified
	}
	return nil
}

// CheckWrite decides for a writer; existing is nil when there is no such object.
// S3 answers NoSuchKey, not PreconditionFailed, to If-Match on an absent object
// (User Guide, "Conditional writes").
func (c Conditions) CheckWrite(existing *Info) error {
	if c.IfMatch != "" {
		if existing == nil {
			return ErrNoSuchKey
		}
		if !matches(c.IfMatch, existing.ETag) {
			return ErrPreconditionFailed
		}
	}
	if c.IfNoneMatch != "" && existing != nil && matches(c.IfNoneMatch, existing.ETag) {
		return ErrPreconditionFailed
	}
	return nil
}

func matches(list, etag string) bool {
	for _, tag := range strings.Split(list, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || TrimETag(tag) == etag {
			return true
		}
	}
	return false
}

// TrimETag takes the weak mark and the quotes off an entity tag.
func TrimETag(tag string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
}
