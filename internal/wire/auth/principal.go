// Package auth says who calls and what they may do. Every request that got through belongs to exactly one
// principal of one account; permissions are denied unless granted here; secrets live in one file that only its
// owner can read and never appear in a string, log or error of this package.
//
// Root credentials are random and kept in the file. Each job attempt has session credentials of its own, derived
// from a server key in the same file, so they need no storage, survive a restart and end with the attempt.
//
// It checks no signatures (see sigv4), evaluates no IAM policies and reads no environment.
package auth

import (
	"context"
	"strings"
)

// Kind is what sort of principal calls. Its zero value may do nothing.
type Kind uint8

// Root is a credential of the file; Job is the session of one job attempt.
const (
	Root Kind = iota + 1
	Job
)

// Principal is who made a call.
type Principal struct {
	Account     string // 12 digits
	Region      string // of the signature's scope
	AccessKeyID string
	Kind        Kind
	Attempt     string // the job attempt's id; "" unless Kind is Job
}

// ARN names the principal as AWS would: an account's root, or a session of the role jobs run under.
func (p Principal) ARN() string {
	switch p.Kind {
	case Root:
		return "arn:aws:iam::" + p.Account + ":root"
	case Job:
		return "arn:aws:sts::" + p.Account + ":assumed-role/tenon-job/" + p.Attempt
	}
	return ""
}

// Permission is an action in IAM's form, "service:Action", e.g. "glue:StartJobRun", "tenon:Reset". The zero value
// is denied to everyone, so a route that declares none is closed (spec/faults J21).
type Permission string

// jobMay lists what jobs may do; a trailing * stands for any rest. Everything that is not listed is denied, above
// all tenon:* – a job must not reset the server, make credentials or change stacks.
var jobMay = []string{
	"glue:*", "s3:*",
	"logs:Describe*", "logs:Filter*", "logs:Get*", "logs:List*", "logs:StartLiveTail",
	"sts:GetCallerIdentity",
}

// Allows reports whether the principal may do it. What a job may do to which resource is not decided here.
func (p Principal) Allows(perm Permission) bool {
	service, action, ok := strings.Cut(string(perm), ":")
	if !ok || service == "" || action == "" {
		return false
	}
	switch p.Kind {
	case Root:
		return true
	case Job:
		for _, may := range jobMay {
			prefix, wild := strings.CutSuffix(may, "*")
			if string(perm) == may || wild && strings.HasPrefix(string(perm), prefix) {
				return true
			}
		}
	}
	return false
}

// Call is what the services need to know of the request they serve.
type Call struct {
	Principal
	Operation    string // e.g. "StartWorkflowRun"
	RequestID    string
	InvocationID string   // amz-sdk-invocation-id, signed or not, or ""
	BodyHash     [32]byte // SHA-256 of the body
}

type callKey struct{}

// WithCall returns a context that carries c.
func WithCall(ctx context.Context, c Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// CallFrom returns the call the context carries, and whether there is one.
func CallFrom(ctx context.Context) (Call, bool) {
	c, ok := ctx.Value(callKey{}).(Call)
	return c, ok
}
