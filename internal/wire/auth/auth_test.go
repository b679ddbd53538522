package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/go-json-experiment/json"

	"tenon/internal/wire/sigv4"
)

const account = "123456789012"

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func open(t testing.TB, path string, active func(context.Context, string) (bool, error)) (*Keyring, *clock) {
	t.Helper()
	c := &clock{t: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)}
	k, err := Open(path, Options{Account: account, Now: c.now, Active: active})
	if err != nil {
		t.Fatal(err)
	}
	return k, c
}

func first(t testing.TB, k *Keyring) Credential {
	t.Helper()
	c, ok, err := k.First(account)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return c
}

func TestFirstStartAndRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	k, _ := open(t, path, nil)
	c := first(t, k)
	if !validID(c.AccessKeyID) || len(c.Secret) != 40 || c.Account != account {
		t.Errorf("credential %v", c)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	again, _ := open(t, path, nil)
	if got := first(t, again); got != c {
		t.Error("another credential after a restart")
	}
	if !bytes.Equal(again.Key("paging"), k.Key("paging")) || bytes.Equal(k.Key("paging"), k.Key("other")) {
		t.Error("derived keys must be stable and differ by purpose")
	}
	other, _ := open(t, filepath.Join(t.TempDir(), "credentials"), nil)
	if first(t, other).Secret == c.Secret || bytes.Equal(other.Key("paging"), k.Key("paging")) {
		t.Error("two data directories share secrets")
	}
}

func TestConcurrentFirstStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			k, _ := open(t, path, nil)
			ids[i] = first(t, k).AccessKeyID
			if _, err := k.Add("210987654321"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	k, _ := open(t, path, nil)
	list, err := k.List()
	if err != nil || len(list) != 1+len(ids) {
		t.Errorf("%d credentials, %v; want one root and one for each Add", len(list), err)
	}
	for _, id := range ids {
		if id != list[0].AccessKeyID {
			t.Errorf("first credential %s and %s", id, list[0].AccessKeyID)
		}
	}
}

// spec/faults L5: a secrets file that is open or wrong stops the start, and the message quotes none of it.
func TestRefusedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	k, _ := open(t, path, nil)
	c := first(t, k)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(from, to string) []byte { return bytes.Replace(good, []byte(from), []byte(to), 1) }
	cases := []struct {
		name string
		text []byte
		mode os.FileMode
		want string
	}{
		{"group can read", good, 0o640, "chmod 600"},
		{"world can read", good, 0o604, "chmod 600"},
		{"group can write", good, 0o620, "chmod 600"},
		{"empty", nil, 0o600, "not valid JSON"},
		{"cut", good[:len(good)/2], 0o600, "not valid JSON"},
		{"unknown member", edit(`"version"`, `"colour": 1, "version"`), 0o600, "not valid JSON"},
		{"member twice", edit(`"version"`, `"version": 1, "version"`), 0o600, "not valid JSON"},
		{"secret of the wrong type", edit(`"`+c.Secret+`"`, `["`+c.Secret+`"]`), 0o600, "not valid JSON"},
		{"newer", edit(`"version": 1`, `"version": 2`), 0o600, "version is 2"},
		{"short secret", edit(c.Secret, c.Secret[1:]), 0o600, "40 characters"},
		{"bad key id", edit("AKIA", "akia"), 0o600, "access_key_id must be"},
		{"bad account", edit(account, "12"), 0o600, "12 digits"},
		{"no server key", edit(`"server_key": "`, `"server_key": "AAAA`), 0o600, "server_key must be 32 bytes"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			p := filepath.Join(t.TempDir(), "credentials")
			if err := os.WriteFile(p, tc.text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(p, tc.mode); err != nil {
				t.Fatal(err)
			}
			_, err := Open(p, Options{Account: account, Now: time.Now})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), p) {
				t.Errorf("got %v, want %q and the path", err, tc.want)
			}
			if err != nil && (strings.Contains(err.Error(), c.Secret[1:]) || strings.Contains(err.Error(), "server_key\": \"")) {
				t.Error("the message holds a secret")
			}
		})
	}
	if _, err := Open(t.TempDir(), Options{Account: account, Now: time.Now}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Open(path, Options{Account: "me", Now: time.Now}); err == nil {
		t.Error("account that is not 12 digits")
	}
}

