"""Logins for registries: what tools' files say of them, and how the proxies add them."""

from __future__ import annotations

import base64
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm.config import Config
from realm.errors import RealmError, UsageError
from realm.sandbox.egress import registries as reading
from realm.sandbox.egress.registries import Registry
from realm.sandbox.egress.ticket import Ticket
from realm.session import registries

if TYPE_CHECKING:
    from pathlib import Path

TICKET = Ticket("0" * 32, "127.1.2.3")
HERE = "https://npm.example"


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


ENCODED = base64.b64encode(b"p:w").decode()
SERVERS = "".join(
    f"<server><id>{name}</id><username>me</username><password>{password}</password></server>"
    for name, password in (("one", "pw"), ("two", "${env.TOKEN}"), ("three", "{hidden}"), ("four", "of-none"))
)
REPOSITORIES = "".join(
    f"<repository><id>{name}</id><url>https://npm.example/{name}</url></repository>"
    for name in ("two", "three")
)
MAVEN = f"""\
<settings xmlns='http://maven.example'><servers>{SERVERS}</servers>
<mirrors><mirror><id>one</id><url> https://npm.example/maven </url></mirror></mirrors>
<profiles><profile><repositories>{REPOSITORIES}</repositories></profile></profiles></settings>
"""
UV = """\
[[credential]]
service = "https://npm.example/a"
username = "me"
scheme = "basic"
password = "pw"
[[credential]]
service = "https://npm.example/"
username = ""
scheme = "bearer"
token = "abc"
"""
CASES = [
    (".npmrc", "//npm.example/:_authToken=abc", {"/": "Bearer abc"}),
    (".npmrc", '//npm.example/a/b/:_authToken = "${TOKEN}"', {"/a/b/": "Bearer from-env"}),
    (".npmrc", "//npm.example:443/:_auth=eDp5", {"/": "Basic eDp5"}),
    (".npmrc", f"//npm.example/:username=me\n//npm.example/:_password={ENCODED}", {"/": basic("me:p:w")}),
    (".npmrc", "registry=https://npm.example/x/\n_authToken=abc", {"/x/": "Bearer abc"}),
    (".config/pnpm/rc", "//npm.example/:_authToken=abc", {"/": "Bearer abc"}),
    (".yarnrc.yml", 'npmRegistries:\n  "//npm.example/x":\n    npmAuthToken: "abc"\n', {"/x/": "Bearer abc"}),
    (".yarnrc.yml", "npmScopes:\n  a:\n    npmRegistryServer: https://npm.example\n    npmAuthIdent: me:pw\n",
     {"/": basic("me:pw")}),
    (".yarnrc.yml", "# x: y\nnpmRegistryServer: https://npm.example # ours\nnpmAuthToken: ${TOKEN-}\n",
     {"/": "Bearer from-env"}),
    (".config/pip/pip.conf", "index-url = https://me:p%40w@npm.example/simple", {"/": basic("me:p@w")}),
    (".config/uv/uv.toml", '[[index]]\nurl = "https://tok@npm.example/simple"', {"/": basic("tok:")}),
    (".config/pip/pip.conf", "index-url = https://me:pw@npm.example/a/simple/\nx = https://b:c@npm.example/?y",
     {"/a/": basic("me:pw"), "/": basic("me:pw")}),
    (".config/go/env", "GOPROXY=https://me:a@npm.example/go/,https://me:b@npm.example/old+|direct",
     {"/go/": basic("me:a"), "/old+/": basic("me:b"), "/": basic("me:a")}),
    (".local/share/uv/credentials/credentials.toml",
     UV,
     {"/a/": basic("me:pw"), "/": basic("me:pw")}),
    (".m2/settings.xml", MAVEN,
     {"/maven/": basic("me:pw"), "/two/": basic("me:from-env"), "/": basic("me:pw")}),
    (".netrc", "machine npm.example login me password pw", {"/": basic("me:pw")}),
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REALM_REGISTRY_CREDENTIALS", HERE)
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pnpm").mkdir()
    (tmp_path / ".config/uv").mkdir()
    (tmp_path / ".cargo").mkdir()
    return tmp_path


def found(home: Path, **environ: str) -> tuple[Registry, ...]:
    return registries.find(Config(), "allow", {"HOME": str(home), "TOKEN": "from-env", **environ})


@pytest.mark.parametrize(("file", "text", "logins"), CASES)
def test_what_tools_know_is_found(home: Path, file: str, text: str, logins: dict[str, str]) -> None:
    (home / file).parent.mkdir(parents=True, exist_ok=True)
    (home / file).write_text(text)
    assert found(home) == (Registry(HERE, logins),)


def test_cargo_says_a_token_alone_and_gets_a_word_in_its_place(home: Path) -> None:
    (home / ".cargo/config.toml").write_text(
        '[registries.my-own]\nindex = "sparse+https://npm.example/index/"'
    )
    (home / ".cargo/credentials.toml").write_text('[registries.my-own]\ntoken = "abc"')
    (one,) = found(home)
    assert one.logins == {"/": "abc"}
    assert registries.variables([one], {"HOME": str(home)}) == {
        "CARGO_REGISTRIES_MY_OWN_TOKEN": "placeholder",
        "CARGO_REGISTRIES_MY_OWN_CREDENTIAL_PROVIDER": "cargo:token",
    }


def test_variables_go_in_without_logins_and_no_others(home: Path) -> None:
    environ = {
        "PIP_INDEX_URL": "https://me:pw@npm.example/simple",
        "UV_INDEX": "own=https://me:pw@npm.example/uv",
        "PIP_EXTRA_INDEX_URL": "https://me:pw@other.example/simple",
        "GOPROXY": "https://npm.example/go?token=secret-of-the-user",
    }
    one = found(home, **environ)
    assert one[0].logins == {"/": basic("me:pw"), "/uv/": basic("me:pw")}
    assert registries.variables(one, environ | {"HOME": str(home)}) == {
        "PIP_INDEX_URL": "https://npm.example/simple", "UV_INDEX": "own=https://npm.example/uv",
    }  # fmt: skip
    assert registries.secrets(one) == [basic("me:pw")[6:], "pw"]


@pytest.mark.parametrize("place", ["evil.example", "npm.example.evil", "npm.example:8443", "my.npm.example"])
def test_a_login_of_another_host_is_none(home: Path, place: str) -> None:
    (home / ".npmrc").write_text(f"//{place}/:_authToken=abc")
    (home / ".netrc").write_text("default login me password pw")
    with pytest.raises(RealmError, match=r"no login for npm\.example"):
        found(home)


def test_what_cannot_be_read_is_told_and_nothing_else_of_it(home: Path) -> None:
    (home / ".netrc").write_text("machine npm.example login hunter2 passwrd")
    (home / ".cargo/config.toml").write_text("[[")
    with pytest.raises(RealmError) as told:
        found(home)
    assert "~/.netrc cannot be read" in told.value.message
    assert "hunter2" not in told.value.message


def test_the_logins_need_the_sidecar(home: Path) -> None:
    with pytest.raises(UsageError, match=r"realm\.registryCredentials needs realm\.network allow"):
        registries.find(Config(), "open", {"HOME": str(home)})
    assert registries.find(Config(), "none", {"HOME": str(home)}) == ()


@pytest.mark.parametrize("value", ["Bearer a\nhttp_access allow all", "Bearer \x7f", "Bearer ä"])
def test_a_login_that_would_be_a_rule_is_refused(home: Path, value: str) -> None:
    with pytest.raises(ValueError, match="characters that no login has"):
        reading.files(TICKET, [Registry(HERE, {"/": value})])
    with pytest.raises(ValueError, match="characters that no login has"):
        reading.files(TICKET, [Registry(HERE, {"/a b/": "Bearer a"})])


@given(value=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=50))
def test_a_login_stands_between_quotes_and_nowhere_else(value: str) -> None:
    (data,) = reading.files(TICKET, [Registry(HERE, {"/": value})]).values()
    (line,) = (line for line in data.decode().splitlines() if line.startswith("request_header_add"))
    match = re.match(r'request_header_add Authorization "((?:[^"\\]|\\.)*)" run0+ ', line)
    assert match is not None
    assert re.sub(r"\\(.)", r"\1", match[1]).replace("%%", "%") == value


