package cli

import "fmt"

// explanation is the reply of /_tenon/explain.
type explanation struct {
	Waiting []waitingTrigger `json:"waiting"`
	Unrun   []unrunNode      `json:"unrun"`
}

type waitingTrigger struct {
	Trigger  string           `json:"trigger"`
	Inactive bool             `json:"inactive"`
	Unmet    []unmetCondition `json:"unmet"`
	Starts   []string         `json:"starts"`
}

type unmetCondition struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Wants string `json:"wants"`
	Is    string `json:"is"`
}

type unrunNode struct {
	Type string `json:"type"`
	Name string `json:"name"`
	Why  string `json:"why"`
}

// whyMatterOfCourse is the one reason for not running that is no fault: the
// branch was not taken.
const whyMatterOfCourse = "a watched state did not occur"

// judge says why a run was not a success; nothing means that it was: it is
// COMPLETED, no action ended other than SUCCEEDED, and every action that did not
// run is unrun because a watched state did not occur.
//
// An action that was retried ended as its last attempt did. A node that two
// triggers started counts twice.
func judge(s snapshot, e explanation) []string {
	var faults []string
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if s.Status != "COMPLETED" {
		add("the run ended %s%s", visible(s.Status), because(s.Message))
	}
	why := map[[2]string]string{}
	for _, u := range e.Unrun {
		why[[2]string{u.Type, u.Name}] = u.Why
	}
	for _, n := range s.Nodes {
		for _, a := range n.Actions {
			switch last := a.last(); {
			case !last.final():
				add("%s is still %s", visible(n.Name), visible(last.State))
			case last.State != "SUCCEEDED":
				add("%s ended %s", visible(n.Name), last.State)
			}
		}
		if len(n.Actions) > 0 {
			continue
		}
		switch w := why[[2]string{n.Kind, n.Name}]; w {
		case whyMatterOfCourse:
		case "":
			add("%s did not run, and the server does not say why", visible(n.Name))
		default:
			add("%s did not run: %s", visible(n.Name), visible(w))
		}
	}
	return faults
}

func because(message string) string {
	if message == "" {
		return ""
	}
	return ": " + visible(message)
}
