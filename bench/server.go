package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"tenon/bench/drive"
	"tenon/bench/floor"
	"tenon/bench/proc"
	"tenon/internal/wire/auth"
)

// Bounds on processes that are started.
const (
	startTime = 60 * time.Second
	stopTime  = 20 * time.Second
)

// server is a process that answers Glue's API.
type server struct {
	drive.Server
	cmd  *exec.Cmd
	data string // data directory; empty for the peer
	log  string
	boot time.Duration // from exec to the first answer
}

// freePort asks the system for a port that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a port: %w", err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("find a port: not a TCP address")
	}
	return addr.Port, l.Close()
}

// startTenon runs the release binary, or whatever o.tenon names, on a data
// directory and waits for its first answer.
func (o *options) startTenon(ctx context.Context, data string, more ...string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	listen := "127.0.0.1:" + strconv.Itoa(port)
	args := append(append([]string{}, o.tenonArgs...), "serve", "--data", data, "--listen", listen, "--python", o.python)
	s := &server{data: data, log: data + ".log"}
	s.URL = "http://" + listen
	if err := s.start(ctx, "/_tenon/health", o.tenon, append(args, more...)...); err != nil {
		return nil, err
	}
	ring, err := auth.Open(filepath.Join(data, "credentials"), auth.Options{Account: account, Now: time.Now})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read credentials: %w", err), s.stop())
	}
	c, ok, err := ring.First(account)
	if err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("read credentials: found %t: %w", ok, err), s.stop())
	}
	s.Key, s.Secret = c.AccessKeyID, c.Secret
	return s, nil
}

// startMoto runs the peer and waits for its first answer.
func (o *options) startMoto(ctx context.Context) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{log: filepath.Join(o.work, "moto.log")}
	s.URL, s.Key, s.Secret = "http://127.0.0.1:"+strconv.Itoa(port), "bench", "bench"
	if err := s.start(ctx, "/moto-api/data.json", o.moto, "-H", "127.0.0.1", "-p", strconv.Itoa(port)); err != nil {
		return nil, fmt.Errorf("%w (scripts/setup bench installs the peer)", err)
	}
	return s, nil
}

// startBare runs the floor of signed, durable calls.
func (o *options) startBare(ctx context.Context) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own executable: %w", err)
	}
	listen := "127.0.0.1:" + strconv.Itoa(port)
	s := &server{log: filepath.Join(o.work, "bare.log")}
	s.URL, s.Key, s.Secret = "http://"+listen, "bench", bareSecret
	return s, s.start(ctx, "/", self, "bare", "-listen", listen, "-dir", o.work)
}

// bareSecret protects nothing: the bare server keeps nothing and runs nothing.
const bareSecret = "bench"

// bare is that server.
func bare(ctx context.Context, args []string) (err error) {
	f := flag.NewFlagSet("bare", flag.ContinueOnError)
	listen, dir := f.String("listen", "127.0.0.1:0", "address"), f.String("dir", ".", "folder of its journal")
	if err := f.Parse(args); err != nil {
		return err
	}
	j, err := floor.NewJournal(*dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return j.Serve(ctx, l, bareSecret)
}

func (s *server) start(ctx context.Context, health, name string, args ...string) error {
	log, err := os.Create(s.log)
	if err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	defer log.Close()
	s.cmd = exec.Command(name, args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(name), err)
	}
	if err := s.healthy(ctx, health); err != nil {
		text, _ := os.ReadFile(s.log) // the better half of the message, if there is one
		return errors.Join(fmt.Errorf("wait for %s: %w\n%.2000s", filepath.Base(name), err, text), s.stop())
	}
	s.boot = time.Since(began)
	return nil
}

// healthy asks until the server answers. Half a millisecond between attempts is
// what the figure of the start-up time is exact to.
func (s *server) healthy(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			if err = errors.Join(err, response.Body.Close()); err == nil && response.StatusCode == http.StatusOK {
				return nil
			}
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		time.Sleep(500 * time.Microsecond)
	}
}

// launcher is the process that runs the jobs of the data directory.
func (s *server) launcher() (int, error) {
	pids, err := proc.WithArgument(filepath.Join(s.data, "launcher"))
	if err != nil {
		return 0, err
	}
	if len(pids) != 1 {
		return 0, fmt.Errorf("find launcher: %d processes", len(pids))
	}
	return pids[0], nil
}

// pids are the processes whose CPU time counts as the server's.
func (s *server) pids() []int {
	pids := []int{s.cmd.Process.Pid}
	if s.data != "" {
		if l, err := s.launcher(); err == nil { // it may not be started yet
			pids = append(pids, l)
		}
	}
	return pids
}

// stop ends the server, and the launcher that would outlive it with its jobs.
func (s *server) stop() error {
	var errs []error
	if s.cmd.ProcessState == nil {
		errs = append(errs, s.cmd.Process.Signal(syscall.SIGTERM))
		kill := time.AfterFunc(stopTime, func() { _ = s.cmd.Process.Kill() }) // Wait tells
		err := s.cmd.Wait()
		kill.Stop()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			errs = append(errs, fmt.Errorf("wait for server: %w", err))
		}
	}
	if s.data != "" {
		errs = append(errs, endLauncher(s.data))
	}
	return errors.Join(errs...)
}

// endLauncher ends the launcher of a data directory, if there is one.
func endLauncher(data string) error {
	pids, err := proc.WithArgument(filepath.Join(data, "launcher"))
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end launcher: %w", err)
		}
	}
	return nil
}

// glueClient is the SDK's client of a server, for what is not measured.
func glueClient(s drive.Server) *glue.Client {
	return glue.New(glue.Options{BaseEndpoint: aws.String(s.URL), Region: drive.Region, Credentials: fixed(s)})
}

func s3Client(s drive.Server) *s3.Client {
	return s3.New(s3.Options{BaseEndpoint: aws.String(s.URL), Region: drive.Region, Credentials: fixed(s), UsePathStyle: true})
}

func fixed(s drive.Server) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return s.Credentials(), nil })
}
