package template

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
)

// stateVersion is the version of the encoding; a reader refuses a newer one instead of dropping what it cannot know.
const stateVersion = 1

// State is what is stored of a stack. It holds names and digests only: property values, which may be secret, cannot be
// read back from it. The zero State is no stack; begin with NewState.
type State struct {
	Version  int    `json:"version"`
	Name     string `json:"name"`
	ID       string `json:"id"`       // unique per stack, given by the caller; also salts the digests
	Revision int    `json:"revision"` // counts saves; makes generated names new whenever one has to change
	// TemplateHash and Parameters describe the last plan that ran to its end.
	TemplateHash string                    `json:"templateHash,omitempty"`
	Parameters   map[string]ParameterState `json:"parameters,omitempty"`
	Resources    []Record                  `json:"resources,omitempty"` // in order of dependency
	Leftovers    []Record                  `json:"leftovers,omitempty"` // replaced or removed, still to be deleted
}

// ParameterState is the value a parameter had, or for a NoEcho parameter its digest.
type ParameterState struct {
	Value  string `json:"value,omitempty"`
	Digest string `json:"digest,omitempty"`
}

// Status says how far a resource has come. Everything but StatusDone was written before a call whose outcome is not known.
type Status string

const (
	StatusCreating Status = "CREATING"
	StatusUpdating Status = "UPDATING"
	StatusDone     Status = "DONE"
)

// Record is one resource of a stack. Properties maps each property to a digest of its evaluated value.
type Record struct {
	LogicalID  string            `json:"logicalId"`
	Type       string            `json:"type"`
	Name       string            `json:"name"`            // physical name
	Named      bool              `json:"named,omitempty"` // the template chose Name
	Status     Status            `json:"status"`
	Retain     bool              `json:"retain,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
	TagKeys    []string          `json:"tagKeys,omitempty"` // every tag that may be set
	// StartOf is the workflow whose start trigger this is; a workflow may have one at a time.
	StartOf string `json:"startOf,omitempty"`
}

// NewState begins a stack. The id must be unique and is kept for the stack's life, such as a random UUID.
func NewState(name, id string) State { return State{Version: stateVersion, Name: name, ID: id} }

// Empty says that nothing of the stack is left, so its state may be dropped.
func (s State) Empty() bool { return len(s.Resources)+len(s.Leftovers) == 0 }

// Encode gives the state as JSON.
func (s State) Encode() ([]byte, error) {
	data, err := json.Marshal(s, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode stack state: %w", err)
	}
	return data, nil
}

// DecodeState reads what Encode wrote. Unknown members and newer versions are errors.
func DecodeState(data []byte) (State, error) {
	var v struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return State{}, fmt.Errorf("decode stack state: %w", err)
	}
	if v.Version < 1 || v.Version > stateVersion {
		return State{}, fmt.Errorf("decode stack state: version %d is not known here, only 1 to %d", v.Version, stateVersion)
	}
	var s State
	if err := json.Unmarshal(data, &s, json.RejectUnknownMembers(true)); err != nil {
		return State{}, fmt.Errorf("decode stack state: %w", err)
	}
	if s.Name == "" || s.ID == "" {
		return State{}, errors.New("decode stack state: it has no name or no id")
	}
	return s, nil
}

// digest hashes a value under the stack's id, so that equal secrets of two stacks do not look equal.
func digest(stackID, what, value string) string {
	sum := sha256.Sum256([]byte(stackID + "\x00" + what + "\x00" + value))
	return hex.EncodeToString(sum[:16])
}

func (s *State) find(id string) *Record {
	for i := range s.Resources {
		if s.Resources[i].LogicalID == id {
			return &s.Resources[i]
		}
	}
	return nil
}

// clone copies the lists, so that a plan never writes into the caller's state.
func (s State) clone() State {
	s.Resources = slices.Clone(s.Resources)
	s.Leftovers = slices.Clone(s.Leftovers)
	return s
}
