package glueapi

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"tenon/internal/flow"
	"tenon/internal/lang/cron"
	"tenon/internal/orchestrate"
	"tenon/internal/store"
)

// CreateTrigger makes a trigger (spec/workflows §4.6). Creating several triggers
// of one workflow at once never fails with ConcurrentModificationException, as
// it does on AWS (§2.4).
func (s *Service) CreateTrigger(ctx context.Context, in *glue.CreateTriggerInput) (*glue.CreateTriggerOutput, error) {
	def := flow.Trigger{
		Name: *in.Name, Workflow: aws.ToString(in.WorkflowName), Type: flow.TriggerType(in.Type), State: flow.Created,
		Description: in.Description, Schedule: in.Schedule,
		Actions: readActions(in.Actions), Predicate: readPredicate(in.Predicate), Batching: readBatching(in.EventBatchingCondition),
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.CreateTriggerOutput, error) {
		if err := s.checkNewTrigger(tx, scope, def, in.StartOnCreation); err != nil {
			return nil, err
		}
		if in.StartOnCreation {
			def.State = flow.Activated
		}
		now := s.now()
		def.UID = s.IDs.Next()
		err := tx.InsertTrigger(store.Trigger{
			Scope: scope, UID: def.UID, Version: s.IDs.Next(), Created: now, Modified: now, Definition: def, Tags: maps.Clone(in.Tags),
		})
		if err != nil {
			return nil, err
		}
		return &glue.CreateTriggerOutput{Name: in.Name}, s.touchWorkflow(tx, scope, def.Workflow, true)
	})
}

// checkNewTrigger applies the rows of spec/workflows §4.6 in their order.
func (s *Service) checkNewTrigger(tx store.Tx, scope store.Scope, def flow.Trigger, startOnCreation bool) error {
	_, err := tx.Trigger(scope, def.Name)
	if err == nil {
		return errTriggerExists(def.Name)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if def.Workflow != "" {
		if _, err := workflow(tx, scope, def.Workflow); err != nil {
			return err
		}
		if err := checkSecondStart(tx, scope, def); err != nil {
			return err
		}
	}
	if err := checkTrigger(def, startOnCreation); err != nil {
		return err
	}
	return s.Orchestrator.CheckQuota(orchestrate.Triggers, func(int) (int, error) { return tx.CountTriggers(scope) })
}

// checkSecondStart is row 4: a workflow has one start trigger.
func checkSecondStart(tx store.Tx, scope store.Scope, def flow.Trigger) error {
	if !def.Type.Starts() {
		return nil
	}
	others, err := tx.WorkflowTriggers(scope, def.Workflow)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.Definition.Type.Starts() {
			return errSecondStart(def.Workflow, o.Definition.Name)
		}
	}
	return nil
}

// checkTrigger applies the rows that the definition alone decides.
func checkTrigger(def flow.Trigger, startOnCreation bool) error {
	err := flow.Check(def, startOnCreation)
	var v *flow.Violation
	if errors.As(err, &v) {
		return violation(v)
	}
	if err != nil || def.Type != flow.Scheduled {
		return err
	}
	schedule, err := cron.Parse(*def.Schedule)
	if err != nil {
		return errSchedule(*def.Schedule)
	}
	if schedule.MinInterval() < flow.MinScheduleInterval {
		return errScheduleTooFast()
	}
	return nil
}

// UpdateTrigger replaces a trigger's whole definition; its name, type and
// workflow stay (spec/workflows §4.1, §4.6). A deactivated trigger settles in
// CREATED (§4.3).
func (s *Service) UpdateTrigger(ctx context.Context, in *glue.UpdateTriggerInput) (*glue.UpdateTriggerOutput, error) {
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.UpdateTriggerOutput, error) {
		row, err := trigger(tx, scope, *in.Name)
		if err != nil {
			return nil, err
		}
		old := row.Definition
		row.Definition = flow.Trigger{
			UID: old.UID, Name: old.Name, Workflow: old.Workflow, Type: old.Type, State: old.State,
			Description: in.TriggerUpdate.Description, Schedule: in.TriggerUpdate.Schedule,
			Actions: readActions(in.TriggerUpdate.Actions), Predicate: readPredicate(in.TriggerUpdate.Predicate),
			Batching: readBatching(in.TriggerUpdate.EventBatchingCondition),
		}
		if old.State == flow.Deactivated {
			row.Definition.State = flow.Created
		}
		if err := checkTrigger(row.Definition, false); err != nil {
			return nil, err
		}
		if err := s.replaceTrigger(tx, row); err != nil {
			return nil, err
		}
		return &glue.UpdateTriggerOutput{Trigger: showTrigger(&row.Definition)}, nil
	})
}

