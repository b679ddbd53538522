package auth

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Credential is a root credential of one account. Printing it shows everything but the secret.
type Credential struct {
	AccessKeyID string
	Secret      string `json:"-"` // 40 characters; "" where it is not told
	Account     string
	Created     time.Time
	Revoked     time.Time // zero while it is valid
}

// Active reports whether the credential has not been revoked.
func (c Credential) Active() bool { return c.Revoked.IsZero() }

// String leaves the secret out.
func (c Credential) String() string {
	state := "active"
	if !c.Active() {
		state = "revoked"
	}
	return fmt.Sprintf("%s (account %s, %s)", c.AccessKeyID, c.Account, state)
}

// Format makes every verb, %#v and %+v included, print what String does.
func (c Credential) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// LogValue keeps the secret out of structured logs.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }
