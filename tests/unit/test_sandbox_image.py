from __future__ import annotations

import os
import shlex
import subprocess
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from realm.errors import ImageError
from realm.sandbox import image
from realm.sandbox.answers import Image
from realm.sandbox.image import build, recipe
from realm.sandbox.image.recipe import Inputs

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from realm.sandbox.docker import Engine


def test_fingerprint_changes_with_every_input(tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text("-----BEGIN one")
    first = Inputs("debian:x", "", ca, 1, 1)
    seen = {recipe.fingerprint(first)}
    for other in (
        Inputs("debian:y", "", ca, 1, 1), Inputs("debian:x", "", None, 1, 1),
        Inputs("debian:x", "", ca, 2, 1), Inputs("debian:x", "", ca, 1, 2), first._replace(slim=True),
    ):  # fmt: skip
        seen.add(recipe.fingerprint(other))
    assert len(seen) == 6
    ca.write_text("-----BEGIN two")
    assert recipe.fingerprint(first) not in seen


def test_context_has_what_docker_build_needs_and_nothing_else(sealed: Path) -> None:
    home = recipe.context_dir(Inputs("debian:x", "1.2.3"))
    assert home == sealed / ".realm"
    text = (home / "Dockerfile").read_text()
    assert "ARG BASE=debian:x\n" in text
    assert "ARG SLIM=no\n" in text
    assert "ARG CLAUDE_CODE_VERSION=1.2.3\n" in text
    assert f"ARG REALM_FINGERPRINT={recipe.fingerprint(Inputs('debian:x', '1.2.3'))}\n" in text
    assert (home / "ca.crt").read_bytes() == b""
    assert (home / ".dockerignore").read_text().splitlines()[0] == "*"
    assert sorted(path.name for path in (home / "hooks" / "claude").iterdir()) == [
        "managed-settings.json",
        "turn",
    ]


@pytest.mark.parametrize("value", ["a b", "x\nRUN evil", "", "$(id)"])
def test_values_that_are_no_arguments_are_refused(value: str) -> None:
    with pytest.raises(ImageError):
        recipe.context(Inputs(value))


def test_authorities_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    assert recipe.ca_file() is None
    for name in reversed(names):
        monkeypatch.setenv(name, f"/{name}")
        assert recipe.ca_file() == Path(f"/{name}")
    monkeypatch.setenv(names[0], "~nobody-at-all/x")
    assert recipe.ca_file() == Path("~nobody-at-all/x")
    monkeypatch.setenv(names[0], "/etc")
    assert recipe.ca_file() == Path(f"/{names[1]}")


@pytest.mark.parametrize("name", ["Bad Image", "-x", "../containers/json", "a?b", "a\n", "é"])
def test_what_cannot_name_an_image_is_said_without_asking(name: str) -> None:
    with pytest.raises(ImageError, match="is not the name of an image"):
        build.inspect(cast("Engine", None), name)


def test_missing_authorities_are_said() -> None:
    with pytest.raises(ImageError, match="/no/such"):
        recipe.fingerprint(Inputs(ca_file=Path("/no/such")))


def test_authorities_in_another_form_are_not_ignored(tmp_path: Path) -> None:
    file = tmp_path / "company's.cer"
    file.write_bytes(b"0\x82\x03\x0f0\x82\x01\xf7")
    with pytest.raises(ImageError, match="has no certificate authorities in PEM") as caught:
        recipe.authorities(Inputs(ca_file=file))
    assert f"-in {shlex.quote(str(file))} " in caught.value.hint
    file.write_bytes(b"\n")
    assert recipe.authorities(Inputs(ca_file=file)) == b"\n"


def test_keys_beside_authorities_go_into_no_image(tmp_path: Path) -> None:
    file = tmp_path / "both.pem"
    one, other = (
        b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % text for text in (b"b25l", b"dHdv")
    )
    kinds = (b"PRIVATE KEY", b"RSA PRIVATE KEY", b"ENCRYPTED PRIVATE KEY", b"PGP PRIVATE KEY BLOCK")
    whole = [b"-----BEGIN %b-----\nc2VjcmV0\n-----END %b-----\n" % (kind, kind) for kind in kinds]
    for keys in (whole, [key[:40] for key in whole]):  # in full, and cut off
        file.write_bytes(keys[0] + one + keys[1] + keys[2] + other + keys[3])
        assert recipe.authorities(Inputs(ca_file=file)) == one + other
        file.write_bytes(keys[0])
        with pytest.raises(ImageError, match="has no certificate authorities in PEM"):
            recipe.authorities(Inputs(ca_file=file))


def test_user_of_the_image_is_never_root() -> None:
    assert Inputs().uid == (os.getuid() or 1000)


HOOK = Path(__file__).resolve().parents[2] / "hooks" / "claude" / "turn"


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_hook_outside_a_sandbox_is_silent_and_fine(verb: str) -> None:
    done = subprocess.run(["sh", str(HOOK), verb], input=b"x" * 200_000, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("built", "wanted", "stale"),
    [("1", "", False), ("latest", "", False), ("1", "1", False), ("1", "2", True)],
)
def test_version_of_claude_counts_only_where_it_is_fixed(built: str, wanted: str, stale: bool) -> None:
    inputs = Inputs(claude_version=wanted)
    labels = {recipe.FINGERPRINT: recipe.fingerprint(inputs), recipe.VERSION: built}
    assert image._is_stale(Image("sha256:1", labels), inputs) is stale
    assert image._is_stale(Image("sha256:1", {}), inputs)


@pytest.mark.parametrize(
    ("podman", "step"),
    [(False, "step 2 of 3"), (True, "step 4 of 8, Debian packages")],
)
def test_buildkit_builds_where_the_engine_has_it_and_steps_are_shown(
    sealed: Path, monkeypatch: pytest.MonkeyPatch, podman: bool, step: str
) -> None:
    """The docker command may have it, or say so, where the engine is Podman, which never has."""
    program = sealed / "bin" / "docker"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho '#1 [internal] load'; echo '#7 [tools 2/3] RUN rm -f x'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    engine: Any = SimpleNamespace(
        is_podman=podman,
        build=lambda *_, **_k: iter(["[1/3] STEP 4/8: RUN apt-get install x"]),
        image=lambda _: Image(id="sha256:built", labels={}),
    )
    shown: list[str] = []

    def progress(text: str) -> AbstractContextManager[None]:
        shown.append(text)
        return nullcontext()

    with build.Steps(progress) as steps:
        assert build.build_own(engine, Inputs(), steps.show) == "sha256:built"
    assert shown == [f"building realm:latest: {step}"]