func (s *Service) replaceTrigger(tx store.Tx, row store.Trigger) error {
	old := row.Version
	row.Version, row.Modified = s.IDs.Next(), s.now()
	if err := tx.UpdateTrigger(row, old); err != nil {
		return err
	}
	return s.touchWorkflow(tx, row.Scope, row.Definition.Workflow, false)
}

// DeleteTrigger removes a trigger; one that is missing is fine (spec/workflows §4.9).
func (s *Service) DeleteTrigger(ctx context.Context, in *glue.DeleteTriggerInput) (*glue.DeleteTriggerOutput, error) {
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.DeleteTriggerOutput, error) {
		out := &glue.DeleteTriggerOutput{Name: in.Name}
		row, err := tx.Trigger(scope, *in.Name)
		if errors.Is(err, store.ErrNotFound) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if err := tx.DeleteTrigger(row.UID, row.Version); err != nil {
			return nil, err
		}
		return out, s.touchWorkflow(tx, scope, row.Definition.Workflow, true)
	})
}

// StartTrigger activates a trigger, or fires it if it is ON_DEMAND
// (spec/workflows §3.4, §4.3).
func (s *Service) StartTrigger(ctx context.Context, in *glue.StartTriggerInput) (*glue.StartTriggerOutput, error) {
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.StartTriggerOutput, error) {
		row, err := trigger(tx, scope, *in.Name)
		if err != nil {
			return nil, err
		}
		out := &glue.StartTriggerOutput{Name: in.Name}
		def := row.Definition
		switch {
		case def.Type == flow.Event:
			return nil, errEventStart()
		case def.Type == flow.OnDemand && def.Workflow != "":
			w, err := workflow(tx, scope, def.Workflow)
			if err != nil {
				return nil, err
			}
			_, err = s.startRun(tx, w, nil)
			return out, err
		case def.Type == flow.OnDemand:
			return out, s.fire(tx, row)
		case def.State == flow.Activated:
			return nil, errTriggerState(def.State)
		}
		row.Definition.State = flow.Activated
		return out, s.replaceTrigger(tx, row)
	})
}

// fire starts what can be started of a standalone trigger and then reports the
// first refusal, which must not undo the rest (spec/workflows §4.6).
func (s *Service) fire(tx store.Tx, row store.Trigger) error {
	_, refused, err := s.Orchestrator.FireTrigger(tx, row)
	var which *orchestrate.RefusedError
	switch {
	case err != nil || refused == nil:
		return err
	case errors.Is(refused, orchestrate.ErrNoJob):
		return &refusedInPart{errStartMissingJob()}
	case errors.Is(refused, orchestrate.ErrConcurrentJob) && errors.As(refused, &which):
		return &refusedInPart{errConcurrentJob(which.Job)}
	}
	return &refusedInPart{translate(refused)}
}

// StopTrigger deactivates a trigger (spec/workflows §4.3).
func (s *Service) StopTrigger(ctx context.Context, in *glue.StopTriggerInput) (*glue.StopTriggerOutput, error) {
	return mutate(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.StopTriggerOutput, error) {
		row, err := trigger(tx, scope, *in.Name)
		if err != nil {
			return nil, err
		}
		if row.Definition.State != flow.Activated {
			return nil, errTriggerState(row.Definition.State)
		}
		row.Definition.State = flow.Deactivated
		return &glue.StopTriggerOutput{Name: in.Name}, s.replaceTrigger(tx, row)
	})
}

// GetTrigger returns a trigger.
func (s *Service) GetTrigger(ctx context.Context, in *glue.GetTriggerInput) (*glue.GetTriggerOutput, error) {
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.GetTriggerOutput, error) {
		row, err := trigger(tx, scope, *in.Name)
		if err != nil {
			return nil, err
		}
		return &glue.GetTriggerOutput{Trigger: showTrigger(&row.Definition)}, nil
	})
}

