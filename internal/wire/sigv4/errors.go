package sigv4

import "errors"

// What a [KeySource] answers when it cannot give a secret. Any other error counts as a failure of the
// server, not of the request.
var (
	ErrUnknownKey   = errors.New("unknown access key")
	ErrExpiredToken = errors.New("expired session token")
)

// Kind says what was wrong with a request, for doors that have names of their own for it (S3 does).
type Kind int

// The comments give S3's name where it differs from the Code that JSON services send.
const (
	KindMissing          Kind = iota + 1 // no credentials at all; S3 AccessDenied
	KindMalformed                        // authorization that cannot be read; S3 AuthorizationHeaderMalformed
	KindUnsupported                      // another scheme or payload form; S3 InvalidRequest
	KindAmbiguous                        // header and query credentials together; S3 InvalidArgument
	KindUnknownKey                       // S3 InvalidAccessKeyId
	KindExpiredToken                     // S3 ExpiredToken
	KindBadSignature                     // S3 SignatureDoesNotMatch
	KindBadScope                         // wrong service or day in the scope; S3 AuthorizationHeaderMalformed
	KindSkewed                           // signed too long ago or in the future; S3 RequestTimeTooSkewed
	KindPresignExpired                   // a presigned URL past X-Amz-Expires; S3 AccessDenied
	KindUnsignedHeader                   // a header that must be signed is not; S3 AccessDenied
	KindPayloadMismatch                  // body differs from its declared hash; S3 XAmzContentSHA256Mismatch
	KindIncompleteBody                   // aws-chunked framing broken or cut short; S3 IncompleteBody
	KindMalformedTrailer                 // S3 MalformedTrailerError
)

// Error is a refusal that the caller may be told. Message never holds a secret, a signature or the
// canonical request: the last would let a stranger use the server to build requests.
type Error struct {
	Kind    Kind
	Code    string // the name JSON services use (spec/workflows §1.6)
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

const (
	textMismatch = "The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	textUnknownKey   = "The security token included in the request is invalid."
	textExpiredToken = "The security token included in the request is expired."
)

func refuse(k Kind, message string) *Error {
	code := "InvalidSignatureException"
	switch k {
	case KindMissing:
		code = "MissingAuthenticationTokenException"
	case KindMalformed, KindUnsupported, KindAmbiguous:
		code = "IncompleteSignatureException"
	case KindUnknownKey:
		code = "UnrecognizedClientException"
	case KindExpiredToken:
		code = "ExpiredTokenException"
	}
	return &Error{Kind: k, Code: code, Message: message}
}

func mismatch() *Error { return refuse(KindBadSignature, textMismatch) }
