"""An image of the user's own: Claude Code comes on top of it by itself."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

BARE = """FROM realm:latest
USER root
RUN rm -rf /usr/local/bin/claude /usr/local/lib/realm /etc/claude-code && rmdir /workspace /realm
LABEL realm.claude-version= realm.workspace= realm.fingerprint=
"""
"""An image with git and sh, and nothing of realm's."""


def docker(*words: str, stdin: str = "") -> str:
    return subprocess.run(["docker", *words], input=stdin, capture_output=True, text=True, check=True).stdout


def on_top(name: str) -> list[str]:
    return docker("image", "ls", "-q", "--filter", f"label=realm.on={name}").split()


def nameless() -> set[str]:
    """Return the volumes that the engine has made for an image's ``VOLUME``."""
    return {name for name in docker("volume", "ls", "-q").split() if re.fullmatch("[0-9a-f]{64}", name)}


@pytest.fixture
def own(request: pytest.FixtureRequest, worker_id: str) -> Iterator[str]:
    """Give the name of an image of the user's own, made by the lines of the test's parameter."""
    name = f"realm-test-own-{worker_id}"
    docker("build", "-q", "-t", name, "-", stdin=BARE + getattr(request, "param", ""))
    yield name
    for image in [*on_top(name), name]:
        docker("image", "rm", "--force", image)


def test_claude_code_comes_on_top_once(claude: User, own: str) -> None:
    claude.realm("new", "--image", own, "mine", "-p", "write one.txt with first")
    assert claude.repo.files("refs/realm/mine") == ["README.md", "one.txt"]
    # Its hooks came along: the turn has a commit of its own.
    assert (
        claude.repo.git("log", "-1", "--format=%s", "refs/realm/mine").strip() == "write one.txt with first"
    )
    built = on_top(own)
    assert len(built) == 1
    claude.realm("resume", "mine", "-p", "write two.txt with second")
    assert claude.repo.files("refs/realm/mine") == ["README.md", "one.txt", "two.txt"]
    assert on_top(own) == built
    # Another image of that name gets its own, the one before goes.
    docker("build", "-q", "-t", own, "-", stdin=BARE + "RUN touch /newer\n")
    claude.realm("resume", "mine", "-p", "run cp /newer three.txt")
    assert claude.repo.files("refs/realm/mine") == ["README.md", "one.txt", "three.txt", "two.txt"]
    assert len(on_top(own)) == 1
    assert on_top(own) != built


OF_ITS_OWN = "RUN printf '#!/bin/sh\\necho mine\\n' > /bin/claude; chmod +x /bin/claude\n"


@pytest.mark.parametrize("own", [OF_ITS_OWN], indirect=True)
def test_a_claude_of_the_images_own_stays(claude: User, own: str) -> None:
    assert claude.realm("new", "--image", own, "theirs", "-p", "hello").out == "mine\n"


_SETS_UP = 'ENTRYPOINT ["/set-up.sh"]\nRUN mkdir -m 1777 /data\nVOLUME /data\n'


@pytest.mark.parametrize("own", [_SETS_UP], indirect=True)
def test_another_agent_needs_nothing_on_top(user: User, own: str) -> None:
    volumes = nameless()
    done = user.realm("new", "--agent", "touch", "--image", own, "plain", "made.txt", "/data/made")
    assert user.repo.files("refs/realm/plain") == ["README.md", "made.txt"]
    assert on_top(own) == []
    told = f"the ENTRYPOINT of {own} is not run in a sandbox, and sets nothing up there: /set-up.sh"
    assert told in done.err
    assert told not in user.realm("resume", "plain", "more.txt").err
    assert nameless() == volumes


def test_programs_in_it_trust_the_users_authorities_and_its_own(user: User, own: str, tmp_path: Path) -> None:
    (tmp_path / "company.pem").write_text("-----BEGIN CERTIFICATE-----\nof the company")
    user.extra |= {"REALM_CA_FILE": str(tmp_path / "company.pem"), "REALM_IMAGE": own}
    done = user.scripted("first", 'cat "$PIP_CERT"')
    begin = "-----BEGIN CERTIFICATE-----"
    assert done.out.splitlines()[:3] == [begin, "of the company", begin]


@pytest.mark.parametrize("own", ["RUN rm /usr/bin/git\n"], indirect=True)
def test_no_agent_runs_where_there_is_no_git(user: User, own: str) -> None:
    done = user.realm("new", "--agent", "true", "--image", own, "none", code=125)
    assert "the container's workspace could not be prepared: the image has no git" in done.err
    assert "install git in the image" in done.err
    assert "refs/realm/none" not in user.repo.git("for-each-ref")
    assert list(user.leftovers()) == []


@pytest.mark.parametrize(
    ("own", "reason"),
    [("RUN rm /usr/bin/git\n", "it has no git"), ("RUN rm /lib*/ld-linux*\nUSER 1000\n", "")],
    indirect=["own"],
    ids=["no git", "no C library"],
)
def test_an_image_that_it_cannot_run_on_is_refused(claude: User, own: str, reason: str) -> None:
    done = claude.realm("new", "--image", own, "none", "-p", "hello", code=125)
    assert f"Claude Code cannot be brought into the image {own}: {reason}" in done.err
    assert "FROM realm:latest" in done.err
    assert "refs/realm/none" not in claude.repo.git("for-each-ref")


_TOOLS = "ENV GOPATH=/go CARGO_HOME=/usr/local/cargo\nRUN mkdir -p /go/bin && echo 1 >/go/bin/one\n"


@pytest.mark.parametrize("own", [_TOOLS], indirect=True)
def test_tools_can_write_where_the_images_own_variables_say(user: User, own: str) -> None:
    """The rest of the image's system stays read-only, and only this project sees the written files."""
    script = "cat /go/bin/*; echo 2 >/go/bin/two; echo x >$CARGO_HOME/bin/x; touch /usr/local/x 2>&1"
    for name, told in (("first", "1"), ("second", "1 2")):
        done = user.realm("new", name, "--image", own, "--agent", "sh", "--", "-c", f"{script}; true")
        assert done.out.split("touch:")[0].split() == told.split()
        assert "Read-only file system" in done.out
        assert "cannot create" not in done.err
