package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"tenon"
)

// jobFlags say how jobs are run; serve has them, and run for a server of its own.
type jobFlags struct {
	MaxLocalJobs      int           `help:"Jobs that run at once; by default as cores and memory allow." placeholder:"N" env:"TENON_MAX_LOCAL_JOBS"`
	RetryDelay        time.Duration `help:"Time between a failed attempt and the next." default:"30s" env:"TENON_RETRY_DELAY"`
	PrepareTimeout    time.Duration `help:"Time that the preparation of a job may take, installing modules included." default:"15m" env:"TENON_PREPARE_TIMEOUT"`
	StopGrace         time.Duration `help:"Time between SIGTERM and SIGKILL." default:"30s" env:"TENON_STOP_GRACE"`
	Python            string        `help:"Interpreter to run jobs with as it is, instead of environments that are built." placeholder:"FILE" env:"TENON_PYTHON"`
	PythonRequirement []string      `help:"What pip installs into base environments; may be repeated. By default boto3." placeholder:"SPEC" sep:"none"`
	CacheDir          string        `help:"Where Python environments are kept." placeholder:"DIR" env:"TENON_CACHE_DIR"`
}

func (f jobFlags) fill(c *tenon.Config) error {
	if f.MaxLocalJobs < 0 {
		return usagef("--max-local-jobs must be at least 1")
	}
	for name, d := range map[string]time.Duration{"retry-delay": f.RetryDelay, "prepare-timeout": f.PrepareTimeout, "stop-grace": f.StopGrace} {
		if d < 0 {
			return usagef("--%s must not be negative", name)
		}
	}
	c.MaxLocalJobs, c.RetryDelay, c.PrepareTimeout, c.StopGrace = f.MaxLocalJobs, &f.RetryDelay, f.PrepareTimeout, f.StopGrace
	c.Python, c.PythonRequirements, c.CacheDir = f.Python, f.PythonRequirement, f.CacheDir
	return nil
}

type serveCommand struct {
	Listen                string        `help:"Address to listen on, host:port." default:"${listen}" env:"TENON_LISTEN"`
	Ephemeral             bool          `help:"Keep everything in memory; needs no --data. Also opens POST /_tenon/reset." env:"TENON_EPHEMERAL"`
	InsecureDev           bool          `help:"Accept every caller without checking signatures. On loopback only." env:"TENON_INSECURE_DEV"`
	AllowEmptyWorkflowRun bool          `help:"Let a run of a workflow without start trigger complete at once." env:"TENON_ALLOW_EMPTY_WORKFLOW_RUN"`
	Quota                 []string      `help:"A limit: workflows, triggers, jobs, active-workflow-runs, active-job-runs, run-properties-bytes. May be repeated." placeholder:"NAME=N" sep:"none"`
	StoreTimeout          time.Duration `help:"Time that a call may wait for the store." default:"5s" env:"TENON_STORE_TIMEOUT"`
	TLSCert               string        `name:"tls-cert" help:"Certificate of the server, PEM." placeholder:"FILE" env:"TENON_TLS_CERT"`
	TLSKey                string        `name:"tls-key" help:"Its key, PEM." placeholder:"FILE" env:"TENON_TLS_KEY"`
	AllowPlaintext        bool          `help:"Listen beyond loopback without TLS, behind a proxy that has it." env:"TENON_ALLOW_PLAINTEXT"`
	S3Endpoint            string        `name:"s3-endpoint" help:"S3 endpoint to keep objects in, instead of the data directory. Its keys are TENON_S3_ACCESS_KEY and TENON_S3_SECRET_KEY." placeholder:"URL" env:"TENON_S3_ENDPOINT"`
	S3Region              string        `name:"s3-region" help:"Region of that endpoint; without --s3-endpoint, of AWS S3 itself." placeholder:"REGION" env:"TENON_S3_REGION"`
	S3PathStyle           bool          `name:"s3-path-style" help:"Address that endpoint's buckets by path, as MinIO does." env:"TENON_S3_PATH_STYLE"`
	LogFormat             string        `help:"Form of the server's log: text or json." enum:"text,json" default:"text" env:"TENON_LOG_FORMAT"`
	LogLevel              slog.Level    `help:"Least level that is logged: debug, info, warn or error." default:"info" env:"TENON_LOG_LEVEL"`
	jobFlags
}

