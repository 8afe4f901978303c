"""What Claude Code's screen tells of its field for prompts; the rows are as version 2.1.330 draws them."""

from __future__ import annotations

import pytest

from realm import agents
from realm.agents.base import Field, Press
from realm.model import Question

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
    labels = ["x"] * (number - 1) + [label]
    found = CLAUDE.press(MENU, [Question("Which database?", tuple(labels))], [[number]])
    assert found == (Press(str(number).encode(), label) if there else None)


TABS = "←  ☒ Choice 1  ☐ Choice 2  ✔ Submit  →"
BASE = Question("Which database?", ("Postgres", "SQLite"))
PAGES = Question(
    "Which pages should be made, and in which order of them?", ("Home", "Cart", "Help"), several=True
)
SAME = Question("Go on?", ("Postgres", "SQLite"))


def drawn(*lines: str) -> list[Row]:
    return [[(line, "")] for line in lines]


def page(question: str, *options: str) -> list[Row]:
    return drawn(
        "● Earlier talk: 1. Home",
        TABS,
        "",
        *question.split("/"),
        "",
        *options,
        "─" * 60,
        "  4. Chat about this",
    )


@pytest.mark.parametrize(
    ("rows", "key"),
    [
        (page("Which database?", "\u276f 1. Postgres", "     Take it", "  2. SQLite", "  3. Other"), b"2"),
        (page("Go on?", "\u276f 1. Postgres", "  2. SQLite"), b"1"),
        (page("Which pages should be made,/and in which order of them?",
              "\u276f 1. [ ] Home", "  2. [✔] Cart", "  3. [✔] Help"), b"1"),
        (page("Which pages should be made,/and in which order of them?",
              "  1. [✔] Home", "\u276f 2. [✔] Cart", "  3. [✔] Help"), b"2"),
        (page("Which pages should be made,/and in which order of them?",
              "  1. [✔] Home", "\u276f 2. [ ] Cart", "  3. [✔] Help"), b"\x1b[C"),
        (page("Which pages?", "\u276f 1. [ ] Home", "  2. [ ] Cart", "  3. [ ] Help"), None),
        (page("Which database?", "\u276f 1. SQLite", "  2. Postgres"), None),
        (page("Which database?", "\u276f 1. Postgres"), None),
        (drawn("Which database?", "\u276f 1. Postgres", "  2. SQLite"), None),
        (drawn(TABS, "Review your answers", " ● Which database?", "   → SQLite",
               " ● Which pages should be made, and",
               "   in which order of them?", "   → Home, Help", " ● Go on?", "   → Postgres",
               "\u276f 1. Submit answers", "  2. Cancel"), b"1"),
        (drawn(TABS, "Review your answers", " ● Which database?", "   → Postgres",
               " ● Which pages should be made, and in which order of them?", "   → Home, Help", " ● Go on?",
               "   → Postgres", "\u276f 1. Submit answers", "  2. Cancel"), b""),
        (drawn(TABS, "Review your answers", " ● Which database?", "   → SQLite"), None),
        ([], None),
    ],
)  # fmt: skip
def test_a_form_is_filled_in_a_key_at_a_time(rows: list[Row], key: bytes | None) -> None:
    found = CLAUDE.press(rows, [BASE, PAGES, SAME], [[2], [1, 3], [1]])
    assert (found.key if found is not None else None) == key


def test_questions_that_look_alike_are_not_told_apart() -> None:
    rows = page("Go on?", "\u276f 1. Postgres", "  2. SQLite")
    assert CLAUDE.press(rows, [SAME, SAME], [[1], [2]]) is None


def test_a_text_that_was_cut_is_recognized_by_its_beginning() -> None:
    long = Question("Which of them…", ("One", "Two"), several=True)
    rows = page("Which of them all/should it be?", "\u276f 1. [ ] One", "  2. [ ] Two")
    found = CLAUDE.press(rows, [long], [[2]])
    assert found is not None
    assert found.key == b"2"


def test_a_prompt_is_pasted_whole_and_opens_no_menu() -> None:
    assert CLAUDE.paste("fix\nit") == b"\x1b[200~fix\nit\x1b[201~\r"
    assert CLAUDE.paste("look at @src/a") == b"\x1b[200~look at @src/a \x1b[201~\r"
    assert agents.find(["sh"]).paste("ls") is None
