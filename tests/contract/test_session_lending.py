"""The user's ssh agent, lent: a real agent and a real sshd, with the sidecar's program between them."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realm import hosts
from realm.errors import RealmError
from realm.session import ssh as agents
from realm.session import warden
from realm.session.warden import FAILURE, IDENTITIES, IDENTITIES_ANSWER
from tests.support.servers import SshServer
from tests.support.ssh import Lent, UserAgent, make_key, with_config
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.session.ssh import Ssh


class World:
    """Two servers that this machine knows, ``there`` and ``elsewhere``, and an agent with both keys."""

    def __init__(self, agent: UserAgent) -> None:
        self.agent = agent
        for name in ("there", "elsewhere"):
            subprocess.run(["ssh", name, "true"], check=True, timeout=30)

    def lent(self, *names: str) -> Ssh:
        found = agents.find([hosts.parse(name) for name in names])
        warden.check(found.agent)
        return found

    def ssh(self, socket: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Log in only with the keys of the agent at ``socket``, none from files."""
        options = ["-o", "IdentityFile=none", "-o", "IdentitiesOnly=no", "-o", "BatchMode=yes"]
        return subprocess.run(
            ["ssh", *options, *words], env={**os.environ, "SSH_AUTH_SOCK": socket}, capture_output=True,
            text=True, timeout=30, check=False,
        )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with (
        SshServer(tmp_path / "there") as there,
        SshServer(tmp_path / "elsewhere", "elsewhere") as elsewhere,
        UserAgent(tmp_path / "there/user", tmp_path / "elsewhere/user") as agent,
    ):
        monkeypatch.setenv("PATH", with_config(tmp_path / "bin", there.config, elsewhere.config))
        monkeypatch.setenv("SSH_AUTH_SOCK", agent.socket)
        yield World(agent)


def test_it_logs_in_where_the_user_said_and_nowhere_else(world: World) -> None:
    with Lent(world.lent("there")) as lent:
        assert world.ssh(lent.socket, "there", "echo in").stdout == "in\n"
        refused = world.ssh(lent.socket, "elsewhere", "echo in")
        assert refused.stdout == ""
        assert "Permission denied" in refused.stderr
        assert set(lent.told) == {"there", ""}
        assert "in" in world.ssh(world.agent.socket, "elsewhere", "echo in").stdout


def test_only_the_keys_that_the_user_has_for_a_host_are_used_there(world: World, tmp_path: Path) -> None:
    # As its IdentitiesOnly says, the key of the other one is not for it, though it would let that in.
    (tmp_path / "there/user.pub").write_text((tmp_path / "elsewhere/user.pub").read_text())
    with Lent(world.lent("elsewhere")) as lent:
        assert world.ssh(lent.socket, "elsewhere", "echo in").stdout == "in\n"
    (tmp_path / "elsewhere/user.pub").write_text((tmp_path / "there/host.pub").read_text())
    with Lent(world.lent("elsewhere")) as lent:
        assert world.ssh(lent.socket, "elsewhere", "echo in").stdout == ""


def test_what_is_asked_while_nobody_holds_the_run_waits_for_who_does(world: World) -> None:
    with Lent(world.lent("there")) as lent:
        lent.leave()
        answers: list[bytes] = []
        asking = threading.Thread(target=lambda: answers.append(lent.ask(IDENTITIES)))
        asking.start()
        time.sleep(0.3)
        assert not answers
        lent.hold()
        asking.join(10)
        assert answers[0][:1] == IDENTITIES_ANSWER
        lent.hold()  # a second one, as when a run is handed over: the newest answers
        assert lent.ask(IDENTITIES)[:1] == IDENTITIES_ANSWER


def test_an_agent_that_is_gone_later_is_a_refusal(world: World) -> None:
    found = world.lent("there")
    with Lent(found._replace(agent="/nowhere")) as lent:
        assert lent.ask(IDENTITIES) == FAILURE


def test_what_is_missing_is_said_before_anything_is_made(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RealmError, match=r"the keys of other\.example.* are not in your known_hosts"):
        world.lent("there", "other.example")
    make_key(tmp_path / "third")
    with UserAgent() as empty:
        monkeypatch.setenv("SSH_AUTH_SOCK", empty.socket)
        with pytest.raises(RealmError, match="your ssh agent has no keys"):
            world.lent("there")
    with pytest.raises(RealmError, match=r"does not answer .*: No such file"):
        world.lent("there")
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with pytest.raises(RealmError, match="SSH_AUTH_SOCK is not set"):
        world.lent("there")
    config = tmp_path / "bin/config"
    config.write_text(f"Host there\n  IdentityAgent {world.agent.socket}\n{config.read_text()}")
    assert world.lent("there").agent == world.agent.socket
    with pytest.raises(RealmError, match="SSH_AUTH_SOCK is not set"):
        world.lent("there", "elsewhere")
    config.write_text(f"Host there\n  ProxyJump elsewhere\n{config.read_text()}")
    with pytest.raises(RealmError, match="ssh reaches there through another host"):
        world.lent("there")


def test_files_are_found_whose_paths_have_spaces_and_tokens(world: World, tmp_path: Path) -> None:
    place = tmp_path / "my keys"
    place.mkdir()
    (tmp_path / "there/known").rename(place / "known")
    public = (tmp_path / "there/user.pub").rename(place / "there.pub").read_text().strip()
    config = tmp_path / "bin/config"
    own = f'Host there\n  UserKnownHostsFile "{place}/known" /nowhere\n  IdentityFile "{place}/%n"\n'
    config.write_text(own + config.read_text())
    assert world.lent("there").hosts[0].identities == (public,)


def test_a_hosts_key_that_is_revoked_or_an_authoritys_counts_for_nothing(
    world: World, tmp_path: Path
) -> None:
    known = tmp_path / "there/known"
    name, kind, key = known.read_text().split()[:3]
    known.write_text(f"{name} {kind} {key}\n@revoked {name} {kind} {key}\n")
    with pytest.raises(RealmError, match="are not in your known_hosts"):
        world.lent("there")
    known.write_text(f"@cert-authority {name} {kind} {key}\n")
    with pytest.raises(RealmError, match="by a certificate authority alone"):
        world.lent("there")
    config = tmp_path / "bin/config"
    before = config.read_text()
    config.write_text(f"Host there\n  KnownHostsCommand /bin/true\n{before}")
    known.write_text("")
    with pytest.raises(RealmError, match="KnownHostsCommand"):
        world.lent("there")
    config.write_text(before)
    known.write_text(f"{name} {kind} {key}\n@revoked {name} {kind} {key}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    known.write_text("".join(line for line in known.read_text().splitlines(True) if line[0] != "@"))
    assert f"{kind} {key}" in world.lent("there").hosts[0].host_keys


def test_the_agent_that_looks_at_signatures_does_not_stay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place, Lent(world.lent("there")) as lent:
        monkeypatch.setenv("TMPDIR", place)  # where its socket is as long as it is there
        assert world.ssh(lent.socket, "there", "echo in").stdout == "in\n"
        eventually(lambda: not any(Path(place).iterdir()))
