"""What is written into a record is what is read back."""

from __future__ import annotations

import json
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm.errors import RealmError
from realm.model import Kept, Neighbour, Refusal, Run, Session, State, Summary, Taken, Totals
from realm.store.schema import (
    MOST_NEIGHBOURS,
    dump,
    is_inside,
    load_run,
    load_session,
    read_summary,
    write_summary,
)

ID = "c0ffee00-1234-4abc-8def-0123456789ab"

words = st.text(st.characters(exclude_characters="\0"), max_size=50)
names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,20}", fullmatch=True)
parts = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=20).filter(
    lambda part: part not in (".", "..") and part.casefold() != ".git"
)
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
times = st.floats(0, 250_000_000_000, allow_nan=False)
counts = st.integers(0, 10**14)
oids = st.text("0123456789abcdef", min_size=40, max_size=40)
uuids = st.uuids().map(str)
texts = st.lists(words).map(tuple)

beside = names.map("beside-{}".format)
sessions = st.builds(
    Session,
    id=uuids,
    name=st.just("x"),
    project=paths.map("/".__add__),
    workspace=names.map("/workspace/".__add__),
    base=oids,
    created=times,
    subdir=st.just("") | paths,
    agent=texts,
    image=st.sampled_from(["", "debian:bookworm-slim", "host:5000/a/b@sha256:00ff", "sha256:00"]),
    conversation=st.none() | uuids,
    pushed=st.dictionaries(names.map(lambda name: f"https://host/{name} a/{name}"), oids, max_size=3),
    include=st.lists(paths).map(tuple),
    neighbours=st.lists(
        st.builds(Neighbour, paths.map("/".__add__), beside, oids, st.booleans(), st.just("") | names)
        | st.builds(Neighbour, paths.map("/".__add__), beside, st.just(""), st.just(False), st.just("")),
        max_size=MOST_NEIGHBOURS,
        unique_by=lambda one: one.name,
    ).map(tuple),
)
runs = st.builds(
    Run,
    number=st.just(7),
    started=times,
    before=oids,
    ended=st.none() | times,
    exit_code=st.none() | st.integers(-(2**31), 2**31 - 1),
    after=st.none() | oids,
    prompts=texts,
    notes=texts,
    dropped=counts,
    incomplete=st.lists(st.sampled_from(["screen", "turns/0002.screen", "turns/12345.screen"])).map(tuple),
    taken=st.none() | st.builds(Taken, counts, counts, oids, oids, times),
    continues=st.just(0),
    switches=st.lists(
        st.integers(1, 10**15).flatmap(
            lambda turn: st.tuples(st.just(turn), st.none() | st.integers(0, turn - 1))
        )
    ).map(tuple),
    said=counts,
    died=words,
    kept=st.lists(st.builds(Kept, names, names, oids, counts, names)).map(tuple),
    took=st.lists(times).map(tuple),
    ends=st.lists(times).map(tuple),
    weakened=texts,
    network=st.sampled_from(["", "open", "allow", "none"]),
    refused=st.lists(
        st.builds(
            Refusal, names, st.integers(0, 65535), st.sampled_from(["name", "address", "private"]), counts
        )
    ).map(tuple),
    risky=texts,
    neighbours=st.lists(st.tuples(names, oids), max_size=MOST_NEIGHBOURS).map(tuple),
)
summaries = st.builds(
    Summary,
    id=uuids,
    project=paths.map("/".__add__),
    created=times,
    state=st.sampled_from(State),
    base=oids,
    runs=counts,
    totals=st.builds(Totals, counts, counts, counts, counts),
    started=st.none() | times,
    exit_code=st.none() | st.integers(-255, 255),
    ended=st.none() | times,
    prompt=words,
    words=words,
    stopped=st.booleans(),
    pushed_tip=st.just("") | oids,
    pushed=words,
    weakened=words,
    risky=words,
    network=st.sampled_from(["", "open", "allow", "none"]),
    request=st.just("") | names.map("https://host/".__add__),
    died=words,
    beside=words,
)


