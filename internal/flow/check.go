package flow

// Rule names a rule of spec/workflows §4.6 that a trigger breaks.
type Rule string

// The rules a trigger's own definition can break, by their row in §4.6. Rules
// about other things (names taken, workflows missing, quotas) are the API's.
const (
	PredicateMissing       Rule = "5 predicate missing"
	OperatorMissing        Rule = "6 logical operator missing"
	CrawlStateMissing      Rule = "7 crawl state missing or not watchable"
	JobStateMissing        Rule = "8 job state missing or not watchable"
	LogicalMissing         Rule = "9 logical missing"
	JobWatchedAndStarted   Rule = "10 job watched and started"
	CrawlerWatchedAndStart Rule = "11 crawler watched and started"
	TooManyCrawlers        Rule = "12 more than two crawler actions"
	ActionsMissing         Rule = "14 actions missing"
	ActionAmbiguous        Rule = "14 action names neither or both"
	ConditionAmbiguous     Rule = "14 condition names neither or both"
	ScheduleMissing        Rule = "15 schedule missing"
	StartOnCreationRefused Rule = "18 start on creation"
	WorkflowMissing        Rule = "19 event trigger without workflow"
	TooManyJobs            Rule = "23 more than fifty jobs"
)

// Limits of a single trigger (spec/workflows §7).
const (
	MaxCrawlerActions = 2
	MaxJobActions     = 50
)

// Violation is a broken rule, with the place where it is broken.
type Violation struct {
	Rule  Rule
	Index int    // 0-based index of the condition or action, or -1
	Name  string // what the sentence names: a trigger type
}

// Error returns the rule; the API has the sentence for people.
func (v *Violation) Error() string { return "trigger breaks rule " + string(v.Rule) }

var watchableJob = map[string]bool{"SUCCEEDED": true, "STOPPED": true, "FAILED": true, "TIMEOUT": true}
var watchableCrawl = map[string]bool{"SUCCEEDED": true, "FAILED": true, "CANCELLED": true}

// Check returns the first rule of spec/workflows §4.6 that t breaks, as a
// *Violation, or nil. Schedules are checked by lang/cron, not here.
func Check(t Trigger, startOnCreation bool) error {
	if err := checkPredicate(t); err != nil {
		return err
	}
	if err := checkActions(t); err != nil {
		return err
	}
	switch {
	case t.Type == Scheduled && (t.Schedule == nil || *t.Schedule == ""):
		return &Violation{Rule: ScheduleMissing, Index: -1}
	case startOnCreation && !t.Type.Activates():
		return &Violation{Rule: StartOnCreationRefused, Index: -1, Name: string(t.Type)}
	case t.Type == Event && t.Workflow == "":
		return &Violation{Rule: WorkflowMissing, Index: -1}
	}
	return nil
}

// checkPredicate looks at predicates of every type of trigger: AWS refuses a
// SCHEDULED trigger for its predicate too (§4.6 row 10).
func checkPredicate(t Trigger) error {
	if t.Predicate == nil || len(t.Predicate.Conditions) == 0 {
		if t.Type == Conditional {
			return &Violation{Rule: PredicateMissing, Index: -1}
		}
		return nil
	}
	for i, c := range t.Predicate.Conditions {
		switch {
		case (c.Job == "") == (c.Crawler == ""):
			return &Violation{Rule: ConditionAmbiguous, Index: i}
		case c.Operator == "":
			return &Violation{Rule: OperatorMissing, Index: i}
		case c.Crawler != "" && !watchableCrawl[c.CrawlState]:
			return &Violation{Rule: CrawlStateMissing, Index: i}
		case c.Job != "" && !watchableJob[c.State]:
			return &Violation{Rule: JobStateMissing, Index: i}
		}
	}
	if len(t.Predicate.Conditions) > 1 && t.Predicate.Logical == "" {
		return &Violation{Rule: LogicalMissing, Index: -1}
	}
	return nil
}

func checkActions(t Trigger) error {
	if len(t.Actions) == 0 {
		return &Violation{Rule: ActionsMissing, Index: -1}
	}
	watched := map[string]bool{}
	if t.Predicate != nil {
		for _, c := range t.Predicate.Conditions {
			typ, name, _ := c.Watched()
			watched[string(typ)+"\x00"+name] = true
		}
	}
	jobs, crawlers := 0, 0
	for i, a := range t.Actions {
		if (a.Job == "") == (a.Crawler == "") {
			return &Violation{Rule: ActionAmbiguous, Index: i}
		}
		typ, name := a.Target()
		if typ == JobNode {
			jobs++
		} else {
			crawlers++
		}
		if watched[string(typ)+"\x00"+name] {
			rule := JobWatchedAndStarted
			if typ == CrawlerNode {
				rule = CrawlerWatchedAndStart
			}
			return &Violation{Rule: rule, Index: i}
		}
	}
	switch {
	case crawlers > MaxCrawlerActions:
		return &Violation{Rule: TooManyCrawlers, Index: -1}
	case jobs > MaxJobActions:
		return &Violation{Rule: TooManyJobs, Index: -1}
	}
	return nil
}
