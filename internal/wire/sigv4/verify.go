package sigv4

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	skewS3   = 15 * time.Minute
	skewRest = 5 * time.Minute
)

// KeySource finds the secret of an access key. It answers [ErrUnknownKey] for a key it does not know or whose
// token does not belong to it, and [ErrExpiredToken] for a session that has ended. It is called for every
// request, so it must be quick and safe for concurrent use.
type KeySource func(ctx context.Context, accessKeyID, sessionToken string) (secret string, err error)

// Verifier checks signatures. It is safe for concurrent use.
type Verifier struct {
	keys     KeySource
	now      func() time.Time
	services []string
	dummy    string // stands in for the secret of an unknown key
	cache    keyCache
}

// New makes a verifier for the named services; a signature scoped to any other is refused.
func New(keys KeySource, now func() time.Time, services ...string) *Verifier {
	v := &Verifier{keys: keys, now: now, services: slices.Clone(services), dummy: rand.Text()}
	v.cache.seed = maphash.MakeSeed()
	return v
}

// VerifyBody checks a request whose whole body is in hand. Services other than S3 sign the body's hash without
// having to send it, so the signature proves the body only together with these bytes. Refusals are *[Error];
// any other error is a failure of the key source.
func (v *Verifier) VerifyBody(s *Signed, body []byte) error {
	s.BodyHash = sha256.Sum256(body)
	actual := hex.EncodeToString(s.BodyHash[:])
	declared := s.PayloadHash
	switch {
	case s.Service == ServiceS3:
		var err error
		if declared, err = s.declaredS3(); err != nil {
			return err
		}
		if strings.HasPrefix(declared, "STREAMING-") {
			return refuse(KindUnsupported, "This request cannot have an aws-chunked body.")
		}
	case declared == "":
		declared = actual
	case !validHash(declared):
		return refuse(KindUnsupported, "x-amz-content-sha256 must be the SHA-256 of the body for this service.")
	}
	if declared != unsignedPayload && subtle.ConstantTimeCompare([]byte(declared), []byte(actual)) == 0 {
		return refuse(KindPayloadMismatch, textMismatch)
	}
	return v.verify(s, declared)
}

// VerifyHead checks an S3 request before its body is read; the body is then read through [Signed.Body].
func (v *Verifier) VerifyHead(s *Signed) error {
	if s.Service != ServiceS3 {
		return fmt.Errorf("verify signature for %q: the body is needed", s.Service)
	}
	declared, err := s.declaredS3()
	if err != nil {
		return err
	}
	return v.verify(s, declared)
}

// declaredS3 returns the payload hash that S3's canonical request ends with.
func (s *Signed) declaredS3() (string, error) {
	switch h := s.PayloadHash; {
	case h == "" && s.Presigned:
		return unsignedPayload, nil
	case h == "":
		return "", refuse(KindMalformed, "Missing required header for this request: x-amz-content-sha256")
	case h == unsignedPayload, h == streamingSigned, h == streamingTrailer, h == streamingUnsigned, validHash(h):
		return h, nil
	}
	return "", refuse(KindUnsupported, "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a supported STREAMING form or a SHA-256 value.")
}

func validHash(h string) bool { return len(h) == 2*sha256.Size && isLowerHex(h) }

func (v *Verifier) verify(s *Signed, payloadHash string) error {
	if !slices.Contains(v.services, s.Service) {
		return refuse(KindBadScope, "Credential should be scoped to a service this server speaks, not '"+s.Service+"'.")
	}
	if s.day != s.amzDate[:8] {
		return refuse(KindBadScope, fmt.Sprintf("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.",
			s.day, s.amzDate[:8], s.amzDate))
	}
	if err := s.checkTime(v.now().UTC()); err != nil {
		return err
	}
	if err := s.checkCoverage(); err != nil {
		return err
	}
	secret, keyErr := v.keys(s.r.Context(), s.AccessKeyID, s.SessionToken)
	if keyErr != nil {
		if !errors.Is(keyErr, ErrUnknownKey) && !errors.Is(keyErr, ErrExpiredToken) {
			return fmt.Errorf("look up access key: %w", keyErr)
		}
		secret = v.dummy // same work as for a known key (J9)
	}
	key := v.cache.get(s, secret)
	equal := subtle.ConstantTimeCompare(s.sign(key, payloadHash), s.signature[:]) == 1
	switch {
	case errors.Is(keyErr, ErrUnknownKey):
		return refuse(KindUnknownKey, textUnknownKey)
	case errors.Is(keyErr, ErrExpiredToken):
		return refuse(KindExpiredToken, textExpiredToken)
	case !equal:
		return mismatch()
	}
	s.state, s.key = verified, key
	return nil
}

