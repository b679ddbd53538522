"""Requests as no well-behaved client sends them: raw bytes, and signatures over anything."""

import datetime
import hashlib
import hmac
import socket
import urllib.parse


class Reply:
    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if data else 0
        self.headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:400]!r}"


def send(url, data, timeout=10, pieces=(), hang_up=False):
    """Sends raw bytes, then the pieces one by one, and reads until the server closes or answers."""
    host = urllib.parse.urlsplit(url)
    with socket.create_connection((host.hostname, host.port), timeout=timeout) as s:
        got = b""
        try:
            s.sendall(data)
            for piece in pieces:
                s.sendall(piece)
            if hang_up:
                s.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before its end; the answer may still be there
        try:
            while True:
                more = s.recv(65536)
                if not more:
                    break
                got += more
                head, found, body = got.partition(b"\r\n\r\n")
                if found and b"content-length: " in head.lower():
                    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    if len(body) >= length:
                        break
        except ConnectionResetError:
            pass
        return Reply(got)


def signed(exports, method="POST", path="/", query="", headers=None, body=b"", service="glue", when=None, host=None, scope_day=None):
    """Headers of a request, signed with Signature Version 4 over exactly this path, query and these headers."""
    when = when or datetime.datetime.now(datetime.timezone.utc)
    stamp = when.strftime("%Y%m%dT%H%M%SZ")
    day = scope_day or stamp[:8]
    region = exports["AWS_REGION"]
    digest = hashlib.sha256(body).hexdigest()
    all_headers = {"host": host or urllib.parse.urlsplit(exports["AWS_ENDPOINT_URL"]).netloc, "x-amz-date": stamp, "x-amz-content-sha256": digest}
    all_headers |= {k.lower(): v for k, v in (headers or {}).items()}
    names = ";".join(sorted(all_headers))
    canonical = "\n".join([method, path, query, *(f"{k}:{all_headers[k].strip()}" for k in sorted(all_headers)), "", names, digest])
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + exports["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    all_headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={exports['AWS_ACCESS_KEY_ID']}/{scope}, SignedHeaders={names}, Signature={signature}")
    return all_headers


def request(method, path, headers, body=b"", query="", length=True):
    """The bytes of a request."""
    line = f"{method} {path}{'?' + query if query else ''} HTTP/1.1\r\n"
    text = line + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    if length:
        text += f"content-length: {len(body)}\r\n"
    return text.encode("utf-8", "surrogateescape") + b"\r\n" + body
