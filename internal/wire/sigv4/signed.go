// Package sigv4 verifies AWS Signature Version 4 on the server's side: a request that passes was made by a
// holder of the secret, for this host, method, path, query, signed headers and body, within the allowed time.
// Header credentials, presigned queries and S3's streamed bodies (aws-chunked, with and without trailers) are
// covered, and there is one verifier for all doors, so no handler can accept a form another one forgot
// (spec/faults J8). Secrets are compared in constant time and an unknown key costs what a known one costs (J9).
//
// It does not decide what a principal may do, does not remember signatures (a replay inside the window is the
// business of the stored replies, J6), does not speak SigV2, SigV4A or S3 browser forms, and signs nothing.
//
// Use: [Parse], then [Verifier.VerifyBody] where the whole body is in hand, or [Verifier.VerifyHead] and
// [Signed.Body] where it streams (S3).
package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	amzLayout  = "20060102T150405Z"

	// ServiceS3 is the one service whose signing rules differ: path encoded once, payload hash always
	// declared, unsigned and streamed payloads, a wider clock window.
	ServiceS3 = "s3"

	unsignedPayload   = "UNSIGNED-PAYLOAD"
	streamingSigned   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamingTrailer  = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	streamingUnsigned = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

	maxCredential    = 256  // bytes of "key/date/region/service/aws4_request"; SDKs need about 70
	maxSignedHeaders = 4096 // bytes of the list
	maxToken         = 8192
	maxExpires       = 7 * 24 * time.Hour // AWS's limit for presigned URLs
)

// Signed is what a request claims about who signed it. After Parse these are claims only; they are true once
// VerifyBody or VerifyHead returned nil.
type Signed struct {
	AccessKeyID  string
	SessionToken string // "" if none was sent
	Region       string
	Service      string
	Date         time.Time // when it was signed, UTC
	Presigned    bool
	Expires      time.Duration     // presigned only; 0 if not given
	PayloadHash  string            // as declared: lower-case hex, UNSIGNED-PAYLOAD, STREAMING-…, or "" if undeclared
	BodyHash     [sha256.Size]byte // set by VerifyBody

	r             *http.Request
	query         []param
	credential    string // access key id and scope, as sent
	scope         string // date/region/service/aws4_request
	day           string
	amzDate       string
	signedHeaders string
	signature     [sha256.Size]byte
	state         state
	key           []byte // signing key, for chunk signatures
}

type state uint8

const (
	unverified state = iota
	verified
	trusted // --insecure-dev: accepted without a signature check
)

// Parse reads the credentials of a request, from its Authorization header or its query, and checks their form
// only. Every failure is an *[Error]. The request must not be changed between Parse and Verify.
func Parse(r *http.Request) (*Signed, error) {
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(KindMalformed, "The query string is not valid: "+err.Error()+".")
	}
	s := &Signed{r: r, query: query}
	inQuery := s.hasQueryAuth()
	auth := r.Header["Authorization"]
	switch {
	case len(auth) > 1:
		return nil, refuse(KindAmbiguous, "More than one Authorization header was sent.")
	case len(auth) == 1 && inQuery:
		return nil, refuse(KindAmbiguous, "Credentials were sent both in the Authorization header and in the query string.")
	case len(auth) == 1:
		err = s.parseHeader(auth[0])
	case inQuery:
		err = s.parsePresigned()
	default:
		return nil, refuse(KindMissing, "Missing Authentication Token")
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// TrustUnverified accepts the claims as they are. It is for --insecure-dev alone.
func (s *Signed) TrustUnverified() { s.state = trusted }

// Covers reports whether the signature covers the named header (any case). A value that changes behaviour but
// is not signed, such as an invocation id, may have been put there by anyone on the way.
func (s *Signed) Covers(header string) bool {
	for list := s.signedHeaders; list != ""; {
		var name string
		name, list, _ = strings.Cut(list, ";")
		if strings.EqualFold(name, header) {
			return true
		}
	}
	return false
}

// hasQueryAuth finds any credential in the query, also of the old form, so that none slips by beside a header.
func (s *Signed) hasQueryAuth() bool {
	for _, p := range s.query {
		switch p.name {
		case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Security-Token", "AWSAccessKeyId":
			return true
		}
	}
	return false
}

func (s *Signed) parseHeader(value string) error {
	rest, ok := strings.CutPrefix(value, algorithm+" ")
	if !ok {
		return refuse(KindUnsupported, "The authorization mechanism you have provided is not supported. Please use "+algorithm+".")
	}
	var credential, headers, signature string
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, ",")
		name, v, _ := strings.Cut(strings.Trim(part, " "), "=")
		var into *string
		switch name {
		case "Credential":
			into = &credential
		case "SignedHeaders":
			into = &headers
		case "Signature":
			into = &signature
		}
		if into == nil || *into != "" || v == "" {
			return refuse(KindMalformed, "Authorization header must hold Credential, SignedHeaders and Signature, each once.")
		}
		*into = v
	}
	if err := s.setParts(credential, headers, signature); err != nil {
		return err
	}
	var err error
	if s.PayloadHash, err = s.one("X-Amz-Content-Sha256"); err != nil {
		return err
	}
	if s.SessionToken, err = s.one("X-Amz-Security-Token"); err != nil {
		return err
	}
	date, err := s.one("X-Amz-Date")
	if err != nil {
		return err
	}
	if date != "" {
		return s.setDate(date)
	}
	return s.setHTTPDate()
}

