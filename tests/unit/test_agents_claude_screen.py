"""What Claude Code's screen tells of its field for prompts; the rows are as version 2.1.330 draws them."""

from __future__ import annotations

import pytest

from realm import agents
from realm.agents.base import Field

CLAUDE = agents.find()
RULE = [("─" * 60, "38;5;244")]
FOOT = [("  ", ""), ("⏵⏵ bypass permissions on ", "38;5;211"), ("(shift+tab to cycle)", "38;5;246")]
BUSY = [("  ", ""), ("⏵⏵ bypass permissions on ", "38;5;211"), ("· esc to interrupt", "38;5;246")]
TALK = [("● ", "38;5;231"), ("Done.", "")]
CURSOR = (" ", "7")
Row = list[tuple[str, str]]


@pytest.mark.parametrize(
    ("field", "foot", "expected"),
    [
        ([[("\u276f\xa0", ""), CURSOR]], FOOT, Field.EMPTY),
        ([[("\u276f", "")]], FOOT, Field.EMPTY),
        ([[("\u276f\xa0", ""), ("T", "7"), ('ry "fix lint errors"', "2")]], FOOT, Field.EMPTY),
        ([[("\u276f\xa0", ""), ("r", "7"), ("un the tests", "38;5;246")]], FOOT, Field.EMPTY),
        ([[("\u276f\xa0draft", ""), CURSOR]], FOOT, Field.DRAFT),
        ([[("\u276f\xa0x", ""), CURSOR]], FOOT, Field.DRAFT),
        ([[("\u276f\xa0", "")], [("  second line", "")]], FOOT, Field.DRAFT),
        ([[("\u276f\xa0", "38;5;246"), CURSOR]], BUSY, Field.BUSY),
        ([[("\u276f\xa0", ""), CURSOR]], BUSY, Field.BUSY),
        ([[("! ", "38;5;211"), ("ls", "")]], FOOT, Field.NONE),
        ([[("  4. Chat about this", "")], []], FOOT, Field.NONE),
        ([[]], FOOT, Field.NONE),
        ([], FOOT, Field.NONE),
    ],
)
def test_its_field_is_read(field: list[Row], foot: Row, expected: Field) -> None:
    assert CLAUDE.field([TALK, RULE, *field, RULE, foot]) is expected


def test_a_screen_without_a_field_has_none() -> None:
    assert CLAUDE.field([]) is Field.NONE
    assert CLAUDE.field([TALK, RULE, [("\u276f ", "")]]) is Field.NONE
    assert agents.find(["sh"]).field([RULE, [("\u276f", "")], RULE]) is Field.NONE


MENU = [[("Which database?", "1")], [], [("\u276f ", ""), ("1. Postgres", "38;5;153")], [("  2. SQLite", "")],
        [("  3. A very long answer that has no…", "")]]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "label", "there"),
    [
        (1, "Postgres", True), (2, "SQLite", True), (3, "A very long answer that has no room here", True),
        (2, "Postgres", False), (1, "Post", False), (4, "Chat", False), (1, "", False),
    ],
)  # fmt: skip
def test_an_answer_is_looked_for_on_the_screen(number: int, label: str, there: bool) -> None:
    assert CLAUDE.offers(MENU, number, label) is there


def test_a_prompt_is_pasted_whole_and_opens_no_menu() -> None:
    assert CLAUDE.paste("fix\nit") == b"\x1b[200~fix\nit\x1b[201~\r"
    assert CLAUDE.paste("look at @src/a") == b"\x1b[200~look at @src/a \x1b[201~\r"
    assert agents.find(["sh"]).paste("ls") is None
