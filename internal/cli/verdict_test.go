package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func job(name string, states ...string) node {
	n := node{Kind: "JOB", Name: name}
	for _, s := range states {
		n.Actions = append(n.Actions, action{ID: "jr_" + name, Attempts: []attempt{{ID: "jr_" + name, State: s}}})
	}
	return n
}

func retried(name string, states ...string) node {
	a := action{ID: "jr_" + name}
	for _, s := range states {
		a.Attempts = append(a.Attempts, attempt{State: s})
	}
	return node{Kind: "JOB", Name: name, Actions: []action{a}}
}

func unrun(name, why string) explanation {
	return explanation{Unrun: []unrunNode{{Type: "JOB", Name: name, Why: why}}}
}

// TestJudge has a row for each part of the rule: COMPLETED, no action ended
// other than SUCCEEDED, unrun only because a watched state did not occur.
func TestJudge(t *testing.T) {
	completed := func(nodes ...node) snapshot { return snapshot{Status: "COMPLETED", Nodes: nodes} }
	crawl := node{Kind: "CRAWLER", Name: "c", Actions: []action{{Attempts: []attempt{{State: "ERROR"}}}}}
	for name, c := range map[string]struct {
		s    snapshot
		e    explanation
		want []string
	}{
		"all succeeded":                    {completed(job("a", "SUCCEEDED"), job("b", "SUCCEEDED")), explanation{}, nil},
		"nothing to do":                    {completed(), explanation{}, nil},
		"branch not taken":                 {completed(job("a", "SUCCEEDED"), job("b")), unrun("b", "a watched state did not occur"), nil},
		"stopped":                          {snapshot{Status: "STOPPED", Nodes: []node{job("a", "SUCCEEDED")}}, explanation{}, []string{"the run ended STOPPED"}},
		"error with a message":             {snapshot{Status: "ERROR", Message: "no slot"}, explanation{}, []string{"the run ended ERROR: no slot"}},
		"still running":                    {snapshot{Status: "RUNNING", Nodes: []node{job("a", "RUNNING")}}, explanation{}, []string{"the run ended RUNNING", "a is still RUNNING"}},
		"completed but an action goes on":  {completed(job("a", "STARTING")), explanation{}, []string{"a is still STARTING"}},
		"failed":                           {completed(job("a", "FAILED")), explanation{}, []string{"a ended FAILED"}},
		"timeout":                          {completed(job("a", "TIMEOUT")), explanation{}, []string{"a ended TIMEOUT"}},
		"action stopped":                   {completed(job("a", "STOPPED")), explanation{}, []string{"a ended STOPPED"}},
		"job missing":                      {completed(job("a", "ERROR")), explanation{}, []string{"a ended ERROR"}},
		"expired":                          {completed(job("a", "EXPIRED")), explanation{}, []string{"a ended EXPIRED"}},
		"a state nobody knows":             {completed(job("a", "PUZZLED")), explanation{}, []string{"a is still PUZZLED"}},
		"crawler":                          {completed(crawl), explanation{}, []string{"c ended ERROR"}},
		"failed, then retried to success":  {completed(retried("a", "FAILED", "SUCCEEDED")), explanation{}, nil},
		"failed, then failed again":        {completed(retried("a", "FAILED", "TIMEOUT")), explanation{}, []string{"a ended TIMEOUT"}},
		"started twice, one failed":        {completed(job("a", "FAILED", "SUCCEEDED")), explanation{}, []string{"a ended FAILED"}},
		"trigger inactive":                 {completed(job("a", "SUCCEEDED"), job("b")), unrun("b", "its trigger is not activated"), []string{"b did not run: its trigger is not activated"}},
		"unreachable":                      {completed(job("b")), unrun("b", "no trigger can reach it"), []string{"b did not run: no trigger can reach it"}},
		"unrun and not explained":          {completed(job("b")), explanation{}, []string{"b did not run, and the server does not say why"}},
		"the other kind of the same name":  {completed(node{Kind: "CRAWLER", Name: "b"}), unrun("b", "a watched state did not occur"), []string{"b did not run, and the server does not say why"}},
		"a reason that came later":         {completed(job("b")), unrun("b", "because"), []string{"b did not run: because"}},
		"several faults":                   {completed(job("a", "FAILED"), job("b", "TIMEOUT")), explanation{}, []string{"a ended FAILED", "b ended TIMEOUT"}},
		"a failure branch that succeeded":  {completed(job("a", "FAILED"), job("alert", "SUCCEEDED")), explanation{}, []string{"a ended FAILED"}},
		"stopped with an unrun node":       {snapshot{Status: "STOPPED", Nodes: []node{job("b")}}, unrun("b", "a watched state did not occur"), []string{"the run ended STOPPED"}},
		"names cannot act on the terminal": {completed(job("\x1bc", "FAILED")), explanation{}, []string{`\x1bc ended FAILED`}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, judge(c.s, c.e)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
