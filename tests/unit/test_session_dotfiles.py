"""Files of the home go into containers without the logins in them, and what stays outside is said."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from realm.config import HOME, Config
from realm.errors import UsageError
from realm.session import dotfiles

if TYPE_CHECKING:
    from pathlib import Path

NPMRC = """; the old one: //old.example.com/:_authToken=npm_old
registry=https://ada:s3cret@npm.example.com/private/token/
@shop:registry=https://npm.shop.example/
//npm.example.com/:_authToken=${{NPM_TOKEN}}
//npm.example.com/:_password="aHVudGVyMg=="
strict-ssl=true
prefix={home}/.npm-global
"""
NPMRC_INSIDE = """registry=https://npm.example.com/private/token/
@shop:registry=https://npm.shop.example/
strict-ssl=true
"""
CARGO = """[registries.private]
index = "sparse+https://cargo.example.com/index/"
token = "Bearer hunter2"
[net]
retry = 3
"""
PIP = """[global]
index-url = https://__token__:hunter2@pypi.example.com/simple
extra-index-url =
    https://pypi.example.com/other?token=hunter2
    https://pypi.example.com/third
timeout = 60
"""
YARN = """npmRegistryServer: "https://npm.example.com"
npmScopes:
  shop:
    npmAuthToken: hunter2==
    npmAlwaysAuth: true
npmAuth:
  ident: hunter2
