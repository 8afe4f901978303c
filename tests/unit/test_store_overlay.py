from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realm.store.commits import overlay
from realm.store.objects import DIRECTORY, FILE, Entry, Objects, read_tree

Files = dict[str, int]

FILES = st.dictionaries(
    st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "f"]), st.integers(0, 2), max_size=6
)


def write(made: Objects, files: Files) -> str | None:
    """Make a tree of files; the numbers stand for contents."""
    below: dict[str, Files] = {}
    entries = []
    for path, content in files.items():
        first, _, rest = path.partition("/")
        if rest:
            below.setdefault(first, {})[rest] = content
        else:
            entries.append(Entry(first.encode(), FILE, f"{content:040x}"))
    for name, inner in below.items():
        tree = write(made, inner)
        assert tree is not None
        entries.append(Entry(name.encode(), DIRECTORY, tree))
    return made.tree(entries) if entries else None


def read(made: Objects, oid: str) -> list[Entry]:
    data = made.data(oid)
    assert data is not None
    return read_tree(data, "sha1")


def files(made: Objects, tree: str | None, prefix: str = "") -> Files:
    found: Files = {}
    for entry in read(made, tree) if tree else ():
        path = prefix + entry.name.decode()
        if entry.mode == DIRECTORY:
            found |= files(made, entry.oid, path + "/")
        else:
            found[path] = int(entry.oid, 16)
    return found


@given(FILES, FILES, FILES)
def test_it_is_the_last_tree_with_what_the_commit_changed(parent: Files, commit: Files, last: Files) -> None:
    made = Objects("sha1")
    trees = (write(made, parent), write(made, commit), write(made, last))
    merged = overlay(*trees, lambda oid: read(made, oid), made)
    changed = {path for path in {*parent, *commit} if parent.get(path) != commit.get(path)}
    expected = {path: content for path, content in last.items() if path not in changed}
    expected |= {path: content for path, content in commit.items() if path in changed}
    assert files(made, merged) == expected
