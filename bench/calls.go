package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"

	"tenon/bench/drive"
)

// settle lies between measurements, so that what one leaves to do (checkpoints,
// collected garbage) is not paid by the other server's.
const settle = 300 * time.Millisecond

// calls compares starts and reads with the peer's, in turns.
func calls(ctx context.Context, o *options, r *report) (err error) {
	ours, err := o.startTenon(ctx, o.work+"/calls")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	peer, err := o.startMoto(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peer.stop()) }()
	bare, err := o.startBare(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	get, err := oursReady(ctx, ours)
	if err != nil {
		return err
	}
	results := map[string]medians{}
	record := func(what string, s *server, l drive.Load) error {
		time.Sleep(settle)
		l.For = o.span
		got, err := drive.Run(s.Server, s.pids(), l)
		if err != nil {
			return fmt.Errorf("%s at %d clients: %w", what, l.Clients, err)
		}
		if results[what] == nil {
			results[what] = medians{}
		}
		results[what][l.Clients] = append(results[what][l.Clients], got)
		return nil
	}
	body, err := startBody("start")
	if err != nil {
		return err
	}
	for round := range o.rounds {
		note("calls, round %d of %d", round+1, o.rounds)
		for _, n := range o.clients {
			// The peer gets an empty workflow of its own for each measurement: it keeps
			// runs in a list, and must not suffer from those of the rounds before.
			name := fmt.Sprintf("empty-%d-%d", round, n)
			peerGet, err := peerReady(ctx, peer, name)
			if err != nil {
				return err
			}
			peerStart, err := startBody(name)
			if err != nil {
				return err
			}
			for _, step := range []struct {
				what string
				s    *server
				l    drive.Load
			}{
				{"start", ours, drive.Load{Operation: "StartWorkflowRun", Body: body, Clients: n}},
				{"peer get", peer, drive.Load{Operation: "GetWorkflowRun", Body: peerGet, Clients: n}},
				{"bare start", bare, drive.Load{Operation: "StartWorkflowRun", Body: body, Clients: n}},
				{"get", ours, drive.Load{Operation: "GetWorkflowRun", Body: get, Clients: n}},
				{"peer start", peer, drive.Load{Operation: "StartWorkflowRun", Body: peerStart, Clients: n}},
			} {
				if err := record(step.what, step.s, step.l); err != nil {
					return err
				}
			}
		}
	}
	r.compare("Durable StartWorkflowRun", o.clients, results["start"], results["peer start"], results["bare start"], map[int]float64{1: 4, 8: 13, 64: 25})
	r.compare("GetWorkflowRun with a graph of ten nodes", o.clients, results["get"], results["peer get"], nil, map[int]float64{8: 20})
	return nil
}

// oursReady makes the workload of starts and a run with ten nodes to read, and
// returns the body that reads it.
func oursReady(ctx context.Context, s *server) ([]byte, error) {
	if err := upload(ctx, s.Server); err != nil {
		return nil, err
	}
	b := builder{glue: glueClient(s.Server)}
	if err := b.waiting(ctx, "start"); err != nil {
		return nil, err
	}
	// Five triggers and five jobs; the first job waits for its slot like the others.
	if err := b.chain(ctx, "graph", 5, true); err != nil {
		return nil, err
	}
	run, err := b.glue.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String("graph"), RunProperties: properties})
	if err != nil {
		return nil, fmt.Errorf("start run: %w", err)
	}
	out, err := b.glue.GetWorkflowRun(ctx, &glue.GetWorkflowRunInput{Name: aws.String("graph"), RunId: run.RunId, IncludeGraph: aws.Bool(true)})
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	if out.Run == nil || out.Run.Graph == nil || len(out.Run.Graph.Nodes) != 10 {
		return nil, errors.New("the run to read does not have ten nodes")
	}
	return getBody("graph", aws.ToString(run.RunId), true)
}

// peerReady makes an empty workflow with one run and returns the body that reads it.
func peerReady(ctx context.Context, s *server, name string) ([]byte, error) {
	b := builder{glue: glueClient(s.Server)}
	if err := b.workflow(ctx, name); err != nil {
		return nil, err
	}
	run, err := b.glue.StartWorkflowRun(ctx, &glue.StartWorkflowRunInput{Name: aws.String(name), RunProperties: properties})
	if err != nil {
		return nil, fmt.Errorf("start run of the peer: %w", err)
	}
	return getBody(name, aws.ToString(run.RunId), true)
}
