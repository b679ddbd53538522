package local

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
)

// maxSocketPath is safe on every system: sun_path has 108 bytes on Linux, 104 on
// macOS.
const maxSocketPath = 100

// address is the file that says how to reach a launcher. It is readable to its
// user only; the token proves that a client could read it.
type address struct {
	Socket  string `json:"socket"`
	TempDir string `json:"tempDir,omitzero"` // private folder of the socket, if the data directory's path is too long
	Token   string `json:"token"`
	Version int    `json:"version"`
	Pid     int    `json:"pid"`
}

func readAddress(genDir string) (address, error) {
	data, err := os.ReadFile(filepath.Join(genDir, "address"))
	if err != nil {
		return address{}, fmt.Errorf("read address of launcher: %w", err)
	}
	var a address
	if err := json.Unmarshal(data, &a); err != nil {
		return address{}, fmt.Errorf("read address of launcher: %w", err)
	}
	return a, nil
}

// listen creates the socket of a generation and publishes its address. Whoever
// sees the address can connect.
func listen(genDir, runtimeDir string, version int) (*net.UnixListener, address, error) {
	a := address{Version: version, Pid: os.Getpid(), Token: random(32)}
	a.Socket = filepath.Join(genDir, "socket")
	if len(a.Socket) > maxSocketPath {
		temp, err := os.MkdirTemp(runtimeDir, "tenon-") // 0700
		if err != nil {
			return nil, a, fmt.Errorf("create folder of socket: %w", err)
		}
		a.TempDir, a.Socket = temp, filepath.Join(temp, "s")
		if len(a.Socket) > maxSocketPath {
			return nil, a, errors.Join(fmt.Errorf("socket path %s is too long", a.Socket), os.Remove(temp))
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: a.Socket, Net: "unix"})
	if err != nil {
		return nil, a, fmt.Errorf("listen: %w", err)
	}
	if err := os.Chmod(a.Socket, 0o600); err != nil {
		return nil, a, errors.Join(fmt.Errorf("protect socket: %w", err), l.Close())
	}
	data, err := encode(a)
	if err == nil {
		err = writeWhole(filepath.Join(genDir, "address"), data)
	}
	if err != nil {
		return nil, a, errors.Join(err, l.Close())
	}
	return l, a, nil
}

// directoryID returns the random name of a launcher directory, made once.
func directoryID(dir string) (string, error) {
	path := filepath.Join(dir, "id")
	data, err := os.ReadFile(path)
	if err == nil && len(data) > 0 {
		return string(data), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read directory id: %w", err)
	}
	id := random(8)
	return id, writeWhole(path, []byte(id))
}

// writeWhole replaces a file so that no reader sees half of it.
func writeWhole(path string, data []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
