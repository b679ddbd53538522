package sqlstore

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tenon/internal/engine"
	"tenon/internal/flow"
	"tenon/internal/jobrun"
)

// encodingVersion is written into every body; testdata keeps a database of each
// release's encoding.
const encodingVersion = 1

// Members of bodies may be added but never renamed or given another meaning.
type (
	workflowBody struct {
		V                 int               `json:"v"`
		Description       *string           `json:"description,omitzero"`
		Properties        map[string]string `json:"properties,omitzero"`
		MaxConcurrentRuns *int              `json:"maxConcurrentRuns,omitzero"`
		Tags              map[string]string `json:"tags,omitzero"`
	}
	triggerBody struct {
		V          int               `json:"v"`
		Definition flow.Trigger      `json:"definition"`
		Tags       map[string]string `json:"tags,omitzero"`
	}
	runBody struct {
		V            int         `json:"v"`
		Head         engine.Head `json:"head"`
		Previous     string      `json:"previous,omitzero"`
		ErrorMessage string      `json:"error,omitzero"`
	}
	attemptBody struct {
		V   int        `json:"v"`
		Run jobrun.Run `json:"run"`
	}
)

// encode writes invalid UTF-8 as U+FFFD: a job's error message is not always text,
// and must not keep the job from ending.
func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("encode row: %w", err)
	}
	return b, nil
}

// decode reads a body into v, whose version is at got.
func decode(b []byte, v any, got *int) error {
	if err := json.Unmarshal(b, v, jsontext.AllowInvalidUTF8(true)); err != nil {
		return fmt.Errorf("decode row: %w", err)
	}
	if *got != encodingVersion {
		return fmt.Errorf("decode row: version %d is not known", *got)
	}
	return nil
}

// millis is a time as it is stored; 0 stands for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// blob keeps an empty body apart from none: the driver writes nil as NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