// BatchGetTriggers returns triggers in the order asked for, each once.
func (s *Service) BatchGetTriggers(ctx context.Context, in *glue.BatchGetTriggersInput) (*glue.BatchGetTriggersOutput, error) {
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.BatchGetTriggersOutput, error) {
		out := &glue.BatchGetTriggersOutput{Triggers: []types.Trigger{}, TriggersNotFound: []string{}}
		for _, name := range distinct(in.TriggerNames) {
			row, err := tx.Trigger(scope, name)
			if errors.Is(err, store.ErrNotFound) {
				out.TriggersNotFound = append(out.TriggersNotFound, name)
				continue
			}
			if err != nil {
				return nil, err
			}
			out.Triggers = append(out.Triggers, *showTrigger(&row.Definition))
		}
		return out, nil
	})
}

// GetTriggers returns triggers by name (spec/workflows §4.10).
func (s *Service) GetTriggers(ctx context.Context, in *glue.GetTriggersInput) (*glue.GetTriggersOutput, error) {
	page, err := s.page(ctx, in.NextToken, in.MaxResults, 100, aws.ToString(in.DependentJobName))
	if err != nil {
		return nil, err
	}
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.GetTriggersOutput, error) {
		rows, next, err := s.listTriggers(tx, scope, page, aws.ToString(in.DependentJobName), nil)
		if err != nil {
			return nil, err
		}
		out := &glue.GetTriggersOutput{Triggers: []types.Trigger{}, NextToken: next}
		for i := range rows {
			out.Triggers = append(out.Triggers, *showTrigger(&rows[i].Definition))
		}
		return out, nil
	})
}

// ListTriggers returns names of triggers (spec/workflows §4.10).
func (s *Service) ListTriggers(ctx context.Context, in *glue.ListTriggersInput) (*glue.ListTriggersOutput, error) {
	page, err := s.page(ctx, in.NextToken, in.MaxResults, 100, append([]string{aws.ToString(in.DependentJobName)}, tagFilter(in.Tags)...)...)
	if err != nil {
		return nil, err
	}
	return view(ctx, s, func(tx store.Tx, scope store.Scope) (*glue.ListTriggersOutput, error) {
		rows, next, err := s.listTriggers(tx, scope, page, aws.ToString(in.DependentJobName), in.Tags)
		if err != nil {
			return nil, err
		}
		out := &glue.ListTriggersOutput{TriggerNames: []string{}, NextToken: next}
		for _, r := range rows {
			out.TriggerNames = append(out.TriggerNames, r.Definition.Name)
		}
		return out, nil
	})
}

// listTriggers returns a page of triggers with all the tags. With a job, it is
// those that can start the job; if none can, it is all of them, as AWS documents
// (spec/workflows §4.10). A job that does not exist is not found.
func (s *Service) listTriggers(tx store.Tx, scope store.Scope, page page, job string, tags map[string]string) ([]store.Trigger, *string, error) {
	starts := func(t store.Trigger) bool {
		return slices.ContainsFunc(t.Definition.Actions, func(a flow.Action) bool { return a.Job == job })
	}
	keep := func(t store.Trigger) bool { return hasTags(t.Tags, tags) }
	if job != "" {
		if _, err := tx.Document(scope, store.Jobs, job); errors.Is(err, store.ErrNotFound) {
			return nil, nil, errJobNotFound(job)
		} else if err != nil {
			return nil, nil, err
		}
		some, err := scanTriggers(tx, scope, "", 1, starts)
		if err != nil {
			return nil, nil, err
		}
		if len(some) > 0 {
			keep = func(t store.Trigger) bool { return starts(t) && hasTags(t.Tags, tags) }
		}
	}
	rows, err := scanTriggers(tx, scope, page.after, page.limit+1, keep)
	if err != nil {
		return nil, nil, err
	}
	rows, next := cut(page, rows, func(t store.Trigger) string { return t.Definition.Name })
	return rows, next, nil
}

// scanTriggers returns the first limit triggers after a name that keep keeps.
func scanTriggers(tx store.Tx, scope store.Scope, after string, limit int, keep func(store.Trigger) bool) ([]store.Trigger, error) {
	return scan(after, limit, keep,
		func(after string, limit int) ([]store.Trigger, error) { return tx.ListTriggers(scope, after, limit) },
		func(t store.Trigger) string { return t.Definition.Name })
}

func trigger(tx store.Tx, scope store.Scope, name string) (store.Trigger, error) {
	row, err := tx.Trigger(scope, name)
	if errors.Is(err, store.ErrNotFound) {
		return row, errTriggerNotFound(name)
	}
	return row, err
}
