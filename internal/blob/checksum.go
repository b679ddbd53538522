package blob

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"strconv"
)

// Algorithm is an additional checksum of S3 (User Guide, "Checking object integrity").
type Algorithm string

// The algorithms S3 knows. CRC64NVME is what it computes when none is asked for.
const (
	CRC32     Algorithm = "CRC32"
	CRC32C    Algorithm = "CRC32C"
	CRC64NVME Algorithm = "CRC64NVME"
	SHA1      Algorithm = "SHA1"
	SHA256    Algorithm = "SHA256"
)

// Algorithms lists them all, for header and element names.
var Algorithms = []Algorithm{CRC32, CRC32C, CRC64NVME, SHA1, SHA256}

// ChecksumType says what a multipart object's checksum is made of.
type ChecksumType string

// FullObject covers the bytes, Composite the checksums of the parts.
const (
	FullObject ChecksumType = "FULL_OBJECT"
	Composite  ChecksumType = "COMPOSITE"
)

// Checksum is a value in base64; composites carry "-N", the number of parts.
type Checksum struct {
	Algorithm Algorithm
	Type      ChecksumType
	Value     string
}

// Reversed polynomials, the form package hash wants them in.
const crc64NVMEPolynomial = 0x9A6C9329AC4BC9B5

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	crc64NVME  = crc64.MakeTable(crc64NVMEPolynomial)
)

// New starts a computation; nil for an unknown algorithm.
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(castagnoli)
	case CRC64NVME:
		return crc64.New(crc64NVME)
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	}
	return nil
}

// CheckUploadType gives the checksum type of an upload: typ, or the default of
// the algorithm when typ is empty. Hashes cannot be joined, so they are always
// composite; CRC64NVME is always of the full object.
func (a Algorithm) CheckUploadType(typ ChecksumType) (ChecksumType, error) {
	byDefault := Composite
	if a == CRC64NVME {
		byDefault = FullObject
	}
	switch {
	case a.New() == nil:
		return "", fmt.Errorf("%w: checksum algorithm %q is not known", ErrInvalidRequest, a)
	case typ == "":
		return byDefault, nil
	case typ != FullObject && typ != Composite:
		return "", fmt.Errorf("%w: checksum type %q is not known", ErrInvalidRequest, typ)
	case typ != byDefault && a != CRC32 && a != CRC32C:
		return "", fmt.Errorf("%w: the %s checksum type cannot be used with the %s checksum algorithm", ErrInvalidRequest, typ, a)
	}
	return typ, nil
}

// Hasher computes the MD5 and any number of checksums of what is written to it.
type Hasher struct {
	md5  hash.Hash
	sums map[Algorithm]hash.Hash
	size int64
}

// NewHasher computes the given algorithms beside the MD5; empty ones are ignored.
func NewHasher(algorithms ...Algorithm) *Hasher {
	h := &Hasher{md5: md5.New(), sums: make(map[Algorithm]hash.Hash, len(algorithms))}
	for _, a := range algorithms {
		if sum := a.New(); sum != nil {
			h.sums[a] = sum
		}
	}
	return h
}

// Write never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	h.md5.Write(p)
	for _, s := range h.sums {
		s.Write(p)
	}
	h.size += int64(len(p))
	return len(p), nil
}

// Size is the number of bytes written.
func (h *Hasher) Size() int64 { return h.size }

// ETag is the MD5 in hex, the entity tag of an object put in one piece.
func (h *Hasher) ETag() string { return hex.EncodeToString(h.md5.Sum(nil)) }

// Checksum gives the value of one of the algorithms the Hasher was made with.
func (h *Hasher) Checksum(a Algorithm) Checksum {
	s, ok := h.sums[a]
	if !ok {
		return Checksum{}
	}
	return Checksum{Algorithm: a, Type: FullObject, Value: base64.StdEncoding.EncodeToString(s.Sum(nil))}
}

