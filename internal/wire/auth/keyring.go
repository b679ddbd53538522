package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tenon/internal/wire/sigv4"
)

const (
	serverKeySize = 32
	secretSize    = 40
	reloadEvery   = time.Second
)

// ErrNotFound is returned by Rotate and Revoke for a key that is not in the file or was revoked before.
var ErrNotFound = errors.New("no such active access key")

// Options are what a keyring needs from outside.
type Options struct {
	// Account gets the credential that the first start creates; 12 digits.
	Account string
	Now     func() time.Time
	// Active says whether a job attempt still runs; its session is refused from then on. Nil refuses all sessions.
	Active func(ctx context.Context, attempt string) (bool, error)
	// Rand is crypto/rand.Reader if nil.
	Rand io.Reader
}

// Keyring holds the credentials of a data directory. Several processes may use one file: changes are made under a
// lock, and each process sees those of the others within a second. It is safe for concurrent use.
type Keyring struct {
	path    string
	opt     Options
	current atomic.Pointer[snapshot]
	checked atomic.Int64 // when the file was last looked at, Unix nanoseconds
	mu      sync.Mutex   // one reload at a time
	failed  atomic.Pointer[error]
}

// Open reads the credentials file at path, creating it with one random root credential if there is none. It refuses
// a file that others can read, or that is not in every part what it should be (spec/faults L5).
func Open(path string, opt Options) (*Keyring, error) {
	if !validAccount(opt.Account) {
		return nil, fmt.Errorf("account %q must be 12 digits", opt.Account)
	}
	if opt.Rand == nil {
		opt.Rand = rand.Reader
	}
	k := &Keyring{path: path, opt: opt}
	s, err := load(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = locked(path, func() error {
			if s, err = load(path); errors.Is(err, fs.ErrNotExist) { // another process may have been first
				s, err = k.create()
			}
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	k.current.Store(s)
	k.checked.Store(opt.Now().UnixNano())
	return k, nil
}

func (k *Keyring) create() (*snapshot, error) {
	c, err := k.generate(k.opt.Account)
	if err != nil {
		return nil, err
	}
	key := make([]byte, serverKeySize)
	if _, err := io.ReadFull(k.opt.Rand, key); err != nil {
		return nil, fmt.Errorf("make server key: %w", err)
	}
	if err := save(k.path, key, []Credential{c}); err != nil {
		return nil, err
	}
	return load(k.path)
}

func (k *Keyring) generate(account string) (Credential, error) {
	var b [40]byte // 80 bits of key id, 240 of secret
	if _, err := io.ReadFull(k.opt.Rand, b[:]); err != nil {
		return Credential{}, fmt.Errorf("make credential: %w", err)
	}
	return Credential{
		AccessKeyID: "AKIA" + base32.StdEncoding.EncodeToString(b[:10]),
		Secret:      base64.StdEncoding.EncodeToString(b[10:]),
		Account:     account,
		Created:     k.opt.Now().UTC().Truncate(time.Second),
	}, nil
}

// Add makes a new credential for an account and returns it, secret included.
func (k *Keyring) Add(account string) (Credential, error) {
	if !validAccount(account) {
		return Credential{}, fmt.Errorf("account %q must be 12 digits", account)
	}
	c, err := k.generate(account)
	if err != nil {
		return Credential{}, err
	}
	return c, k.change(func(list []Credential) ([]Credential, error) { return append(list, c), nil })
}

// Rotate makes a new credential for the account of an active one and revokes that, in one step.
func (k *Keyring) Rotate(accessKeyID string) (Credential, error) {
	var c Credential
	err := k.change(func(list []Credential) ([]Credential, error) {
		old, err := k.revokeIn(list, accessKeyID)
		if err != nil {
			return nil, err
		}
		if c, err = k.generate(old.Account); err != nil {
			return nil, err
		}
		return append(list, c), nil
	})
	if err != nil {
		return Credential{}, err
	}
	return c, nil
}

// Revoke ends a credential. Its entry stays, so that the key id is never given out again and the list shows when.
func (k *Keyring) Revoke(accessKeyID string) error {
	return k.change(func(list []Credential) ([]Credential, error) {
		_, err := k.revokeIn(list, accessKeyID)
		return list, err
	})
}

func (k *Keyring) revokeIn(list []Credential, id string) (Credential, error) {
	i := slices.IndexFunc(list, func(c Credential) bool { return c.AccessKeyID == id && c.Active() })
	if i < 0 {
		return Credential{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	list[i].Revoked = k.opt.Now().UTC().Truncate(time.Second)
	return list[i], nil
}

// change rewrites the file from what it holds now, not from what this process last saw.
func (k *Keyring) change(edit func([]Credential) ([]Credential, error)) error {
	return locked(k.path, func() error {
		s, err := load(k.path)
		if err != nil {
			return err
		}
		list, err := edit(slices.Clone(s.list))
		if err != nil {
			return err
		}
		if err := save(k.path, s.serverKey, list); err != nil {
			return err
		}
		return k.reload()
	})
}

// List returns all credentials, revoked ones too, oldest first, without their secrets.
func (k *Keyring) List() ([]Credential, error) {
	s, err := k.fresh()
	if err != nil {
		return nil, err
	}
	list := slices.Clone(s.list)
	for i := range list {
		list[i].Secret = ""
	}
	return list, nil
}

// First returns the oldest active credential of an account with its secret, for clients on the same machine.
func (k *Keyring) First(account string) (Credential, bool, error) {
	s, err := k.fresh()
	if err != nil {
		return Credential{}, false, err
	}
	for _, c := range s.list {
		if c.Account == account && c.Active() {
			return c, true, nil
		}
	}
	return Credential{}, false, nil
}

// Session returns the credentials of one job attempt; the same ones every time.
func (k *Keyring) Session(account, attempt string) (accessKeyID, secret, token string, err error) {
	if !validAccount(account) || attempt == "" || len(attempt) > maxAttempt {
		return "", "", "", fmt.Errorf("no session for account %q, attempt %q", account, attempt)
	}
	s := k.current.Load()
	accessKeyID, secret = s.session(account, attempt)
	return accessKeyID, secret, s.token(account, attempt), nil
}

// Key derives a 32-byte secret for a purpose of the server's own, such as signing page tokens. It stays the same as
// long as the file does.
func (k *Keyring) Key(purpose string) []byte { return k.current.Load().derive("key", purpose) }

// Secret is a [sigv4.KeySource] for root credentials and job sessions. It fails closed: while the file cannot be read
// no key is known, because a revocation might be in it.
func (k *Keyring) Secret(ctx context.Context, accessKeyID, sessionToken string) (string, error) {
	s, err := k.fresh()
	if err != nil {
		return "", err
	}
	if sessionToken == "" {
		if c, ok := s.byID[accessKeyID]; ok && c.Active() {
			return c.Secret, nil
		}
		return "", sigv4.ErrUnknownKey
	}
	account, attempt, ok := s.openToken(sessionToken)
	if !ok {
		return "", sigv4.ErrUnknownKey
	}
	id, secret := s.session(account, attempt)
	if subtle.ConstantTimeCompare([]byte(id), []byte(accessKeyID)) == 0 {
		return "", sigv4.ErrUnknownKey
	}
	if k.opt.Active == nil {
		return "", sigv4.ErrExpiredToken
	}
	active, err := k.opt.Active(ctx, attempt)
	if err != nil {
		return "", fmt.Errorf("ask whether the job attempt runs: %w", err)
	}
	if !active {
		return "", sigv4.ErrExpiredToken
	}
	return secret, nil
}

// Principal returns whose a verified signature is. It checks that the token belongs to the key, not the signature.
func (k *Keyring) Principal(s *sigv4.Signed) (Principal, error) {
	snap := k.current.Load()
	p := Principal{Region: s.Region, AccessKeyID: s.AccessKeyID}
	if s.SessionToken == "" {
		c, ok := snap.byID[s.AccessKeyID]
		if !ok || !c.Active() {
			return Principal{}, sigv4.ErrUnknownKey
		}
		p.Kind, p.Account = Root, c.Account
		return p, nil
	}
	account, attempt, ok := snap.openToken(s.SessionToken)
	if !ok || !strings.HasPrefix(s.AccessKeyID, sessionID) {
		return Principal{}, sigv4.ErrUnknownKey
	}
	p.Kind, p.Account, p.Attempt = Job, account, attempt
	return p, nil
}

// fresh returns the present state, looking at the file at most once a second.
func (k *Keyring) fresh() (*snapshot, error) {
	now, last := k.opt.Now().UnixNano(), k.checked.Load()
	// A clock set back must not stop the looking either.
	if d := now - last; (d >= int64(reloadEvery) || d < 0) && k.checked.CompareAndSwap(last, now) {
		if err := k.look(); err != nil {
			return nil, err
		}
	}
	if err := k.failed.Load(); err != nil {
		return nil, *err
	}
	return k.current.Load(), nil
}

// look reloads the file if it is not the one that was read last.
func (k *Keyring) look() error {
	info, err := os.Stat(k.path)
	if err == nil && k.failed.Load() == nil && same(info, k.current.Load().info) {
		return nil
	}
	return k.reload()
}

// reload remembers a failure, so that every lookup answers with it until a later look succeeds.
func (k *Keyring) reload() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, err := load(k.path)
	if err != nil {
		k.failed.Store(&err)
		return err
	}
	k.current.Store(s)
	k.failed.Store(nil)
	return nil
}

// String names the file only.
func (k *Keyring) String() string { return "keyring " + k.path }

// Format keeps the keys out of every verb.
func (k *Keyring) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// LogValue keeps the keys out of structured logs.
func (k *Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }
