"""Files of the user's home that containers get copies of (``realm.home``), without the logins in them.

Left out is every line that speaks of a secret, or of a place below the home, with those that hang on
it; comments, which may have old ones; and the login in an address.  A file that has something like a
secret all the same, or cannot be read any more without these lines, stays outside.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realm.redact import Redactor
from realm.sandbox.layout import HOME
from realm.sandbox.transfer import SandboxFile
from realm.session.run import Dotfiles
from realm.text import clean, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIMIT = 256 * 1024
"""Bytes of such a file."""
_LOGINS = re.compile(
    r"[._]netrc|\.git-credentials|\.pypirc|\.pgpass|\.my\.cnf|\.gem/credentials|\.cargo/credentials(\.toml)?"
    r"|\.(ssh|gnupg|aws|azure|kube|docker|claude|realm|terraform\.d|password-store)(/.*)?|\.claude\.json"
    r"|\.config/(gcloud|gh|glab-cli|op|rclone|hub|git/credentials)(/.*)?|(\.config/|\.)composer/auth\.json"
)
"""What is there for the sake of logins, and nothing without."""
_GIT = re.compile(r"\.gitconfig|\.config/git/.*")
_SECRET = re.compile(
    r"auth|cookie|credential|key|login|pass|pwd|secret|token|user|\bcert|BUNDLE_(?!BUILD__|MIRROR__)\w+__\w",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?P<scheme>[\w+.-]+:/)/(?:[^\s/@\"'<>]*@)?(?P<rest>[^\s\"'<>?]*)")
"""One without its query is not searched for words: a host or a path may be called anything."""
_ELEMENT = re.compile(
    r"<!--.*?-->|<(?P<name>[\w.]*(?:key|login|pass|secret|token|user)[\w.]*)(?:\s[^<>]*)?>[^<>]*</(?P=name)>"
    r"|<add\s[^<>]*(?:key|pass|secret|token|user)[^<>=]*[\"'][^<>]*>",
    re.DOTALL | re.IGNORECASE,
)
"""In XML: a comment, an element that is named after a secret, an entry as NuGet has them."""


def read(names: Sequence[str], home: Path | None = None) -> Dotfiles:
    """Return the files of the home (default: the user's) that ``names`` are, paths below it."""
    home = home or Path.home()
    files, notes = [], []
    for name in dict.fromkeys(names):
        shown = f"~/{clean(name, limit=80)}"
        try:
            text, left_out = _read(home, name)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            notes.append(f"{shown} stays outside: {why}")
            continue
        files.append(SandboxFile(f"{HOME}/{name}", text.encode(), 0o444))
        without = f", without {listed([clean(word, limit=80) for word in left_out])}" if left_out else ""
        notes.append(f"copied into the container: {shown}{without}")
    return Dotfiles(tuple(files), tuple(notes))


def _read(home: Path, name: str) -> tuple[str, list[str]]:
    """Return what a file says that may go in, and what was left out; raises with why not."""
    if _LOGINS.fullmatch(name):
        raise ValueError("it is there for logins")
    if _GIT.fullmatch(name):
        raise ValueError("git has settings of its own in a container (realm.gitCredentials lets it fetch)")
    path = home / name
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    with path.open("rb") as file:
        data = file.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise ValueError("it has more than 256 KB")
    try:
        text, left_out = _without_secrets(name, data.decode(), str(home))
    except UnicodeDecodeError:
        raise ValueError("it is no text") from None
    except ValueError:
        raise ValueError("it cannot be read without the logins in it") from None
    if Redactor().text(text) != text:
        raise ValueError("something in it still looks like a secret")
    return text, list(dict.fromkeys(left_out))


def _without_secrets(name: str, text: str, home: str) -> tuple[str, list[str]]:
    left_out: list[str] = []
    if name.endswith(".json"):
        found = _pruned(json.loads(text), home, left_out)
        return json.dumps(found, indent=2), left_out
    if name.lower().endswith((".xml", ".config")):
        left_out += [match["name"] or "an entry" for match in _ELEMENT.finditer(text) if match[0][1] != "!"]
        return _bare(_ELEMENT.sub("", text), left_out), left_out
    kept = _lines(text, home, left_out)
    if name.endswith(".toml"):
        tomllib.loads(kept)
    return _bare(kept, left_out), left_out


def _lines(text: str, home: str, left_out: list[str]) -> str:
    """Return the lines that may go in; the names of others are added to ``left_out``."""
    kept: list[str] = []
    above: int | None = None
    """How far the line is indented that the ones below it belong to, and which is left out."""
    for line in text.splitlines():
        bare = line.strip()
        indent = len(line) - len(line.lstrip())
        if above is not None and bare and indent > above:
            continue
        above = None
        if bare.startswith(("#", ";")):
            continue
        if not _is_header(bare) and (_is_secret(bare) or home in bare):
            above = indent
            left_out.append(re.split(r"[\s=]|:\s", bare)[0].strip("\"'"))
            continue
        kept.append(line)
    return "".join(f"{line}\n" for line in kept)


def _is_header(line: str) -> bool:
    return line.startswith("[") and line.endswith("]")


def _is_secret(text: str) -> bool:
    return bool(_SECRET.search(_ADDRESS.sub("", text)))


def _pruned(value: Any, home: str, left_out: list[str]) -> Any:
    """Return a JSON value without what is called a secret; such names are added to ``left_out``."""
    if isinstance(value, str):
        return _bare(value, left_out)
    if isinstance(value, list):
        return [_pruned(item, home, left_out) for item in value]
    if not isinstance(value, dict):
        return value
    out = {
        key for key, item in value.items()
        if _is_secret(key) or (isinstance(item, str) and (_is_secret(item) or home in item))
    }  # fmt: skip
    left_out += out
    return {key: _pruned(item, home, left_out) for key, item in value.items() if key not in out}


def _bare(text: str, left_out: list[str]) -> str:
    """Return text without the logins in its addresses."""

    def change(match: re.Match[str]) -> str:
        bare = f"{match['scheme']}/{match['rest']}"
        if bare != match[0]:
            left_out.append(f"the login in {bare}")
        return bare

    return _ADDRESS.sub(change, text)