@given(sessions)
def test_session(session: Session) -> None:
    assert load_session(dump(session), "x", "sha1") == session


@given(runs)
def test_run(run: Run) -> None:
    assert load_run(dump(run), "x", 7, "sha1") == run


@pytest.mark.parametrize(
    "row",
    [
        ["../lib", "lib", "", False, ""], ["/lib", "..", "", False, ""], ["/lib", "a/b", "", False, ""],
        ["/lib", "", "", False, ""], ["/lib", "lib", "HEAD", True, ""], ["/lib", "lib", "", True, ""],
        ["/lib", "lib", "", 1, ""], ["/lib", "lib"], "/lib", ["/lib\0", "lib", "", False, ""],
        ["/lib", "p", "", False, ""], ["/lib", ".git", "", False, ""],
        ["/lib", "lib", "", False, "x"], ["/lib", "lib", "1" * 40, True, "a/b"],
    ],
)  # fmt: skip
def test_a_directory_that_no_realm_would_name_damages_a_record(row: object) -> None:
    assert_no_valid_neighbours([row])


def test_too_many_directories_or_two_of_one_name_damage_a_record() -> None:
    assert_no_valid_neighbours([["/lib", "lib", "", False, ""], ["/other/lib", "lib", "", False, ""]])
    assert_no_valid_neighbours([["/lib", f"lib-{number}", "", False, ""] for number in range(51)])


def assert_no_valid_neighbours(rows: list[object]) -> None:
    session = Session(ID, "x", "/p", "/workspace/p", "1" * 40, 1.0)
    data = json.dumps({**json.loads(dump(session)), "neighbours": rows}).encode()
    with pytest.raises(RealmError, match="has no valid 'neighbours'"):
        load_session(data, "x", "sha1")


GOOD = Session(ID, "x", "/p", "/workspace/p", "1" * 40, 1.0)
OUTSIDE = ("..", "../x", "a/../b", "/etc", "a//b", "a/", "./a", "a\0b", "x/" * 5000 + "x")
BAD: dict[str, tuple[object, ...]] = {
    "id": ("", "x", "/tmp/victim", "../../victim", ID.upper(), ID + "\n", f"{ID}/.."),
    "name": ("", "y", "X", "../x"),
    "project": ("", "p", "/a\0b", "/" + "x" * 5000),
    "workspace": ("/", "/workspace", "/workspace/", "/workspace/..", "/workspace/../etc", "/workspace/a/../b",
                  "/workspace/a/", "workspace/p", "/workspace/a b", "/workspace/p\n"),
    "base": ("", "--output=FILE", "HEAD", "1" * 39, "1" * 64, "A" * 40, "1" * 40 + "\n", "^" + "1" * 40),
    "created": (-1, True, float("1e12"), "now"),
    "subdir": OUTSIDE,
    "agent": ("sh", [1], ["a\0b"], ["x" * 200_000], ["x"] * 20_000),
    "image": ("-v/:/host", "a b", "a\nb", "x" * 600),
    "conversation": ("../x", "a/b", "", ".x", "x" * 200),
    "pushed": ({"origin x": "HEAD"}, {"a\nb": "1" * 40}, {"": "1" * 40}, ["x"]),
    "include": (*([path] for path in OUTSIDE), [""], [".git/config"], ["a/.GIT"], ".env"),
}  # fmt: skip
BAD_RUN: dict[str, tuple[object, ...]] = {
    "number": (1, 0, -7, 7.0, True, "7"),
    "started": (-1, "x"),
    "before": ("--all", "HEAD", ""),
    "ended": (-1, 1e13),
    "exit_code": (2**31, -(2**40), "0"),
    "after": ("--output=x", ""),
    "prompts": ("x", [1]),
    "notes": ({}, [None]),
    "dropped": (-1, 10**16, 1.5),
    "incomplete": (["../x"], ["screen\n"], ["turns/x.screen"]),
}  # fmt: skip


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in BAD.items() for value in values])
def test_field_of_a_session_that_breaks_its_grammar(key: str, value: object) -> None:
    data = json.dumps({**GOOD._asdict(), "version": 1, key: value}).encode()
    with pytest.raises(RealmError, match=f"valid '{key}'") as caught:
        load_session(data, "x", "sha1")
    assert caught.value.hint == "git show refs/realm-meta/x:session.json"


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in BAD_RUN.items() for value in values]
)
def test_field_of_a_run_that_breaks_its_grammar(key: str, value: object) -> None:
    data = json.dumps({**Run(7, 1.0, "1" * 40)._asdict(), "version": 1, key: value}).encode()
    with pytest.raises(RealmError, match=f"valid '{key}'"):
        load_run(data, "x", 7, "sha1")


