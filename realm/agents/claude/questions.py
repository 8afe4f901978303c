"""Answers Claude Code's questions with numbered options, as version 2.1.330 draws them.

One question with one answer is a menu: a digit picks an option, and that is the answer.  Several questions,
or one that takes several answers, are a form: a row of tabs (``←  ☒ First  ☐ Second  ✔ Submit  →``), below it
one question with its options (``1. [✔] Home`` where several may be picked), and after the last question a
page "Review your answers" (``● question``, ``→ answer, answer``) with ``1. Submit answers``.  A digit picks
an option, and moves on where only one may be picked; elsewhere the right arrow moves on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from realm.agents.base import Press
from realm.model import Question

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from realm.agents.base import Rows

CHOICES = 9
"""The options that single digits can pick."""
_QUESTIONS = 8
"""Questions of one form."""
_RECOGNIZED = 12
"""An answer that the screen cuts is recognised by more than this many characters."""
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_OPTION = re.compile(
    "(?:\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT} )?([1-9])\\. (?:\\[(.)\\] )?(.+)"
)
_TABS = re.compile("\N{LEFTWARDS ARROW}.*Submit.*\N{RIGHTWARDS ARROW}")
_REVIEW, _SUBMIT = "Review your answers", "Submit answers"
_RIGHT = b"\x1b[C"


def asked(given: Mapping[str, Any]) -> tuple[str, tuple[Question, ...]]:
    """Return the first question of an ``AskUserQuestion``, and all of them if digits can answer them."""
    found = given.get("questions")
    parts = [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []
    questions = [_question(part) for part in parts]
    fits = len(questions) <= _QUESTIONS and all(len(part.options) <= CHOICES for part in questions)
    first = questions[0].text if questions else ""
    more = f" (1 of {len(questions)})" if len(questions) > 1 else ""
    return first + more, tuple(questions) if fits and all(part.options for part in questions) else ()


def _question(part: Mapping[str, Any]) -> Question:
    options = part.get("options")
    listed = [option for option in options if isinstance(option, dict)] if isinstance(options, list) else []
    labels = tuple(str(option.get("label")) for option in listed)
    return Question(str(part.get("question", "")), labels, several=part.get("multiSelect") is True)


def press(rows: Rows, questions: Sequence[Question], picks: Sequence[Collection[int]]) -> Press | None:
    """Return the next key that gives ``questions`` the options ``picks``; see :meth:`Agent.press`."""
    texts = ["".join(text for text, _ in row).strip() for row in rows]
    if len(questions) == 1 and not questions[0].several:
        (number,) = picks[0]
        there = _shown(texts).get(number)
        label = questions[0].options[number - 1]
        return Press(str(number).encode(), label) if there and _is_same(there[1], label) else None
    tabs = max((place for place, text in enumerate(texts) if _TABS.fullmatch(text)), default=None)
    if tabs is None:
        return None
    below = texts[tabs + 1 :]
    return _submit(below, questions, picks) if _REVIEW in below else _fill_in(below, questions, picks)


def _fill_in(
    below: Sequence[str], questions: Sequence[Question], picks: Sequence[Collection[int]]
) -> Press | None:
    """Return the next key on a page of the form; ``None`` when it is unclear which page it is."""
    begin = next((place for place, text in enumerate(below) if _OPTION.fullmatch(text)), len(below))
    text = _plain(below[:begin])
    places = [at for at, part in enumerate(questions) if re.fullmatch(_pattern(part.text), text)]
    shown = _shown(below)
    if len(places) != 1:
        return None
    (place,) = places
    labels, wanted = questions[place].options, set(picks[place])
    if not all(n in shown and _is_same(shown[n][1], label) for n, label in enumerate(labels, 1)):
        return None
    if not questions[place].several:
        return Press(b"%d" % min(wanted), f"page {place}")
    taken = {number for number in range(1, len(labels) + 1) if shown[number][0].strip()}
    different = taken ^ wanted
    return Press(b"%d" % min(different) if different else _RIGHT, f"page {place} {sorted(taken)}")


def _submit(
    below: Sequence[str], questions: Sequence[Question], picks: Sequence[Collection[int]]
) -> Press | None:
    """Return the key that submits the form; an empty key where the review page shows other answers."""
    begin = below.index(_REVIEW) + 1
    ends = [at for at, text in enumerate(below) if (found := _OPTION.fullmatch(text)) and found[3] == _SUBMIT]
    if not ends:
        return None
    wanted = ""
    for part, picked in zip(questions, picks, strict=True):
        chosen = ", ".join(part.options[number - 1] for number in sorted(picked))
        wanted += f"\N{BLACK CIRCLE}{_pattern(part.text)}\N{RIGHTWARDS ARROW}{_pattern(chosen)}"
    is_right = re.fullmatch(wanted, _plain(below[begin : ends[-1]]))
    return Press(b"1" if is_right else b"", "review")


def _shown(texts: Sequence[str]) -> dict[int, tuple[str, str]]:
    """Return the options of a menu by number: the mark, if there is one, and the label."""
    found = (match for text in texts if (match := _OPTION.fullmatch(text)))
    return {int(match[1]): (match[2] or "", match[3]) for match in found}


def _is_same(shown: str, label: str) -> bool:
    """Tell whether a row shows the label, or as much of it as fits."""
    label, shown = label.removesuffix(_ELLIPSIS), shown.removesuffix(_ELLIPSIS).rstrip()
    return shown == label or (
        len(shown) > _RECOGNIZED < len(label) and (label.startswith(shown) or shown.startswith(label))
    )


def _plain(texts: Sequence[str]) -> str:
    """Return the text of rows without white space, so that line breaks do not matter."""
    return re.sub(r"\s", "", "".join(texts))


def _pattern(text: str) -> str:
    """Return a pattern, without spaces, for a text that may have been cut."""
    kept = re.escape(_plain([text.removesuffix(_ELLIPSIS)]))
    return kept + (".*" if text.endswith(_ELLIPSIS) else "")
