package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"strings"
)

// A session token is tokenPrefix + base64url(account "/" attempt MAC). It names the attempt and proves that this
// server named it; key id and secret follow from both. Nothing is stored, so a restarted server knows its jobs.
const (
	tokenPrefix = "tenon1."
	sessionID   = "ASIA" // AWS's prefix for temporary keys
	maxAttempt  = 512
)

var tokenEncoding = base64.RawURLEncoding.Strict()

// session derives the key id and secret of one attempt.
func (s *snapshot) session(account, attempt string) (id, secret string) {
	name := account + "/" + attempt
	id = sessionID + base32.StdEncoding.EncodeToString(s.derive("session id", name))[:16]
	secret = base64.StdEncoding.EncodeToString(s.derive("session secret", name)[:30])
	return id, secret
}

func (s *snapshot) token(account, attempt string) string {
	name := account + "/" + attempt
	return tokenPrefix + tokenEncoding.EncodeToString(append([]byte(name), s.derive("session token", name)...))
}

// openToken returns whom a token was made for, if this server made it.
func (s *snapshot) openToken(token string) (account, attempt string, ok bool) {
	text, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok || len(text) > 2*maxAttempt {
		return "", "", false
	}
	raw, err := tokenEncoding.DecodeString(text)
	// The decoder skips line breaks; only the one spelling we made counts.
	if err != nil || len(raw) <= sha256.Size || tokenEncoding.EncodeToString(raw) != text {
		return "", "", false
	}
	name, sum := string(raw[:len(raw)-sha256.Size]), raw[len(raw)-sha256.Size:]
	if subtle.ConstantTimeCompare(s.derive("session token", name), sum) == 0 {
		return "", "", false
	}
	return strings.Cut(name, "/")
}

// derive makes a 32-byte key for one purpose; purposes hold no NUL, so no two of them meet.
func (s *snapshot) derive(purpose, name string) []byte {
	h := hmac.New(sha256.New, s.serverKey)
	h.Write([]byte("tenon\x00" + purpose + "\x00" + name))
	return h.Sum(nil)
}
