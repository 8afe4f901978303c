"""Removes secrets from what is shown and recorded: values that realm itself handled, and well-known formats.

A secret is replaced by as many asterisks, so that no line, column or time of a recording changes.  Control
sequences stay, even inside a value.

The formats are documented by their makers, long and with a distinctive beginning, so that nothing else looks
like them; compare the rules of gitleaks and of GitHub's secret scanning.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

SHORTEST = 8
"""The shortest value that is searched for, in characters: shorter ones may be ordinary words."""
_MOST = 100
"""The most values that are searched for."""


class _Format(NamedTuple):
    """The form of one kind of secret; a text without any of the ``signs`` has none."""

    signs: tuple[str, ...]
    pattern: str


def _format(pattern: str, *signs: str) -> _Format:
    return _Format(signs, pattern)


_compiled = functools.cache(re.compile)
"""Compiled when needed: the formats take 8 ms, as does a long value, and few texts have their signs."""


_AFTER_NAME = r"(?<={})[\"']?\s{{0,5}}[=:]\s{{0,5}}[\"']?[A-Za-z0-9/+=]{{40}}"
_FORMATS = (
    _format(r"sk-ant-[A-Za-z0-9_-]{20,200}", "sk-ant-"),
    _format(r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,300}", "sk-proj-", "sk-svcacct-", "sk-admin-"),
    _format(r"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}", "T3BlbkFJ"),
    _format(r"gh[pousr]_[A-Za-z0-9]{36,255}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    _format(r"github_pat_[A-Za-z0-9_]{82}", "github_pat_"),
    _format(r"gl(?:pat|dt|rt|ptt|oas|cbt|imt|ft|agent|soat)-[A-Za-z0-9_.-]{20,300}", "gl"),
    _format(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b", "AKIA", "ASIA", "ABIA", "ACCA"),
    _format(_AFTER_NAME.format("aws_secret_access_key"), "aws_secret_access_key"),
    _format(_AFTER_NAME.format("AWS_SECRET_ACCESS_KEY"), "AWS_SECRET_ACCESS_KEY"),
    _format(r"\bABSK[A-Za-z0-9+/]{109,269}={0,2}", "ABSK"),
    _format(r"\bAIza[A-Za-z0-9_-]{35}", "AIza"),
    _format(r"\bGOCSPX-[A-Za-z0-9_-]{28}", "GOCSPX-"),
    _format(r"\bya29\.[A-Za-z0-9_-]{20,500}", "ya29."),
    _format(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}", "xox"),
    _format(r"\bxapp-\d-[A-Za-z0-9-]{20,250}", "xapp-"),
    _format(r"(?<=hooks\.slack\.com/services/)[A-Za-z0-9+/]{40,60}", "hooks.slack.com/services/"),
    _format(r"\b(?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{10,250}", "k_live_", "k_test_", "k_prod_"),
    _format(r"\bwhsec_[A-Za-z0-9+/=]{20,100}", "whsec_"),
    _format(r"\bnpm_[A-Za-z0-9]{36}", "npm_"),
    _format(r"\bpypi-AgE[A-Za-z0-9_-]{50,1000}", "pypi-AgE"),
    _format(r"\bhf_[A-Za-z]{34}\b", "hf_"),
    _format(r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", "SG."),
    _format(r"\bdo[opr]_v1_[a-f0-9]{64}", "_v1_"),
    _format(r"\bdckr_[po]at_[A-Za-z0-9_-]{27,32}", "dckr_"),
    _format(r"\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000}", "eyJ"),
    _format(r"(?<=://)[^\s/:@\"'\x1b]{0,100}:[^\s/:@\"'\x1b]{3,200}(?=@)", "://"),
    _format(
        r"(?<=PRIVATE KEY-----)(?:[A-Za-z0-9+/=\s:,.│-]|\x1b\[[0-9;]{0,40}[A-Za-z]){40,20000}?(?=-----END)",
        "PRIVATE KEY-----",
    ),
)  # fmt: skip

_BETWEEN = "(?:\x1b\\[[0-9;:?]{0,40}[ -/]?[@-~]|\x1b[()][0-9A-Z]|[\r\n\x08 \N{BOX DRAWINGS LIGHT VERTICAL}])"
"""What may be between two characters of a value on a terminal: where its line was full, say."""
_GAP = _BETWEEN + "{0,200}"
_PARTS = re.compile(f"({_BETWEEN})|.", re.DOTALL)


def _stars(match: re.Match[str]) -> str:
    return _PARTS.sub(lambda part: part[1] or ("*" if part[0].isprintable() else part[0]), match[0])


class Redactor:
    """Replaces secrets: those of known formats, and ``values`` anywhere."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        known = sorted({value for value in values if len(value) >= SHORTEST}, key=len, reverse=True)
        self._values = [tuple(map(re.escape, value)) for value in known[:_MOST]]

    def text(self, text: str) -> str:
        """Return ``text`` without secrets, of the same length."""
        for value in self._values:
            if _compiled(_GAP.join(value[:SHORTEST])).search(text):
                text = _compiled(_GAP.join(value)).sub(_stars, text)
        for signs, pattern in _FORMATS:
            if any(sign in text for sign in signs):
                text = _compiled(pattern).sub(_stars, text)
        return text

    def data(self, data: bytes) -> bytes:
        """Return ``data``, text in UTF-8 or nearly, without secrets."""
        return self.text(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def pieces(self, pieces: Sequence[str]) -> list[str]:
        """Return the pieces of a stream without secrets, also where one goes from one piece to the next."""
        whole = self.text("".join(pieces))
        found, start = [], 0
        for piece in pieces:
            found.append(whole[start : start + len(piece)])
            start += len(piece)
        return found

    def lines(self, data: bytes) -> bytes:
        """Return lines of JSON without secrets in the texts; a line that is changed is written anew."""
        return b"\n".join(self._line(line) for line in data.split(b"\n"))

    def document(self, data: bytes) -> bytes:
        """Return a JSON document without secrets in the texts; one that is changed is written anew."""
        try:
            found = json.loads(data)
            redacted = _each(found, self.text)
        except (ValueError, RecursionError):
            return self.data(data)
        if redacted == found:
            return data
        return json.dumps(redacted, indent=2, sort_keys=True).encode("ascii") + b"\n"

    def _line(self, line: bytes) -> bytes:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return self.data(line)
        try:
            redacted = _each(found, self.text)
        except RecursionError:
            return b"{}"
        if redacted == found:
            return line
        return json.dumps(redacted, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with every text in it changed, keys excepted."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _each(item, change) for key, item in value.items()}
    return value


_WORDS = "auth|bearer|cookie|cred|dsn|jwt|key|(?<![a-z])(pat|pw)(?![a-z])|pass|psk|secret|token"
_SECRET = re.compile(f"{_WORDS}|private", re.IGNORECASE)
_TELLING = re.compile(
    rf"{_WORDS}|login|pwd|user|\bcert|BUNDLE_(?!BUILD__|MIRROR__)\w+__\w|\S:\S{{1,200}}@\S|<>\?\S|/t/\w",
    re.IGNORECASE,
)
"""Words, a name and a password before a host, the query of an address, which is ``<>`` here, Conda's way."""
ADDRESS = re.compile(
    r"(?P<scheme>(?<![\w+.-])[\w+.-]{1,40}:/)/(?:[^\s/\"'<>]*@)?"
    r"(?P<rest>(?:\[[\dA-Fa-f:.]*\]|[^\s/:?#@\"'<>]*)(?::\d+)?(?:/[^\s?#\"'<>]*)?)"
)
"""The ``rest`` is its host, port and path, which may be called anything."""


def is_secret(name: str, value: str) -> bool:
    """Tell whether a variable's name suggests that its value, unless that is short, is a secret."""
    return bool(_SECRET.search(name)) and len(value) >= SHORTEST


def tells(text: str) -> bool:
    """Tell whether a setting or an argument may hold a secret, apart from logins in URLs."""
    return bool(_TELLING.search(ADDRESS.sub("<>", text)))


def texts(data: bytes) -> Iterator[str]:
    """Yield every text of a JSON document that may be a secret: long, and a single word."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return
    kept: list[str] = []
    _each(found, lambda text: kept.append(text) or text)  # type: ignore[func-returns-value]
    yield from (text for text in kept if len(text) >= _LONG and not re.search(r"[\s:/]", text))


_LONG = 20
