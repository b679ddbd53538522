// Package drive loads a server that speaks Glue's JSON 1.1: a fixed number of
// clients, each of which sends its next signed call when the last one was
// answered. It guarantees that a call counts only if it was answered with 200,
// and that both servers of a comparison are driven by the same code.
//
// It costs as little as a signing client can, because driver and server share the
// machine: one keep-alive connection a client, no connection pool and no retries.
package drive

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Region is what calls are signed for.
const Region = "us-east-1"

// callTime bounds one call.
const callTime = 30 * time.Second

// Server is one that is driven.
type Server struct {
	URL    string // http://127.0.0.1:port
	Key    string
	Secret string
}

// Credentials are the server's, as the SDK takes them.
func (s Server) Credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: s.Key, SecretAccessKey: s.Secret}
}

// Conn is one client: a connection and what it reuses. It is not safe for
// concurrent use.
type Conn struct {
	server  Server
	base    *url.URL
	signer  *v4.Signer
	conn    net.Conn
	in      *bufio.Reader
	out     bytes.Buffer
	request http.Request
}

// Dial connects a client.
func Dial(s Server) (*Conn, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("read URL of server: %w", err)
	}
	u.Path = "/"
	c := &Conn{server: s, base: u, signer: v4.NewSigner()}
	return c, c.connect()
}

func (c *Conn) connect() error {
	conn, err := net.DialTimeout("tcp", c.base.Host, callTime)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	return nil
}

// Close closes the connection.
func (c *Conn) Close() error {
	if c.conn == nil {
		return nil
	}
	return c.conn.Close()
}

// Call sends one operation and returns the body of its answer, which is valid
// until the caller drops it. An answer other than 200 is an error.
func (c *Conn) Call(operation string, body []byte) ([]byte, error) {
	if c.conn == nil { // the server closed after the last answer
		if err := c.connect(); err != nil {
			return nil, err
		}
	}
	if err := c.write(operation, body); err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	response, err := http.ReadResponse(c.in, &c.request)
	if err != nil {
		return nil, fmt.Errorf("%s: read answer: %w", operation, err)
	}
	answer, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("%s: read answer: %w", operation, err)
	}
	if response.Close {
		err := c.conn.Close()
		c.conn = nil
		if err != nil {
			return nil, fmt.Errorf("%s: close: %w", operation, err)
		}
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s %.300s", operation, response.Status, answer)
	}
	return answer, nil
}

// write signs a call as the SDKs do and sends it. The invocation id is part of
// it, so that a server which remembers calls pays for that here too.
func (c *Conn) write(operation string, body []byte) error {
	hash := sha256.Sum256(body)
	c.request = http.Request{
		Method: http.MethodPost, URL: c.base, Host: c.base.Host, ContentLength: int64(len(body)),
		Header: http.Header{
			"Content-Type":          {"application/x-amz-json-1.1"},
			"X-Amz-Target":          {"AWSGlue." + operation},
			"Amz-Sdk-Invocation-Id": {invocation()},
			"Amz-Sdk-Request":       {"attempt=1; max=3"},
		},
	}
	now := time.Now()
	err := c.signer.SignHTTP(context.Background(), c.server.Credentials(), &c.request, hex.EncodeToString(hash[:]), "glue", Region, now)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	c.out.Reset()
	c.out.WriteString("POST / HTTP/1.1\r\nHost: " + c.base.Host + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n")
	for name, values := range c.request.Header {
		c.out.WriteString(name + ": " + values[0] + "\r\n")
	}
	c.out.WriteString("\r\n")
	c.out.Write(body)
	if err := c.conn.SetDeadline(now.Add(callTime)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	_, err = c.conn.Write(c.out.Bytes())
	return err
}

// invocation is a random identifier in the form of a UUID.
func invocation() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
