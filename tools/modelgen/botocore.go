package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

const serviceFile = "botocore/data/glue/2017-03-31/service-2.json.gz"

// service is what the generator reads of a botocore service description.
// Everything left out here (documentation above all) never enters the output.
type service struct {
	Metadata   struct{ Protocol, JSONVersion, TargetPrefix string }
	Operations map[string]operation
	Shapes     map[string]shape
}

type operation struct {
	Input, Output ref
	Errors        []ref
}

type ref struct{ Shape string }

type shape struct {
	Type            string
	Members         members
	Required        []string
	Member          ref // list element
	Key, Value      ref // map
	Min, Max        json.Number
	Pattern         string
	Enum            []string
	TimestampFormat string
	Union           bool
	Document        bool
	Exception       bool
	Fault           bool
	Sensitive       bool
}

// members keeps the order of the file, which is the order in which violations
// are reported.
type members []member

type member struct {
	Name, Shape string
	Required    bool
}

func (m *members) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		// A member that is renamed or moved on the wire would need more than its
		// name; the JSON protocol has none today, and one must not slip in.
		var body struct{ Shape, LocationName, Location string }
		if err := dec.Decode(&body); err != nil {
			return err
		}
		if body.LocationName != "" || body.Location != "" {
			return fmt.Errorf("member %v has a wire location, which is not supported", name)
		}
		*m = append(*m, member{Name: name.(string), Shape: body.Shape})
	}
	return nil
}

func readService(wheel []byte) (*service, error) {
	archive, err := zip.NewReader(bytes.NewReader(wheel), int64(len(wheel)))
	if err != nil {
		return nil, fmt.Errorf("open wheel: %w", err)
	}
	file, err := archive.Open(serviceFile)
	if err != nil {
		return nil, fmt.Errorf("open service description: %w", err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("unzip service description: %w", err)
	}
	data, err := io.ReadAll(unzipped)
	if err != nil {
		return nil, fmt.Errorf("unzip service description: %w", err)
	}
	var s service
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("parse service description: %w", err)
	}
	if m := s.Metadata; m.Protocol != "json" || m.JSONVersion != "1.1" || m.TargetPrefix != "AWSGlue" {
		return nil, fmt.Errorf("parse service description: unexpected protocol %+v", m)
	}
	for name, sh := range s.Shapes {
		for i, m := range sh.Members {
			sh.Members[i].Required = slices.Contains(sh.Required, m.Name)
		}
		s.Shapes[name] = sh
	}
	return &s, nil
}

// reachable names the shapes that any operation can carry, sorted.
func (s *service) reachable() []string {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		if name == "" || seen[name] {
			return
		}
		seen[name] = true
		sh := s.Shapes[name]
		for _, m := range sh.Members {
			visit(m.Shape)
		}
		visit(sh.Member.Shape)
		visit(sh.Key.Shape)
		visit(sh.Value.Shape)
	}
	for _, op := range s.Operations {
		visit(op.Input.Shape)
		visit(op.Output.Shape)
		for _, e := range op.Errors {
			visit(e.Shape)
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
