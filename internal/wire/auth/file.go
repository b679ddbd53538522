package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	fileVersion = 1
	maxFile     = 4 << 20
)

// file is the credentials file. Times are RFC 3339.
type file struct {
	Version     int     `json:"version"`
	ServerKey   []byte  `json:"server_key"` // base64
	Credentials []entry `json:"credentials"`
}

// entry is a Credential as the file has it; only here does a secret have a JSON name.
type entry struct {
	AccessKeyID string    `json:"access_key_id"`
	Secret      string    `json:"secret_access_key"`
	Account     string    `json:"account"`
	Created     time.Time `json:"created"`
	Revoked     time.Time `json:"revoked,omitzero"`
}

// snapshot is one state of the file, never changed once made.
type snapshot struct {
	list      []Credential
	byID      map[string]Credential
	serverKey []byte
	info      os.FileInfo
}

// load reads and checks the file. Its errors never hold any of its text: that text is secrets.
func load(path string) (*snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open credentials: %w", err)
	}
	defer f.Close()
	info, err := f.Stat() // of the opened file, so that it cannot be swapped after the check
	if err != nil {
		return nil, fmt.Errorf("inspect credentials: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("credentials file %s is not a regular file", path)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("credentials file %s is open to other users (mode %04o); make it private with: chmod 600 %s", path, perm, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("credentials file %s is larger than %d bytes", path, maxFile)
	}
	var content file
	if err := json.Unmarshal(text, &content, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("credentials file %s is not valid JSON of the expected form%s", path, position(err))
	}
	s, err := newSnapshot(content)
	if err != nil {
		return nil, fmt.Errorf("credentials file %s: %w", path, err)
	}
	s.info = info
	return s, nil
}

// position tells where a file is wrong without quoting it.
func position(err error) string {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Sprintf(" (at byte %d)", e.ByteOffset)
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		return fmt.Sprintf(" (at byte %d)", e.ByteOffset)
	}
	return ""
}

func newSnapshot(f file) (*snapshot, error) {
	if f.Version != fileVersion {
		return nil, fmt.Errorf("version is %d, this server reads %d", f.Version, fileVersion)
	}
	if len(f.ServerKey) != serverKeySize {
		return nil, fmt.Errorf("server_key must be %d bytes in base64", serverKeySize)
	}
	s := &snapshot{serverKey: f.ServerKey, byID: make(map[string]Credential, len(f.Credentials))}
	for i, e := range f.Credentials {
		c := Credential(e)
		switch _, again := s.byID[c.AccessKeyID]; {
		case !validID(c.AccessKeyID):
			return nil, fmt.Errorf("credential %d: access_key_id must be AKIA and 16 characters A-Z, 2-7", i+1)
		case again:
			return nil, fmt.Errorf("credential %d: access_key_id %s is there twice", i+1, c.AccessKeyID)
		case len(c.Secret) != secretSize:
			return nil, fmt.Errorf("credential %d: secret_access_key must have %d characters", i+1, secretSize)
		case !validAccount(c.Account):
			return nil, fmt.Errorf("credential %d: account must be 12 digits", i+1)
		}
		s.list = append(s.list, c)
		s.byID[c.AccessKeyID] = c
	}
	return s, nil
}

func validID(id string) bool {
	rest, ok := strings.CutPrefix(id, "AKIA")
	return ok && len(rest) == 16 && strings.Trim(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

func validAccount(a string) bool { return len(a) == 12 && strings.Trim(a, "0123456789") == "" }

// save replaces the file so that a crash leaves the old one or the new one, whole: temporary file, flush, rename,
// flush of the directory.
func save(path string, serverKey []byte, list []Credential) (err error) {
	content := file{Version: fileVersion, ServerKey: serverKey}
	for _, c := range list {
		content.Credentials = append(content.Credentials, entry(c))
	}
	var buf bytes.Buffer
	if err := json.MarshalWrite(&buf, content, jsontext.WithIndent("  ")); err != nil {
		return fmt.Errorf("encode credentials: %w", err)
	}
	buf.WriteByte('\n')
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".credentials-*") // created 0600
	if err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
		}
	}()
	if _, err := tmp.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	if err := tmp.Sync(); err != nil {
		return fmt.Errorf("flush credentials: %w", err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("replace credentials: %w", err)
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("close credentials: %w", err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("flush directory of credentials: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("flush directory of credentials: %w", err)
	}
	return nil
}

// locked runs f while no other process changes the file. The lock has a file of its own, because the credentials
// file is replaced by every change.
func locked(path string, f func() error) error {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock credentials: %w", err)
	}
	defer lock.Close() // closing also unlocks
	for {
		switch err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err {
		case nil:
			return f()
		case syscall.EINTR:
		default:
			return fmt.Errorf("lock credentials: %w", err)
		}
	}
}

// same reports whether the file is still the one that was read. A replaced file is another inode even where size
// and clock tick agree.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode()
}
