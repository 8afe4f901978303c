"""An agent queries the model outside of its conversation: the sidecar counts that cost as well."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.serving import Serving
from tests.support.user import KEY

if TYPE_CHECKING:
    from tests.support.api import MessagesApi
    from tests.support.user import User

pytestmark = [pytest.mark.engine, pytest.mark.defaults]

ASK = (
    "curl -s -o answer.txt http://127.0.0.1:3129/v1/messages -H 'content-type: application/json'"
    """ -H 'accept-encoding: gzip' -d '{"messages":[{"role":"user","content":"hello"}],"stream":%s}'; """
)


def test_what_no_conversation_has_counts(claude: User, api: MessagesApi) -> None:
    """Answers that come word by word, and those that come whole."""
    claude.extra["REALM_BUDGET"] = "300"
    asks = ASK % "true" + ASK % "false"
    command = f"for n in $(seq 40); do {asks} echo $n > asked.txt; sleep 1; done"
    done = claude.realm("new", "sly", "--", "-p", f"run {command}", code=None, limit=120)
    assert "warning: the run was stopped: it has cost 3" in done.err
    assert "tokens, and realm.budget is 300" in done.err
    assert int(claude.repo.show("refs/realm/sly:asked.txt")) < 13  # half of it would make 15
    assert '"usage"' in claude.repo.show("refs/realm/sly:answer.txt")
    assert len(api.requests) < 30


class Endless(Serving):
    """A model that sends answers of 4,000 letters at once, and their cost only later."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            delta = {"type": "text_delta", "text": "word" * 1000}
            for event in (
                {
                    "type": "message_start",
                    "message": {"id": f"m{time.time()}", "usage": {"input_tokens": 10}},
                },
                {"type": "content_block_delta", "index": 0, "delta": delta},
            ):
                self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            time.sleep(5)

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer((engines.gateway(), 0), self.Handler)
        self.url = f"http://{engines.gateway()}:{self._server.server_address[1]}"


def test_answers_that_nobody_hears_to_their_end_count(user: User) -> None:
    """Asked by a program that keeps no conversation."""
    with Endless() as model:
        user.extra |= {"ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": KEY, "REALM_BUDGET": "5000"}
        ask = ASK.replace("curl -s", "curl -sN -m 1") % "true"
        script = f"for n in $(seq 14); do {ask} echo $n > asked.txt; done"
        done = user.realm("new", "sly", "--agent", "sh", "--", "-c", script, code=None, limit=120)
    assert "warning: the run was stopped: it has cost " in done.err
    assert int(user.repo.show("refs/realm/sly:asked.txt")) < 12
