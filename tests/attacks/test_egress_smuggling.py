"""Requests that name an allowed host and mean another: in headers, twice, split, in other words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.egress import passed, said
from tests.support.web import Web

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine


def test_nobody_but_the_allowed_host_hears_anything(user: User) -> None:
    user.repo.git("config", "realm.network", "allow")
    with Web() as good, Web() as victim:
        user.realm("allow", good.host)
        g, v = good.host, victim.host
        one = f"GET http://{g}/ HTTP/1.1\r\nHost: {g}\r\n\r\n"
        post = f"POST http://{g}/ HTTP/1.1\r\nHost: {g}\r\n"
        other = f"GET http://{v}/12 HTTP/1.1\r\nHost: {v}\r\nConnection: close\r\n\r\n"
        settings = "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        requests = [
            # that it works at all
            f"GET http://{g}/ HTTP/1.1\r\nHost: {g}\r\nConnection: close\r\n\r\n",
            # another name in the place that servers look at
            f"GET http://{v}/1 HTTP/1.1\r\nHost: {g}\r\nConnection: close\r\n\r\n",
            f"CONNECT {v} HTTP/1.1\r\nHost: {g}\r\n\r\nGET /2 HTTP/1.1\r\nHost: {v}\r\n\r\n",
            f"GET /3 HTTP/1.1\r\nHost: {v}\r\nConnection: close\r\n\r\n",
            # two hosts, folded and injected headers
            f"GET http://{g}/ HTTP/1.1\r\nHost: {g}\r\nHost: {v}\r\nConnection: close\r\n\r\n",
            f"GET http://{v}/4 HTTP/1.1\r\nHost: {g}\r\n {v}\r\nConnection: close\r\n\r\n",
            f"CONNECT {v} HTTP/1.1\r\nHost: {g}\r\nX-Forwarded-Host: {g}\r\n\r\nGET /5 HTTP/1.1\r\n\r\n",
            f"GET http://{g}/\r\nHost:{v}/6 HTTP/1.1\r\nHost: {g}\r\nConnection: close\r\n\r\n",
            # userinfo, backslashes and fragments that some take for the host
            f"GET http://{g}@{v}/7 HTTP/1.1\r\nHost: {g}\r\nConnection: close\r\n\r\n",
            f"GET http://{g}\\@{v}/8 HTTP/1.1\r\nHost: {g}\r\nConnection: close\r\n\r\n",
            f"GET http://{v}#{g}/9 HTTP/1.1\r\nHost: {g}\r\nConnection: close\r\n\r\n",
            f"CONNECT {g}@{v} HTTP/1.1\r\nHost: {g}\r\n\r\nGET /10 HTTP/1.1\r\n\r\n",
            # a second request behind the first: by its length, in pieces, and one after the other
            one + f"GET http://{v}/11 HTTP/1.1\r\nHost: {g}\r\nConnection: close\r\n\r\n",
            post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + other,
            post + "Content-Length: 0\r\nContent-Length: 60\r\n\r\n" + other,
            # other protocols
            f"GET http://{v}/14 HTTP/1.1\r\nHost: {g}\r\nUpgrade: h2c\r\n" + settings,
            f"GET https://{v}/15 HTTP/1.1\r\nHost: {g}\r\nConnection: close\r\n\r\n",
            f"GET ftp://{v}/16 HTTP/1.1\r\nHost: {g}\r\nConnection: close\r\n\r\n",
            f"GET urn:{v}/17 HTTP/1.1\r\nHost: {g}\r\nConnection: close\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            f"GET cache_object://{v}/info HTTP/1.0\r\n\r\n",
            "GET cache_object://localhost/info HTTP/1.0\r\n\r\n",
            "GET http://127.0.0.1:3128/squid-internal-mgr/info HTTP/1.0\r\n\r\n",
        ]  # fmt: skip
        answers = said(user, requests)
    assert passed(answers[0]), answers[0]
    assert not victim.asked, victim.asked
    assert good.asked
    # These name the allowed host, too, and it was it that answered.
    own = [4, 7, 11, 12, 13, 14]
    let_through = [n for n, answer in enumerate(answers) if n and n not in own and passed(answer)]
    assert not let_through, [(requests[n], answers[n]) for n in let_through]
