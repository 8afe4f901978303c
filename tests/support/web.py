"""A web server that sandboxes with an open network can reach; it records all requests."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.support import engines
from tests.support.serving import Serving


class Web(Serving):
    """Answers every request with ``found``; ``asked`` are the request lines that came."""

    def __init__(self) -> None:
        asked: list[str] = []
        self.asked = asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.requestline)
                body = b"found\n"
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                pass

        self._server = ThreadingHTTPServer((engines.gateway(), 0), Handler)
        self.host = f"{engines.gateway()}:{self._server.server_address[1]}"
        self.url = f"http://{self.host}/"

    def __enter__(self) -> Self:
        super().__enter__()
        return self
