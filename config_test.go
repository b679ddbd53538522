package tenon

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"

	"tenon/internal/jobrun"
	"tenon/internal/launch"
	"tenon/internal/launch/fake"
)

// What an operator can get wrong is refused with a sentence that says what to do.
func TestConfigRefusals(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no data", func(c *Config) { c.Data = "" }, "a data directory is needed unless the server is ephemeral"},
		{"data is a file", func(c *Config) { c.Data = file }, "make data directory"},
		{"half of TLS", func(c *Config) { c.TLSCert = file }, "TLS needs both a certificate and a key"},
		{"broken TLS", func(c *Config) { c.TLSCert, c.TLSKey = file, file }, "load TLS certificate"},
		{"unknown quota", func(c *Config) { c.Quotas = map[string]int{"beer": 1} }, `there is no quota "beer"; the quotas are [workflows triggers jobs`},
		{"no local jobs", func(c *Config) { c.MaxLocalJobs = -1 }, "the number of local jobs must be at least 1"},
		{"no address", func(c *Config) { c.Listen = "localhost" }, `listen address "localhost"`},
		{"no such address", func(c *Config) { c.Listen = "127.0.0.1:99999" }, "listen on 127.0.0.1:99999"},
		{"everywhere, in plain text", func(c *Config) { c.Listen = "0.0.0.0:0" }, "needs --tls-cert and --tls-key, or --allow-plaintext"},
		{"every interface", func(c *Config) { c.Listen = ":0" }, "needs --tls-cert and --tls-key, or --allow-plaintext"},
		{"every interface of IPv6", func(c *Config) { c.Listen = "[::]:0" }, "needs --tls-cert and --tls-key, or --allow-plaintext"},
		{"a name", func(c *Config) { c.Listen = "tenon.example:0" }, "needs --tls-cert and --tls-key, or --allow-plaintext"},
		{"open to all", func(c *Config) { c.Listen, c.InsecureDev, c.AllowPlaintext = "0.0.0.0:0", true, true }, "listens on loopback only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := plain(t)
			c.change(&config)
			s, err := New(t.Context(), config)
			if err == nil {
				_ = s.close()
				t.Fatal("a server was made")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want %q", err, c.want)
			}
		})
	}
}

// plain is a configuration that works, on loopback.
func plain(t *testing.T) Config {
	return Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
		Supervisor: fake.New(time.Now, func(launch.Process) fake.Outcome { return fake.Outcome{} }),
		Preparers:  map[string]launch.Preparer{jobrun.PythonShell: preparer{&world{}}},
	}
}

// A data directory has one server; the second is refused, and the directory is
// free again when the first has ended. Nobody else can read it.
func TestOneServerPerDirectory(t *testing.T) {
	config := plain(t)
	config.Data = filepath.Join(config.Data, "made", "if", "need", "be")
	first, err := New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := New(t.Context(), config); err == nil {
		_ = second.close()
		t.Error("a second server was made")
	} else if !strings.Contains(err.Error(), "in use") {
		t.Errorf("the second is refused with %q", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := first.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	err = filepath.WalkDir(config.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && path == config.Data && info.Mode().Perm() != 0o700 {
			t.Errorf("the data directory is %s", info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	third, err := New(t.Context(), config)
	if err != nil {
		t.Fatalf("after the first: %v", err)
	}
	if err := third.close(); err != nil {
		t.Error(err)
	}
}

// An ephemeral server leaves nothing behind.
func TestEphemeralLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	config := plain(t)
	config.Data, config.Ephemeral = "", true
	s, err := New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	root := s.root
	if _, err := os.Stat(root); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "*")); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// certify writes a certificate for localhost that signs itself.
func certify(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// Over TLS, on a real socket of every interface: the URL is one that clients on
// this machine can use, and jobs are told whom to trust.
func TestTLS(t *testing.T) {
	config := plain(t)
	config.Listen = "0.0.0.0:0"
	config.TLSCert, config.TLSKey = certify(t)
	s, err := New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Run(ctx) }()
	if !strings.HasPrefix(s.URL(), "https://localhost:") {
		t.Errorf("the URL is %s", s.URL())
	}
	ca, err := os.ReadFile(config.TLSCert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	key, secret, err := s.Credentials()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, server: s, client: &http.Client{Transport: transport}}
	if _, err := w.sdk(key, secret, "").CreateWorkflow(t.Context(), &glue.CreateWorkflowInput{Name: aws.String("W")}); err != nil {
		t.Error(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL(), "https://"), ":")
	if res, err := http.Get("http://127.0.0.1:" + port + "/_tenon/health"); err == nil {
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			t.Error("it also answers in plain text")
		}
	}
	transport.CloseIdleConnections()
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// broken is a supervisor that cannot say what it runs.
type broken struct{ launch.Supervisor }

func (broken) List(context.Context) ([]launch.Fact, error) {
	return nil, errors.New("the launcher does not answer")
}

// A server that cannot take up what another left says so and ends.
func TestRunFails(t *testing.T) {
	config := plain(t)
	config.Supervisor = broken{config.Supervisor}
	s, err := New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "recover: list attempts: the launcher does not answer") {
		t.Errorf("Run ended with %v", err)
	}
}