// config turns the flags into what package tenon takes.
func (c *serveCommand) config(s *session) (tenon.Config, error) {
	quotas, err := quotas(c.Quota)
	if err != nil {
		return tenon.Config{}, err
	}
	if c.Ephemeral && !c.InsecureDev { // its credentials would be random, and lie where nobody finds them
		return tenon.Config{}, usagef("--ephemeral keeps no credentials that you could use: add --insecure-dev")
	}
	if c.StoreTimeout <= 0 {
		return tenon.Config{}, usagef("--store-timeout must be positive")
	}
	cfg := tenon.Config{
		Listen: c.Listen, Account: s.Account, Region: s.region(""), Ephemeral: c.Ephemeral, InsecureDev: c.InsecureDev,
		AllowPlaintext: c.AllowPlaintext, TLSCert: c.TLSCert, TLSKey: c.TLSKey,
		AllowEmptyWorkflowRun: c.AllowEmptyWorkflowRun, Quotas: quotas, StoreTimeout: c.StoreTimeout,
		S3: tenon.S3Config{
			Endpoint: c.S3Endpoint, Region: c.S3Region, PathStyle: c.S3PathStyle,
			AccessKey: s.Getenv("TENON_S3_ACCESS_KEY"), SecretKey: s.Getenv("TENON_S3_SECRET_KEY"),
		},
		Logger: newLogger(s.Stderr, c.LogFormat, c.LogLevel),
	}
	if !c.Ephemeral {
		cfg.Data = s.Data
	}
	return cfg, c.fill(&cfg)
}

func quotas(list []string) (map[string]int, error) {
	given, err := assignments("quota", list)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	for name, text := range given {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, usagef("--quota %s=%s: the limit is a whole number of at least 1", name, text)
		}
		out[name] = n
	}
	return out, nil
}

func newLogger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// Run serves until a signal comes. A second one does not wait for requests in progress.
func (c *serveCommand) Run(s *session) error {
	cfg, err := c.config(s)
	if err != nil {
		return err
	}
	server, err := tenon.New(s.soft, cfg)
	if err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	s.notef("%s", greeting(server.URL(), s.Data, s.region(""), c))
	served := make(chan error, 1)
	go func() { served <- server.Run(s.soft) }()
	select {
	case err := <-served:
		return err
	case <-s.hard.Done(): // the process ends, and what still runs in it too
		return errInterrupted
	}
}

// greeting says how to connect. It holds no secret.
func greeting(url, data, region string, c *serveCommand) string {
	var b strings.Builder
	if c.InsecureDev {
		b.WriteString("" +
			"****************************************************************\n" +
			"*  INSECURE: signatures are not checked. Every program on this *\n" +
			"*  machine may run anything as you (--insecure-dev).           *\n" +
			"****************************************************************\n")
	}
	fmt.Fprintf(&b, "tenon %s listens on %s\n", tenon.Version(), url)
	if c.InsecureDev {
		fmt.Fprintf(&b, "  connect:  export AWS_ENDPOINT_URL=%s AWS_REGION=%s AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any\n", url, region)
	} else {
		fmt.Fprintf(&b, "  connect:  eval \"$(tenon env --data %s)\"\n", shellQuote(data))
	}
	if c.Ephemeral {
		b.WriteString("  ephemeral: everything is gone when this process ends\n")
	}
	return b.String()
}

// embed starts a server for this command alone: private and ephemeral, or with
// keep on the data directory. close ends it and waits.
func (s *session) embed(jobs jobFlags, keep bool, log *slog.Logger) (_ *client, closeServer func() error, err error) {
	cfg := tenon.Config{Listen: "127.0.0.1:0", Account: s.Account, Region: s.region(""), Ephemeral: !keep, Logger: log}
	if keep {
		cfg.Data = s.Data
	}
	if err := jobs.fill(&cfg); err != nil {
		return nil, nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(s.hard))
	server, err := tenon.New(ctx, cfg)
	if err != nil {
		stop()
		return nil, nil, fmt.Errorf("start a server: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Run(ctx) }()
	closeServer = func() error {
		stop()
		if err := <-served; err != nil {
			return fmt.Errorf("end the server: %w", err)
		}
		return nil
	}
	cl, err := ownClient(server, cfg)
	if err != nil {
		return nil, nil, joinClose(err, closeServer)
	}
	return cl, closeServer, nil
}
