package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tenon/internal/wire/auth"
)

type envCommand struct {
	Endpoint string `help:"URL of the server; by default the one that was last started on the data directory." placeholder:"URL" env:"TENON_ENDPOINT"`
}

// Run prints shell exports. It needs no running server.
func (c *envCommand) Run(s *session) error {
	endpoint, region := c.Endpoint, ""
	if endpoint == "" {
		var err error
		if endpoint, region, err = recordedEndpoint(s.Data); err != nil {
			return err
		}
	}
	ring, err := openKeyring(s.Data)
	if err != nil {
		return err
	}
	cred, err := firstCredential(ring, s.Account)
	if err != nil {
		return err
	}
	s.printf("%s", exports(endpoint, s.region(region), cred))
	return nil
}

// exports is what a shell evaluates. A session token of somebody else's would
// make every signature wrong, so it goes.
func exports(endpoint, region string, c auth.Credential) string {
	var b strings.Builder
	for _, v := range [][2]string{
		{"AWS_ENDPOINT_URL", endpoint},
		{"AWS_REGION", region},
		{"AWS_DEFAULT_REGION", region},
		{"AWS_ACCESS_KEY_ID", c.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", c.Secret},
	} {
		fmt.Fprintf(&b, "export %s=%s\n", v[0], shellQuote(v[1]))
	}
	return b.String() + "unset AWS_SESSION_TOKEN AWS_PROFILE\n"
}

type credentialsCommand struct {
	List   credentialsList   `cmd:"" help:"List all credentials, without secrets."`
	Add    credentialsAdd    `cmd:"" help:"Make a credential for an account (--account) and print its secret once."`
	Rotate credentialsRotate `cmd:"" help:"Replace a credential by a new one and print its secret once."`
	Revoke credentialsRevoke `cmd:"" help:"End a credential. A running server refuses it within a second."`
}

type credentialsList struct{}

// Run lists credentials.
func (credentialsList) Run(s *session) error {
	ring, err := openKeyring(s.Data)
	if err != nil {
		return err
	}
	list, err := ring.List()
	if err != nil {
		return fmt.Errorf("list credentials: %w", err)
	}
	rows := [][]string{{"ACCESS KEY", "ACCOUNT", "CREATED", "REVOKED"}}
	for _, c := range list {
		revoked := ""
		if !c.Active() {
			revoked = c.Revoked.UTC().Format(time.RFC3339)
		}
		rows = append(rows, []string{c.AccessKeyID, c.Account, c.Created.UTC().Format(time.RFC3339), revoked})
	}
	for _, line := range table(rows) {
		s.printf("%s\n", line)
	}
	return nil
}

type credentialsAdd struct{}

// Run adds a credential.
func (credentialsAdd) Run(s *session) error {
	ring, err := openKeyring(s.Data)
	if err != nil {
		return err
	}
	account := s.Account
	if account == "" { // the account that the server works in
		first, err := firstCredential(ring, "")
		if err != nil {
			return usagef("name the account with --account: %w", err)
		}
		account = first.Account
	}
	c, err := ring.Add(account)
	if err != nil {
		return fmt.Errorf("add a credential: %w", err)
	}
	s.showNew(c)
	return nil
}

type credentialsRotate struct {
	AccessKeyID string `arg:"" name:"access-key" help:"The credential to replace."`
}

// Run rotates a credential.
func (r *credentialsRotate) Run(s *session) error {
	ring, err := openKeyring(s.Data)
	if err != nil {
		return err
	}
	c, err := ring.Rotate(r.AccessKeyID)
	if err != nil {
		return unknownKey(r.AccessKeyID, err)
	}
	s.showNew(c)
	return nil
}

type credentialsRevoke struct {
	AccessKeyID string `arg:"" name:"access-key" help:"The credential to end."`
}

// Run revokes a credential.
func (r *credentialsRevoke) Run(s *session) error {
	ring, err := openKeyring(s.Data)
	if err != nil {
		return err
	}
	if err := ring.Revoke(r.AccessKeyID); err != nil {
		return unknownKey(r.AccessKeyID, err)
	}
	s.printf("%s is revoked\n", r.AccessKeyID)
	return nil
}

func unknownKey(id string, err error) error {
	if errors.Is(err, auth.ErrNotFound) {
		return usagef("there is no active credential %q", id)
	}
	return fmt.Errorf("change credential %s: %w", id, err)
}

// showNew prints a secret for the one time that it is shown.
func (s *session) showNew(c auth.Credential) {
	s.printf("account            %s\naccess key id      %s\nsecret access key  %s\n", c.Account, c.AccessKeyID, c.Secret)
	s.notef("The secret is not shown again.\n")
}
