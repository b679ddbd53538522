package glueapi

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"tenon/internal/flow"
	"tenon/internal/orchestrate"
	"tenon/internal/store"
)

// CreateWorkflow makes a workflow (spec/workflows §2.2).
func (s *Service) CreateWorkflow(ctx context.Context, in *glue.CreateWorkflowInput) (*glue.CreateWorkflowOutput, error) {
	if in.MaxConcurrentRuns != nil && *in.MaxConcurrentRuns <= 0 {
		return nil, errMaxConcurrentRuns()
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.CreateWorkflowOutput, error) {
		err := s.Orchestrator.CheckQuota(orchestrate.Workflows, func(int) (int, error) { return tx.CountWorkflows(scope) })
		if err != nil {
			return nil, err
		}
		now := s.now()
		err = tx.InsertWorkflow(store.Workflow{
			Scope: scope, Name: *in.Name, UID: s.IDs.Next(), Version: s.IDs.Next(), Created: now, Modified: now,
			Description: in.Description, DefaultRunProperties: maps.Clone(in.DefaultRunProperties),
			MaxConcurrentRuns: narrow(in.MaxConcurrentRuns), Tags: maps.Clone(in.Tags),
		})
		if errors.Is(err, store.ErrExists) {
			return nil, errWorkflowExists(*in.Name)
		}
		return &glue.CreateWorkflowOutput{Name: in.Name}, err
	})
}

// UpdateWorkflow changes what is given and keeps the rest (spec/workflows §2.3).
func (s *Service) UpdateWorkflow(ctx context.Context, in *glue.UpdateWorkflowInput) (*glue.UpdateWorkflowOutput, error) {
	if in.MaxConcurrentRuns != nil && *in.MaxConcurrentRuns <= 0 {
		return nil, errMaxConcurrentRuns()
	}
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.UpdateWorkflowOutput, error) {
		w, err := workflow(tx, scope, *in.Name)
		if err != nil {
			return nil, err
		}
		if in.Description != nil {
			w.Description = in.Description
		}
		if in.DefaultRunProperties != nil {
			w.DefaultRunProperties = maps.Clone(in.DefaultRunProperties)
		}
		if in.MaxConcurrentRuns != nil {
			w.MaxConcurrentRuns = narrow(in.MaxConcurrentRuns)
		}
		w.Modified = s.now()
		return &glue.UpdateWorkflowOutput{Name: in.Name}, s.replaceWorkflow(tx, w)
	})
}

// DeleteWorkflow removes a workflow; its triggers and running runs go on, and
// one that is missing is fine (spec/workflows §2.5).
func (s *Service) DeleteWorkflow(ctx context.Context, in *glue.DeleteWorkflowInput) (*glue.DeleteWorkflowOutput, error) {
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.DeleteWorkflowOutput, error) {
		out := &glue.DeleteWorkflowOutput{Name: in.Name}
		w, err := tx.Workflow(scope, *in.Name)
		if errors.Is(err, store.ErrNotFound) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		return out, tx.DeleteWorkflow(w.UID, w.Version)
	})
}

// GetWorkflow returns a workflow with its last run (spec/workflows §2.6).
func (s *Service) GetWorkflow(ctx context.Context, in *glue.GetWorkflowInput) (*glue.GetWorkflowOutput, error) {
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.GetWorkflowOutput, error) {
		w, err := workflow(tx, scope, *in.Name)
		if err != nil {
			return nil, err
		}
		out, err := s.showWorkflow(tx, w, aws.ToBool(in.IncludeGraph))
		return &glue.GetWorkflowOutput{Workflow: out}, err
	})
}

