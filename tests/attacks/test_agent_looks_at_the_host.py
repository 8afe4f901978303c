"""What an agent can see: no work tree, no configuration of git's, no engine, no environment of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine


@pytest.fixture
def precious(user: User) -> User:
    """A project with secrets everywhere but in its commits."""
    user.repo.write(".gitignore", ".env\n")
    user.repo.commit("Ignore")
    user.repo.write(".env", "SECRET-IN-IGNORED\n")
    user.repo.write("untracked", "SECRET-IN-UNTRACKED\n")
    user.repo.git("config", "remote.origin.url", "https://me:SECRET-IN-CONFIG@example.com/")
    user.repo.write(".git/hooks/pre-commit", "#!/bin/sh\n# SECRET-IN-HOOK\n", mode=0o755)
    user.extra["AWS_SECRET_ACCESS_KEY"] = "SECRET-IN-ENVIRONMENT"
    user.extra["SSH_AUTH_SOCK"] = "/run/SECRET-AGENT"
    return user


def test_secrets_are_nowhere(precious: User) -> None:
    script = """
        env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; cat /proc/mounts
        grep -rIls SECRET- /workspace /realm /tmp /home /root /etc /run /var /mnt /objects 2>/dev/null
        grep -rh SECRET- /workspace /realm /objects 2>/dev/null
        true
    """
    done = precious.scripted("look", script)
    assert "SECRET-" not in done.out.replace("grep -rh SECRET-", "").replace("SECRET- /", "")
    assert str(precious.repo.path) not in done.out.replace(f"{precious.repo.path}/.git/objects", "")


def test_no_way_out(precious: User) -> None:
    script = """
        ls /var/run/docker.sock /run/docker.sock 2>/dev/null && echo SOCKET
        touch /objects/0/x 2>/dev/null && echo WROTE-OBJECTS
        touch /usr/x /etc/x 2>/dev/null && echo WROTE-ROOT
        ls /realm/entry || echo NO-ENTRY
        rm -f /realm/entry 2>/dev/null && echo REMOVED-ENTRY
        grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status; id -u
        mount -t tmpfs x /mnt 2>/dev/null && echo MOUNTED
        unshare -r true 2>/dev/null && echo UNSHARED
        true
    """
    done = precious.scripted("out", script)
    lines = done.out.split()
    assert not {"NO-ENTRY", "SOCKET", "WROTE-OBJECTS", "WROTE-ROOT", "REMOVED-ENTRY", "MOUNTED"} & set(lines)
    assert "0000000000000000" in lines
    assert "NoNewPrivs:\t1" in done.out
    assert lines[-1 if lines[-1].isdigit() else -2] != "0"
