package arn

import "testing"

// TestParse proves the forms of spec/workflows §1.9.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		in   string
		want ARN
		ok   bool
	}{
		{"arn:aws:glue:us-east-1:123456789012:workflow/nightly", ARN{"aws", "us-east-1", "123456789012", "workflow", "nightly"}, true},
		{"arn:aws-cn:glue:cn-north-1:123456789012:job/a b/c:d", ARN{"aws-cn", "cn-north-1", "123456789012", "job", "a b/c:d"}, true},
		{"arn:aws:s3:::bucket/key", ARN{}, false},
		{"arn:aws:glue:us-east-1:123456789012:workflow", ARN{}, false},
		{"arn:aws:glue:us-east-1:123456789012:workflow/", ARN{}, false},
		{"arn:aws:glue::123456789012:workflow/x", ARN{}, false},
		{"workflow/nightly", ARN{}, false},
		{"", ARN{}, false},
	} {
		got, err := Parse(c.in)
		if (err == nil) != c.ok || got != c.want {
			t.Errorf("Parse(%q) = %+v, %v", c.in, got, err)
		}
		if c.ok && got.String() != c.in {
			t.Errorf("String of %q = %q", c.in, got.String())
		}
	}
}