enableTelemetry: 0
"""
MAVEN = """<settings><!-- hunter2 -->
<servers><server><id>shop</id><username>ada</username><password>
hunter2</password></server></servers>
<mirrors><mirror><url>https://ada:hunter2@maven.example.com</url></mirror></mirrors></settings>
"""
NUGET = """<configuration>
<packageSources><add key="shop" value="https://nuget.example.com" /></packageSources>
<packageSourceCredentials><shop>
<add key="ClearTextPassword" value="hunter2" />
</shop></packageSourceCredentials>
</configuration>
"""
HEADERS = """<?xml version="1.0" encoding="UTF-8"?>
<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0"><url>https://maven.example.com</url>
<proxy clearTextPassword="hunter2" /><proxy passwd='hunter2'/><password><![CDATA[<hunter2>]]></password>
<header><value>hunter2</value><name>Authorization</name></header>
<apikeys><add key="https://nuget.example.com" value="hunter2" /></apikeys></settings>
"""
BUNDLE = 'BUNDLE_GEMS__EXAMPLE__COM: "hunter2"\nBUNDLE_MIRROR__ALL: "https://gems.example.com"\n'


def _inside(home: Path, name: str, text: str) -> tuple[str, str]:
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_text(text)
    found = dotfiles.read([name], home)
    [file] = found.files or [None]
    data = file.data if file else b""
    assert isinstance(data, bytes)
    return data.decode(), found.notes[0]


def test_npm_keeps_its_registries_and_the_rest_is_named(tmp_path: Path) -> None:
    text, note = _inside(tmp_path, ".npmrc", NPMRC.format(home=tmp_path))
    assert text == NPMRC_INSIDE
    assert note == (
        "copied into the container: ~/.npmrc, without //npm.example.com/:_authToken, "
        "//npm.example.com/:_password, prefix and the login in https://npm.example.com/private/token/"
    )


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        (".cargo/config.toml", CARGO, ["registries.private", "sparse+https://cargo", "retry"]),
        (".config/pip/pip.conf", PIP, ["https://pypi.example.com/simple", "/third", "timeout"]),
        (".yarnrc.yml", YARN, ["https://npm.example.com", "shop", "enableTelemetry"]),
        (".m2/settings.xml", MAVEN, ["https://maven.example.com", "<id>shop</id>"]),
        (".nuget/NuGet/NuGet.Config", NUGET, ["https://nuget.example.com"]),
        (".bundle/config", BUNDLE, ["https://gems.example.com"]),
        (".npmrc", "registry=https://ada:hun@hunter2@npm.example.com/\n", ["https://npm.example.com/"]),
        (".condarc", "a:\n- https://conda.example.com/t/hunter2/main\n", ["https://conda.example.com/main"]),
        (".gradle/gradle.properties", "proxyPass=\\\n  hunter2\na=b\npro\\\n  xyToken=hunter2\n", ["a=b"]),
        (".toolrc", 'proxy = "ada:hunter2@proxy.example.com:3128"\nretry = 3\n', ["retry"]),
        (".signed", "feed = https://h.example.com/x?sig=hunter2\nretry = 3\n", ["retry"]),
        (".yamlrc", "retry: 3\ntokens:\n- hunter2\n- hunter2\nlast: 1\n", ["retry", "last"]),
        (".sections", "\ufeff# hunter2\n[auth]\nada = hunter2\n[net]\nretry = 3\n", ["[net]", "retry"]),
        (".commented", "[tokens] # mine\nada = hunter2\n[net]\nretry = 3\n", ["[net]", "retry"]),
        (".pairs.json", '{"a": {"header": "Auth", "value": "hunter2"}, "b": [{"string": "a"}]}', ["b"]),
        (".lists", '[a]\nb = [\n["--token", "hunter2"]\n]\n', ["[a]"]),
        (".gaps.yml", "a:\n  token: |\n\n    hunter2\nkeys:\n\n- hunter2\n\n- hunter2\nb: 1\n", ["b: 1"]),
        (".brackets", "tokens = [\n'hunter2',\n]\nretry = 3\n", ["retry"]),
        (".keys.d/a.json", '{"https://hunter2@h.example.com/": 1, "b": 2}', ["b"]),
        (".mavenrc", HEADERS, ["https://maven.example.com"]),
        (".json", '{"a": [{"name": "Auth", "x": "hunter2"}, 1], "b": ["--token", "hunter2"]}', ["a"]),
        (".tool.json", json.dumps({"a": [{"apiKey": "hunter2", "b": "https://x:hunter2@h/p"}]}), ["https://h/p"]),
    ],
)  # fmt: skip
def test_no_format_lets_a_login_through(tmp_path: Path, name: str, text: str, kept: list[str]) -> None:
    inside, note = _inside(tmp_path, name, text)
    assert "hunter2" not in inside
    assert "without" in note
    assert all(part in inside for part in kept)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (".ssh/config", "Host a\n", "it is a file of logins"),
        (".netrc", "machine a password b\n", "it is a file of logins"),
        (".gitconfig", "[user]\nname = Ada\n", "realm.gitCredentials"),
        (".curlrc", "--retry 3", "it is a file of logins"),
        (".wgetrc", "retry = 3", "it is a file of logins"),
        (".vault-token", "hunter2", "it is a file of logins"),
        (".m2/settings-security.xml", "<a/>", "it is a file of logins"),
        (".deep.json", "[" * 100_000, "cannot be read without"),
        (".odd.xml", "<a><b></a>", "cannot be read without"),
        (".all.xml", "<tokens><a>b</a></tokens>", "cannot be read without"),
        (".inverse.yml", "headers:\n- value: hunter2\n  name: Authorization\n", "cannot be read without"),
        (".one", f"x=npm_{'a' * 36}\n", "still looks like a secret"),
        (".two.toml", 'a = """\ntoken = 1\n', "cannot be read without"),
        (".bashrc", "export A=1\n", "it is a program"),
        (".quoted.toml", '["tokens"]\na = "hunter2"\n', "cannot be read without"),
        (".lines", 'password = """\nhunter2\n"""\n', "cannot be read without"),
        (".here", "token <<EOF\nhunter2\nEOF\n", "cannot be read without"),
        (".next", "password=\nhunter2\n", "cannot be read without"),
        (".asked.yml", "? password\n: hunter2\n", "cannot be read without"),
        (".variables.yml", "- value: hunter2\n  variable: API_TOKEN\n", "cannot be read without"),
        (".three", "\0" * 300_000, "larger than 256 KB"),
    ],
)
def test_what_cannot_come_in_safely_stays_outside(tmp_path: Path, name: str, text: str, why: str) -> None:
    inside, note = _inside(tmp_path, name, text)
    assert inside == ""
    assert note.startswith(f"~/{name} stays outside: ")
    assert why in note


def test_a_file_that_is_missing_or_none_is_said(tmp_path: Path) -> None:
    (tmp_path / ".config").mkdir()
    found = dotfiles.read([".npmrc", ".config"], tmp_path)
    assert found.files == ()
    assert [note.partition(": ")[2] for note in found.notes] == [
        "No such file or directory",
        "it is not a file",
    ]


@pytest.mark.parametrize("text", ["/etc/passwd", "../x", ".", "a/../.."])
def test_only_files_below_the_home_can_be_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(HOME.variable, text)
    with pytest.raises(UsageError, match="below your home directory"):
        Config().values(HOME)


def test_a_long_word_costs_no_time(tmp_path: Path) -> None:
    started = time.process_time()
    for text in ("a" * 200_000, "a:" * 100_000, "a://" * 50_000, "a\\\n" * 50_000):
        _inside(tmp_path, ".long", text)
    assert time.process_time() - started < 2
