// Package glueapi serves the operations of AWS Glue. It guarantees that a reply
// of success means the change is durable, that a refused call changed nothing,
// that a call which a client repeats acts once (DESIGN P5), and that each error
// is one that AWS declares for the operation, in AWS's words where they are
// known.
//
// It does not speak HTTP and does not check signatures: front does. It decides
// nothing about runs: orchestrate does, inside the transactions opened here.
package glueapi

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"tenon/internal/orchestrate"
	"tenon/internal/store"
	"tenon/internal/wire/auth"
	"tenon/internal/wire/awsjson"
	"tenon/internal/wire/paging"
)

// Config holds what a Service needs.
type Config struct {
	Store        store.Store
	Orchestrator *orchestrate.Orchestrator
	IDs          *store.IDs
	Now          func() time.Time
	Pages        paging.Codec
	// GlueVersion is given to Spark jobs that name none; "" means
	// jobrun.DefaultGlueVersion.
	GlueVersion string
}

// Service implements the operations. Its methods have the SDK's types and are
// safe for concurrent use.
type Service struct {
	Config
}

// New returns a Service.
func New(c Config) *Service { return &Service{Config: c} }

// scopeOf returns the scope of the caller.
func scopeOf(ctx context.Context) store.Scope {
	call, _ := auth.CallFrom(ctx)
	return store.Scope{Account: call.Account, Region: call.Region}
}

// now is the time that rows of a call carry, in AWS's precision.
func (s *Service) now() time.Time { return s.Now().Truncate(time.Millisecond) }

// refusedInPart is what fn of mutate returns for a call that acted and yet has to
// answer with an error: what it did stays.
type refusedInPart struct{ answer error }

func (e *refusedInPart) Error() string { return "refused in part: " + e.answer.Error() }

// mutate runs fn in a transaction. The answer of a call that acted and has an
// invocation id is kept with the change, and a repetition of the call gets it
// again instead of acting (DESIGN P5).
func mutate[Out any](ctx context.Context, s *Service, fn func(tx store.Tx, scope store.Scope) (*Out, error)) (*Out, error) {
	call, _ := auth.CallFrom(ctx)
	scope := store.Scope{Account: call.Account, Region: call.Region}
	key, day := replyKey(call), s.Now().Unix()/86400
	var out *Out
	var answer error
	err := s.Store.Write(ctx, func(tx store.Tx) error {
		var err error
		if call.InvocationID != "" {
			if out, answer, err = replay[Out](tx, key, day); err == nil || !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		var part *refusedInPart
		out, err = fn(tx, scope)
		if answer = nil; errors.As(err, &part) {
			out, answer, err = nil, part.answer, nil
		}
		if err != nil || call.InvocationID == "" {
			return err
		}
		body, err := keep(out, answer)
		if err != nil {
			return fmt.Errorf("encode reply: %w", err)
		}
		return tx.PutReply(key, day, body)
	})
	if err != nil {
		return nil, translate(err)
	}
	return out, answer
}

// refusalMark begins a kept answer that is an error; all others are JSON objects.
const refusalMark = '!'

// keep encodes an answer: a reply, or an error of the API.
func keep(out any, answer error) ([]byte, error) {
	if answer == nil {
		return awsjson.Marshal(out)
	}
	var api smithy.APIError
	if !errors.As(answer, &api) {
		return nil, answer
	}
	return fmt.Appendf(nil, "%c%s\n%s", refusalMark, api.ErrorCode(), api.ErrorMessage()), nil
}

// replay returns the answer that was kept today or yesterday.
func replay[Out any](tx store.Tx, key store.Hash, day int64) (out *Out, answer, err error) {
	body, err := tx.Reply(key, day)
	if errors.Is(err, store.ErrNotFound) {
		body, err = tx.Reply(key, day-1)
	}
	if err != nil {
		return nil, nil, err
	}
	if len(body) > 0 && body[0] == refusalMark {
		code, message, _ := strings.Cut(string(body[1:]), "\n")
		return nil, keptError(code, message), nil
	}
	out = new(Out)
	if err := awsjson.Unmarshal(body, out); err != nil {
		return nil, nil, fmt.Errorf("decode kept reply: %w", err)
	}
	return out, nil, nil
}

// replyKey names a call as DESIGN P5 does: the same invocation id with another
// body is another call.
func replyKey(c auth.Call) store.Hash {
	h := sha256.New()
	for _, part := range []string{c.Account, c.Region, c.AccessKeyID, c.Operation, c.InvocationID} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	h.Write(c.BodyHash[:])
	return store.Hash(h.Sum(nil))
}

// view runs fn on a snapshot.
func view[Out any](ctx context.Context, s *Service, fn func(tx store.Tx, scope store.Scope) (*Out, error)) (*Out, error) {
	scope := scopeOf(ctx)
	var out *Out
	err := s.Store.Read(ctx, func(tx store.Tx) (err error) {
		out, err = fn(tx, scope)
		return err
	})
	if err != nil {
		return nil, translate(err)
	}
	return out, nil
}

// translate turns the errors that every operation can meet into AWS's. What it
// does not know stays as it is and becomes InternalServiceException at the front.
func translate(err error) error {
	var quota *orchestrate.QuotaError
	switch {
	case errors.Is(err, store.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return errOperationTimeout()
	case errors.As(err, &quota):
		return errQuota(quota)
	}
	return err
}
