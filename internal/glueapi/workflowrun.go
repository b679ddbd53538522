package glueapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"tenon/internal/engine"
	"tenon/internal/orchestrate"
	"tenon/internal/store"
)

// StartWorkflowRun starts a run (spec/workflows §3).
func (s *Service) StartWorkflowRun(ctx context.Context, in *glue.StartWorkflowRunInput) (*glue.StartWorkflowRunOutput, error) {
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.StartWorkflowRunOutput, error) {
		w, err := workflow(tx, scope, *in.Name)
		if err != nil {
			return nil, err
		}
		run, err := s.startRun(tx, w, in.RunProperties)
		if err != nil {
			return nil, err
		}
		return &glue.StartWorkflowRunOutput{RunId: aws.String(run.ID())}, nil
	})
}

func (s *Service) startRun(tx store.Tx, w store.Workflow, properties map[string]string) (store.Run, error) {
	run, err := s.Orchestrator.StartRun(tx, w, properties)
	switch {
	case errors.Is(err, orchestrate.ErrNoStartTrigger):
		return run, errNoStartTrigger(w.Name)
	case errors.Is(err, orchestrate.ErrConcurrentRuns):
		return run, errConcurrentWorkflow(w.Name)
	}
	return run, err
}

// StopWorkflowRun stops a run (spec/workflows §5.7).
func (s *Service) StopWorkflowRun(ctx context.Context, in *glue.StopWorkflowRunInput) (*glue.StopWorkflowRunOutput, error) {
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.StopWorkflowRunOutput, error) {
		run, err := runOf(tx, scope, *in.Name, *in.RunId)
		if err != nil {
			return nil, err
		}
		err = s.Orchestrator.StopRun(tx, run)
		if errors.Is(err, orchestrate.ErrRunState) {
			return nil, errNotStoppable(run.ID(), string(run.Head.Status))
		}
		return &glue.StopWorkflowRunOutput{}, err
	})
}

// ResumeWorkflowRun starts a run that repeats nodes of a completed one
// (spec/workflows §5.8).
func (s *Service) ResumeWorkflowRun(ctx context.Context, in *glue.ResumeWorkflowRunInput) (*glue.ResumeWorkflowRunOutput, error) {
	if len(in.NodeIds) == 0 {
		return nil, errNoNodes()
	}
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.ResumeWorkflowRunOutput, error) {
		w, err := workflow(tx, scope, *in.Name)
		if err != nil {
			return nil, err
		}
		old, err := runOf(tx, scope, *in.Name, *in.RunId)
		if err != nil {
			return nil, err
		}
		run, kept, err := s.Orchestrator.ResumeRun(tx, w, old, in.NodeIds)
		switch {
		case errors.Is(err, orchestrate.ErrNotCompleted):
			return nil, errNotResumable(old.ID(), string(old.Head.Status))
		case errors.Is(err, orchestrate.ErrConcurrentRuns):
			return nil, errConcurrentWorkflow(w.Name)
		case errors.Is(err, orchestrate.ErrNoNode), errors.Is(err, engine.ErrNotAttempted), errors.Is(err, engine.ErrNotAnAction):
			return nil, errResumeNode(err)
		case err != nil:
			return nil, err
		}
		return &glue.ResumeWorkflowRunOutput{RunId: aws.String(run.ID()), NodeIds: kept}, nil
	})
}

// GetWorkflowRun returns a run (spec/workflows §5.5).
func (s *Service) GetWorkflowRun(ctx context.Context, in *glue.GetWorkflowRunInput) (*glue.GetWorkflowRunOutput, error) {
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.GetWorkflowRunOutput, error) {
		run, err := runOf(tx, scope, *in.Name, *in.RunId)
		if err != nil {
			return nil, err
		}
		out, err := s.showRun(tx, run, aws.ToBool(in.IncludeGraph))
		return &glue.GetWorkflowRunOutput{Run: out}, err
	})
}