// checkTime holds the window on both sides, bounds included. A presigned URL may be used until it expires but
// not before it was made, the skew aside.
func (s *Signed) checkTime(now time.Time) error {
	skew := skewRest
	if s.Service == ServiceS3 {
		skew = skewS3
	}
	minutes := int(skew / time.Minute)
	if s.Date.Sub(now) > skew {
		return refuse(KindSkewed, fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + %d min.)",
			s.amzDate, now.Add(skew).Format(amzLayout), now.Format(amzLayout), minutes))
	}
	if s.Expires > 0 {
		if end := s.Date.Add(s.Expires); now.After(end) {
			return refuse(KindPresignExpired, fmt.Sprintf("Signature expired: %s is now earlier than %s",
				end.Format(amzLayout), now.Format(amzLayout)))
		}
		return nil
	}
	if now.Sub(s.Date) > skew {
		return refuse(KindSkewed, fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - %d min.)",
			s.amzDate, now.Add(-skew).Format(amzLayout), now.Format(amzLayout), minutes))
	}
	return nil
}

// checkCoverage demands that host and every x-amz-* header of the request are signed (J8): these choose the
// operation, the payload rule and S3's behaviour. Signed names are distinct, so equal counts mean all are covered.
func (s *Signed) checkCoverage() error {
	host, signed := false, 0
	for list := s.signedHeaders; list != ""; {
		var name string
		name, list, _ = strings.Cut(list, ";")
		switch {
		case name == "host":
			host = true
		case s.header(name) == nil && name != "content-length":
			return mismatch() // lost on the way; an empty value must not stand in for it
		case strings.HasPrefix(name, "x-amz-"):
			signed++
		}
	}
	present := 0
	for name := range s.r.Header {
		if strings.HasPrefix(name, "X-Amz-") {
			present++
		}
	}
	if !host {
		return refuse(KindUnsignedHeader, "'Host' must be a signed header.")
	}
	if signed != present {
		return refuse(KindUnsignedHeader, "There were headers present in the request which were not signed: every x-amz-* header must be.")
	}
	return nil
}

// sign computes the signature the request should have.
func (s *Signed) sign(key []byte, payloadHash string) []byte {
	var stack [1536]byte // an SDK's canonical request has 400 to 900 bytes
	hash := sha256.Sum256(s.appendCanonical(stack[:0], payloadHash))
	b := append(make([]byte, 0, 192), algorithm...) // its own buffer: this one escapes into the HMAC
	b = append(b, '\n')
	b = append(b, s.amzDate...)
	b = append(b, '\n')
	b = append(b, s.scope...)
	b = append(b, '\n')
	b = hex.AppendEncode(b, hash[:])
	return mac(key, b)
}

func mac(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

// keyCache keeps derived signing keys, which cost four HMACs. It is a table of fixed size with one place per
// hash of the credential: reads are one atomic load, memory is bounded, and a stranger who fills it with
// unknown keys costs others a derivation, no more. An entry is used only if the secret is still the same, so a
// rotated key works at once and its old secret never does.
type keyCache struct {
	seed  maphash.Seed
	slots [1024]atomic.Pointer[derived]
}

type derived struct {
	credential string // key id, date, region, service
	secret     string
	key        []byte
}

func (c *keyCache) get(s *Signed, secret string) []byte {
	slot := &c.slots[maphash.String(c.seed, s.credential)%uint64(len(c.slots))]
	d := slot.Load()
	if d != nil && d.credential == s.credential && subtle.ConstantTimeCompare([]byte(d.secret), []byte(secret)) == 1 {
		return d.key
	}
	key := mac([]byte("AWS4"+secret), []byte(s.day))
	key = mac(key, []byte(s.Region))
	key = mac(key, []byte(s.Service))
	key = mac(key, []byte(terminator))
	slot.Store(&derived{strings.Clone(s.credential), secret, key})
	return key
}