func TestAddRotateRevokeList(t *testing.T) {
	ctx := t.Context()
	k, _ := open(t, filepath.Join(t.TempDir(), "credentials"), nil)
	root := first(t, k)
	added, err := k.Add("210987654321")
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := k.Rotate(added.AccessKeyID)
	if err != nil || rotated.Account != added.Account {
		t.Fatal(rotated, err)
	}
	if _, err := k.Secret(ctx, added.AccessKeyID, ""); err != sigv4.ErrUnknownKey {
		t.Errorf("rotated key: %v", err)
	}
	if s, err := k.Secret(ctx, rotated.AccessKeyID, ""); err != nil || s != rotated.Secret {
		t.Errorf("new key: %v", err)
	}
	if err := k.Revoke(root.AccessKeyID); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Secret(ctx, root.AccessKeyID, ""); err != sigv4.ErrUnknownKey {
		t.Errorf("revoked key: %v", err)
	}
	if _, ok, err := k.First(account); ok || err != nil {
		t.Errorf("a revoked key is handed out: %v", err)
	}
	for _, id := range []string{root.AccessKeyID, "AKIAAAAAAAAAAAAAAAAA"} {
		if err := k.Revoke(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("revoke %s: %v", id, err)
		}
		if _, err := k.Rotate(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("rotate %s: %v", id, err)
		}
	}
	list, err := k.List()
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	for _, c := range list {
		if c.Secret != "" {
			t.Error("List tells a secret")
		}
	}
	if _, err := k.Add("x"); err == nil {
		t.Error("account x added")
	}
}

