"""A local stand-in for the streaming Messages API, so that the real agent runs without an account.

It answers ``POST /v1/messages`` with server-sent events (``message_start``,
``content_block_*``, ``message_delta``, ``message_stop``) or, where the client
does not ask for a stream, with one JSON message.  What it answers follows from
the user's last prompt (see :func:`plan`), one step for each result that the
client sends back, then a closing text.  Every request is recorded.

``python -m tests.support.api [ADDRESS [PORT]]`` serves until interrupted and
prints each prompt, for use by hand.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shlex
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.support.serving import Serving, secure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

Json = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One step of the stand-in: use ``tool`` with ``arguments``, or wait ``delay`` seconds."""

    tool: str = ""
    arguments: Json = field(default_factory=dict)
    delay: float = 0


@dataclass(frozen=True)
class Plan:
    """The answer to a prompt: steps in order, then ``closing`` words."""

    steps: tuple[Step, ...] = ()
    closing: str = "Done."


@dataclass(frozen=True)
class Request:
    """One received request: ``method``, ``path``, ``headers`` (lower case), the JSON ``body``."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Json

    @property
    def key(self) -> str:
        """The key or token that the request carries."""
        return self.headers.get("x-api-key") or self.headers.get("authorization", "").removeprefix("Bearer ")

    @property
    def is_agent(self) -> bool:
        """Whether this is the agent at work, and not a side job such as making up a title."""
        return self.path.startswith("/v1/messages") and "count_tokens" not in self.path and bool(self.tools)

    @property
    def tools(self) -> list[str]:
        """Names of the tools that the agent offers."""
        return [tool.get("name", "") for tool in self.body.get("tools", [])]

    def prompts(self) -> list[str]:
        """Return what the user typed so far in this conversation, oldest first."""
        return [text for message in self.body.get("messages", []) for text in _typed(message)]


def _blocks(message: Json) -> list[Json]:
    content = message.get("content", [])
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _typed(message: Json) -> list[str]:
    """Return the texts of a user's message that were typed, not added by the client."""
    if message.get("role") != "user":
        return []
    texts = [block.get("text", "") for block in _blocks(message) if block.get("type") == "text"]
    texts = [re.sub(r"</?pasted_content[^>]*>", "", text) for text in texts]
    return [text.strip() for text in texts if text.strip() and not text.lstrip().startswith("<")]


def bash(command: str) -> Step:
    """Return the step that runs a shell command with the agent's Bash tool."""
    return Step("Bash", {"command": command, "description": "Do as asked"})


def _questions(text: str) -> Step:
    asked = []
    for number, part in enumerate(text.split("&&"), 1):
        question, *labels = (word.strip() for word in part.split("|"))
        options = [{"label": label, "description": f"Take {label}"} for label in labels]
        several = question.startswith("+")
        asked.append({
            "question": question.removeprefix("+").strip(), "header": f"Choice {number}",
            "options": options, "multiSelect": several,
        })  # fmt: skip
    return Step("AskUserQuestion", {"questions": asked})


def plan(prompt: str) -> Plan:
    """Turn a prompt into a plan; every line of these forms is a step, other lines are ignored.

    ``write FILE with TEXT``, ``run COMMAND``, ``background COMMAND``, ``commit FILE`` (write it and commit it
    with git), ``delegate PROMPT`` (to a subagent), ``wait SECONDS``, ``ask QUESTION | LABEL | LABEL`` (ask
    the user; ``&&`` separates questions, ``+`` begins one that takes several answers), ``say TEXT`` (the
    closing words).
    """
    steps: list[Step] = []
    closing = "Done."
    for line in prompt.splitlines():
        verb, _, rest = line.strip().partition(" ")
        if verb == "write" and " with " in rest:
            name, _, text = rest.partition(" with ")
            steps.append(bash(f"printf '%s\\n' {shlex.quote(text)} > {shlex.quote(name)}"))
            closing = f"Wrote {name}."
        elif verb == "run" and rest:
            steps.append(bash(rest))
        elif verb == "background" and rest:
            step = bash(rest)
            steps.append(Step(step.tool, {**step.arguments, "run_in_background": True}))
        elif verb == "delegate" and rest:
            steps.append(
                Step(
                    "Agent",
                    {"description": "A part of it", "prompt": rest, "subagent_type": "general-purpose"},
                )
            )
        elif verb == "commit" and rest:
            name = shlex.quote(rest)
            steps.append(bash(f"echo {name} > {name} && git add {name} && git commit -q -m 'Add {rest}'"))
        elif verb == "ask" and rest:
            steps.append(_questions(rest))
        elif verb == "wait" and rest.replace(".", "", 1).isdigit():
            steps.append(Step(delay=float(rest)))
        elif verb == "say":
            closing = rest
    return Plan(tuple(steps), closing)


def _position(request: Request) -> tuple[str, int]:
    """Return the last prompt and how many tool results came back since."""
    prompt, results = "", 0
    for message in request.body.get("messages", []):
        typed = _typed(message)
        if typed:  # it comes with the result of the step that it interrupted
            prompt, results = typed[-1], 0
        else:
            results += sum(block.get("type") == "tool_result" for block in _blocks(message))
    return prompt, results


