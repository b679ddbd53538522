package glueapi

import (
	"context"
	"errors"

	"tenon/internal/engine"
	"tenon/internal/store"
)

// This file holds what Tenon has beside AWS's API; it is served below /_tenon/.

// ErrStackVersion is returned when a stack was changed by somebody else.
var ErrStackVersion = errors.New("stack was changed by somebody else")

// ErrNoStack is returned for a stack that does not exist.
var ErrNoStack = errors.New("stack does not exist")

// Explanation is what Explain answers.
type Explanation = engine.Explanation

// Explain says what a run waits for, or why parts of it did not run.
func (s *Service) Explain(ctx context.Context, workflow, run string) (*Explanation, error) {
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*Explanation, error) {
		row, err := runOf(tx, scope, workflow, run)
		if err != nil {
			return nil, err
		}
		state, err := s.Orchestrator.Load(tx, row)
		if err != nil {
			return nil, err
		}
		x, err := engine.Explain(state)
		return &x, err
	})
}

// ActiveRun is a workflow run or chain that has not ended.
type ActiveRun struct {
	ID       string
	Kind     engine.Kind
	Workflow string
	Status   engine.Status
	Started  int64 // epoch milliseconds
	// Orphaned says that the run's workflow is gone, so that AWS's API cannot show it.
	Orphaned bool
}

// activeRunsMost bounds the list of active runs.
const activeRunsMost = 1000

// ActiveRuns lists runs of the caller's account and region that have not ended,
// those of deleted workflows included (spec/workflows §2.5).
func (s *Service) ActiveRuns(ctx context.Context) ([]ActiveRun, error) {
	out, err := view(ctx, s, func(tx store.Tx, scope store.Scope) (*[]ActiveRun, error) {
		out := []ActiveRun{}
		above := int64(0)
		for {
			rows, err := tx.ListActiveRuns(above, scanBatch)
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				if r.Scope != scope {
					continue
				}
				w, err := tx.Workflow(scope, r.WorkflowName)
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					return nil, err
				}
				out = append(out, ActiveRun{
					ID: r.ID(), Kind: r.Kind, Workflow: r.WorkflowName, Status: r.Head.Status, Started: r.Started.UnixMilli(),
					Orphaned: r.Kind == engine.WorkflowRun && w.UID != r.Workflow,
				})
			}
			if len(rows) < scanBatch || len(out) >= activeRunsMost {
				return &out, nil
			}
			above = rows[len(rows)-1].Seq
		}
	})
	if err != nil {
		return nil, err
	}
	return *out, nil
}

// StopActiveRun stops a run by its id alone, so that runs of deleted workflows
// and chains can be stopped too.
func (s *Service) StopActiveRun(ctx context.Context, id string) error {
	_, err := mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*struct{}, error) {
		seq, rand, err := store.ParseRunID(id)
		if err != nil {
			return nil, errEntity()
		}
		row, err := tx.Run(seq)
		if errors.Is(err, store.ErrNotFound) || err == nil && (row.Rand != rand || row.Scope != scope) {
			return nil, errEntity()
		}
		if err != nil {
			return nil, err
		}
		if row.Head.Status != engine.Running {
			return nil, errNotStoppable(id, string(row.Head.Status))
		}
		return &struct{}{}, s.Orchestrator.StopRun(tx, row)
	})
	return err
}

// JobRunVisible says whether an attempt of this id belongs to the caller's
// account and region; its output may be read then.
func (s *Service) JobRunVisible(ctx context.Context, id string) (bool, error) {
	key, rand, err := store.ParseAttemptID(id)
	if err != nil {
		return false, nil
	}
	found, err := view(ctx, s, func(tx store.Tx, scope store.Scope) (*bool, error) {
		a, err := tx.Attempt(key)
		if errors.Is(err, store.ErrNotFound) {
			return new(bool), nil
		}
		ok := a.Rand == rand && a.Scope == scope
		return &ok, err
	})
	if err != nil {
		return false, err
	}
	return *found, nil
}

// Stack is the stored state of an applied template. Version is 0 before it is
// first stored; a change must name the version it was made from.
type Stack struct {
	Version int64
	State   []byte // JSON
}

// Stacks lists the names of stored stacks.
func (s *Service) Stacks(ctx context.Context) ([]string, error) {
	out, err := view(ctx, s, func(tx store.Tx, scope store.Scope) (*[]string, error) {
		names := []string{}
		docs, err := scan("", int(^uint(0)>>1), func(store.Document) bool { return true },
			func(after string, limit int) ([]store.Document, error) {
				return tx.ListDocuments(scope, store.Stacks, after, limit)
			}, func(d store.Document) string { return d.Name })
		for _, d := range docs {
			names = append(names, d.Name)
		}
		return &names, err
	})
	if err != nil {
		return nil, err
	}
	return *out, nil
}

// GetStack returns a stack, or ErrNoStack.
func (s *Service) GetStack(ctx context.Context, name string) (*Stack, error) {
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*Stack, error) {
		d, err := tx.Document(scope, store.Stacks, name)
		if errors.Is(err, store.ErrNotFound) {
			return nil, ErrNoStack
		}
		return &Stack{Version: d.Version, State: d.Body}, err
	})
}

// PutStack stores a stack that was changed from in.Version and returns the new
// version, or ErrStackVersion.
func (s *Service) PutStack(ctx context.Context, name string, in Stack) (int64, error) {
	next := s.IDs.Next()
	now := s.now()
	err := s.Store.Write(ctx, func(tx store.Tx) error {
		scope := scopeOf(ctx)
		d, err := tx.Document(scope, store.Stacks, name)
		switch {
		case errors.Is(err, store.ErrNotFound) && in.Version == 0:
			return tx.InsertDocument(store.Document{
				Scope: scope, Kind: store.Stacks, Name: name, UID: s.IDs.Next(), Version: next, Created: now, Modified: now, Body: in.State,
			})
		case errors.Is(err, store.ErrNotFound):
			return ErrStackVersion
		case err != nil:
			return err
		case d.Version != in.Version:
			return ErrStackVersion
		}
		d.Version, d.Modified, d.Body = next, now, in.State
		return tx.UpdateDocument(d, in.Version)
	})
	return next, translate(err)
}

// DeleteStack forgets a stack; one that is missing is fine.
func (s *Service) DeleteStack(ctx context.Context, name string) error {
	err := s.Store.Write(ctx, func(tx store.Tx) error {
		d, err := tx.Document(scopeOf(ctx), store.Stacks, name)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return tx.DeleteDocument(d.UID, d.Version)
	})
	return translate(err)
}
