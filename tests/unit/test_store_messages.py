from __future__ import annotations

import subprocess

from hypothesis import given
from hypothesis import strategies as st

from realm.model import Identity, TurnText
from realm.store.commits import agent_message, body_text, turn_message

ME = Identity("Ada Tester", "ada@example.com")
TRAILERS = "Realm-Session: fix\nRealm-Run: 2\nRealm-Turn: 3\n"


def test_prompt_and_answer() -> None:
    text = TurnText("\n  Fix the login  \nplease", "It works.\n\n\n\nTests pass.  \n")
    assert turn_message(text, "fix", 2, 3, ME) == f"Fix the login\n\nIt works.\n\nTests pass.\n\n{TRAILERS}"


def test_without_a_prompt() -> None:
    assert turn_message(TurnText(), "fix", 2, 3, ME) == f"Work of run 2\n\n{TRAILERS}"


def test_long_texts_are_cut() -> None:
    message = turn_message(TurnText("p" * 100, "a" * 5000), "fix", 2, 3, ME)
    subject, body, _ = message.split("\n\n", 2)
    assert (len(subject), len(body)) == (72, 2000)
    assert subject[-1] == body[-1] == "…"


def test_agents_subject_that_is_cut_stands_in_full_below() -> None:
    subject = "word " * 20
    message = agent_message(f"{subject}\n\nBody\n", "fix", 2, 3, ME)
    assert message.splitlines()[2] == subject.strip() or subject.strip() in message


def test_agents_own_trailers_stay_in_the_block() -> None:
    message = agent_message(
        "Subject\n\nBody\n\nCo-authored-by: B <b@c>\nSigned-off-by: C <c@d>\n", "fix", 2, 3, ME
    )
    assert message.endswith(f"\n\nCo-authored-by: B <b@c>\nSigned-off-by: C <c@d>\n{TRAILERS}")


def test_subject_alone_is_no_trailer() -> None:
    assert agent_message("Fixes: everything", "fix", 2, 3, ME) == f"Fixes: everything\n\n{TRAILERS}"


def test_empty_message() -> None:
    assert agent_message("\n\n", "fix", 2, 3, ME) == f"Work of run 2\n\n{TRAILERS}"


def test_forged_lines_go() -> None:
    forged = "a\nRealm-Run: 1\n realm-turn:2\n> REALM-X\nb Realm-Run: 1"
    assert body_text(forged, ME) == "a\nb Realm-Run: 1"


lines = st.lists(
    st.sampled_from(
        ["", "Realm-Turn: 9", " Realm-Run: 9", "Key: value", "text", "---", "# x", "realm-session=x"]
    )
    | st.text(max_size=20)
).map("\n".join)


@given(lines)
def test_git_reads_our_trailers_whatever_the_text(text: str) -> None:
    for message in (
        agent_message(text, "fix", 2, 3, ME),
        turn_message(TurnText(text, text), "fix", 2, 3, ME),
    ):
        done = subprocess.run(
            ["git", "interpret-trailers", "--parse", "--no-divider"],
            input=message.encode(),
            capture_output=True,
            check=True,
        )
        found = [line for line in done.stdout.decode().splitlines() if line.lower().startswith("realm-")]
        assert found == TRAILERS.splitlines()


def test_what_joins_letters_stays() -> None:
    words = "\u0645\u06cc\u200c\u062e\u0648 👩\u200d💻"
    message = agent_message(f"{words}\n\n{words} x\u200dy\u200c", "fix", 2, 3, ME)
    assert message.startswith(f"{words}\n\n{words} xy\n\n")