// Check holds the finished body against what the sender said of it. An unknown
// algorithm is an error, never a check that silently passes.
func (e Expect) Check(h *Hasher) error {
	if e.MD5 != nil && !bytes.Equal(e.MD5, h.md5.Sum(nil)) {
		return fmt.Errorf("check body: %w", ErrBadDigest)
	}
	want := e.Checksum.Value
	if e.Trailer != nil {
		value, err := e.Trailer()
		if err != nil {
			return fmt.Errorf("read trailing checksum: %w", err)
		}
		want = value
	}
	if want == "" {
		return nil
	}
	if got := h.Checksum(e.Checksum.Algorithm); got.Value != want {
		return fmt.Errorf("check %s of body: %w", e.Checksum.Algorithm, ErrBadDigest)
	}
	return nil
}

// JoinETag is the entity tag of a multipart object: the MD5 of the parts' MD5s,
// and their number.
func JoinETag(parts []Part) (string, error) {
	sum := md5.New()
	for _, p := range parts {
		raw, err := hex.DecodeString(p.ETag)
		if err != nil {
			return "", fmt.Errorf("join entity tags: %w", err)
		}
		sum.Write(raw)
	}
	return hex.EncodeToString(sum.Sum(nil)) + "-" + strconv.Itoa(len(parts)), nil
}

// JoinChecksum makes the checksum of the whole out of those of the parts.
func JoinChecksum(a Algorithm, typ ChecksumType, parts []Part) (Checksum, error) {
	whole := a.New()
	if whole == nil {
		return Checksum{}, fmt.Errorf("join checksums: %w", ErrInvalidRequest)
	}
	var crc uint64
	for i, p := range parts {
		raw, err := base64.StdEncoding.DecodeString(p.Checksum.Value)
		if err != nil || len(raw) != whole.Size() {
			return Checksum{}, fmt.Errorf("join checksums: part %d has no %s", p.Number, a)
		}
		switch {
		case typ == Composite:
			whole.Write(raw)
		case i == 0:
			crc = bigEndian(raw)
		default:
			crc = a.combine(crc, bigEndian(raw), p.Size)
		}
	}
	c := Checksum{Algorithm: a, Type: typ}
	if typ == Composite {
		c.Value = base64.StdEncoding.EncodeToString(whole.Sum(nil)) + "-" + strconv.Itoa(len(parts))
		return c, nil
	}
	out := binary.BigEndian.AppendUint64(nil, crc)
	c.Value = base64.StdEncoding.EncodeToString(out[8-whole.Size():])
	return c, nil
}

func bigEndian(raw []byte) (n uint64) {
	for _, b := range raw {
		n = n<<8 | uint64(b)
	}
	return n
}

// combine gives the CRC of two stretches from the CRC of each and the length of
// the second. A zero byte acts on a CRC as a linear map over GF(2); squaring the
// map doubles the bytes, so the work grows with the logarithm of the length.
func (a Algorithm) combine(first, second uint64, length int64) uint64 {
	polynomial, width := uint64(crc64NVMEPolynomial), 64
	switch a {
	case CRC32:
		polynomial, width = crc32.IEEE, 32
	case CRC32C:
		polynomial, width = crc32.Castagnoli, 32
	}
	m := make(matrix, width)
	m[0] = polynomial // the effect of one zero bit
	for i := 1; i < width; i++ {
		m[i] = 1 << (i - 1)
	}
	for range 3 { // one, two, four, eight bits
		m = m.squared()
	}
	for ; length > 0; length >>= 1 {
		if length&1 == 1 {
			first = m.times(first)
		}
		m = m.squared()
	}
	return first ^ second
}

// matrix holds one column per bit of the CRC.
type matrix []uint64

func (m matrix) times(v uint64) (sum uint64) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 == 1 {
			sum ^= m[i]
		}
	}
	return sum
}

func (m matrix) squared() matrix {
	out := make(matrix, len(m))
	for i, column := range m {
		out[i] = m.times(column)
	}
	return out
}
