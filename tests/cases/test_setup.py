"""A project's own packages, and the command that makes it ready, are done once and are there at once."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.support import engines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

SETUP = """
echo ran
date +%s%N >generated
mkdir -p node_modules ~/.local/bin && echo module >node_modules/index.js
printf '#!/bin/sh\necho tool\n' >~/.local/bin/tool && chmod +x ~/.local/bin/tool
echo changed >>README.md
echo one | tee go.sum >yarn.lock
git config core.hooksPath /nowhere
echo cached >/cache/of-setup
cp ~/.npmrc ~/npmrc-of-setup
cp ~/.config/pnpm/rc ~/pnpm-of-setup
echo "$STAGE $ANTHROPIC_API_KEY" >~/stage
"""
LOOK = """
{ cat node_modules/index.js generated /cache/of-setup; tool; git status --short; cat README.md
  cmp ~/.config/pnpm/rc ~/pnpm-of-setup; cmp ~/.npmrc ~/npmrc-of-setup && cat ~/.npmrc ~/stage; } >/tmp/told
cp /tmp/told .
echo two >>go.sum
"""


def _told(user: User, name: str) -> list[str]:
    done = user.realm("new", name, "--agent", "sh", "--", "-c", LOOK)
    changed = user.repo.git("diff", "--name-only", "HEAD", f"refs/realm/{name}").split()
    assert changed == ["go.sum", "told"], done.err
    return user.repo.show(f"refs/realm/{name}:told").splitlines()


def test_the_set_up_is_done_once_and_anew_when_what_it_depends_on_changes(user: User, sealed: Path) -> None:
    user.extra |= {"REALM_SETUP": SETUP, "REALM_HOME_FILES": ".npmrc"}
    user.extra["REALM_DOCKER_ARGS"] = "-e STAGE='in test'"
    (sealed / ".npmrc").write_text("registry=https://npm.test\n//npm.test/:_authToken=hunter2\n")
    user.repo.write("package.json", "{}")
    user.repo.commit("Depend on nothing")
    first = _told(user, "first")
    assert [first[0], *first[2:]] == [
        "module",
        "cached",
        "tool",
        "# project",
        "registry=https://npm.test",
        "in test ",
    ]
    user.repo.write("app.js", "1")
    user.repo.commit("Change what nothing depends on")
    assert _told(user, "second") == first
    user.repo.write("package.json", '{"name": "shop"}')
    user.repo.commit("Depend on more")
    third = _told(user, "third")
    assert third[1] != first[1]
    assert third[2:] == first[2:]

    user.extra["REALM_WORKSPACE"] = "plain"
    plain = _told(user, "plain")
    assert plain[1] != third[1]
    assert plain[2:] == third[2:]


@pytest.mark.parametrize("volumes", ["overlay", "plain"])
def test_nothing_is_started_when_the_set_up_fails_and_its_words_are_shown(user: User, volumes: str) -> None:
    user.extra |= {"REALM_SETUP": "echo no such package >&2; exit 4", "REALM_WORKSPACE": volumes}
    done = user.realm("new", "first", "--agent", "true", code=125)
    assert "no such package" in done.err
    assert "REALM_SETUP= realm new" in done.err
    assert user.listed() == []


def test_packages_are_installed_on_top_of_the_image(user: User) -> None:
    user.repo.git("config", "--add", "realm.packages", "hello")
    user.realm("new", "first", "--agent", "sh", "--", "-c", "hello >told")
    assert user.repo.show("refs/realm/first:told").strip() == "Hello, world!"


PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "shop"
version = "1"
[tool.setuptools]
py-modules = ["shop"]
"""


DEVCONTAINERS = """#!/bin/sh
# build --workspace-folder DIRECTORY --image-name NAME, as @devcontainers/cli does it
cd "$3/.devcontainer" && docker build -t "$5" -f - . <<END
FROM $(python3 -c 'import json; print(json.load(open("devcontainer.json"))["image"])')
USER root
COPY hello/install.sh /tmp/
RUN sh /tmp/install.sh
END
"""


def test_after_init_a_project_can_be_imported_and_its_own_words_were_shown(
    user: User, tmp_path: Path
) -> None:
    user.repo.write("pyproject.toml", PROJECT)
    user.repo.write("shop.py", "def price(): return 5\n")
    user.repo.write(".devcontainer/hello/install.sh", "echo with features >/opt/hello\n")
    asked = {"postCreateCommand": "echo made >made", "features": {"./hello": {}}, "image": "realm:latest"}
    user.repo.write(".devcontainer/devcontainer.json", json.dumps(asked))
    user.repo.commit("Be a project")
    shown = user.realm("init")
    setup = "git config realm.setup 'echo made >made && pip install -q -e .'"
    assert shown.out == f"git config realm.image realm:latest\n{setup}\n"
    assert "features is ignored" in shown.err
    (tmp_path / "devcontainer").write_text(DEVCONTAINERS)
    (tmp_path / "devcontainer").chmod(0o755)
    user.extra["PATH"] = f"{tmp_path}{os.pathsep}{user.env['PATH']}"
    assert user.repo.git("config", "--local", "--get-regexp", "^realm", check=False) == ""
    with user.terminal("init") as terminal:
        terminal.wait_for("Set this")
        terminal.wait_for("realm-features:.*with features, whose scripts run as root")
        terminal.send("y")
        terminal.press("Enter")
        assert terminal.wait() == 0
    script = "cat made /opt/hello; cd /; python3 -c 'import shop; print(shop.price())'"
    done = user.realm("new", "first", "--agent", "sh", "--", "-c", script)
    assert done.out.splitlines() == ["made", "with features", "5"]
    engines.docker("image", "rm", user.repo.git("config", "realm.image"))
