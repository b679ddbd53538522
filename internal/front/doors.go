package front

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"tenon/internal/testkit/crashpoint"
	"tenon/internal/wire/auth"
	"tenon/internal/wire/awsjson"
	"tenon/internal/wire/sigv4"
)

// glue serves the JSON door of AWS Glue (spec/workflows §1.1).
func (f *Front) glue(q *request) {
	body, err := f.body(q)
	if err != nil {
		f.fail(q, err)
		return
	}
	if err := f.prove(q, body); err != nil {
		f.fail(q, err)
		return
	}
	target := q.r.Header.Get("X-Amz-Target")
	name, ok := strings.CutPrefix(target, targetGlue)
	op, known := f.operations[name]
	if !ok || !known || q.r.Method != http.MethodPost {
		f.fail(q, &awsjson.Error{Code: "UnknownOperationException"})
		return
	}
	q.call.Operation = name
	if err := f.allow(q, glueAction(name)); err != nil {
		f.fail(q, err)
		return
	}
	out, err := op.Handle(auth.WithCall(q.r.Context(), q.call), body)
	if err != nil {
		f.fail(q, err)
		return
	}
	reply, err := awsjson.Marshal(out)
	if err != nil {
		f.fail(q, fmt.Errorf("encode reply: %w", err))
		return
	}
	crashpoint.Hit("front.before-reply")
	f.write(q, http.StatusOK, reply)
}

func glueAction(operation string) auth.Permission { return auth.Permission("glue:" + operation) }

