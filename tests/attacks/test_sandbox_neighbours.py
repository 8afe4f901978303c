"""A sandbox with an open network looks for another one there: they do not reach each other."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from realm.errors import EngineError
from realm.sandbox import layout, network
from tests.support.engines import docker
from tests.support.sandbox import Laboratory, environment_of, laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.repos import Repo

pytestmark = pytest.mark.engine

SERVE = (
    "use Socket; socket(S, PF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in(8000, INADDR_ANY)); listen(S, 9);"
    'while (accept(C, S)) { syswrite(C, "reached"); close(C) }'
)
VISIT = "exec 3<>/dev/tcp/{address}/8000 && cat <&3"


@pytest.fixture
def lab(repo: Repo, tmp_path: Path) -> Iterator[Laboratory]:
    yield from laboratory(repo, tmp_path)


def test_they_do_not_reach_each_other(lab: Laboratory) -> None:
    network.ensure_open(lab.engine)
    server = lab.create("perl", "-e", SERVE, network="open")
    server.start()
    address = environment_of(server)["NetworkSettings"]["Networks"][layout.OPEN_NETWORK]["IPAddress"]
    visit = f"timeout 3 bash -c '{VISIT}' 2>/dev/null"
    here = VISIT.format(address="127.0.0.1")
    assert docker("exec", server.id, "bash", "-c", f"sleep 0.5; {here}") == "reached"
    assert lab.run(visit.format(address=address), network="open").stdout == ""


def test_a_network_of_that_name_on_which_they_would_is_refused(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "OPEN_NETWORK", "realm-test-stranger")
    docker("network", "create", "--subnet", "10.251.7.0/24", "realm-test-stranger")
    try:
        with pytest.raises(EngineError, match="lets containers reach each other"):
            network.ensure_open(lab.engine)
    finally:
        docker("network", "rm", "realm-test-stranger")


def test_several_that_make_it_at_once_make_one_small_one(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "realm-test-at-once"
    monkeypatch.setattr(layout, "OPEN_NETWORK", name)
    try:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda _: network.ensure_open(lab.engine), range(6)))
        (made,) = json.loads(docker("network", "inspect", name))  # of two of one name none can be used
        assert int(made["IPAM"]["Config"][0]["Subnet"].partition("/")[2]) >= 24
        left = docker("network", "ls", "--filter", f"name={name}", "--format", "{{.Name}}").split()
        assert left == [name]
    finally:
        docker("network", "rm", name)
