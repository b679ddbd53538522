package glueapi

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tenon/internal/wire/auth"
)

// page is where a list goes on and how long it may be. after is the key of the
// last item of the page before, so that deletions do not shift pages
// (spec/workflows §1.7).
type page struct {
	after string
	limit int
	next  func(after string) string
}

// page reads the paging members of a call. The token is bound to the operation,
// the caller's scope and the filters.
func (s *Service) page(ctx context.Context, token *string, max *int32, size int, filters ...string) (page, error) {
	call, _ := auth.CallFrom(ctx)
	var b strings.Builder
	for _, f := range append([]string{call.Operation, call.Account, call.Region}, filters...) {
		fmt.Fprintf(&b, "%d:%s", len(f), f)
	}
	binding := b.String()
	p := page{limit: size, next: func(after string) string { return s.Pages.Encode(binding, after) }}
	if max != nil {
		p.limit = int(*max)
	}
	if aws.ToString(token) == "" {
		return p, nil
	}
	after, err := s.Pages.Decode(binding, *token)
	if err != nil || len(after) != 1 {
		return p, errToken()
	}
	p.after = after[0]
	return p, nil
}

// seq reads the page's place in a list that is ordered by sequence number.
func (p page) seq() (int64, error) {
	if p.after == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(p.after, 10, 64)
	if err != nil {
		return 0, errToken()
	}
	return n, nil
}

// cut returns the rows of the page, out of one more than it holds, and the token
// of the next page if there is one.
func cut[Row any](p page, rows []Row, key func(Row) string) ([]Row, *string) {
	if len(rows) <= p.limit {
		return rows, nil
	}
	rows = rows[:p.limit]
	return rows, aws.String(p.next(key(rows[len(rows)-1])))
}

// scanBatch is how many rows a filtered list reads at a time.
const scanBatch = 256

// scan returns the first limit rows after a name that keep keeps.
func scan[Row any](after string, limit int, keep func(Row) bool, list func(after string, limit int) ([]Row, error), name func(Row) string) ([]Row, error) {
	var out []Row
	for {
		rows, err := list(after, scanBatch)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if keep(r) {
				if out = append(out, r); len(out) == limit {
					return out, nil
				}
			}
		}
		if len(rows) < scanBatch {
			return out, nil
		}
		after = name(rows[len(rows)-1])
	}
}