def test_each_path_has_its_own_login_and_the_longest_counts() -> None:
    (data,) = reading.files(TICKET, [Registry(HERE, {"/": "a", "/npm/": "b"})]).values()
    longer, other = (line for line in data.decode().splitlines() if line.startswith("request_header_add"))
    assert longer.split()[2::4] == ['"b"', f"run{TICKET.token}_0_way"]
    assert other.endswith(f"_path1 !run{TICKET.token}_0_path0")


def test_at_a_registry_nothing_is_let_through_but_reading() -> None:
    (data,) = reading.files(TICKET, [Registry("https://npm.example:8443", {"/": "a"})]).values()
    access = [line.split()[1:] for line in data.decode().splitlines() if line.startswith("http_access")]
    there, lead = f"run{TICKET.token}_there", f"run{TICKET.token}_lead"
    assert [(line[0], line[-1]) for line in access] == [
        ("allow", there), ("allow", lead), *[("deny", "because_login")] * 3, ("allow", access[5][-1]),
        ("deny", "because_login"),
    ]  # fmt: skip
    assert access[0][:2] == access[1][:2] == ["allow", "tunnel"]
    assert "!reading" in access[2]
    assert "crooked" in access[3]
    assert "laden" in access[4]
    crooked = re.search(r"acl crooked urlpath_regex -i (.*)", reading.SHARED)
    assert crooked is not None
    bad = [re.compile(part, re.IGNORECASE) for part in crooked[1].split()]
    for path in (
        "/a/../b",
        "/a/%2e%2E/b",
        "/a%2f..%2fb",
        "/a/.",
        "/..;x/b",
        "/a\\b",
        "/a%5cb",
        "/%252e%252e/b",
    ):
        assert any(one.search(path) for one in bad), path
    for path in (
        "/@scope%2fname",
        "/lib/-/lib-1.0.0.tgz",
        "/simple/a.b/",
        "/x/..y/z...whl",
        "/.well-known/x?a=b",
    ):
        assert not any(one.search(path) for one in bad), path