// setHTTPDate uses the Date header, as AWS does, where X-Amz-Date is absent; it must be signed to count.
func (s *Signed) setHTTPDate() error {
	date, err := s.one("Date")
	if err != nil {
		return err
	}
	if date == "" || !s.Covers("date") {
		return refuse(KindMalformed, "Authorization header requires existence of a signed 'X-Amz-Date' or 'Date' header.")
	}
	t, err := http.ParseTime(date)
	if err != nil {
		return s.setDate(date)
	}
	s.Date = t.UTC()
	s.amzDate = s.Date.Format(amzLayout)
	return nil
}

func (s *Signed) parsePresigned() error {
	s.Presigned = true
	var algo, credential, headers, signature, date, expires, hash, token string
	into := map[string]*string{
		"X-Amz-Algorithm": &algo, "X-Amz-Credential": &credential, "X-Amz-SignedHeaders": &headers,
		"X-Amz-Signature": &signature, "X-Amz-Date": &date, "X-Amz-Expires": &expires,
		"X-Amz-Content-Sha256": &hash, "X-Amz-Security-Token": &token,
	}
	for _, p := range s.query {
		v, ok := into[p.name]
		if !ok {
			continue
		}
		if *v != "" || p.value == "" {
			return refuse(KindMalformed, "Query parameter "+p.name+" must be given once and not be empty.")
		}
		*v = p.value
	}
	if algo != algorithm {
		return refuse(KindUnsupported, "Query credentials must use X-Amz-Algorithm="+algorithm+".")
	}
	if err := s.setParts(credential, headers, signature); err != nil {
		return err
	}
	if err := s.setDate(date); err != nil {
		return err
	}
	if err := s.setExpires(expires); err != nil {
		return err
	}
	headerHash, err := s.one("X-Amz-Content-Sha256")
	if err != nil {
		return err
	}
	headerToken, err := s.one("X-Amz-Security-Token")
	if err != nil {
		return err
	}
	if headerToken != "" && token != "" {
		return refuse(KindAmbiguous, "X-Amz-Security-Token was sent both as a header and in the query string.")
	}
	if headerHash != "" && hash != "" && headerHash != hash {
		return refuse(KindAmbiguous, "X-Amz-Content-Sha256 differs between the header and the query string.")
	}
	s.SessionToken = token + headerToken // at most one is set
	if s.PayloadHash = hash; hash == "" {
		s.PayloadHash = headerHash
	}
	return nil
}

func (s *Signed) setExpires(v string) error {
	if v == "" {
		if s.Service == ServiceS3 {
			return refuse(KindMalformed, "Query credentials require X-Amz-Expires.")
		}
		return nil // other services leave it out; the ordinary window holds
	}
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil || n == 0 || time.Duration(n)*time.Second > maxExpires {
		return refuse(KindMalformed, "X-Amz-Expires must be a number of seconds between 1 and 604800.")
	}
	s.Expires = time.Duration(n) * time.Second
	return nil
}

// setParts checks and keeps the three parts every form of authorization has.
func (s *Signed) setParts(credential, headers, signature string) error {
	key, scope, ok := strings.Cut(credential, "/")
	if !ok || len(credential) > maxCredential || !validKeyID(key) {
		return refuse(KindMalformed, "Credential must have the form KEY/DATE/REGION/SERVICE/"+terminator+".")
	}
	day, rest, _ := strings.Cut(scope, "/")
	region, rest, _ := strings.Cut(rest, "/")
	service, end, _ := strings.Cut(rest, "/")
	if len(day) != 8 || !validScopeWord(region) || !validScopeWord(service) || end != terminator {
		return refuse(KindMalformed, "Credential must have the form KEY/DATE/REGION/SERVICE/"+terminator+".")
	}
	if !validHeaderList(headers) {
		return refuse(KindMalformed, "SignedHeaders must be a sorted list of lower-case header names without repetition.")
	}
	// Only lower case: two spellings of one signature would be two names for one request.
	if len(signature) != 2*len(s.signature) || !isLowerHex(signature) {
		return refuse(KindMalformed, "Signature must be 64 lower-case hexadecimal digits.")
	}
	if _, err := hex.Decode(s.signature[:], []byte(signature)); err != nil {
		return refuse(KindMalformed, "Signature must be 64 lower-case hexadecimal digits.")
	}
	s.AccessKeyID, s.Region, s.Service = key, region, service
	s.credential, s.scope, s.day, s.signedHeaders = credential, scope, day, headers
	return nil
}

func (s *Signed) setDate(v string) error {
	t, err := time.Parse(amzLayout, v)
	if err != nil || len(v) != len(amzLayout) { // time.Parse alone would let a fraction pass
		return refuse(KindMalformed, "X-Amz-Date must have the form YYYYMMDDTHHMMSSZ.")
	}
	s.Date, s.amzDate = t, v
	return nil
}

// one returns the only value of a header that steers authentication; repeated, it could mean two things.
func (s *Signed) one(header string) (string, error) {
	v := s.r.Header[header]
	if len(v) > 1 {
		return "", refuse(KindAmbiguous, "Header "+header+" was sent more than once.")
	}
	if len(v) == 0 {
		return "", nil
	}
	if len(v[0]) > maxToken {
		return "", refuse(KindMalformed, "Header "+header+" is too long.")
	}
	return v[0], nil
}

func validKeyID(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == ',' || c == '=' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// validScopeWord accepts what regions and service names look like, so that they are safe in ARNs, keys and logs.
func validScopeWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' && i > 0) {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

func validHeaderList(list string) bool {
	if list == "" || len(list) > maxSignedHeaders {
		return false
	}
	for last := ""; list != ""; {
		name, rest, more := strings.Cut(list, ";")
		if name <= last || more && rest == "" {
			return false
		}
		for i := range len(name) {
			c := name[i]
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
				return false
			}
		}
		last, list = name, rest
	}
	return true
}

func isLowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
