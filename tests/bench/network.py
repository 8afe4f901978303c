"""What the proxies cost: a run's start against one with an open network, a question, and bytes."""

from __future__ import annotations

import json
import os
import re
import socket
import statistics
import threading
from typing import TYPE_CHECKING

from tests.bench.measure import Figure, run, timed
from tests.support import engines
from tests.support.api import MessagesApi
from tests.support.user import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.setting import Setting

_WARM, _COLD, _ANSWER, _SPEED = 1.1, 0.6, 0.03, 400.0
_QUESTIONS = 21
_ASK = """
for n in $(seq {count}); do
  curl -sS -o /dev/null -w 'took %{{time_total}} %{{http_code}}\n' -H 'content-type: application/json' \
    -H "x-api-key: $ANTHROPIC_API_KEY" -d '{question}' "$ANTHROPIC_BASE_URL/v1/messages"
done
"""
_SIZE = 1_000_000_000
_PIECE = b"\0" * 262_144
_WAYS = {
    "proxies": ("REALM_NETWORK=allow", "REALM_CREDENTIALS=proxy"),
    "open": ("REALM_NETWORK=open", "REALM_CREDENTIALS=env"),
}


def network_figures(setting: Setting, pairs: int) -> Iterator[Figure]:
    """A run that does nothing, with a sidecar that is made for it and one that is there; a large download."""
    setting.env |= {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": f"http://{engines.gateway()}:9"}
    yield _starts(setting, "network by name, sidecar cold", pairs, _COLD, "s more")
    keep = f"keep-{os.urandom(4).hex()}"
    keeping = ["new", "--detach", "--agent", "sleep", keep, "600"]
    run(["env", *_WAYS["proxies"], str(setting.realm), *keeping], setting)
    try:
        yield _starts(setting, "network by name, sidecar warm", pairs, _WARM, "x")
        yield _answers(setting)
        yield _download(setting)
    finally:
        run([str(setting.realm), "stop", keep], setting)


def _starts(setting: Setting, name: str, pairs: int, bar: float, unit: str) -> Figure:
    taken: dict[str, list[float]] = {way: [] for way in _WAYS}
    for number in range(pairs + 1):
        for way, times in taken.items():
            command = [word.replace("{}", str(number)) for word in setting.realm_run("true")]
            took = timed(["env", *_WAYS[way], *command], setting)
            if number:
                times.append(took)
    medians = {way: statistics.median(times) for way, times in taken.items()}
    return Figure(name, medians["proxies"], "network open, key inside", medians["open"], bar, unit)


def _answers(setting: Setting) -> Figure:
    """Return how long the model's answer takes, from a new connection to its last byte."""
    question = json.dumps({"messages": [{"role": "user", "content": "hello"}], "stream": True})
    script = _ASK.format(count=_QUESTIONS, question=question)
    medians = {}
    with MessagesApi(engines.gateway()) as api:
        for way, settings in _WAYS.items():
            reached = ["env", *settings, f"ANTHROPIC_BASE_URL={api.url}"]
            said = run([*reached, *setting.named(setting.realm_run(script), 0)], setting)
            found = re.findall(r"took ([\d.]+) 200", said)
            if len(found) != _QUESTIONS:
                raise RuntimeError(f"not all was answered: {said!r}")
            medians[way] = statistics.median(map(float, found))
    return Figure(
        "an answer of the model", medians["proxies"], "network open", medians["open"], _ANSWER, "s more"
    )


def _download(setting: Setting) -> Figure:
    """Return how fast a sandbox reads from a server of this machine through CONNECT, in MB/s."""
    with socket.create_server((engines.gateway(), 0)) as server:
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        host, port = server.getsockname()
        script = f"curl -sS -p -o /dev/null -w 'speed %{{speed_download}}' http://{host}:{port}/"
        command = [word.replace("{}", "0") for word in setting.realm_run(script)]
        said = run(["env", "REALM_NETWORK=allow", f"REALM_ALLOW={host}:{port}", *command], setting)
    found = re.search(r"speed (\d+)", said)
    if found is None:
        raise RuntimeError(f"no speed in {said!r}")
    return Figure(
        "CONNECT through the proxy",
        int(found[1]) / 1e6,
        "a bar alone",
        1.0,
        _SPEED,
        measure="MB/s",
        least=True,
    )


def _serve(server: socket.socket) -> None:
    with server.accept()[0] as connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % _SIZE)
        left = _SIZE
        while left > 0:
            connection.sendall(_PIECE[:left])
            left -= len(_PIECE)
