"""A real HTTP server on a free port that answers as a test says, and remembers what it was asked."""

import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Close the connection after so many bytes of the body."""
    packed: bool = False
    stalls: bool = False
    """Send nothing more after the head, or ``drips``: a byte now and then, without end."""
    drips: bool = False


@dataclass
class Service:
    url: str
    asked: list[Asked]

    def queries(self, name: str) -> list[str | None]:
        return [one.query.get(name) for one in self.asked]


@contextmanager
def service(answer: Callable[[Asked], Any], certificate: trustme.LeafCert | None = None) -> Iterator[Service]:
    """``answer`` returns a `Reply`, or a body: bytes as they are, anything else as JSON. With a certificate, by HTTPS."""
    asked: list[Asked] = []
    gone = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            one = Asked(self.command, parts.path, query, {k.lower(): v for k, v in self.headers.items()}, body)
            asked.append(one)
            reply = answer(one)
            reply = reply if isinstance(reply, Reply) else Reply(reply)
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body, ensure_ascii=False).encode()
            content = gzip.compress(content) if reply.packed else content
            self.send_response(reply.status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(content))} | reply.headers
            if reply.packed:
                headers["Content-Encoding"] = "gzip"
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            for byte in content if reply.stalls else b"":
                if gone.wait(0.02) or (not reply.drips and gone.wait()):
                    return
                self.wfile.write(bytes([byte]))
            self.wfile.write(content if reply.cut_after is None else content[: reply.cut_after])
            if reply.cut_after is not None:
                self.close_connection = True

        do_GET = do_POST = _answer

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that hangs up is what some tests are about
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield Service(f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}", asked)
    finally:
        gone.set()
        server.shutdown()
        server.server_close()
