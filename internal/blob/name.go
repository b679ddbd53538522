package blob

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Name endings and beginnings that S3 keeps for itself (User Guide, "General
// purpose bucket naming rules").
var (
	reservedPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedSuffixes = []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"}
)

// CheckBucketName answers ErrInvalidBucketName unless name keeps S3's rules: 3 to
// 63 of a-z 0-9 . - with a letter or digit at both ends, no "..", no IP address.
func CheckBucketName(name string) error {
	alnum := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
	if len(name) < 3 || len(name) > 63 || !alnum(name[0]) || !alnum(name[len(name)-1]) || strings.Contains(name, "..") {
		return ErrInvalidBucketName
	}
	for i := range len(name) {
		if c := name[i]; !alnum(c) && c != '.' && c != '-' {
			return ErrInvalidBucketName
		}
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return ErrInvalidBucketName
	}
	for _, p := range reservedPrefixes {
		if strings.HasPrefix(name, p) {
			return ErrInvalidBucketName
		}
	}
	for _, s := range reservedSuffixes {
		if strings.HasSuffix(name, s) {
			return ErrInvalidBucketName
		}
	}
	return nil
}

// CheckKey answers ErrInvalidKey or ErrKeyTooLong. A key is 1 to 1024 bytes of
// UTF-8; nothing in it has a meaning, so "..", "%2e", newlines and NUL are fine.
func CheckKey(key string) error {
	switch {
	case len(key) > MaxKeyBytes:
		return ErrKeyTooLong
	case key == "" || !utf8.ValidString(key):
		return ErrInvalidKey
	}
	return nil
}

// URI is an s3:// address. Key may be empty (the bucket) or end in "/" (a folder).
type URI struct{ Bucket, Key string }

func (u URI) String() string { return "s3://" + u.Bucket + "/" + u.Key }

// ParseURI reads s3://bucket/key; s3a and s3n are the names Hadoop has for the
// same thing. The key is taken as it stands, nothing is unescaped.
func ParseURI(s string) (URI, error) {
	scheme, rest, found := strings.Cut(s, "://")
	if !found || scheme != "s3" && scheme != "s3a" && scheme != "s3n" {
		return URI{}, fmt.Errorf("parse %q: not an s3:// address", s)
	}
	bucket, key, _ := strings.Cut(rest, "/")
	if err := CheckBucketName(bucket); err != nil {
		return URI{}, fmt.Errorf("parse %q: %w", s, err)
	}
	if key != "" {
		if err := CheckKey(key); err != nil {
			return URI{}, fmt.Errorf("parse %q: %w", s, err)
		}
	}
	return URI{Bucket: bucket, Key: key}, nil
}

// Open reads the object that an s3:// address names; the caller closes Body.
func Open(ctx context.Context, store Objects, uri string) (*Object, error) {
	u, err := ParseURI(uri)
	if err != nil {
		return nil, err
	}
	if u.Key == "" {
		return nil, fmt.Errorf("open %q: %w", uri, errors.New("the address names a bucket, not an object"))
	}
	o, err := store.Get(ctx, u.Bucket, u.Key, GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", uri, err)
	}
	return o, nil
}
