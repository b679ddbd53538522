package glueapi

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/glue"

	"tenon/internal/lang/arn"
	"tenon/internal/store"
)

const maxTags = 50

// checkTags applies what the model does not say (spec/workflows §1.9, §4.11).
func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return errTooManyTags()
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if strings.HasPrefix(k, "aws") || strings.HasPrefix(tags[k], "aws") {
			return errTagPrefix(k)
		}
	}
	return nil
}

func hasTags(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// tagFilter writes a filter into the binding of a page token.
func tagFilter(tags map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, k, tags[k])
	}
	return out
}

// TagResource adds or overwrites tags (spec/workflows §4.11).
func (s *Service) TagResource(ctx context.Context, in *glue.TagResourceInput) (*glue.TagResourceOutput, error) {
	if err := checkTags(in.TagsToAdd); err != nil {
		return nil, err
	}
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.TagResourceOutput, error) {
		return &glue.TagResourceOutput{}, s.retag(tx, scope, *in.ResourceArn, func(tags map[string]string) error {
			maps.Copy(tags, in.TagsToAdd)
			if len(tags) > maxTags {
				return errTooManyTags()
			}
			return nil
		})
	})
}

// UntagResource removes tags; absent ones are fine.
func (s *Service) UntagResource(ctx context.Context, in *glue.UntagResourceInput) (*glue.UntagResourceOutput, error) {
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.UntagResourceOutput, error) {
		return &glue.UntagResourceOutput{}, s.retag(tx, scope, *in.ResourceArn, func(tags map[string]string) error {
			for _, k := range in.TagsToRemove {
				delete(tags, k)
			}
			return nil
		})
	})
}

// GetTags returns the tags of a resource, an empty map if it has none.
func (s *Service) GetTags(ctx context.Context, in *glue.GetTagsInput) (*glue.GetTagsOutput, error) {
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.GetTagsOutput, error) {
		r, err := s.tagged(tx, scope, *in.ResourceArn)
		if err != nil {
			return nil, err
		}
		return &glue.GetTagsOutput{Tags: cloneTags(r.tags)}, nil
	})
}

// tagged is a resource that an ARN names: its tags, and how to replace them.
type tagged struct {
	tags map[string]string
	put  func(map[string]string) error
}

// tagged finds a resource by its ARN. ARNs of other accounts and regions are not
// found, because their resources are not the caller's.
func (s *Service) tagged(tx store.Tx, scope store.Scope, text string) (tagged, error) {
	a, err := arn.Parse(text)
	if err != nil {
		return tagged{}, errARN(text)
	}
	if a.Account != scope.Account || a.Region != scope.Region {
		return tagged{}, errEntity()
	}
	var r tagged
	switch a.Type {
	case "workflow":
		w, e := tx.Workflow(scope, a.Name)
		r, err = tagged{w.Tags, func(t map[string]string) error { w.Tags = t; return s.replaceWorkflow(tx, w) }}, e
	case "trigger":
		t, e := tx.Trigger(scope, a.Name)
		r, err = tagged{t.Tags, func(tags map[string]string) error {
			old := t.Version
			t.Tags, t.Version = tags, s.IDs.Next()
			return tx.UpdateTrigger(t, old)
		}}, e
	case "job":
		d, e := tx.Document(scope, store.Jobs, a.Name)
		r, err = tagged{d.Tags, func(t map[string]string) error { d.Tags = t; return s.replaceDocument(tx, d) }}, e
	default:
		return r, errEntity()
	}
	if errors.Is(err, store.ErrNotFound) {
		return r, errEntity()
	}
	return r, err
}

func (s *Service) retag(tx store.Tx, scope store.Scope, text string, edit func(map[string]string) error) error {
	r, err := s.tagged(tx, scope, text)
	if err != nil {
		return err
	}
	tags := cloneTags(r.tags)
	if err := edit(tags); err != nil {
		return err
	}
	return r.put(tags)
}

func cloneTags(tags map[string]string) map[string]string {
	out := make(map[string]string, len(tags))
	maps.Copy(out, tags)
	return out
}