// BatchGetWorkflows returns workflows in the order asked for, each once
// (spec/workflows §2.6).
func (s *Service) BatchGetWorkflows(ctx context.Context, in *glue.BatchGetWorkflowsInput) (*glue.BatchGetWorkflowsOutput, error) {
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.BatchGetWorkflowsOutput, error) {
		out := &glue.BatchGetWorkflowsOutput{Workflows: []types.Workflow{}, MissingWorkflows: []string{}}
		for _, name := range distinct(in.Names) {
			w, err := tx.Workflow(scope, name)
			if errors.Is(err, store.ErrNotFound) {
				out.MissingWorkflows = append(out.MissingWorkflows, name)
				continue
			}
			if err != nil {
				return nil, err
			}
			shown, err := s.showWorkflow(tx, w, aws.ToBool(in.IncludeGraph))
			if err != nil {
				return nil, err
			}
			out.Workflows = append(out.Workflows, *shown)
		}
		return out, nil
	})
}

// ListWorkflows returns names in byte order (spec/workflows §2.6).
func (s *Service) ListWorkflows(ctx context.Context, in *glue.ListWorkflowsInput) (*glue.ListWorkflowsOutput, error) {
	page, err := s.page(ctx, in.NextToken, in.MaxResults, 25)
	if err != nil {
		return nil, err
	}
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.ListWorkflowsOutput, error) {
		names, err := tx.ListWorkflows(scope, page.after, page.limit+1)
		if err != nil {
			return nil, err
		}
		names, next := cut(page, names, func(n string) string { return n })
		// An empty list is a list: clients index the member without asking.
		return &glue.ListWorkflowsOutput{Workflows: append([]string{}, names...), NextToken: next}, nil
	})
}

func workflow(tx store.Tx, scope store.Scope, name string) (store.Workflow, error) {
	w, err := tx.Workflow(scope, name)
	if errors.Is(err, store.ErrNotFound) {
		return w, errEntity()
	}
	return w, err
}

// replaceWorkflow writes a changed workflow under a new version.
func (s *Service) replaceWorkflow(tx store.Tx, w store.Workflow) error {
	old := w.Version
	w.Version = s.IDs.Next()
	return tx.UpdateWorkflow(w, old)
}

// touchWorkflow gives a workflow a new version, because the triggers are part of
// it (spec/workflows §2.4); modified also moves LastModifiedOn. A workflow that
// is gone, leaving its triggers orphaned, is fine.
func (s *Service) touchWorkflow(tx store.Tx, scope store.Scope, name string, modified bool) error {
	if name == "" {
		return nil
	}
	w, err := tx.Workflow(scope, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if modified {
		w.Modified = s.now()
	}
	return s.replaceWorkflow(tx, w)
}

func (s *Service) showWorkflow(tx store.Tx, w store.Workflow, graph bool) (*types.Workflow, error) {
	out := &types.Workflow{
		Name: &w.Name, Description: w.Description, CreatedOn: &w.Created, LastModifiedOn: &w.Modified,
		DefaultRunProperties: w.DefaultRunProperties, MaxConcurrentRuns: widen(w.MaxConcurrentRuns),
	}
	if graph {
		rows, err := tx.WorkflowTriggers(w.Scope, w.Name)
		if err != nil {
			return nil, fmt.Errorf("read triggers: %w", err)
		}
		triggers := make([]flow.Trigger, len(rows))
		for i, r := range rows {
			triggers[i] = r.Definition
		}
		out.Graph = staticGraph(flow.Build(w.Name, triggers))
	}
	last, err := tx.ListRuns(w.UID, 0, 1)
	if err != nil {
		return nil, fmt.Errorf("read last run: %w", err)
	}
	if len(last) == 1 {
		if out.LastRun, err = s.showRun(tx, last[0], graph); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func distinct(names []string) []string {
	seen := make(map[string]bool, len(names))
	var out []string
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// widen and narrow turn optional numbers of rows into those of the SDK and back.
func widen(n *int) *int32 {
	if n == nil {
		return nil
	}
	return aws.Int32(int32(*n))
}

func narrow(n *int32) *int {
	if n == nil {
		return nil
	}
	return aws.Int(int(*n))
}
