// Package tenon is a self-hosted, wire-compatible AWS Glue workflow service. A
// [Server] that runs answers any AWS SDK, and what it is asked to run really
// runs. It guarantees what docs/ARCHITECTURE.md lists: above all that a reply of
// success is durable, that nothing is launched twice, and that an outcome nobody
// knows is never called a success.
//
// This is the only public Go API of the module, the only place that wires
// adapters to services, and the only reader of the environment.
package tenon

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"tenon/internal/front"
	"tenon/internal/glueapi"
	"tenon/internal/jobrun"
	"tenon/internal/launch"
	"tenon/internal/launch/local"
	"tenon/internal/neighbours/s3"
	"tenon/internal/orchestrate"
	"tenon/internal/runner"
	"tenon/internal/store"
	"tenon/internal/wire/auth"
	"tenon/internal/wire/paging"
)

// version is stamped by the build.
var version = "dev"

// Version returns the version of this build.
func Version() string { return version }

// LauncherCommand is the first argument with which the binary is executed again
// as the launcher of local processes; see LauncherMain.
const LauncherCommand = "__launcher"

// LauncherMain is the main function of the launcher process. A program that
// embeds a Server calls it when its first argument is LauncherCommand, with the
// arguments that follow, and exits with its result.
func LauncherMain(args []string) int { return local.Main(args) }

// Server is one server. It is made by New and used once.
type Server struct {
	config   Config
	root     string // the data directory
	keys     *auth.Keyring
	parts    parts
	runner   *runner.Runner
	front    *front.Front
	listener net.Listener
	url      string
	closers  []func() error // in order of opening
}

