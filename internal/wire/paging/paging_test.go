package paging

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var key = []byte("0123456789abcdef0123456789abcdef")

// spec/workflows §1.7: a token survives a restart and holds any key.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		binding := rapid.String().Draw(rt, "binding")
		after := rapid.SliceOf(rapid.StringN(0, 255, -1)).Draw(rt, "after")
		token := New(key).Encode(binding, after...)
		got, err := New(slices.Clone(key)).Decode(binding, token)
		if len(token) > maxToken {
			return
		}
		if err != nil || !slices.Equal(got, after) {
			rt.Fatalf("got %q, %v; want %q", got, err, after)
		}
		if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			rt.Fatalf("not URL-safe: %s", token)
		}
	})
}

// spec/faults J19: forged, altered and foreign tokens.
func TestRefused(t *testing.T) {
	const binding = "ListWorkflows|123456789012|us-east-1"
	c := New(key)
	token := c.Encode(binding, "flow-7")
	for i := range len(token) {
		for _, by := range []byte("A_z0\n=") {
			if changed := token[:i] + string(by) + token[i+1:]; changed != token {
				refused(t, c, binding, changed)
			}
		}
		refused(t, c, binding, token[:i])
		refused(t, c, binding, token[:i]+"\n"+token[i:])
	}
	refused(t, c, binding, token+"A")
	refused(t, c, binding, token+"=")
	refused(t, c, binding, strings.Repeat("A", 1<<20))
	refused(t, c, "ListTriggers|123456789012|us-east-1", token)
	refused(t, c, "ListWorkflows|210987654321|us-east-1", token)
	refused(t, c, binding+"|", token)
	refused(t, New([]byte("another key")), binding, token)
}

func refused(t *testing.T, c Codec, binding, token string) {
	t.Helper()
	if after, err := c.Decode(binding, token); err != ErrInvalid || after != nil {
		t.Errorf("%q for %q gave %q, %v", token, binding, after, err)
	}
}

func FuzzDecode(f *testing.F) {
	c := New(key)
	f.Add("b", c.Encode("other", "x"), []byte{1, 0})
	f.Add("", "", []byte{2, 200, 1})
	f.Fuzz(func(t *testing.T, binding, token string, payload []byte) {
		if _, err := c.Decode("fuzz|"+binding, token); err == nil {
			t.Errorf("forged token %q", token)
		}
		if out, err := parts(payload); err == nil && len(out) > len(payload) {
			t.Errorf("%d parts out of %d bytes", len(out), len(payload))
		}
	})
}
