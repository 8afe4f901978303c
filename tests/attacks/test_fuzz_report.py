"""Random reports: a sandbox's claims about its run are used only if they are well-formed."""

from __future__ import annotations

import io
import re
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from realm.agents import find
from realm.errors import RejectedError
from realm.sandbox import report
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realm.sandbox.report import Report

FIXED = settings(derandomize=True, max_examples=300, deadline=None)
OID = "1" * 40
KEY = "a" * 16
HOOKS = (
    b'{"prompt": "fix it", "session_id": 7}', b'{"prompt": ["a"]}', b"[]", b"null", b"{",
    b'{"prompt": "\\ud800"}',
    b'{"last_assistant_message": {"a": 1}}', b'{"prompt": "x", "transcript_path": "../../etc/passwd"}',
    b"[" * 100_000, b'{"prompt": 1e999999}', b'"' + b"9" * 5000, b"9" * 5000,
)  # fmt: skip
LINES = (
    f"{OID} {OID} 12\n", f"{OID} {OID} 12 1\n", f"{OID} {OID} 999999999999 99999\n",
    f"{OID} {OID} \u0663 1\n",
    "exit 0\n", "exit -1\n", "exit 99999999999999999999\n", "exit \u0663\n", "done yes\n", "told yes\n",
    "error \x1b[2J\n", "nested ../..\n", "conflict a\n", f"{OID} refs/heads/a b\n", f"{OID} refs/heads/x\n",
    f"{OID} stash\n", f"point {KEY} {OID} {OID} 1\n", f"upstream {OID} lib\n",
    "all\n", "12 /realm/state/x.jsonl\n", "999999999999 x\n", "\n", "\0",
)  # fmt: skip
CONTENT = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from(LINES), max_size=5).map(lambda lines: "".join(lines).encode()),
    st.sampled_from(HOOKS),
)
INNER = ("inner", f"{KEY}.inner", f"{KEY}.kept", f"{KEY}.left")
WHOLE = ("end.point", "conversation", "kept", "report", "rebase", "pack", "transcript", "kept.pack", *INNER)
TURNS = ("turns/0001.point", "turns/0002.prompt.json", "turns/00001.stop.json", "turns/9999.point")
TURN = ("point", "said", "words", "kept", "prompt.json", "stop.json", "pack", "kept.pack", *INNER)
ODD = ("../end.point", "/etc/passwd", "turns/0000.point", "turns/99999.point", "a\nb", "transcript.size", "x")


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return an archive as an engine makes one of a directory."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as made:
        for name, content in files.items():
            info = tarfile.TarInfo(f"out/{name}")
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return held.getvalue()


def check(found: Report, directory: Path) -> None:
    """Check that every accepted field is what it claims to be."""
    for point in found.points:
        assert re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", point.head)
        assert re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", point.snapshot)
        assert 0 <= point.turn <= report.MAX_TURNS
    assert found.exit_code is None or 0 <= found.exit_code <= 999
    others = (found.others, *found.inner_others.values())
    assert all(len(one.left) <= report.MAX_LEFT for one in others)
    assert {*found.inner, *found.inner_others} <= {KEY}
    packs = (*found.inner_packs.values(), *(one.pack for one in others))
    for path in (found.pack, found.transcript, *packs):
        assert path is None or path.parent == directory
    assert {path.parent for path in directory.iterdir()} <= {directory}
    for agent in ((), ("sh",)):
        for text in find(agent).turn_texts(found.prompts, found.stops).values():
            clean(text.prompt, multiline=True).encode()
            clean(text.answer, multiline=True).encode()
        find(agent).conversation_id(found.conversation or "")


@FIXED
@given(st.dictionaries(st.sampled_from((*WHOLE, *TURNS * 3, *ODD)), CONTENT, max_size=8))
def test_any_report_of_a_run(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as where:
        directory = Path(where)
        report.receive(iter([archive(files)]), directory, 1 << 20)
        check(report.load(directory), directory)


@FIXED
@given(st.dictionaries(st.sampled_from((*TURN, *ODD)), CONTENT, max_size=8))
def test_any_hand_over_of_a_turn(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as where:
        directory = Path(where)
        try:
            state = {"point": LINES[1].encode()}  # without a good one nothing else would be looked at
            found = report.receive_turn(iter([archive(state | files)]), directory, 1 << 20)
        except RejectedError:
            return
        check(found, directory)
