package template

import (
	"os"
	"testing"
)

// No input panics, hangs or grows without bound, and what can be read plans as a new stack.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"testdata/etl/template.yaml", "testdata/cdk/Orders.template.json"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(body("!Sub '${P}'")))
	f.Add([]byte("Resources: {A: &a {Type: AWS::Glue::Workflow, Properties: {Description: !If [X, *a, !Ref A]}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tmpl, err := Parse("fuzz", data)
		if err != nil {
			return
		}
		e, err := tmpl.Evaluate(options(map[string]string{"Password": "longenough"}))
		if err != nil {
			if e, err = tmpl.Evaluate(options(nil)); err != nil {
				return
			}
		}
		plan, err := e.Plan()
		if err != nil {
			return
		}
		for _, c := range plan.Changes {
			if c.Action != Create || c.Name == "" {
				t.Fatalf("a new stack only creates: %s", c)
			}
		}
	})
}
