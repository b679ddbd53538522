// Package arn reads and writes the ARNs of Glue resources (spec/workflows
// §1.9). It guarantees that what Format makes, Parse takes apart again. It does
// not know whether a resource exists.
package arn

import (
	"errors"
	"strings"
)

// ErrInvalid is returned for text that is no ARN of a Glue resource.
var ErrInvalid = errors.New("not the ARN of a Glue resource")

// ARN names a resource of Glue, as in arn:aws:glue:us-east-1:123456789012:job/etl.
type ARN struct {
	Partition string // aws, aws-cn, aws-us-gov
	Region    string
	Account   string
	Type      string // workflow, trigger, job, crawler …
	Name      string // may hold any character, slashes and colons included
}

// Parse takes an ARN apart.
func Parse(s string) (ARN, error) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || !strings.HasPrefix(p[1], "aws") || p[2] != "glue" {
		return ARN{}, ErrInvalid
	}
	typ, name, ok := strings.Cut(p[5], "/")
	if !ok || typ == "" || name == "" || p[3] == "" || p[4] == "" {
		return ARN{}, ErrInvalid
	}
	return ARN{Partition: p[1], Region: p[3], Account: p[4], Type: typ, Name: name}, nil
}

// String formats the ARN; an empty partition is aws.
func (a ARN) String() string {
	partition := a.Partition
	if partition == "" {
		partition = "aws"
	}
	return "arn:" + partition + ":glue:" + a.Region + ":" + a.Account + ":" + a.Type + "/" + a.Name
}