// GetWorkflowRuns returns the runs of a workflow, newest first (spec/workflows §5.5).
func (s *Service) GetWorkflowRuns(ctx context.Context, in *glue.GetWorkflowRunsInput) (*glue.GetWorkflowRunsOutput, error) {
	page, err := s.page(ctx, in.NextToken, in.MaxResults, 100, *in.Name)
	if err != nil {
		return nil, err
	}
	below, err := page.seq()
	if err != nil {
		return nil, err
	}
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.GetWorkflowRunsOutput, error) {
		w, err := workflow(tx, scope, *in.Name)
		if err != nil {
			return nil, err
		}
		rows, err := tx.ListRuns(w.UID, below, page.limit+1)
		if err != nil {
			return nil, err
		}
		rows, next := cut(page, rows, func(r store.Run) string { return strconv.FormatInt(r.Seq, 10) })
		out := &glue.GetWorkflowRunsOutput{Runs: []types.WorkflowRun{}, NextToken: next}
		for _, row := range rows {
			run, err := s.showRun(tx, row, aws.ToBool(in.IncludeGraph))
			if err != nil {
				return nil, err
			}
			out.Runs = append(out.Runs, *run)
		}
		return out, nil
	})
}

// GetWorkflowRunProperties returns the properties of a run (spec/workflows §5.6).
func (s *Service) GetWorkflowRunProperties(ctx context.Context, in *glue.GetWorkflowRunPropertiesInput) (*glue.GetWorkflowRunPropertiesOutput, error) {
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.GetWorkflowRunPropertiesOutput, error) {
		run, err := runOf(tx, scope, *in.Name, *in.RunId)
		if err != nil {
			return nil, err
		}
		p, err := s.Orchestrator.Properties(tx, run.Seq)
		return &glue.GetWorkflowRunPropertiesOutput{RunProperties: p}, err
	})
}

// PutWorkflowRunProperties merges properties into those of a run, in any state
// of the run (spec/workflows §5.6).
func (s *Service) PutWorkflowRunProperties(ctx context.Context, in *glue.PutWorkflowRunPropertiesInput) (*glue.PutWorkflowRunPropertiesOutput, error) {
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.PutWorkflowRunPropertiesOutput, error) {
		run, err := runOf(tx, scope, *in.Name, *in.RunId)
		if err != nil {
			return nil, err
		}
		p, err := s.Orchestrator.Properties(tx, run.Seq)
		if err != nil {
			return nil, err
		}
		maps.Copy(p, in.RunProperties)
		return &glue.PutWorkflowRunPropertiesOutput{}, s.Orchestrator.PutProperties(tx, run.Seq, p)
	})
}

// runOf returns a run of the workflow that has this name now. A run of another
// workflow, or of a deleted one, is not found (spec/workflows §2.5, §5.5).
func runOf(tx store.Tx, scope store.Scope, name, id string) (store.Run, error) {
	w, err := workflow(tx, scope, name)
	if err != nil {
		return store.Run{}, err
	}
	seq, rand, err := store.ParseRunID(id)
	if err != nil {
		return store.Run{}, errEntity()
	}
	run, err := tx.Run(seq)
	if errors.Is(err, store.ErrNotFound) || err == nil && (run.Rand != rand || run.Workflow != w.UID || run.Kind != engine.WorkflowRun) {
		return store.Run{}, errEntity()
	}
	return run, err
}

func (s *Service) showRun(tx store.Tx, run store.Run, graph bool) (*types.WorkflowRun, error) {
	properties, err := s.Orchestrator.Properties(tx, run.Seq)
	if err != nil {
		return nil, err
	}
	st := run.Head.Stats
	out := &types.WorkflowRun{
		Name: &run.WorkflowName, WorkflowRunId: aws.String(run.ID()), WorkflowRunProperties: properties,
		StartedOn: &run.Started, Status: types.WorkflowRunStatus(run.Head.Status),
		Statistics: &types.WorkflowRunStatistics{
			TotalActions: int32(st.Total), SucceededActions: int32(st.Succeeded), FailedActions: int32(st.Failed),
			TimeoutActions: int32(st.Timeout), StoppedActions: int32(st.Stopped), ErroredActions: int32(st.Errored),
			RunningActions: int32(st.Running), WaitingActions: int32(st.Waiting),
		},
	}
	if !run.Completed.IsZero() {
		out.CompletedOn = &run.Completed
	}
	if run.Previous != "" {
		out.PreviousRunId = &run.Previous
	}
	if run.ErrorMessage != "" {
		out.ErrorMessage = &run.ErrorMessage
	}
	if graph {
		state, err := s.Orchestrator.Load(tx, run)
		if err != nil {
			return nil, err
		}
		if out.Graph, err = runGraph(tx, state); err != nil {
			return nil, fmt.Errorf("build graph of %s: %w", run.ID(), err)
		}
	}
	return out, nil
}
