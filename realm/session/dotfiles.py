"""Files of the user's home that containers get copies of (``realm.home``), without the logins in them.

Left out are lines, JSON entries and XML elements that mention a secret, or a path below the home, with all
that belongs to them; comments, which may hold old ones; and logins in URLs.  A file that still seems to hold
a secret, or is malformed without these, stays outside.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realm.redact import ADDRESS, Redactor, tells
from realm.sandbox.layout import HOME
from realm.sandbox.transfer import SandboxFile
from realm.session.run import Dotfiles
from realm.text import clean, listed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

_LIMIT = 256 * 1024
"""Bytes of such a file."""
_LOGINS = re.compile(
    r"[._]netrc|\.git-credentials|\.pypirc|\.pgpass|\.my\.cnf|\.gem/credentials|\.cargo/credentials(\.toml)?"
    r"|\.(ssh|gnupg|aws|azure|kube|docker|claude|realm|terraform\.d|password-store)(/.*)?|\.claude\.json"
    r"|\.config/(gcloud|gh|glab-cli|op|rclone|hub|git/credentials)(/.*)?|(\.config/|\.)composer/auth\.json"
    r"|\.curlrc|\.wgetrc|\.m2/settings-security\.xml",
    re.IGNORECASE,
)
"""Settings that serve only logins."""
_GIT = re.compile(r"\.gitconfig|\.config/git/.*")
_TOKEN = re.compile(r"/t/[^/]+")
"""Conda's form of a token in a URL's path."""
_PROGRAM = re.compile(
    r"\.(ba|z|k|c|tc)?sh(rc|env|_.*)|\.z?(profile|login|logout)|.*\.(sh|bash|zsh|fish|py|lua|vim|el)"
)
_HEADER = re.compile(r"\[{1,2}[^\[\],\"'][^\[\],]*\]{1,2}\s*([#;].*)?")
"""A section's header."""
_BELOW = re.compile(r"\?\s.*|[^=]*=|.*<<-?\s*\S+")
"""A line whose value is on the lines below it."""
_OPEN, _CLOSE = ("[", "{", "("), ("]", "}", ")")
_NAMED = ("name", "key", "id", "header", "variable", "var", "env", "option", "field", "string")
"""Keys that give the name of the value beside them."""
_CALLED = re.compile(rf"(?:-\s+)?[\"']?(?:{'|'.join(_NAMED)})[\"']?\s*[=:]", re.IGNORECASE)


def read(names: Sequence[str], home: Path | None = None) -> Dotfiles:
    """Return the files ``names`` of the home (default: the user's), paths below it."""
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
    """Return the part of a file that may go in, and what was left out; raises with the reason against it."""
    if _LOGINS.fullmatch(name) or tells(Path(name).name):
        raise ValueError("it is a file of logins")
    if _GIT.fullmatch(name):
        raise ValueError("git has settings of its own in a container (realm.gitCredentials lets it fetch)")
    if _PROGRAM.fullmatch(Path(name).name):
        raise ValueError("it is a program")
    path = home / name
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    with path.open("rb") as file:
        data = file.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise ValueError("it is larger than 256 KB")
    try:
        text, left_out = _without_secrets(name, data.decode("utf-8-sig"), str(home))
    except UnicodeDecodeError:
        raise ValueError("it is not text") from None
    except (ValueError, SyntaxError, RecursionError):
        raise ValueError("it cannot be read without the logins in it") from None
    if Redactor().text(text) != text:
        raise ValueError("something in it still looks like a secret")
    return text, list(dict.fromkeys(left_out))


def _without_secrets(name: str, text: str, home: str) -> tuple[str, list[str]]:
    """Return the part of a text that may go in, and what was left out; raises if the rest is malformed."""
    left_out: list[str] = []
    if name.endswith(".json") or text.lstrip().startswith("{"):
        found = _pruned(json.loads(text), home, left_out)
        return json.dumps(found, indent=2), left_out
    if text.lstrip().startswith("<"):
        from xml.etree import ElementTree as ET

        root = ET.fromstring(text)  # noqa: S314 the user's own
        if not _prune(root, home, left_out):
            raise ValueError("all of it")
        return ET.tostring(root, "unicode"), left_out
    kept = _lines(text, home, left_out)
    if name.endswith(".toml"):
        tomllib.loads(kept)
    return _bare(kept, left_out), left_out