// New opens the data directory, the store and the listener. Requests wait until
// Run serves them. A second server on the same directory is refused.
func New(ctx context.Context, c Config) (_ *Server, err error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	s := &Server{config: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := s.openRoot(); err != nil {
		return nil, err
	}
	if err := s.openParts(ctx); err != nil {
		return nil, err
	}
	if err := s.wire(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) onClose(f func() error) { s.closers = append(s.closers, f) }

// close closes what was opened, the latest first.
func (s *Server) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// openRoot makes the data directory, private to its owner.
func (s *Server) openRoot() error {
	if s.config.Ephemeral {
		dir, err := os.MkdirTemp("", "tenon-")
		if err != nil {
			return fmt.Errorf("make private directory: %w", err)
		}
		s.root = dir
		s.onClose(func() error { return os.RemoveAll(dir) })
		return nil
	}
	dir, err := filepath.Abs(s.config.Data)
	if err != nil {
		return fmt.Errorf("find data directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	s.root = dir
	return nil
}

// listen binds the address and learns the URL that jobs and people use.
func (s *Server) listen(ctx context.Context) error {
	l := s.config.Listener
	if l == nil {
		var lc net.ListenConfig
		var err error
		if l, err = lc.Listen(ctx, "tcp", s.config.Listen); err != nil {
			return fmt.Errorf("listen on %s: %w", s.config.Listen, err)
		}
	}
	s.listener = l
	s.onClose(func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	scheme := "http"
	if s.config.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(s.config.TLSCert, s.config.TLSKey)
		if err != nil {
			return fmt.Errorf("load TLS certificate: %w", err)
		}
		s.listener = tls.NewListener(l, &tls.Config{
			Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		})
		scheme = "https"
	}
	host, _, _ := net.SplitHostPort(s.config.Listen) // checked by fill
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return fmt.Errorf("read own address: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if scheme == "https" {
			host = "localhost" // certificates seldom name an address
		}
	}
	s.url = scheme + "://" + net.JoinHostPort(host, port)
	return nil
}

// wire makes the services and ties them together.
func (s *Server) wire() error {
	c, p := s.config, s.parts
	ids := store.NewIDs(time.Now, rand.Reader, p.store.LastSeq())
	quotas := map[orchestrate.Quota]int{}
	for k, v := range c.Quotas {
		quotas[orchestrate.Quota(k)] = v
	}
	o := orchestrate.New(orchestrate.Config{
		Now: time.Now, IDs: ids, Boot: bootID(), Quotas: quotas, AllowEmptyRun: c.AllowEmptyWorkflowRun,
		RetryDelay: *c.RetryDelay, QueueMaxWait: jobrun.QueueMaxWait,
	})
	s.runner = runner.New(runner.Config{
		Store: p.store, Orchestrator: o, Supervisor: p.supervisor, Preparers: p.preparers, Environment: s.environment,
		Slots: c.MaxLocalJobs, PrepareTimeout: c.PrepareTimeout, Grace: c.StopGrace, Boot: bootID(), Now: time.Now, Logger: c.Logger,
	})
	glue := glueapi.New(glueapi.Config{
		Store: p.store, Orchestrator: o, IDs: ids, Now: time.Now, Pages: paging.New(s.keys.Key("paging")), GlueVersion: c.GlueVersion,
	})
	config := front.Config{
		Keyring: s.keys, Glue: glue, Output: s.runner.Output, InsecureDev: c.InsecureDev, Account: c.Account, Region: c.Region,
		Version: version, Now: time.Now, Logger: c.Logger,
		S3: s3.New(p.blobs, s3.Config{Hosts: s.hosts(), Region: c.Region, Owner: c.Account}),
	}
	if c.Ephemeral {
		config.Reset = s.reset
	}
	s.front = front.New(config)
	return nil
}

// hosts are the names under which S3's virtual-host style is understood.
func (s *Server) hosts() []string {
	hosts := []string{"localhost", "s3.localhost"}
	if host, _, err := net.SplitHostPort(s.listener.Addr().String()); err == nil {
		hosts = append(hosts, host)
	}
	if host, _, err := net.SplitHostPort(s.config.Listen); err == nil && host != "" {
		hosts = append(hosts, host, "s3."+host)
	}
	return hosts
}

// environment ties an attempt to this server: an unmodified boto3 finds it, as
// its own principal (DESIGN §5).
func (s *Server) environment(a store.Attempt) (map[string]string, error) {
	key, secret, token, err := s.keys.Session(a.Scope.Account, a.ID())
	if err != nil {
		return nil, fmt.Errorf("make session credentials: %w", err)
	}
	env := map[string]string{
		"AWS_ENDPOINT_URL": s.url, "AWS_REGION": a.Scope.Region, "AWS_DEFAULT_REGION": a.Scope.Region,
		"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token,
		"AWS_EC2_METADATA_DISABLED": "true",
	}
	if s.config.TLSCert != "" {
		ca, err := filepath.Abs(s.config.TLSCert)
		if err != nil {
			return nil, fmt.Errorf("find TLS certificate: %w", err)
		}
		env["AWS_CA_BUNDLE"] = ca
	}
	return env, nil
}

// URL is where the server is reached from this machine.
func (s *Server) URL() string { return s.url }

// Credentials returns the root credentials of the server's account.
func (s *Server) Credentials() (accessKeyID, secret string, err error) {
	c, ok, err := s.keys.First(s.config.Account)
	if err == nil && !ok {
		err = fmt.Errorf("account %s has no credentials; make some with tenon credentials add", s.config.Account)
	}
	return c.AccessKeyID, c.Secret, err
}

// shutdownTime is how long requests in progress may take when the server ends.
const shutdownTime = 5 * time.Second

// Run serves until ctx ends, then ends requests in progress and closes
// everything. Jobs go on without the server, unless it is ephemeral.
func (s *Server) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.announce(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan error, 2)
	go func() { work <- s.runner.Run(ctx) }()
	server := s.front.Server()
	go func() {
		err := server.Serve(s.listener)
		if errors.Is(err, http.ErrServerClosed) { // as it was asked to
			err = nil
		}
		work <- err
	}()
	running := 2
	select {
	case <-ctx.Done():
	case err = <-work:
		running--
		cancel(err)
	}
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer done()
	if shut := server.Shutdown(stop); shut != nil {
		err = errors.Join(err, server.Close())
	}
	for range running {
		err = errors.Join(err, <-work)
	}
	return err
}

// announce writes URL and region beside the data, for tenon env.
func (s *Server) announce() error {
	if s.config.Ephemeral {
		return nil
	}
	path := filepath.Join(s.root, "endpoint")
	text := s.url + " " + s.config.Region + "\n"
	// Renamed into place: who waits for the file never reads half of it.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return fmt.Errorf("write endpoint: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write endpoint: %w", err)
	}
	return nil
}

// reset empties an ephemeral server and ends its processes.
func (s *Server) reset(ctx context.Context) error {
	resetter, ok := s.parts.store.(interface{ Reset() })
	if !ok {
		return errors.New("the store cannot be emptied")
	}
	resetter.Reset()
	facts, err := s.parts.supervisor.List(ctx)
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	for _, f := range facts {
		if f.Final() {
			continue
		}
		if err := s.parts.supervisor.Stop(ctx, f.Attempt, 0); err != nil && !errors.Is(err, launch.ErrUnknownAttempt) {
			return fmt.Errorf("stop %s: %w", f.Attempt, err)
		}
	}
	return s.parts.sweep(ctx)
}