// A change made by another process is seen within a second, and a file gone bad closes the door until mended.
func TestReload(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "credentials")
	server, clock := open(t, path, nil)
	root := first(t, server)
	tool, _ := open(t, path, nil)
	if err := tool.Revoke(root.AccessKeyID); err != nil {
		t.Fatal(err)
	}
	added, err := tool.Add(account)
	if err != nil {
		t.Fatal(err)
	}
	clock.add(time.Second)
	if _, err := server.Secret(ctx, root.AccessKeyID, ""); err != sigv4.ErrUnknownKey {
		t.Errorf("revoked elsewhere: %v", err)
	}
	if _, err := server.Secret(ctx, added.AccessKeyID, ""); err != nil {
		t.Errorf("added elsewhere: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, later := range []time.Duration{time.Second, 0, time.Second} { // also between two looks
		clock.add(later)
		if _, err := server.Secret(ctx, added.AccessKeyID, ""); err == nil || errors.Is(err, sigv4.ErrUnknownKey) {
			t.Errorf("open file: %v", err)
		}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	clock.add(-time.Hour) // a clock set back does not stop the looking
	if _, err := server.Secret(ctx, added.AccessKeyID, ""); err != nil {
		t.Errorf("mended file: %v", err)
	}
}

func TestSessions(t *testing.T) {
	ctx := t.Context()
	running := map[string]bool{"jr_1": true, "jr_2": true}
	path := filepath.Join(t.TempDir(), "credentials")
	k, _ := open(t, path, func(_ context.Context, a string) (bool, error) {
		if a == "jr_broken" {
			return false, errors.New("store is down")
		}
		return running[a], nil
	})
	id, secret, token, err := k.Session(account, "jr_1")
	if err != nil || !strings.HasPrefix(id, "ASIA") || len(id) != 20 || len(secret) != 40 {
		t.Fatal(id, len(secret), err)
	}
	restarted, _ := open(t, path, nil)
	if id2, secret2, token2, _ := restarted.Session(account, "jr_1"); id2 != id || secret2 != secret || token2 != token {
		t.Error("another session after a restart")
	}
	if got, err := k.Secret(ctx, id, token); err != nil || got != secret {
		t.Errorf("own session: %v", err)
	}
	id2, secret2, token2, _ := k.Session(account, "jr_2")
	otherID, _, _, _ := k.Session("210987654321", "jr_1")
	if id2 == id || secret2 == secret || otherID == id {
		t.Error("two attempts share credentials")
	}
	brokenID, _, brokenToken, _ := k.Session(account, "jr_broken")
	foreign, _ := open(t, filepath.Join(t.TempDir(), "credentials"), nil)
	foreignID, _, foreignToken, _ := foreign.Session(account, "jr_1")
	for _, c := range []struct{ name, id, token string }{
		{"another's token", id, token2},
		{"another's key", id2, token},
		{"no token", id, ""},
		{"root key with a token", first(t, k).AccessKeyID, token},
		{"another server's", foreignID, foreignToken},
		{"cut", id, token[:len(token)-1]},
		{"changed", id, token[:12] + "A" + token[13:]},
		{"line break", id, token + "\n"},
		{"garbage", id, "x"},
		{"long", id, tokenPrefix + strings.Repeat("A", 1<<20)},
	} {
		if _, err := k.Secret(ctx, c.id, c.token); err != sigv4.ErrUnknownKey {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := k.Secret(ctx, brokenID, brokenToken); err == nil || errors.Is(err, sigv4.ErrUnknownKey) || errors.Is(err, sigv4.ErrExpiredToken) {
		t.Errorf("store down: %v", err)
	}
	running["jr_1"] = false
	if _, err := k.Secret(ctx, id, token); err != sigv4.ErrExpiredToken {
		t.Errorf("ended attempt: %v", err)
	}
	if _, err := restarted.Secret(ctx, id, token); err != sigv4.ErrExpiredToken {
		t.Errorf("nobody to ask: %v", err)
	}
	if _, _, _, err := k.Session("", "jr"); err == nil {
		t.Error("session without account")
	}
	if _, _, _, err := k.Session(account, ""); err == nil {
		t.Error("session without attempt")
	}
}

// From the SDK's signature to the principal.
func TestSignedRequestToPrincipal(t *testing.T) {
	k, clock := open(t, filepath.Join(t.TempDir(), "credentials"), func(context.Context, string) (bool, error) { return true, nil })
	v := sigv4.New(k.Secret, clock.now, "glue")
	root := first(t, k)
	id, secret, token, err := k.Session(account, "jr_7_attempt_1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		creds aws.Credentials
		want  Principal
		arn   string
	}{
		{aws.Credentials{AccessKeyID: root.AccessKeyID, SecretAccessKey: root.Secret},
			Principal{Account: account, Region: "eu-west-1", AccessKeyID: root.AccessKeyID, Kind: Root}, "arn:aws:iam::123456789012:root"},
		{aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token},
			Principal{Account: account, Region: "eu-west-1", AccessKeyID: id, Kind: Job, Attempt: "jr_7_attempt_1"},
			"arn:aws:sts::123456789012:assumed-role/tenon-job/jr_7_attempt_1"},
	} {
		r, err := http.NewRequest("POST", "http://127.0.0.1/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "127.0.0.1"
		const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
		if err := v4.NewSigner().SignHTTP(t.Context(), c.creds, r, empty, "glue", "eu-west-1", clock.now()); err != nil {
			t.Fatal(err)
		}
		s, err := sigv4.Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.VerifyBody(s, nil); err != nil {
			t.Fatal(err)
		}
		p, err := k.Principal(s)
		if err != nil || p != c.want || p.ARN() != c.arn {
			t.Errorf("got %+v %s, %v", p, p.ARN(), err)
		}
	}
	for _, s := range []*sigv4.Signed{{AccessKeyID: "AKIAX"}, {AccessKeyID: id, SessionToken: "x"}, {AccessKeyID: root.AccessKeyID, SessionToken: token}} {
		if p, err := k.Principal(s); err != sigv4.ErrUnknownKey || p != (Principal{}) {
			t.Errorf("%s: %+v, %v", s.AccessKeyID, p, err)
		}
	}
}

// spec/faults J21: deny by default.
func TestAllows(t *testing.T) {
	cases := []struct {
		perm      Permission
		root, job bool
	}{
		{"", false, false}, {"glue", false, false}, {":Reset", false, false}, {"glue:", false, false},
		{"glue:StartJobRun", true, true}, {"s3:GetObject", true, true},
		{"logs:GetLogEvents", true, true}, {"logs:StartLiveTail", true, true}, {"logs:DeleteLogGroup", true, false}, {"logs:StartLiveTailX", true, false},
		{"sts:GetCallerIdentity", true, true}, {"sts:AssumeRole", true, false},
		{"tenon:Reset", true, false}, {"tenon:Credentials", true, false}, {"tenon:PutStack", true, false},
		{"iam:GetRole", true, false}, {"events:PutEvents", true, false}, {"gluex:Y", true, false}, {"Glue:StartJobRun", true, false},
	}
	for _, c := range cases {
		if got := (Principal{Kind: Root}).Allows(c.perm); got != c.root {
			t.Errorf("root %q: %v", c.perm, got)
		}
		if got := (Principal{Kind: Job}).Allows(c.perm); got != c.job {
			t.Errorf("job %q: %v", c.perm, got)
		}
		if (Principal{}).Allows(c.perm) || (Principal{Kind: 9}).Allows(c.perm) {
			t.Errorf("nobody may %q", c.perm)
		}
	}
	if (Principal{}).ARN() != "" {
		t.Error("nobody has an ARN")
	}
}

func TestCall(t *testing.T) {
	if _, ok := CallFrom(t.Context()); ok {
		t.Error("a call out of nothing")
	}
	want := Call{Principal: Principal{Kind: Root}, Operation: "GetJob", RequestID: "r"}
	if got, ok := CallFrom(WithCall(t.Context(), want)); !ok || got != want {
		t.Errorf("got %+v", got)
	}
}

// spec/faults J17: no way of printing shows a secret.
func TestSecretsAreNotPrinted(t *testing.T) {
	k, _ := open(t, filepath.Join(t.TempDir(), "credentials"), nil)
	c := first(t, k)
	var out bytes.Buffer
	for _, x := range []any{c, &c, []Credential{c}, k} {
		fmt.Fprintf(&out, "%v %+v %#v %s %q %x\n", x, x, x, x, x, x)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "x", x)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "x", x)
	}
	if err := json.MarshalWrite(&out, c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), c.Secret) || strings.Contains(out.String(), fmt.Sprintf("%x", c.Secret)) {
		t.Error("a secret was printed")
	}
	if !strings.Contains(out.String(), c.AccessKeyID) {
		t.Error("the key id should be")
	}
}

func FuzzToken(f *testing.F) {
	k, _ := open(f, filepath.Join(f.TempDir(), "credentials"), nil)
	_, _, token, err := k.Session(account, "jr_1")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token + "x")
	f.Add("tenon1.AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if _, _, ok := k.current.Load().openToken(text); ok && text != token {
			t.Errorf("forged token %q", text)
		}
	})
}

func BenchmarkSecret(b *testing.B) {
	k, _ := open(b, filepath.Join(b.TempDir(), "credentials"), func(context.Context, string) (bool, error) { return true, nil })
	id, _, token, err := k.Session(account, "jr_1")
	if err != nil {
		b.Fatal(err)
	}
	for name, args := range map[string][2]string{"root": {first(b, k).AccessKeyID, ""}, "job": {id, token}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Secret(b.Context(), args[0], args[1]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