// body reads a bounded body, once, within a deadline.
func (f *Front) body(q *request) ([]byte, error) {
	if q.r.ContentLength > maxBody {
		return nil, errTooLarge()
	}
	control := http.NewResponseController(q.w)
	if err := control.SetReadDeadline(f.Now().Add(bodyTime)); err != nil {
		return nil, fmt.Errorf("set read deadline: %w", err)
	}
	size := max(q.r.ContentLength, 0) + 1
	body := make([]byte, 0, size)
	for {
		n, err := q.r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if len(body) > maxBody {
			return nil, errTooLarge()
		}
		if errors.Is(err, io.EOF) {
			// The server goes on reading, to notice a client that goes away. Were the
			// deadline left, it would take its passing for that, and cut a long answer.
			if err := control.SetReadDeadline(time.Time{}); err != nil {
				return nil, fmt.Errorf("clear read deadline: %w", err)
			}
			return body, nil
		}
		if err != nil {
			return nil, &awsjson.Error{Code: "SerializationException", Message: "The request body could not be read to its end."}
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}

func errTooLarge() error { // spec/workflows §1.6
	text := "Request size limit exceeded"
	return &types.InvalidInputException{Message: &text}
}

func hash(body []byte) [32]byte { return sha256.Sum256(body) }

// s3 serves the S3 door. The head is verified first; the body is checked while
// it streams.
func (f *Front) s3(q *request) {
	q.call.Operation, q.call.RequestID = f.S3.Operation(q.r), q.id
	if !f.InsecureDev {
		err := f.verifier.VerifyHead(q.signed)
		if err == nil {
			q.call.Principal, err = f.Keyring.Principal(q.signed)
		}
		if err != nil {
			f.refuse(q, err)
			return
		}
	}
	needs := f.S3.Needs(q.r)
	for _, n := range needs {
		if err := f.allow(q, auth.Permission(n.Action)); err != nil {
			f.refuse(q, err)
			return
		}
	}
	if len(needs) == 0 && q.call.Kind != auth.Root { // not an operation: denied but to root, who is told what is wrong
		f.refuse(q, f.allow(q, ""))
		return
	}
	var payload io.Reader = steady{q.r.Body, http.NewResponseController(q.w), f.Now}
	trailers := func() http.Header { return q.r.Trailer }
	if q.signed != nil {
		b := q.signed.Body(payload)
		payload, trailers = s3Payload{b}, b.Trailer
	}
	r := q.r.WithContext(auth.WithCall(q.r.Context(), q.call))
	if err := f.S3.Serve(q.w, r, payload, trailers, q.id); err != nil && r.Context().Err() == nil {
		f.Logger.Debug("s3 request failed", "id", q.id, "operation", q.call.Operation, "error", err)
	}
}

// s3Codes are S3's names of what the gate finds wrong.
var s3Codes = map[sigv4.Kind]string{
	sigv4.KindMissing: "AccessDenied", sigv4.KindMalformed: "AuthorizationHeaderMalformed", sigv4.KindUnsupported: "AccessDenied",
	sigv4.KindAmbiguous: "InvalidArgument", sigv4.KindUnknownKey: "InvalidAccessKeyId", sigv4.KindExpiredToken: "ExpiredToken",
	sigv4.KindBadSignature: "SignatureDoesNotMatch", sigv4.KindBadScope: "AuthorizationHeaderMalformed",
	sigv4.KindSkewed: "RequestTimeTooSkewed", sigv4.KindPresignExpired: "AccessDenied", sigv4.KindUnsignedHeader: "AccessDenied",
	sigv4.KindPayloadMismatch: "XAmzContentSHA256Mismatch", sigv4.KindIncompleteBody: "IncompleteBody",
	sigv4.KindMalformedTrailer: "MalformedTrailerError",
}

// s3Payload tells what is wrong with a body in S3's words.
type s3Payload struct{ *sigv4.Body }

func (p s3Payload) Read(b []byte) (int, error) {
	n, err := p.Body.Read(b)
	var wrong *sigv4.Error
	if errors.As(err, &wrong) {
		err = &s3Error{code: s3Codes[wrong.Kind], err: wrong}
	}
	return n, err
}

// s3Error is an error with S3's code for it.
type s3Error struct {
	code string
	err  *sigv4.Error
}

func (e *s3Error) Error() string        { return e.err.Error() }
func (e *s3Error) Unwrap() error        { return e.err }
func (e *s3Error) ErrorCode() string    { return e.code }
func (e *s3Error) ErrorMessage() string { return e.err.Message }

// refuse answers an error of the gate in the words of the door it was meant for.
func (f *Front) refuse(q *request, err error) {
	s3 := q.service == sigv4.ServiceS3 || q.service == "" && q.r.Header.Get("X-Amz-Target") == "" && !strings.HasPrefix(q.r.URL.Path, ownPrefix)
	if !s3 {
		f.fail(q, err)
		return
	}
	var signature *sigv4.Error
	var denied *awsjson.Error
	code, message := "InternalError", "We encountered an internal error. Please try again."
	switch {
	case errors.As(err, &signature):
		code, message = s3Codes[signature.Kind], signature.Message
	case errors.As(err, &denied):
		code, message = "AccessDenied", denied.Message
	default:
		f.Logger.Error("request failed", "id", q.id, "error", err)
	}
	q.w.code = code
	f.S3.WriteError(q.w, q.r, code, message, q.id)
}

// fail answers an error of a JSON door. What is not modelled is logged here, and
// the client is told the request id.
func (f *Front) fail(q *request, err error) {
	var signature *sigv4.Error
	if errors.As(err, &signature) {
		err = &awsjson.Error{Code: signature.Code, Message: signature.Message}
	}
	status, code, body := awsjson.Fault(err)
	if status == http.StatusInternalServerError {
		f.Logger.Error("request failed", "id", q.id, "operation", q.call.Operation, "error", err)
		text := "An internal error occurred. Request id: " + q.id
		status, code, body = awsjson.Fault(&types.InternalServiceException{Message: &text})
	}
	q.w.code = code
	f.write(q, status, body)
}

func (f *Front) write(q *request, status int, body []byte) {
	h := q.w.Header()
	h["Content-Type"] = []string{jsonContent}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	q.w.WriteHeader(status)
	if _, err := q.w.Write(body); err != nil {
		f.Logger.Debug("client went away", "id", q.id, "error", err)
	}
}

func stack() string { return string(debug.Stack()) }
