package tenon

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"tenon/internal/jobrun"
	"tenon/internal/launch"
	"tenon/internal/launch/python"
	"tenon/internal/orchestrate"
)

// Defaults of Config.
const (
	DefaultListen  = "127.0.0.1:8366"
	DefaultAccount = "123456789012"
	DefaultRegion  = "us-east-1"
	// DefaultRunPropertiesBytes bounds the properties of a run (spec/workflows §5.6).
	DefaultRunPropertiesBytes = 256 << 10
)

// Config is everything an operator can set. The zero value of a member means its
// default.
type Config struct {
	// Data is the data directory. It is required unless Ephemeral is set.
	Data string
	// CacheDir keeps Python environments; empty means a folder of Data, or of the
	// user's cache directory for an ephemeral server.
	CacheDir string
	Listen   string // host:port; DefaultListen
	// Listener takes the place of Listen where somebody else has bound the address.
	// A server that was made closes it.
	Listener net.Listener
	Account  string // 12 digits; DefaultAccount
	Region   string // DefaultRegion

	// Ephemeral keeps everything in memory and a private temporary directory, and
	// ends its jobs when it ends.
	Ephemeral bool
	// InsecureDev accepts every caller, on loopback only.
	InsecureDev bool
	// AllowPlaintext allows to listen beyond loopback without TLS.
	AllowPlaintext  bool
	TLSCert, TLSKey string // PEM files, both or none

	AllowEmptyWorkflowRun bool
	// Quotas are by orchestrate.Quota; absent means no limit, but for the bytes of run properties.
	Quotas         map[string]int
	StoreTimeout   time.Duration  // 5 s
	MaxLocalJobs   int            // by cores and memory
	RetryDelay     *time.Duration // 30 s (spec/jobs §2.7)
	PrepareTimeout time.Duration  // 15 min
	StopGrace      time.Duration  // 30 s (spec/jobs §2.9)
	GlueVersion    string         // of Spark jobs that name none

	// Python is an interpreter to run jobs with as it is, instead of environments
	// that the server builds.
	Python string
	// PythonRequirements are installed into base environments; nil means boto3.
	PythonRequirements []string

	S3 S3Config

	Logger *slog.Logger // slog.Default()
	// Supervisor runs attempts; nil means processes on this machine.
	Supervisor launch.Supervisor
	// Preparers are added to those of the server, by Command.Name.
	Preparers map[string]launch.Preparer
}

// S3Config names an S3 endpoint to use instead of the built-in object store.
type S3Config struct {
	Endpoint  string // https://minio.example:9000; empty with a Region means AWS itself
	Region    string // empty means the built-in store
	AccessKey string
	SecretKey string
	PathStyle bool
}

// fill checks c and fills in defaults.
func (c *Config) fill() error {
	if c.Listener != nil {
		c.Listen = c.Listener.Addr().String()
	}
	c.Listen = cmp.Or(c.Listen, DefaultListen)
	c.Account = cmp.Or(c.Account, DefaultAccount)
	c.Region = cmp.Or(c.Region, DefaultRegion)
	c.StoreTimeout = cmp.Or(c.StoreTimeout, 5*time.Second)
	c.PrepareTimeout = cmp.Or(c.PrepareTimeout, 15*time.Minute)
	c.StopGrace = cmp.Or(c.StopGrace, 30*time.Second)
	c.MaxLocalJobs = cmp.Or(c.MaxLocalJobs, defaultLocalJobs())
	if c.RetryDelay == nil {
		delay := jobrun.RetryDelay
		c.RetryDelay = &delay
	}
	if c.PythonRequirements == nil {
		c.PythonRequirements = []string{python.DefaultRequirement}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Quotas = maps.Clone(c.Quotas)
	if c.Quotas == nil {
		c.Quotas = map[string]int{}
	}
	if _, ok := c.Quotas[string(orchestrate.RunProperties)]; !ok {
		c.Quotas[string(orchestrate.RunProperties)] = DefaultRunPropertiesBytes
	}
	for name := range c.Quotas {
		if !slices.Contains(orchestrate.Quotas(), orchestrate.Quota(name)) {
			return fmt.Errorf("there is no quota %q; the quotas are %v", name, orchestrate.Quotas())
		}
	}
	switch {
	case c.Data == "" && !c.Ephemeral:
		return errors.New("a data directory is needed unless the server is ephemeral")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("TLS needs both a certificate and a key")
	case c.MaxLocalJobs < 1:
		return errors.New("the number of local jobs must be at least 1")
	}
	return c.checkListen()
}

// checkListen keeps a server that runs other people's code off networks it was
// not meant for (spec/faults §3).
func (c *Config) checkListen() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen address %q: %w", c.Listen, err)
	}
	ip := net.ParseIP(host)
	local := host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case local:
		return nil
	case c.InsecureDev:
		return fmt.Errorf("--insecure-dev accepts every caller and therefore listens on loopback only, not on %q", c.Listen)
	case c.TLSCert == "" && !c.AllowPlaintext:
		return fmt.Errorf("listening on %q needs --tls-cert and --tls-key, or --allow-plaintext behind a proxy that has them", c.Listen)
	}
	return nil
}

// defaultLocalJobs allows eight jobs a core, most of which wait for I/O, as long
// as each finds 128 MiB of memory.
func defaultLocalJobs() int {
	n := 8 * runtime.NumCPU()
	if total := memory(); total > 0 {
		n = min(n, int(total/(128<<20)))
	}
	return max(n, 2)
}

// memory is the machine's memory in bytes, or 0 if it does not tell.
func memory() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	var kib int64
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "MemTotal: %d kB", &kib); err == nil {
			break
		}
	}
	return kib << 10
}

// bootID names the current boot of the machine. Where the system has no such
// thing, a restart of the machine cannot be told from that of the server.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

// cacheDir is where Python environments lie.
func (c *Config) cacheDir(root string) (string, error) {
	switch {
	case c.CacheDir != "":
		return filepath.Abs(c.CacheDir)
	case !c.Ephemeral:
		return root, nil
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache directory: %w", err)
	}
	return filepath.Join(base, "tenon"), nil
}

// environment returns those of the server's variables whose names begin with one
// of the prefixes or are one of them. It is the only reader of the environment
// besides the command line.
func environment(names ...string) []string {
	var out []string
	for _, kv := range os.Environ() {
		for _, n := range names {
			if prefix, ok := strings.CutSuffix(n, "*"); ok && strings.HasPrefix(kv, prefix) || strings.HasPrefix(kv, n+"=") {
				out = append(out, kv)
				break
			}
		}
	}
	return out
}

// Variables that installers need, and those that jobs need to reach a network.
var (
	networkVariables   = []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}
	installerVariables = append([]string{"PIP_*", "UV_*"}, networkVariables...)
)
