"""A server that runs during a ``with`` statement."""

from __future__ import annotations

import ssl
import subprocess
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from http.server import HTTPServer, ThreadingHTTPServer
    from pathlib import Path


class Serving:
    """Runs ``_server`` in a thread."""

    _server: HTTPServer

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def secure(server: ThreadingHTTPServer, directory: Path, name: str, *others: str) -> None:
    """Let ``server`` speak TLS, with a self-signed certificate for these names: ``directory/ca.pem``."""
    key, certificate = directory / "key.pem", directory / "ca.pem"
    names = (
        ["-addext", "subjectAltName=" + ",".join(f"DNS:{each}" for each in (name, *others))] if others else []
    )
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            *names, "-keyout", key, "-out", certificate,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
