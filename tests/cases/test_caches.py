"""Downloads of tools are available to the project's next session, and to nobody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

FILL = """
set -e
for place in $PIP_CACHE_DIR $npm_config_cache $GOMODCACHE $CCACHE_DIR ~/.cargo/registry $GRADLE_USER_HOME; do
  mkdir -p $place && echo one >$place/of-one
done
npm cache add --offline --silent /nowhere 2>/dev/null || [ "$(npm config get cache)" = /cache/npm ]
[ "$(pip cache dir)" = /cache/pip ]
"""
TELL = "echo $GRADLE_USER_HOME >told"
NONE = "{ env | grep cache; ls -d /cache; } >told 2>/dev/null; true"
LOOK = "cat $PIP_CACHE_DIR/of-one ~/.cargo/registry/of-one $GRADLE_USER_HOME/of-one >told 2>&1"

KILLED = """
from realm.sandbox import caches, docker, layout
engine = docker.connect()
owner = layout.Owner("", "", 0, {project!r}, "", 0)
for cache in caches.known(engine):
    if cache.place.startswith({project!r}):
        engine.start(caches._container(engine, "realm:latest", cache, owner, ["sleep", "60"]))
"""
"""What a `realm cache` that is killed leaves on the engine."""


def test_what_tools_cache_is_there_for_the_projects_next_session_alone(user: User, tmp_path: Path) -> None:
    user.realm("new", "one", "--agent", "sh", "--", "-c", FILL)
    user.realm("new", "two", "--agent", "sh", "--", "-c", LOOK)
    assert user.repo.show("refs/realm/two:told").split() == ["one"] * 3

    rows = {row["name"]: row["size"] for row in json.loads(user.realm("cache", "--json").out)}
    assert rows.keys() >= {"pip", "npm", "go", "cargo", "gradle", "ccache"}
    assert all(size > 0 for size in rows.values())

    other = Repo.init(tmp_path / "other")
    other.write("README.md", "# other\n")
    other.commit("Start")
    user.realm("new", "three", "--agent", "sh", "--", "-c", "find /cache -name of-one >told", cwd=other.path)
    assert other.show("refs/realm/three:told") == ""

    user.python(KILLED.format(project=str(user.repo.path)))
    user.realm("cache", "--clear")
    user.extra["REALM_CACHE"] = "off"
    user.realm("new", "four", "--agent", "sh", "--", "-c", NONE)
    assert user.repo.show("refs/realm/four:told") == ""
    assert json.loads(user.realm("cache", "--json").out) == []


def test_a_place_of_the_users_choice_is_kept_with_what_the_image_has_there(user: User) -> None:
    user.extra["REALM_CACHE_PATH"] = "/var/lib/dpkg /opt/data"
    script = "ls /var/lib/dpkg/status >/dev/null && echo $1 >/opt/data/one && echo $1 >/var/lib/dpkg/one"
    user.realm("new", "one", "--agent", "sh", "--", "-c", script, "sh", "kept")
    look = "cat /opt/data/one /var/lib/dpkg/one >told"
    user.realm("new", "two", "--agent", "sh", "--", "-c", look)
    assert user.repo.show("refs/realm/two:told").split() == ["kept", "kept"]
    user.extra["REALM_CACHE_PATH"] = "/realm/home"
    refused = user.realm("new", "three", "--agent", "true", code=125)
    assert "realm.cachePath is /realm/home" in refused.err


def test_a_cache_in_use_is_not_cleared_and_gradle_has_it_in_one_sandbox_at_a_time(user: User) -> None:
    """Gradle asks a lock's holder through a port on its own machine, and waits for an answer."""
    user.realm(
        "new", "long", "--detach", "--agent", "sh", "--", "-c", "echo $GRADLE_USER_HOME >told; sleep 60"
    )
    user.realm("exec", "long", "sh", "-c", "until [ -s told ]; do sleep 0.1; done")
    user.realm("new", "beside", "--agent", "sh", "--", "-c", TELL)
    refused = user.realm("cache", "--clear", code=1)
    assert "realm stop" in refused.err
    user.realm("stop", "long")
    told = [user.repo.show(f"refs/realm/{name}:told").strip() for name in ("long", "beside")]
    assert told == ["/cache/gradle", ""]