def test_a_login_and_what_it_began_pass_by_a_companys_proxy_and_the_sandbox() -> None:
    (data,) = reading.files(TICKET, [Registry(HERE, {"/": "a"})]).values()
    lines = data.decode().splitlines()
    here = next(line for line in lines if line.startswith("ssl_bump bump ")).removeprefix("ssl_bump bump ")
    assert f"always_direct allow {here}" in lines
    assert f"request_header_access Authorization deny {here}" in lines
    assert f"request_header_access X-HTTP-Method-Override deny {here}" in lines
    assert f"reply_header_access Set-Cookie deny {here}" in lines


@pytest.mark.parametrize(
    "text", [" " * 100_000, "a: " + " " * 100_000 + "b", "${" * 50_000, "a: " + "${a:" * 50_000]
)
def test_a_long_line_takes_no_time(home: Path, text: str) -> None:
    (home / ".netrc").write_text(text)
    begun = time.process_time()
    for source in registries._SOURCES:
        with suppress(ValueError):
            list(source.read(text, {"HOME": str(home)}))
    assert time.process_time() - begun < 5


@given(text=st.text(max_size=200) | st.text("/:_authTokenusername=pd${}\"'\n npmScRgi[]#", max_size=200))
def test_whatever_a_file_says_readers_end_in_words(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.getbasetemp()
    for source in registries._SOURCES:
        try:
            logins = list(source.read(text, {"HOME": str(home)}))
        except (OSError, ValueError):
            continue
        assert all(isinstance(part, str) for login in logins for part in login)