wild = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | words.map("../".__add__),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(GOOD._fields), wild, max_size=3))
def test_wild_values_never_get_through(changes: dict[str, object]) -> None:
    fields = {**GOOD._asdict(), "version": 1, **changes}
    try:
        found = load_session(json.dumps(fields).encode(), "x", "sha1")
    except RealmError:
        return
    assert found.name == "x"
    assert re.fullmatch("[0-9a-f-]{36}", found.id)
    assert re.fullmatch("[0-9a-f]{40}", found.base)
    assert found.workspace.startswith("/workspace/")
    assert all(is_inside(path) for path in (*found.include, found.subdir or "x"))
    assert 0 <= found.created < 1e12


@given(wild, st.sampled_from(Run(7, 1.0, "")._fields))
def test_wild_values_of_a_run(value: object, key: str) -> None:
    fields = {**Run(7, 1.0, "1" * 40)._asdict(), "version": 1, key: value}
    with suppress(RealmError):
        found = load_run(json.dumps(fields).encode(), "x", 7, "sha1")
        assert found.number == 7
        assert re.fullmatch("[0-9a-f]{40}", found.before)
        assert found.after is None or re.fullmatch("[0-9a-f]{40}", found.after)


def test_form_is_stable() -> None:
    data = dump(Run(1, 2.5, "abc"))
    found = json.loads(data)
    assert found["version"] == 1
    assert list(found) == sorted(found)
    assert data.startswith(b'{\n  "after": null,\n')
    assert data.endswith(b"}\n")


@given(summaries)
def test_summary(summary: Summary) -> None:
    found = read_summary(write_summary("x", summary), "sha1")
    assert found.created == pytest.approx(summary.created, abs=1e-4)
    assert (found.id, found.project, found.state) == (summary.id, summary.project, summary.state)
    assert (found.totals, found.runs, found.exit_code) == (summary.totals, summary.runs, summary.exit_code)
    assert (found.started is None, found.ended is None) == (summary.started is None, summary.ended is None)
    assert (found.prompt, found.words, found.pushed_tip) == (
        summary.prompt,
        summary.words,
        summary.pushed_tip,
    )
    assert found.pushed == (summary.pushed if summary.pushed_tip else "")
    assert found.request == summary.request


@given(words)
def test_summary_lines_cannot_be_forged(project: str) -> None:
    summary = Summary(ID, f"/{project}\nRealm-Base: evil", 1.0, State.EXITED, "1" * 40, 1)
    assert read_summary(write_summary("x", summary), "sha1").base == "1" * 40


@given(st.text() | st.from_regex(r"(Realm-[A-Za-z]{2,10}: .{0,30}\n){0,10}Realm-Version: 1\n"))
def test_any_message_is_survived(message: str) -> None:
    with suppress(RealmError):
        read_summary(message, "sha1")


@given(
    st.binary()
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists)
    .map(json.dumps)
    .map(str.encode)
)
def test_any_file_is_survived(data: bytes) -> None:
    with pytest.raises(RealmError):
        load_session(data, "x", "sha1")


@given(
    st.dictionaries(
        st.sampled_from(["version", "id", "name", "created", "base", "agent", "pushed"]),
        st.integers() | words,
    )
)
def test_any_object_is_survived(fields: dict[str, object]) -> None:
    with pytest.raises(RealmError) as caught:
        load_session(json.dumps(fields).encode(), "x", "sha1")
    assert caught.value.hint
