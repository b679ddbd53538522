// Package paging makes the NextToken values of list operations. A token that decodes was made by a holder of
// the same key for the same operation, scope and filters, so it cannot be forged, altered or carried to another
// account or listing (spec/workflows §1.7, spec/faults J19). It names the last item seen, not an offset, and
// needs no memory on the server, so deletions do not shift pages and restarts do not end them.
//
// Tokens are authenticated, not encrypted: they hold only keys the caller has just been shown. They do not expire.
package paging

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
)

// ErrInvalid is the one answer to every token that is not ours or not for this listing.
var ErrInvalid = errors.New("invalid next token")

const (
	version  = 1
	macSize  = 16
	maxToken = 64 << 10 // bytes; the longest keys are the value lists of partitions
)

var encoding = base64.RawURLEncoding.Strict()

// Codec makes and reads tokens. It is safe for concurrent use.
type Codec struct{ key []byte }

// New returns a codec with a secret key that must stay the same across restarts.
func New(key []byte) Codec { return Codec{slices.Clone(key)} }

// Encode returns a token that continues after the item with the given key parts. binding says which listing it
// belongs to: operation, account, region and the filters in a canonical form. It is not stored in the token.
func (c Codec) Encode(binding string, after ...string) string {
	b := []byte{version}
	b = binary.AppendUvarint(b, uint64(len(after)))
	for _, part := range after {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return encoding.EncodeToString(append(b, c.mac(binding, b)...))
}

// Decode returns the key parts given to Encode, or [ErrInvalid].
func (c Codec) Decode(binding, token string) (after []string, err error) {
	if len(token) > maxToken {
		return nil, ErrInvalid
	}
	raw, err := encoding.DecodeString(token)
	// The decoder skips line breaks, so only a token that encodes back to itself is one we made.
	if err != nil || len(raw) <= macSize || encoding.EncodeToString(raw) != token {
		return nil, ErrInvalid
	}
	b, sum := raw[:len(raw)-macSize], raw[len(raw)-macSize:]
	if !hmac.Equal(c.mac(binding, b), sum) || b[0] != version {
		return nil, ErrInvalid
	}
	return parts(b[1:])
}

// parts reads what Encode wrote. Behind the MAC it cannot fail, short of a bug; then it is still no panic.
func parts(b []byte) ([]string, error) {
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)) {
		return nil, ErrInvalid
	}
	b = b[n:]
	out := make([]string, 0, count)
	for range count {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, ErrInvalid
		}
		out = append(out, string(b[n:n+int(size)]))
		b = b[n+int(size):]
	}
	if len(b) != 0 {
		return nil, ErrInvalid
	}
	return out, nil
}

func (c Codec) mac(binding string, payload []byte) []byte {
	h := hmac.New(sha256.New, c.key)
	var size [8]byte // the length keeps binding and payload apart
	binary.BigEndian.PutUint64(size[:], uint64(len(binding)))
	h.Write(size[:])
	h.Write([]byte(binding))
	h.Write(payload)
	return h.Sum(nil)[:macSize]
}
