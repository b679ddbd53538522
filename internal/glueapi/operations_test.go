package glueapi

import (
	"context"
	"errors"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	gocmp "github.com/google/go-cmp/cmp"

	"tenon/internal/wire/awsjson"
)

var update = flag.Bool("update", false, "write unsupported.txt anew")

const unsupportedHead = `# Operations of AWS Glue that are refused with one clear error and change nothing.
# A test holds this list to what the server does; -update writes it anew.
`

// Every operation of the SDK is registered or stands in unsupported.txt, and that
// list is exact (DESIGN §6).
func TestUnsupportedList(t *testing.T) {
	all := New(Config{}).Operations()
	var refuses []string
	for name, o := range all {
		switch {
		case o.Name != name:
			t.Errorf("%s is registered as %s", o.Name, name)
		case o.Support == Refuses:
			refuses = append(refuses, name)
		}
	}
	slices.Sort(refuses)
	if *update {
		if err := os.WriteFile("unsupported.txt", []byte(unsupportedHead+strings.Join(refuses, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("unsupported.txt")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			listed = append(listed, line)
		}
	}
	if diff := gocmp.Diff(listed, refuses); diff != "" {
		t.Errorf("unsupported.txt (-listed +refused); -update writes it anew:\n%s", diff)
	}
	client := reflect.TypeFor[*glue.Client]()
	for i := range client.NumMethod() {
		if name := client.Method(i).Name; name != "Options" {
			if _, ok := all[name]; !ok {
				t.Errorf("the SDK's %s is not known at all", name)
			}
		}
	}
}

// A refusal names the operation, whatever the body, and does not look at it.
func TestRefusals(t *testing.T) {
	for name, o := range New(Config{}).Operations() {
		if o.Support != Refuses {
			continue
		}
		for _, body := range []string{`{}`, `not JSON`} {
			out, err := o.Handle(context.Background(), []byte(body))
			var e *awsjson.Error
			if out != nil || !errors.As(err, &e) || e.Code != "UnsupportedOperationException" || !strings.HasPrefix(e.Message, name+" is not supported by this Tenon server yet. Nothing was changed.") {
				t.Errorf("%s: %v, %v", name, out, err)
			}
		}
	}
}
