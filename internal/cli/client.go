package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/go-json-experiment/json"

	"tenon"
	"tenon/internal/wire/auth"
)

// defaultAccount is the one that a new data directory gets.
const defaultAccount = tenon.DefaultAccount

// serverFlags say which server a client speaks to.
type serverFlags struct {
	Endpoint string `help:"URL of a server; by default the one that runs on the data directory. Credentials are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else the data directory's." placeholder:"URL" env:"TENON_ENDPOINT"`
	CA       string `name:"ca" help:"PEM file of certificates to trust, for an https endpoint." placeholder:"FILE" env:"TENON_CA"`
}

// client speaks to one server.
type client struct {
	endpoint, region, account string
	creds                     aws.Credentials
	http                      *http.Client
	glue                      *glue.Client
	s3                        *s3.Client
}

// errNoServer says that nothing answers where a server was looked for.
var errNoServer = errors.New("no server is running")

// connect finds the server that the flags name. With errNoServer there is none
// on the data directory.
func (s *session) connect(ctx context.Context, f serverFlags) (*client, error) {
	endpoint, region := strings.TrimRight(f.Endpoint, "/"), ""
	if endpoint == "" {
		var err error
		if endpoint, region, err = recordedEndpoint(s.Data); err != nil {
			return nil, err
		}
	}
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usagef("the endpoint %q is not an http or https URL", endpoint)
	}
	hc, err := httpClient(f.CA)
	if err != nil {
		return nil, err
	}
	if err := probe(ctx, hc, endpoint); err != nil {
		if f.Endpoint != "" {
			return nil, fmt.Errorf("reach the server at %s: %w", endpoint, err)
		}
		return nil, fmt.Errorf("%w on the data directory %s: %s does not answer: %w", errNoServer, s.Data, endpoint, err)
	}
	creds, account, err := s.credentials(f.Endpoint != "")
	if err != nil {
		return nil, err
	}
	return newClient(endpoint, s.region(region), account, creds, hc), nil
}

// region is that of the flag, else the one that the server of the data directory
// recorded, else the default.
func (s *session) region(recorded string) string {
	return cmp.Or(s.Region, recorded, tenon.DefaultRegion)
}

// recordedEndpoint reads where the server of a data directory said it listens,
// and its region.
func recordedEndpoint(data string) (endpoint, region string, err error) {
	b, err := os.ReadFile(filepath.Join(data, "endpoint"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("%w on the data directory %s: start one with \"tenon serve\", or name another with --data or --endpoint", errNoServer, data)
	}
	if err != nil {
		return "", "", fmt.Errorf("read the server's endpoint: %w", err)
	}
	endpoint, region, _ = strings.Cut(strings.TrimSpace(string(b)), " ")
	return endpoint, region, nil
}

// probe asks whether a server answers. A file may name one that is gone.
func probe(ctx context.Context, hc *http.Client, endpoint string) error {
	const patience = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/_tenon/health", nil)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	resp, err := hc.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("read its health: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("its health is %s", resp.Status)
	}
	return nil
}

// credentials finds the keys to sign with, and the account that they belong to.
// The environment counts only for an endpoint that the user named: it may hold
// keys of AWS, which the server of the data directory does not know.
func (s *session) credentials(named bool) (aws.Credentials, string, error) {
	account := s.Account
	if named && s.Getenv("AWS_ACCESS_KEY_ID") != "" {
		if account == "" {
			account = defaultAccount
		}
		return aws.Credentials{
			AccessKeyID: s.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: s.Getenv("AWS_SECRET_ACCESS_KEY"),
			SessionToken: s.Getenv("AWS_SESSION_TOKEN"), Source: "environment",
		}, account, nil
	}
	ring, err := openKeyring(s.Data)
	if err != nil {
		return aws.Credentials{}, "", err
	}
	c, err := firstCredential(ring, account)
	if err != nil {
		return aws.Credentials{}, "", err
	}
	return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret, Source: "data directory"}, c.Account, nil
}

// openKeyring opens the credentials of a data directory that has some. A client
// must not make any: it may have been given the wrong directory.
func openKeyring(data string) (*auth.Keyring, error) {
	path := filepath.Join(data, "credentials")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the data directory %s has no credentials yet: the first \"tenon serve\" makes them, or name another with --data", data)
	}
	ring, err := auth.Open(path, auth.Options{Account: defaultAccount, Now: time.Now})
	if err != nil {
		return nil, fmt.Errorf("open credentials: %w", err)
	}
	return ring, nil
}

// firstCredential gives the oldest active credential, of any account if none is named.
func firstCredential(ring *auth.Keyring, account string) (auth.Credential, error) {
	if account == "" {
		list, err := ring.List()
		if err != nil {
			return auth.Credential{}, fmt.Errorf("list credentials: %w", err)
		}
		for _, c := range list {
			if c.Active() {
				account = c.Account
				break
			}
		}
	}
	c, ok, err := ring.First(account)
	if err != nil {
		return c, fmt.Errorf("read credentials: %w", err)
	}
	if !ok {
		return c, fmt.Errorf("there is no active credential of account %q: add one with \"tenon credentials add\"", account)
	}
	return c, nil
}

func httpClient(ca string) (*http.Client, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8,
		IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 2 * time.Minute,
	}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, usageError{fmt.Errorf("read certificates: %w", err)}
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, usagef("%s holds no certificate in PEM form", ca)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: t}, nil
}

func newClient(endpoint, region, account string, creds aws.Credentials, hc *http.Client) *client {
	provider := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil })
	return &client{
		endpoint: endpoint, region: region, account: account, creds: creds, http: hc,
		glue: glue.New(glue.Options{BaseEndpoint: &endpoint, Region: region, Credentials: provider, HTTPClient: hc}),
		s3:   s3.New(s3.Options{BaseEndpoint: &endpoint, Region: region, Credentials: provider, HTTPClient: hc, UsePathStyle: true}),
	}
}

// statusError is an answer of one of Tenon's own routes other than 2xx.
type statusError struct {
	status  int
	Message string `json:"message"`
}

func (e *statusError) Error() string {
	if e.Message == "" {
		return "the server answered " + http.StatusText(e.status)
	}
	return e.Message
}

// open calls one of Tenon's own routes. The caller closes the reply.
func (c *client) open(ctx context.Context, method, path string, query url.Values, body []byte) (io.ReadCloser, error) {
	u := c.endpoint + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, c.creds, req, hex.EncodeToString(sum[:]), "tenon", c.region, time.Now()); err != nil {
		return nil, fmt.Errorf("sign a request: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp.Body, nil
	}
	failed := &statusError{status: resp.StatusCode}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	// An answer that is no JSON is from something else than Tenon; its status says enough.
	_ = json.Unmarshal(text, failed)
	return nil, failed
}

// call calls one of Tenon's own routes with JSON in and out; either may be nil.
func (c *client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encode a request: %w", err)
		}
	}
	reply, err := c.open(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	if out == nil {
		out = &map[string]any{}
	}
	err = json.UnmarshalRead(reply, out)
	if err := errors.Join(err, reply.Close()); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

// explain asks what a run waits for, or why parts of it did not run.
func (c *client) explain(ctx context.Context, workflow, run string) (explanation, error) {
	var e explanation
	err := c.call(ctx, http.MethodGet, "/_tenon/explain", url.Values{"workflow": {workflow}, "run": {run}}, nil, &e)
	if err != nil {
		return e, fmt.Errorf("explain run %s: %w", run, err)
	}
	return e, nil
}
