"""Whatever trees a sandbox makes, what the verifier lets through is harmless."""

from __future__ import annotations

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from realm.store.batch import CatFile, RawObject
from realm.store.names import link_problem, name_problem
from realm.store.objects import DIRECTORY, EXECUTABLE, FILE, GITLINK, SYMLINK, Entry, Objects, read_tree
from realm.store.quarantine import Limits
from realm.store.verify import Verifier

names = st.sampled_from([b"a", b"b", b"c d", b".git", b"x\\y", b"e\x1b", b".gitignore", b"\xff", b"n" * 300])
modes = st.sampled_from([FILE, EXECUTABLE, 0o100666, 0o104755, SYMLINK, GITLINK, 0o010644, 0o060000])
contents = st.sampled_from([b"", b"x", b"../up", b"/etc", b"a", b"big" * 100])
files = st.tuples(modes, contents)
trees = st.recursive(
    st.dictionaries(names, files, max_size=4),
    lambda below: st.dictionaries(names, files | below, max_size=4),
    max_leaves=12,
)


class Shelf:
    """Objects in memory, read as the quarantine's are."""

    def __init__(self) -> None:
        self.made = Objects("sha1")

    def get(self, oid: str, limit: int) -> RawObject | None:  # noqa: ARG002 - as CatFile.get
        kind, data = self.made._made[oid]
        return RawObject(oid, {2: "tree", 3: "blob"}[kind], data)

    def put(self, tree: object) -> str:
        entries = []
        for name, what in cast("dict[bytes, object]", tree).items():
            if isinstance(what, dict):
                entries.append(Entry(name, DIRECTORY, self.put(what)))
            else:
                mode, content = cast("tuple[int, bytes]", what)
                entries.append(Entry(name, mode, self.made.blob(content)))
        return self.made.tree(entries)

    def walk(self, oid: str, depth: int = 0) -> list[tuple[Entry, int]]:
        found = []
        for entry in read_tree(self.made._made[oid][1], "sha1"):
            found.append((entry, depth))
            found += self.walk(entry.oid, depth + 1) if entry.mode == DIRECTORY else []
        return found

    def verifier(self) -> Verifier:
        sizes = {
            oid: ({2: "tree", 3: "blob"}[kind], len(data)) for oid, (kind, data) in self.made._made.items()
        }
        return Verifier(cast("CatFile", self), sizes, self.made, Limits(file=100), "sha1")


@given(trees)
def test_only_harmless_entries_come_through(tree: object) -> None:
    shelf = Shelf()
    empty = shelf.put({})
    oid = shelf.put(tree)
    found = shelf.verifier().tree(oid, empty)
    for entry, depth in shelf.walk(found):
        assert entry.mode in (DIRECTORY, FILE, EXECUTABLE, SYMLINK, GITLINK)
        assert not name_problem(entry.name)
        if entry.mode == SYMLINK:
            assert not link_problem(entry.name, shelf.made._made[entry.oid][1], depth)
        if entry.mode in (FILE, EXECUTABLE):
            assert len(shelf.made._made[entry.oid][1]) <= 100
        if entry.mode == DIRECTORY:
            assert shelf.walk(entry.oid)


@given(trees, trees)
def test_twice_is_the_same_as_once(tree: object, base: object) -> None:
    shelf = Shelf()
    start = shelf.put(base)
    oid = shelf.put(tree)
    once = shelf.verifier().tree(oid, start)
    again = shelf.verifier()
    assert again.tree(once, start) == once
    assert again.dropped.lines() == []


@given(trees)
def test_what_was_there_before_is_not_judged(tree: object) -> None:
    shelf = Shelf()
    start = shelf.put(tree)
    verifier = shelf.verifier()
    assert verifier.tree(start, start) == start
    assert verifier.dropped.lines() == []


@given(trees)
def test_everything_left_out_is_told(tree: object) -> None:
    shelf = Shelf()
    oid = shelf.put(tree)
    verifier = shelf.verifier()
    found = verifier.tree(oid, shelf.put({}))
    before, after = len(shelf.walk(oid)), len(shelf.walk(found))
    assert after <= before
    lines = verifier.dropped.lines()
    assert all(line.isprintable() and ": " in line for line in lines)
