"""Random trees, links, messages and damaged packs: valid ones are taken in, others refused with a message."""

from __future__ import annotations

import posixpath
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from realm.errors import RealmError
from realm.store.names import name_problem
from tests.support.repos import Repo
from tests.support.store import Forge, project_of, take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realm.store.ingest import Intake

FIXED = settings(derandomize=True, max_examples=60, deadline=None)
"""The same examples each time: some seconds, wherever it runs."""

ODD = (
    b".git", b".GIT", b"git~1", b".g\xe2\x80\x8cit", b".gitmodules", b".gitattributes", b"HEAD", b"objects",
    b"refs", b"config", b"a", b"A", b"a\xcc\x81", b"\xc3\xa1", b"a.", b"CON", b"..", b".", b"x\\y", b"a:b",
    b"\x1b[2J", b"\x9b1m", b"\xe2\x80\xae", b"\xff\xfe", b"n" * 300,
)  # fmt: skip
LINKS = (b"a", b"../x", b"../../etc/passwd", b"/etc/passwd", b".git/config", b"a/../..", b"")
TEXT = st.binary(min_size=1, max_size=6).filter(lambda text: not {b"\0"[0], b"/"[0]} & set(text))
# git refuses a pack for a single odd name or mode: with many of them nothing else would be looked at.
NAMES = st.sampled_from((b"a", b"b", b"c", b"d") * 20 + ODD) | TEXT
TARGETS = st.sampled_from(LINKS * 2) | TEXT
MODES = st.sampled_from(
    ["100644", "120000", "120000", "40000"] * 12 + ["100755", "100666", "160000", "020666", "0"]
)
Tree = list[tuple[str, bytes, "bytes | Tree"]]
LEAVES = st.lists(st.tuples(MODES, NAMES, TARGETS), min_size=1, max_size=4)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(st.tuples(st.just("40000"), NAMES, inner), min_size=1, max_size=3)
)


def planted(forge: Forge, tree: Sequence[tuple[str, bytes, object]]) -> str:
    """Return a tree of the forge's, its lines in git's order, each name once."""
    lines = {}
    for mode, name, content in tree:
        if isinstance(content, bytes):
            oid = forge.tip if mode == "160000" else forge.blob(content)
            lines[name] = ("100644" if mode == "40000" else mode, name, oid)
        else:
            lines[name] = ("40000", name, planted(forge, content))  # type: ignore[arg-type]
    order = sorted(lines.values(), key=lambda line: line[1] + (b"/" if line[0] == "40000" else b""))
    return forge.tree(*order)


def fresh(where: str) -> Repo:
    repo = Repo.init(Path(where) / "project")
    repo.write("README.md", "# project\n")
    repo.commit("Start")
    return repo


def refusal(wanted: Intake) -> str:
    """Return why it is not taken in; nothing where it is.  Any other error is one."""
    try:
        take(wanted)
    except RealmError as refused:
        return refused.message
    return ""


def check(repo: Repo) -> None:
    """Check the session's commits and files, if there are any."""
    # That a .gitmodules cannot be read is a warning: no git does anything with it then.
    repo.git("fsck", "--strict", "--no-dangling")
    if "refs/realm/fix" not in repo.refs("refs/realm"):
        return
    for line in repo.git("ls-tree", "-r", "-t", "-z", "refs/realm/fix").split("\0")[:-1]:
        head, _, path = line.partition("\t")
        for part in PurePosixPath(path).parts:
            assert name_problem(part.encode("utf-8", "surrogateescape")) == ""
        if head.startswith("120000"):
            target = repo.git("cat-file", "-p", head.split()[2])
            assert not target.startswith("/")
            assert ".git" not in target.split("/")
            assert not posixpath.normpath(posixpath.join(posixpath.dirname(path), target)).startswith("..")


@FIXED
@given(TREES, st.binary(max_size=80))
def test_any_tree_with_any_message(tree: Sequence[tuple[str, bytes, object]], message: bytes) -> None:
    with tempfile.TemporaryDirectory() as where:
        repo = fresh(where)
        forge = Forge(project_of(repo))
        commit = forge.commit(planted(forge, tree), message=message.replace(b"\0", b""))
        said = refusal(forge.intake(Path(where) / "pack", commit, commit))
        assert said.isprintable()
        check(repo)


@FIXED
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=5), st.integers(0, 60)
)
def test_any_damage_to_a_pack(changes: list[tuple[int, int]], cut: int) -> None:
    with tempfile.TemporaryDirectory() as where:
        repo = fresh(where)
        forge = Forge(project_of(repo))
        intake = forge.intake(Path(where) / "pack", forge.file("new"))
        assert intake.pack is not None
        data = bytearray(intake.pack.read_bytes())
        for place, value in changes:
            data[place % len(data)] = value
        intake.pack.write_bytes(bytes(data[: len(data) - cut]))
        assert refusal(intake).isprintable()
        check(repo)
