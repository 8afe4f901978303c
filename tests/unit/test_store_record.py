"""What is written into a record is what is read back."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm.errors import RealmError
from realm.model import Run, Session, State, Totals
from realm.store.schema import dump_run, dump_session, load_run, load_session
from realm.store.summary import Summary, read_summary, write_summary

WHERE = ("session.json in the record of 'x'", "git show x")

plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
times = st.floats(0, 250_000_000_000, allow_nan=False)
numbers = st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 10**14)
oids = st.text("0123456789abcdef", min_size=40, max_size=40)
texts = st.lists(plain).map(tuple)

sessions = st.builds(
    Session,
    id=plain,
    name=plain,
    project=plain,
    workspace=plain,
    base=plain,
    created=times,
    subdir=plain,
    agent=texts,
    image=plain,
    conversation=st.none() | plain,
    pushed=st.dictionaries(plain, plain),
)
runs = st.builds(
    Run,
    number=numbers,
    started=times,
    before=plain,
    ended=st.none() | times,
    exit_code=st.none() | numbers,
    after=st.none() | plain,
    box=plain,
    prompts=texts,
    notes=texts,
    dropped=counts,
    incomplete=texts,
)
summaries = st.builds(
    Summary,
    id=plain,
    project=plain,
    created=times,
    state=st.sampled_from(State),
    base=oids,
    runs=counts,
    totals=st.builds(Totals, counts, counts, counts, counts),
    started=st.none() | times,
    exit_code=st.none() | st.integers(-255, 255),
)


@given(sessions)
def test_session(session: Session) -> None:
    assert load_session(dump_session(session), WHERE) == session


@given(runs)
def test_run(run: Run) -> None:
    assert load_run(dump_run(run), WHERE) == run


def test_form_is_stable() -> None:
    data = dump_run(Run(1, 2.5, "abc"))
    found = json.loads(data)
    assert found["version"] == 1
    assert list(found) == sorted(found)
    assert data.startswith(b'{\n  "after": null,\n')
    assert data.endswith(b"}\n")


@given(summaries)
def test_summary(summary: Summary) -> None:
    found = read_summary(write_summary("x", summary))
    assert found.created == pytest.approx(summary.created, abs=1e-4)
    assert (found.id, found.project, found.state) == (summary.id, summary.project, summary.state)
    assert (found.totals, found.runs, found.exit_code) == (summary.totals, summary.runs, summary.exit_code)
    assert (found.started is None) == (summary.started is None)


@given(plain, plain)
def test_summary_lines_cannot_be_forged(project: str, identifier: str) -> None:
    summary = Summary(identifier, project + "\nRealm-Base: evil", 1.0, State.EXITED, "1" * 40, 1)
    assert read_summary(write_summary("x", summary)).base == "1" * 40


@given(st.text() | st.from_regex(r"(Realm-[A-Za-z]{2,10}: .{0,30}\n){0,10}Realm-Version: 1\n"))
def test_any_message_is_survived(message: str) -> None:
    with suppress(RealmError):
        read_summary(message)


@given(
    st.binary()
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists)
    .map(json.dumps)
    .map(str.encode)
)
def test_any_file_is_survived(data: bytes) -> None:
    with pytest.raises(RealmError):
        load_session(data, WHERE)


@given(
    st.dictionaries(
        st.sampled_from(["version", "id", "name", "created", "base", "agent", "pushed"]),
        st.integers() | plain,
    )
)
def test_any_object_is_survived(fields: dict[str, object]) -> None:
    with pytest.raises(RealmError) as caught:
        load_session(json.dumps(fields).encode(), WHERE)
    assert caught.value.hint
