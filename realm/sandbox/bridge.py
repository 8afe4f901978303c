"""Sends the SDK's requests over realm's own connections, to any engine without TLS.

The SDK's ssh transport needs another library, even for the ssh program, and its unix transport leaks a socket
that could not be connected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docker.transport.basehttpadapter import BaseHTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from realm.sandbox.endpoint import Endpoint, dial

if TYPE_CHECKING:
    from requests import PreparedRequest


class Bridge(BaseHTTPAdapter):
    """Sends requests to ``endpoint`` through :func:`realm.sandbox.endpoint.dial`."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self._pool = _Pool(endpoint)

    def get_connection(self, url: str | bytes, proxies: object = None) -> _Pool:  # noqa: ARG002
        """Return the only pool."""
        return self._pool

    def request_url(self, request: PreparedRequest, proxies: object) -> str:  # noqa: ARG002
        """Return only the path, as there is no proxy."""
        return request.path_url

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()


class _Pool(HTTPConnectionPool):
    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__("docker", maxsize=10)
        self._endpoint = endpoint

    def _new_conn(self) -> _Connection:
        return _Connection(self._endpoint)


class _Connection(HTTPConnection):
    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__("docker")
        self._endpoint = endpoint

    def connect(self) -> None:
        self.sock: Any = dial(self._endpoint)