def _answer(request: Request, planner: Callable[[str], Plan]) -> list[Json]:
    """Return the content blocks that answer ``request``."""
    prompt, done = _position(request)
    if not request.is_agent:
        return [{"type": "text", "text": '{"title": "A small task"}'}]
    wanted = planner(prompt)
    time.sleep(sum(step.delay for step in wanted.steps) if done == 0 else 0)
    steps = [step for step in wanted.steps if step.tool]
    if done < len(steps):
        step = steps[done]
        identity = f"toolu_{next(_COUNTER):024}"
        return [{"type": "tool_use", "id": identity, "name": step.tool, "input": step.arguments}]
    return [{"type": "text", "text": wanted.closing}]


_COUNTER = itertools.count(1)


def _message(request: Request, content: list[Json]) -> Json:
    reason = "tool_use" if content[-1]["type"] == "tool_use" else "end_turn"
    return {
        "id": f"msg_{next(_COUNTER):024}",
        "type": "message",
        "role": "assistant",
        "model": request.body.get("model", "stand-in"),
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 10},
    }


def _block_events(index: int, block: Json) -> Iterator[Json]:
    if block["type"] == "tool_use":
        empty = block | {"input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    else:
        empty = block | {"text": ""}
        delta = {"type": "text_delta", "text": block["text"]}
    yield {"type": "content_block_start", "index": index, "content_block": empty}
    yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def events(message: Json) -> Iterator[Json]:
    """Return the events that stream a whole message, in the protocol's order."""
    start = message | {"content": [], "stop_reason": None}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(message["content"]):
        yield from _block_events(index, block)
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 10}}
    yield {"type": "message_stop"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], api: MessagesApi) -> None:
        super().__init__(address, _Handler)
        self.api = api

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that hang up, as killed sandboxes do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing; requests are recorded."""

    def _reply(
        self, code: int, body: bytes, kind: str = "application/json", extra: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(code)
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Request-Id", f"req_{next(_COUNTER):024}")
        # On a reused connection the agent sometimes waits for ever.
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _record(self, body: Json) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        self.server.api.record(request)
        return request

    def do_GET(self) -> None:
        self._record({})
        self._reply(200, b"{}")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body: Json = {}
        with contextlib.suppress(ValueError):
            body = json.loads(raw)
        request = self._record(body if isinstance(body, dict) else {})
        if "count_tokens" in self.path:
            self._reply(200, b'{"input_tokens": 10}')
        elif self.path.startswith("/v1/messages"):
            self._answer(request)
        else:
            self._reply(200, b"{}")

    def _answer(self, request: Request) -> None:
        if not self.server.api.lets_in(request):
            error = {"type": "authentication_error", "message": "invalid x-api-key"}
            body = json.dumps({"type": "error", "error": error}).encode()
            self._reply(401, body, extra={"X-Should-Retry": "false"})
            return
        message = _message(request, _answer(request, self.server.api.planner))
        if not request.body.get("stream"):
            self._reply(200, json.dumps(message).encode())
            return
        stream = "".join(
            f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events(message)
        )
        self._reply(200, stream.encode(), "text/event-stream")


class MessagesApi(Serving):
    """The stand-in at ``url``; a context manager that serves from a thread.

    ``planner`` turns a prompt into a plan; ``accept`` lists the accepted keys (empty: any), all others get
    status 401.  With ``directory`` it speaks TLS; its certificate is ``ca.pem`` in there.
    """

    def __init__(
        self,
        address: str = "127.0.0.1",
        port: int = 0,
        *,
        planner: Callable[[str], Plan] = plan,
        directory: Path | None = None,
    ) -> None:
        self.planner = planner
        self.accept: frozenset[str] = frozenset()
        self._requests: list[Request] = []
        self._lock = threading.Condition()
        self._server = _Server((address, port), self)
        if directory is not None:
            secure(self._server, directory, address)
        self.url = f"http{'s' if directory else ''}://{address}:{self._server.server_address[1]}"

    def record(self, request: Request) -> None:
        """Record ``request`` and wake whoever waits for one."""
        with self._lock:
            self._requests.append(request)
            self._lock.notify_all()

    def lets_in(self, request: Request) -> bool:
        """Whether the request's key is accepted."""
        return not self.accept or request.key in self.accept

    @property
    def requests(self) -> list[Request]:
        """All requests so far, in order."""
        with self._lock:
            return list(self._requests)

    @property
    def asked(self) -> list[Request]:
        """The requests of agents at work, in order."""
        return [request for request in self.requests if request.is_agent]

    def wait_for(self, wanted: Callable[[Request], bool], timeout: float = 60) -> Request:
        """Return the first request that is ``wanted``, waiting up to ``timeout`` seconds for it."""
        with self._lock:
            self._lock.wait_for(lambda: any(map(wanted, self._requests)), timeout)
            for request in self._requests:
                if wanted(request):
                    return request
        raise AssertionError(f"no such request within {timeout} s; {len(self._requests)} others came")


def main(arguments: list[str]) -> None:
    """Serve at ``[ADDRESS [PORT]]`` until interrupted, and print the prompts."""
    address = arguments[0] if arguments else "127.0.0.1"
    port = int(arguments[1]) if len(arguments) > 1 else 0
    with MessagesApi(address, port) as api, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(f"{api.url}\n")
        seen = 0
        while True:
            sys.stdout.flush()
            time.sleep(0.2)
            for request in api.requests[seen:]:
                sys.stdout.write(f"{request.method} {request.path} {request.prompts()[-1:]}\n")
                seen += 1


if __name__ == "__main__":
    main(sys.argv[1:])
