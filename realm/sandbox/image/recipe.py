"""The inputs of realm's own image, and their digest.

``realm:latest`` has a label ``realm.fingerprint``, a digest of all its inputs except the version of Claude
Code, and a label with that version.  The context (``~/.realm``) has the settings written into its Dockerfile,
so that a plain ``docker build`` of it gives the same image.  Claude Code's version matters only if a setting
fixes it; otherwise the built one stays.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from pathlib import Path
from typing import NamedTuple

from realm.errors import ImageError
from realm.paths import make_private, realm_home, shipped

REFERENCE = "realm:latest"
FINGERPRINT = "realm.fingerprint"
VERSION = "realm.claude-version"
DEFAULT_BASE = "debian:bookworm-slim"
_CA_VARIABLES = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PRIVATE = rb"(?s)-----BEGIN [^-\n]*PRIVATE KEY[^-\n]*-----.*?(?:-----END [^\n]*\n?|(?=-----BEGIN )|\Z)"
"""A private key, whole or cut off."""
_IGNORE = "*\n!Dockerfile\n!hooks\n!hooks/claude\n!ca.crt\n"


class Inputs(NamedTuple):
    """An image's inputs besides the files that realm ships.

    An empty ``claude_version`` means the latest.  ``ca_file`` has extra certificate authorities (PEM).
    ``uid`` and ``gid`` get a name in the image.  A ``slim`` one has no compilers or language runtimes.
    """

    base: str = DEFAULT_BASE
    claude_version: str = ""
    ca_file: Path | None = None
    uid: int = os.getuid() or 1000
    gid: int = os.getgid() if os.getuid() else 1000
    slim: bool = False


def ca_file() -> Path | None:
    """Return the file of extra authorities from the environment, where some name a directory instead."""
    texts = (os.environ.get(name, "") for name in _CA_VARIABLES)
    paths = (Path(os.path.expanduser(text)) for text in texts if text)  # noqa: PTH111 - Path's own raises
    return next((path for path in paths if not path.is_dir()), None)


def authorities(inputs: Inputs) -> bytes:
    """Return the extra authorities in PEM, which may be empty, without keys that stand beside them.

    Raises ``ImageError`` when they cannot be read, or are not in PEM.
    """
    if inputs.ca_file is None:
        return b""
    try:
        found = inputs.ca_file.read_bytes()
    except OSError as error:
        message = f"the certificate authorities in {inputs.ca_file} cannot be read: {error.strerror}"
        raise ImageError(message, "git config --global realm.caFile FILE") from error
    public = re.sub(_PRIVATE, b"", found)
    if found.strip() and b"-----BEGIN " not in public:
        raise ImageError(
            f"{inputs.ca_file} has no certificate authorities in PEM",
            f"openssl x509 -inform der -in {shlex.quote(str(inputs.ca_file))} -out FILE.pem converts one, "
            "git config --global realm.caFile FILE.pem names it",
        )
    return public


def _hooks() -> dict[str, bytes]:
    return {f"hooks/claude/{name}": content for name, content in shipped("hooks/claude").items()}


def fingerprint(inputs: Inputs) -> str:
    """Return the digest of all the image's inputs except Claude Code's version."""
    digest = hashlib.sha256()
    parts = {
        "Dockerfile": shipped("container")["Dockerfile"],
        "ca.crt": authorities(inputs),
    }
    settings = f"{inputs.base}\n{inputs.uid}:{inputs.gid}\n{_yes(inputs.slim)}".encode()
    for name, content in {**parts, **_hooks(), "settings": settings}.items():
        digest.update(b"%d %b %d\n" % (len(name), name.encode(), len(content)))
        digest.update(content)
    return digest.hexdigest()


def _yes(wanted: bool) -> str:
    return "yes" if wanted else "no"


def _rendered(inputs: Inputs) -> bytes:
    """Return the Dockerfile with the settings as the defaults of its arguments."""
    text = shipped("container")["Dockerfile"].decode()
    values = {
        "BASE": inputs.base,
        "CLAUDE_CODE_VERSION": inputs.claude_version or "latest",
        "SLIM": _yes(inputs.slim),
        "USER_UID": str(inputs.uid),
        "USER_GID": str(inputs.gid),
        "REALM_FINGERPRINT": fingerprint(inputs),
    }
    for name, value in values.items():
        if not re.fullmatch(r"[\w.:/@+-]+", value, re.ASCII):
            raise ImageError(f"{value!r} cannot be the image's {name}", "realm config shows the settings")
        text = re.sub(rf"^ARG {name}=.*$", f"ARG {name}={value}", text, flags=re.MULTILINE)
    return text.encode()


def context(inputs: Inputs) -> dict[str, bytes]:
    """Return the build's context: relative paths and contents."""
    return {
        "Dockerfile": _rendered(inputs),
        ".dockerignore": _IGNORE.encode(),
        "ca.crt": authorities(inputs),
        **_hooks(),
    }


def context_dir(inputs: Inputs) -> Path:
    """Write the context into realm's directory, for ``docker build`` by hand; return the directory."""
    home = make_private(realm_home())
    for name, content in context(inputs).items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
    return home