def _lines(text: str, home: str, left_out: list[str]) -> str:
    """Return the lines that may go in; the names of others are added to ``left_out``."""
    kept: list[str] = []
    above: str | None = None
    """The line that was left out and that the ones below it belong to."""
    is_out = False
    """Whether the whole section is left out."""
    for line in re.findall(r"(?:[^\n]*\\\n)*[^\n]+\n?|\n", text.replace("\r\n", "\n")):
        bare = re.sub(r"\\\n\s*", "", line).strip()
        if above is not None and (not bare or _belongs(line, above)):
            is_end = bare.startswith(_CLOSE) and _indent(line) == _indent(above)
            above = None if is_end else above
            continue
        above = None
        if bare.startswith(("#", ";")):
            continue
        is_header = _HEADER.fullmatch(bare) is not None
        is_out = tells(bare) if is_header else is_out
        if is_header and is_out:
            left_out.append(bare)
        if is_out:
            continue
        if tells(bare) or home in bare:
            if (called := _CALLED.match(bare)) and tells(bare[called.end() :]):
                raise ValueError("the value may stand above")
            if _BELOW.fullmatch(bare) or any(bare.count(mark) % 2 for mark in "\"'"):
                raise ValueError("the value may stand below")
            if re.match(r"\[[^,]*\]", bare):
                raise ValueError("what follows may hang on it")
            above = line
            left_out.append(re.split(r"[\s=]|:\s", bare)[0].strip("\"'"))
            continue
        kept.append(line)
    return "".join(kept)


def _belongs(line: str, above: str) -> bool:
    """Tell whether a line belongs to one above: it is indented, in brackets, or an item of a YAML list."""
    deeper = _indent(line) - _indent(above)
    is_item = line.lstrip().startswith("- ") and not above.lstrip().startswith("-")
    return deeper > 0 or (deeper == 0 and is_item) or above.rstrip().endswith(_OPEN)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _goes(value: Any, home: str) -> bool:
    """Tell whether a JSON value has a secret that cannot be separated from the rest."""
    if isinstance(value, str):
        return tells(value) or home in value
    if isinstance(value, dict):
        value = [item for key, item in value.items() if key.lower() in _NAMED]
    return isinstance(value, list) and any(isinstance(item, str) and _goes(item, home) for item in value)


def _pruned(value: Any, home: str, left_out: list[str]) -> Any:
    """Return a JSON value without entries named like secrets, whose names are added to ``left_out``."""
    if _goes(value, home):
        left_out.append("an entry")
        return None
    if isinstance(value, str):
        return _bare(value, left_out)
    if isinstance(value, list):
        return [_pruned(item, home, left_out) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key for key, item in value.items() if tells(key) or _bare(key, []) != key or _goes(item, home)}
    left_out += sorted(out)
    return {key: _pruned(item, home, left_out) for key, item in value.items() if key not in out}


def _prune(element: Element[str], home: str, left_out: list[str]) -> bool:
    """Remove possible secrets from XML; return whether any of it may stay.

    Namespaces are removed too, which no settings need.
    """
    element.tag = element.tag.rpartition("}")[2]
    element.attrib = {key: _bare(text, left_out) for key, text in element.attrib.items() if key[0] != "{"}
    names = [key for key in element.attrib if key.lower() not in _NAMED]
    texts = [*element.attrib.values(), element.text or "", element.tail or ""]
    if any(map(tells, [element.tag, *names, *texts])) or any(home in text for text in texts):
        left_out.append(element.tag)
        return False
    element.text, element.tail = _bare(element.text or "", left_out), _bare(element.tail or "", left_out)
    for child in [*element]:
        is_called = len(child) == 0 and child.tag.rpartition("}")[2].lower() in _NAMED
        if not _prune(child, home, left_out):
            if is_called:
                return False
            element.remove(child)
    return True


def _bare(text: str, left_out: list[str]) -> str:
    """Return text without the logins in its URLs."""

    def change(match: re.Match[str]) -> str:
        bare = f"{match['scheme']}/{_TOKEN.sub('', match['rest'])}"
        if bare != match[0]:
            left_out.append(f"the login in {bare}")
        return bare

    return ADDRESS.sub(change, text)
