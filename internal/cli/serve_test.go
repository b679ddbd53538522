package cli

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestServeConfig(t *testing.T) {
	g, err := parse(t, "serve", "--ephemeral", "--insecure-dev", "--listen", "127.0.0.1:0", "--account", "111122223333", "--region", "eu-west-1",
		"--quota", "jobs=3", "--quota", "triggers=4", "--store-timeout", "2s", "--max-local-jobs", "5", "--retry-delay", "0s", "--python", "/usr/bin/python3",
		"--allow-empty-workflow-run", "--s3-endpoint", "http://minio:9000", "--s3-path-style")
	if err != nil {
		t.Fatal(err)
	}
	p, _, _ := process(map[string]string{"TENON_S3_ACCESS_KEY": "id", "TENON_S3_SECRET_KEY": "hush"})
	cfg, err := g.Serve.config(&session{Process: p, Globals: &g.Globals})
	if err != nil {
		t.Fatal(err)
	}
	type picked struct {
		Data, Listen, Account, Region, Python, S3, Key, Secret string
		Ephemeral, Insecure, Empty, PathStyle                  bool
		Quotas                                                 map[string]int
		Store, Retry                                           time.Duration
		Jobs                                                   int
	}
	got := picked{
		cfg.Data, cfg.Listen, cfg.Account, cfg.Region, cfg.Python, cfg.S3.Endpoint, cfg.S3.AccessKey, cfg.S3.SecretKey,
		cfg.Ephemeral, cfg.InsecureDev, cfg.AllowEmptyWorkflowRun, cfg.S3.PathStyle, cfg.Quotas, cfg.StoreTimeout, *cfg.RetryDelay, cfg.MaxLocalJobs,
	}
	want := picked{
		"", "127.0.0.1:0", "111122223333", "eu-west-1", "/usr/bin/python3", "http://minio:9000", "id", "hush",
		true, true, true, true, map[string]int{"jobs": 3, "triggers": 4}, 2 * time.Second, 0, 5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestServeKeepsItsData(t *testing.T) {
	g, err := parse(t, "serve", "--data", "/srv/tenon")
	if err != nil {
		t.Fatal(err)
	}
	p, _, _ := process(nil)
	cfg, err := g.Serve.config(&session{Process: p, Globals: &g.Globals})
	if err != nil || cfg.Data != "/srv/tenon" || cfg.Ephemeral {
		t.Errorf("data %q, ephemeral %v, %v", cfg.Data, cfg.Ephemeral, err)
	}
}

func TestGreeting(t *testing.T) {
	safe := greeting("http://127.0.0.1:8366", "/srv/it's", "us-east-1", &serveCommand{})
	if !strings.Contains(safe, `eval "$(tenon env --data '/srv/it'\''s')"`) || strings.Contains(safe, "INSECURE") {
		t.Errorf("a safe server says %q", safe)
	}
	loud := greeting("http://127.0.0.1:8366", "", "eu-west-1", &serveCommand{InsecureDev: true, Ephemeral: true})
	golden(t, "greeting.txt", strings.Replace(loud, "tenon dev", "tenon VERSION", 1))
}

func TestLogger(t *testing.T) {
	for format, want := range map[string]string{"json": `"msg":"hello"`, "text": "msg=hello"} {
		var out bytes.Buffer
		newLogger(&out, format, (&serveCommand{}).LogLevel).Info("hello")
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: %q", format, out.String())
		}
	}
}

func TestServerLogIsBounded(t *testing.T) {
	l := &serverLog{}
	for range 100 {
		if n, err := io.WriteString(l, strings.Repeat("x", 1023)+"\x1b"); n != 1024 || err != nil {
			t.Fatal(n, err)
		}
	}
	got := l.text()
	if len(got) > 80<<10 || !strings.HasSuffix(got, "… and 36 more warnings\n") || strings.Contains(got, "\x1b") {
		t.Errorf("%d bytes, ending in %q", len(got), got[len(got)-40:])
	}
}
