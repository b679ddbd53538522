// Package front is the HTTP server: one authentication gate before every door,
// then routing, limits, request ids, the access log and the writing of errors.
// It guarantees that nothing but the health check is served to a caller who has
// not proven who they are, that a route which declares no permission is denied,
// and that the bytes whose signature was checked are the bytes that are parsed.
//
// It knows no operation: doors do. It holds no state. Its crash point is
// front.before-reply: an operation of Glue has acted, and nobody was told.
package front

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"tenon/internal/glueapi"
	"tenon/internal/launch"
	"tenon/internal/neighbours/s3"
	"tenon/internal/wire/auth"
	"tenon/internal/wire/awsjson"
	"tenon/internal/wire/sigv4"
)

// Names of services in the scope of a signature. ServiceTenon is our own, for
// what lies below /_tenon/.
const (
	ServiceGlue  = "glue"
	ServiceTenon = "tenon"
)

// Limits of a request. Glue refused bodies somewhere above 180 KB in 2020
// (spec/workflows §1.6); its model allows texts of 400,000 characters.
const (
	maxBody     = 1 << 20
	maxHeader   = 64 << 10
	bodyTime    = 30 * time.Second
	headerTime  = 5 * time.Second
	idleTime    = 2 * time.Minute
	ownPrefix   = "/_tenon/"
	targetGlue  = "AWSGlue."
	jsonContent = "application/x-amz-json-1.1"
)

// Config holds what a Front needs.
type Config struct {
	Keyring *auth.Keyring
	Glue    *glueapi.Service
	S3      *s3.Door
	// Output opens what a job run wrote.
	Output func(ctx context.Context, attempt string, follow bool) (launch.FrameReader, error)
	// Reset empties the server; nil where that is not allowed.
	Reset func(ctx context.Context) error
	// InsecureDev accepts every caller as Account's root, signed or not. Hosts
	// other than this machine's own names are refused, so that no web page can
	// reach it (spec/faults K3).
	InsecureDev     bool
	Account, Region string
	Version         string
	Now             func() time.Time
	Logger          *slog.Logger
}

// Front is the handler of all doors.
type Front struct {
	Config
	verifier   *sigv4.Verifier
	operations map[string]glueapi.Operation
	own        *http.ServeMux
	permission map[string]auth.Permission // of own routes, by pattern
}

// New returns a Front.
func New(c Config) *Front {
	f := &Front{Config: c, operations: c.Glue.Operations()}
	f.verifier = sigv4.New(c.Keyring.Secret, c.Now, ServiceGlue, sigv4.ServiceS3, ServiceTenon)
	f.routes()
	return f
}

// Server returns an HTTP server with the limits of this package.
func (f *Front) Server() *http.Server {
	return &http.Server{
		Handler: f, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(f.Logger.Handler(), slog.LevelDebug),
	}
}

// request is one request on its way through the gate.
type request struct {
	w       *recorder
	r       *http.Request
	id      string
	signed  *sigv4.Signed
	service string
	call    auth.Call
}

// ServeHTTP passes a request through the gate to its door.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := f.Now()
	q := &request{w: &recorder{ResponseWriter: w}, r: r, id: requestID()}
	q.w.Header()["X-Amzn-Requestid"] = []string{q.id}
	defer func() {
		if cause := recover(); cause != nil {
			if cause == http.ErrAbortHandler {
				panic(cause)
			}
			f.Logger.Error("panic in a handler", "request", q.id, "operation", q.call.Operation, "cause", fmt.Sprint(cause), "stack", stack())
			if q.w.status == 0 {
				f.fail(q, errors.New("panic"))
			}
		}
		f.log(q, began)
	}()
	if r.URL.Path == ownPrefix+"health" && r.Method == http.MethodGet {
		f.health(q)
		return
	}
	if err := f.identify(q); err != nil {
		f.refuse(q, err)
		return
	}
	switch q.service {
	case ServiceGlue:
		f.glue(q)
	case ServiceTenon:
		f.tenon(q)
	case sigv4.ServiceS3:
		f.s3(q)
	default:
		f.refuse(q, &awsjson.Error{Code: "UnknownOperationException", Message: "This server has no door for the service " + q.service + "."})
	}
}

// identify finds out which door a request is for. Whose it is, is proven at the
// door, where the body is at hand.
func (f *Front) identify(q *request) error {
	signed, err := sigv4.Parse(q.r)
	if f.InsecureDev {
		return f.trust(q, signed, err)
	}
	if err != nil {
		return err
	}
	q.signed, q.service = signed, signed.Service
	return nil
}

// trust makes anybody on this machine the account's root.
func (f *Front) trust(q *request, signed *sigv4.Signed, err error) error {
	if !localHost(q.r.Host) {
		return &awsjson.Error{Code: "AccessDeniedException", Message: "With --insecure-dev the server answers only under names of this machine, not under " + q.r.Host + "."}
	}
	q.call.Principal = auth.Principal{Account: f.Account, Region: f.Region, Kind: auth.Root, AccessKeyID: "insecure-dev"}
	if err == nil {
		signed.TrustUnverified()
		q.signed, q.service = signed, signed.Service
		q.call.Region = signed.Region
		return nil
	}
	switch {
	case strings.HasPrefix(q.r.URL.Path, ownPrefix):
		q.service = ServiceTenon
	case q.r.Header.Get("X-Amz-Target") != "":
		q.service = ServiceGlue
	default:
		q.service = sigv4.ServiceS3
	}
	return nil
}

// localHost tells names that a web page of somebody else cannot be served under.
func localHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// prove verifies the signature over the body and learns the principal.
func (f *Front) prove(q *request, body []byte) error {
	if !f.InsecureDev {
		if err := f.verifier.VerifyBody(q.signed, body); err != nil {
			return err
		}
		p, err := f.Keyring.Principal(q.signed)
		if err != nil {
			return fmt.Errorf("find principal: %w", err)
		}
		q.call.Principal = p
		q.call.BodyHash = q.signed.BodyHash
	} else {
		q.call.BodyHash = hash(body)
	}
	q.call.RequestID = q.id
	// Signed or not: boto3 and the AWS CLI set the header after signing. Whoever can change it on the way can also
	// drop the request or forge the reply, and a stored reply is found only by the same caller, operation and body.
	q.call.InvocationID = q.r.Header.Get("Amz-Sdk-Invocation-Id")
	return nil
}

// allow is the one place where a permission is asked for.
func (f *Front) allow(q *request, p auth.Permission) error {
	if q.call.Allows(p) {
		return nil
	}
	return &awsjson.Error{
		Code:    "AccessDeniedException",
		Message: fmt.Sprintf("User: %s is not authorized to perform: %s because no identity-based policy allows the %[2]s action", q.call.ARN(), p),
	}
}

func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// log writes the access log. It holds no arguments, properties or keys.
func (f *Front) log(q *request, began time.Time) {
	level := slog.LevelDebug
	if q.w.status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	if !f.Logger.Enabled(q.r.Context(), level) {
		return
	}
	f.Logger.Log(q.r.Context(), level, "request", "id", q.id, "service", q.service, "operation", q.call.Operation,
		"status", q.w.status, "code", q.w.code, "principal", q.call.ARN(), "took", f.Now().Sub(began))
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	code   string // of an error
}

// WriteHeader remembers the status.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts as an answer of 200 where none was given.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
