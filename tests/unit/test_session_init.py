from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from realm.config import PACKAGES, SETUP, Config
from realm.session import approvals, init, languages
from realm.session.proposal import Proposal
from realm.store.repo import discover

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


NOBODY: Any = None
"""Nobody is told of anything where nothing is built."""


@pytest.mark.parametrize(
    ("files", "image", "packages", "setup"),
    [
        ({}, "", (), ()),
        ({"package.json": "{}"}, "", (), ("npm install --loglevel=error",)),
        ({"package.json": "{}", "package-lock.json": "{}", ".nvmrc": "v22.1\n"}, "node:22", (),
         ("npm ci --loglevel=error",)),
        ({"requirements.txt": "", "requirements-dev.txt": ""}, "", (),
         ("pip install -q -r requirements-dev.txt -r requirements.txt",)),
        ({"pyproject.toml": '[project]\nname = "x"\n[project.optional-dependencies]\ntest = []\n'}, "", (),
         ('pip install -q -e ".[test]"',)),
        ({"pyproject.toml": "[tool.ruff]\n"}, "", (), ()),
        ({"pyproject.toml": "= broken"}, "", (), ()),
        ({"uv.lock": "", "pyproject.toml": ""}, "", (), ("pip install -q uv", "uv sync -q")),
        ({"go.mod": "module x\n\ngo 1.22.1\n"}, "golang:1.22", (), ("go mod download",)),
        ({"go.mod": "module x\n\ngo 1.18\n"}, "", ("golang",), ("go mod download",)),
        ({"Cargo.toml": ""}, "rust:1", (), ("cargo fetch -q",)),
        ({"pom.xml": ""}, "", ("default-jdk-headless", "maven"), ("mvn -q -B dependency:go-offline",)),
        ({".tool-versions": "python 3.12.1 # new\nterraform 1.5\n"}, "python:3.12.1", (), ()),
        ({"pyproject.toml": '[project]\nrequires-python = ">=3.12"\n'}, "python:3.12", (),
         ("pip install -q -e .",)),
        ({"pyproject.toml": '[project]\nrequires-python = ">=3.13"\n[dependency-groups]\n'}, "", (),
         ("pip install -q uv", "uv sync -q")),
        ({"pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.13"\n[build-system]\n',
          "requirements.txt": ""}, "python:3.13", (),
         ("pip install -q poetry", "poetry install --no-interaction")),
        ({"package.json": '{"engines": {"node": ">=20.1"}}'}, "node:20", (),
         ("npm install --loglevel=error",)),
        ({"package.json": '{"engines": {"node": ">=14"}}'}, "", (), ("npm install --loglevel=error",)),
        ({"package.json": "{}", "pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, "", (),
         ("npm install -g --loglevel=error pnpm@10", "pnpm install --silent --frozen-lockfile")),
        ({"package.json": '{"packageManager": "pnpm@9.1.0+sha512.ab"}', "pnpm-lock.yaml": ""}, "", (),
         ("npm install -g --loglevel=error pnpm@9.1.0", "pnpm install --silent --frozen-lockfile")),
        ({"package.json": '{"packageManager": "yarn@4.9.1"}', "yarn.lock": ""}, "", (),
         ("npm install -g --loglevel=error @yarnpkg/cli-dist@4.9.1", "yarn install --immutable")),
        ({"package.json": "{", "yarn.lock": "#\n__metadata:\n"}, "", (),
         ("npm install -g --loglevel=error @yarnpkg/cli-dist@latest", "yarn install --immutable")),
        ({"package.json": '{"packageManager": "yarn@1.22.22"}', "yarn.lock": ""}, "", (),
         ("npm install -g --loglevel=error yarn", "yarn install --silent --frozen-lockfile")),
        ({"Gemfile": "", ".ruby-version": "3.3.1\n"}, "ruby:3.3", (),
         ('bundle config set --global path "$HOME/.bundle/gems"', "bundle install --quiet")),
        ({"composer.json": "{}"}, "", ("composer", "php-cli", "php-curl", "php-mbstring", "php-xml"),
         ("composer install --no-interaction --no-progress",)),
    ],
)  # fmt: skip
def test_what_projects_ask_for(
    tmp_path: Path, files: dict[str, str], image: str, packages: tuple[str, ...], setup: tuple[str, ...]
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = languages.propose(tmp_path)
    assert (found.image, found.packages, found.setup) == (image, packages, setup)


DEVCONTAINER = r"""
// what editors write
{ "image": "mcr.example/base:1", /* and, of course, comments, */
  "updateContentCommand": "npm run build", "onCreateCommand": ["npm", "i"], "postStartCommand": "x",
  "postCreateCommand": {"one": "echo \"// no comment\"", "two": ["npm", "ci", "a b"]},
  "containerEnv": {"MODE": "test", "HERE": "${containerWorkspaceFolder}",
                   "ANTHROPIC_BASE_URL": "https://evil.test", "https_proxy": "http://evil.test"},
  "features": {"ghcr.io/x": {}}, "name": "x", "runArgs": ["--privileged"],
}
"""


def test_a_devcontainer_is_taken_as_far_as_that_goes_and_the_rest_is_named(tmp_path: Path) -> None:
    (tmp_path / ".devcontainer").mkdir()
    (tmp_path / ".devcontainer/devcontainer.json").write_text(DEVCONTAINER, "utf-8-sig")
    found = languages.propose(tmp_path)
    assert (found.image, found.variables) == ("mcr.example/base:1", (("MODE", "test"),))
    assert found.setup == ("npm i", "npm run build", "echo \"// no comment\" && npm ci 'a b'")
    assert [note.partition(": ")[2].split(" is ignored")[0] for note in found.notes] == [
        "HERE", "ANTHROPIC_BASE_URL", "https_proxy", "features", "postStartCommand",
        "runArgs",
    ]  # fmt: skip
    assert "npx @devcontainers/cli build" in found.notes[3]


@pytest.mark.parametrize(
    "line",
    [
        "true # both",
        "cd sub",
        "true;",
        "true &",
        "(exit 0)",
        "exit 0",
        "! false",
        "exec true",
        "A=1",
        "true && cd sub",
        "echo >sub/x && true",
    ],
)
def test_commands_of_a_devcontainer_do_not_disturb_those_after_them(repo: Repo, line: str) -> None:
    (repo.path / "sub").mkdir()
    repo.write(".devcontainer.json", json.dumps({"onCreateCommand": line, "postCreateCommand": "pwd"}))
    (planned,) = init.plan(repo.path).lines
    done = subprocess.run(["sh", "-ec", planned.text], cwd=repo.path, capture_output=True, check=True)
    assert done.stdout.decode() == f"{repo.path}\n"


def test_what_a_devcontainer_has_from_the_environment_is_left_out_and_said(repo: Repo) -> None:
    repo.write(".devcontainer.json", '{"image": "base:${localEnv:TAG:1}"}')
    assert init.plan(repo.path).lines == ()
    assert "the image base:${localEnv:TAG:1} is ignored" in init.plan(repo.path).notes[0]
    repo.write(".devcontainer.json", '{"build": {"args": {"A": "${localEnv:A}", "B": 1}}}')
    assert "-f Dockerfile --build-arg=B=1 -- . &&" in init.plan(repo.path).notes[0]


@pytest.fixture
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the program that builds images with features."""
    program = tmp_path / "bin" / "devcontainer"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


def _asks(repo: Repo, features: object, **more: object) -> None:
    repo.write(
        ".devcontainer/devcontainer.json", json.dumps({"image": "base:1", "features": features, **more})
    )


@pytest.mark.usefixtures("_program")
def test_features_are_shown_whole_and_only_they_are_given_to_the_program(repo: Repo) -> None:
    asked = {"ghcr.io/devcontainers/features/node:1": {"version": "20"}, "./hello": {}}
    _asks(repo, asked, initializeCommand="touch /tmp/harm", runArgs=["--privileged"])
    repo.write(".devcontainer/hello/install.sh", "true")
    repo.write(".devcontainer/hello/lib/more.sh", "true")
    repo.write(".devcontainer/.env", "secret")
    planned = init.plan(repo.path)
    assert planned.features is not None
    assert [line.text for line in planned.lines] == [planned.features.tag]
    assert f"{planned.features.tag} is built on base:1 by devcontainer" in planned.notes[-1]
    assert json.dumps(asked) in planned.notes[-1]
    files = dict(planned.features.files)
    config = files.pop(".devcontainer/devcontainer.json")
    assert json.loads(config) == {"image": "base:1", "features": asked}
    assert files == dict.fromkeys(
        (".devcontainer/hello/install.sh", ".devcontainer/hello/lib/more.sh"), b"true"
    )
    repo.write(".devcontainer/hello/lib/more.sh", "false")
    changed = init.plan(repo.path)
    assert changed.features is not None
    assert changed.features.tag != planned.features.tag
    repo.git("config", "realm.image", "mine")
    assert init.plan(repo.path).features is None


@pytest.mark.usefixtures("_program")
@pytest.mark.parametrize(
    "features",
    [
        {"ghcr.io/x/y:1": {"token": "${localEnv:SECRET}"}}, {"https://x.test/y.tgz": {}}, {"a\x1b[m": {}},
        {"a": {"b": "c" * 2000}}, ["a"],
        {"./../../src": {}}, {"./a/../../src": {}}, {"../x": {}}, {"./.": {}}, {"--build-context": {}},
        {"./none": {}}, {"./link": {}}, {"./links": {}}, {"./large": {}},
    ],
    ids=repr,
)  # fmt: skip
def test_of_other_features_the_command_is_said(repo: Repo, features: object) -> None:
    repo.write("src/install.sh", "true")
    repo.write(".devcontainer/links/install.sh", "true")
    (repo.path / ".devcontainer/links/passwd").symlink_to("/etc/passwd")
    (repo.path / ".devcontainer/link").symlink_to("../src")
    repo.write(".devcontainer/large/install.sh", "x" * (1024**2 + 1))
    _asks(repo, features)
    planned = init.plan(repo.path)
    assert planned.features is None
    assert [line.text for line in planned.lines] == ["base:1"]
    assert "npx @devcontainers/cli build" in planned.notes[0]


@pytest.mark.usefixtures("_program")
def test_a_template_without_features_builds_nothing(repo: Repo) -> None:
    _asks(repo, {})
    planned = init.plan(repo.path)
    note = "realm pulls no image: docker pull base:1, unless the engine has it"
    assert (planned.features, planned.notes) == (None, (note,))
    assert [line.text for line in planned.lines] == ["base:1"]


MOUNTS = """{"workspaceFolder": "/code/shop", "mounts": [
  "source=history,target=/commandhistory,type=volume", {"type": "tmpfs", "target": "/opt/scratch"},
  {"source": "bundle", "target": "/usr/local/bundle"},
  "source=${localWorkspaceFolderBasename}-modules,target=${containerWorkspaceFolder}/node_modules,type=volume",
  "source=x,target=/code/shop/target,type=volume", "source=/etc,target=/host,type=bind",
  "type=volume,target=/usr", "type=volume,target=/realm/home", "type=tmpfs,target=/x:rw y",
  "type=volume,dst=${containerEnv:HOME}/.x", "target", 5, null, {}]}"""


def test_mounts_that_stay_inside_are_places_of_the_projects_own(repo: Repo) -> None:
    repo.write(".devcontainer.json", MOUNTS)
    found = languages.propose(repo.path)
    assert (found.kept, found.in_memory) == (("/commandhistory", "/usr/local/bundle"), ("/opt/scratch",))
    ignored = [note.partition("the mount ")[2].removesuffix(" is ignored") for note in found.notes]
    assert ignored == [
        "source=/etc,target=/host,type=bind", "type=volume,target=/usr", "type=volume,target=/realm/home",
        "type=tmpfs,target=/x:rw y", "type=volume,dst=${containerEnv:HOME}/.x", "target", "5", "null", "{}",
    ]  # fmt: skip
    assert [line.command for line in init.plan(repo.path).lines] == [
        "git config --add realm.cachePath /commandhistory",
        "git config --add realm.cachePath /usr/local/bundle",
        "git config realm.dockerArgs '--tmpfs /opt/scratch:exec'",
    ]


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"build": {"context": "..", "target": "dev", "args": {"A": "b c"}}}',
         "docker build -t NAME -f .devcontainer/Dockerfile --target dev '--build-arg=A=b c' -- ."),
        ('{"dockerFile": "../Dev"}', "docker build -t NAME -f Dev -- .devcontainer"),
        ('{"build": {"dockerfile": "a;b", "context": 5}}',
         "docker build -t NAME -f '.devcontainer/a;b' -- .devcontainer/5"),
    ],
)  # fmt: skip
def test_how_a_devcontainers_image_is_built_is_said(tmp_path: Path, text: str, command: str) -> None:
    (tmp_path / ".devcontainer").mkdir()
    (tmp_path / ".devcontainer/devcontainer.json").write_text(text)
    [note] = languages.propose(tmp_path).notes
    assert note.partition(": ")[2] == f"{command} && git config realm.image NAME"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"image": {}}',
        "[" * 100_000,
        "/*" * 400_000,
        '"' * 99_999,
        '{"postCreateCommand": ' + '{"a": ' * 900 + '"true"' + "}" * 901,
    ],
)
def test_a_broken_devcontainer_asks_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / ".devcontainer.json").write_text(text)
    assert languages.propose(tmp_path)._replace(notes=()) == Proposal()


def test_what_is_not_a_regular_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").symlink_to("/dev/zero")
    (tmp_path / "package.json").mkdir()
    assert languages.propose(tmp_path) == Proposal()


def test_what_is_set_stays_and_nothing_is_written_that_was_not_shown(repo: Repo) -> None:
    repo.write("package.json", "{}")
    repo.write("pom.xml", "")
    repo.git("config", "--add", "realm.packages", "openjdk-17-jdk-headless")
    planned = init.plan(repo.path)
    assert [line.key for line in planned.lines] == ["realm.setup"]
    init.write(repo.path, planned, NOBODY)
    config = Config(repo.path)
    assert config.value(SETUP) == "npm install --loglevel=error && mvn -q -B dependency:go-offline"
    assert config.values(PACKAGES) == ["openjdk-17-jdk-headless"]
    assert init.plan(repo.path).lines == ()
    repo.git("config", "--unset", "realm.setup")
    repo.write(".devcontainer.json", '{"postCreateCommand": "true\\u001b[2K evil"}')
    assert init.plan(repo.path).lines == ()


@pytest.mark.parametrize("text", ["project = 5", "[project]\noptional-dependencies = 5", "[project", "\0"])
def test_a_broken_pyproject_ends_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert languages.propose(tmp_path).image == ""


def test_a_devcontainer_that_changed_after_init_is_known(repo: Repo) -> None:
    project = discover(repo.path)
    repo.write(".devcontainer.json", '{"postCreateCommand": "make"}')
    assert not approvals.devcontainer_changed(project)
    init.write(repo.path, init.plan(repo.path), NOBODY)
    assert not approvals.devcontainer_changed(project)
    repo.write(".devcontainer.json", '{"postCreateCommand": "make all"}')
    assert approvals.devcontainer_changed(project)
    (repo.path / ".devcontainer.json").unlink()
    assert not approvals.devcontainer_changed(project)
