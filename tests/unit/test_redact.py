"""Secrets are taken out of text, nothing else is, and nothing moves."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm.redact import Redactor, is_secret, texts
from realm.terminal.recording import cast

LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD" * 4
VALUE = "correct-horse-battery-staple"


def likes(*parts: str) -> str:
    """Return something that looks like a secret, put together here so that no scanner takes it for one."""
    return "".join(parts)


@pytest.mark.parametrize(
    "secret",
    [
        likes("sk-ant-", "api03-", LETTERS[:93]),
        likes("sk-", "proj-", LETTERS[:40]),
        likes("ghp", "_", LETTERS[:36]),
        likes("github", "_pat_", LETTERS[:82]),
        likes("glpat", "-", LETTERS[:20]),
        likes("AK", "IA", "ABCDEFGHIJ234567"),
        likes("AI", "za", LETTERS[:35]),
        likes("xox", "b-", "123456789012-", LETTERS[:24]),
        likes("sk", "_live_", LETTERS[:24]),
        likes("npm", "_", LETTERS[:36]),
        likes("pypi-", "AgE", LETTERS[:60]),
        likes("eyJ", LETTERS[:20], ".eyJ", LETTERS[:30], ".", LETTERS[:40]),
    ],
)
def test_known_formats_are_found_in_any_text(secret: str) -> None:
    redacted = Redactor().text(f"the key is {secret}, and here it ends\n")
    assert redacted == f"the key is {'*' * len(secret)}, and here it ends\n"
    assert Redactor().data(f"k={secret}".encode()) == b"k=" + b"*" * len(secret)


def test_a_password_in_an_address_and_a_private_key_go() -> None:
    assert Redactor().text("git clone https://me:hunter22@host/x") == "git clone https://***********@host/x"
    begin, end = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
    body = "\n".join(LETTERS[:64] for _ in range(5))
    stars = re.sub("[^\n]", "*", body)
    assert Redactor().text(f"{begin}\n{body}\n{end}") == f"{begin}\n{stars}\n{end}"


@pytest.mark.parametrize(
    "text",
    [
        "commit 4cbeb1310d0f5b2a6d1f2c3b4a5968778695a4b3",
        "https://example.com:8080/path and ssh://git@host/x.git",
        "sk-ant is the prefix, ghp_ another, AKIA too",
        "glances at token = get_token_from_request(request)",
        "eyJ is how a JWT begins",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert Redactor([VALUE]).text(text) == text


def test_a_value_is_found_where_its_line_was_full() -> None:
    begin, end = VALUE[:10], VALUE[10:]
    for between in ("\n", "\r\n  ", "\x1b[0m\x1b[12;3H", " │\n│ ", "\x1b[38;5;246m"):
        redacted = Redactor([VALUE]).text(f"> {begin}{between}{end} <")
        assert redacted == f"> {'*' * 10}{between}{'*' * 18} <"


def test_short_values_are_words() -> None:
    assert Redactor(["true", "", "on"]).text("true on") == "true on"


def test_a_secret_goes_from_one_piece_of_a_stream_to_the_next() -> None:
    pieces = ["a ", VALUE[:5], "", VALUE[5:20], VALUE[20:] + " b"]
    assert Redactor([VALUE]).pieces(pieces) == ["a ", "*****", "", "*" * 15, "*" * 8 + " b"]


def test_a_recording_keeps_its_times_and_its_other_events() -> None:
    events = [
        [0.5, "o", "say corr"],
        [0.75, "r", "80x24"],
        [1.0, "o", VALUE[4:] + "\x1b[0m!\r\n"],
        [2, "x", VALUE],
    ]
    data = b'{"version": 2, "width": 80, "height": 24}\n' + b"".join(
        json.dumps(event).encode() + b"\n" for event in events
    )
    changed = cast.changed(data, Redactor([VALUE]).pieces)
    _, moments = cast.read(changed)
    assert [tuple(moment) for moment in moments] == [
        (0.5, "o", "say ****"), (0.75, "r", "80x24"), (1.0, "o", "*" * 24 + "\x1b[0m!\r\n"),
    ]  # fmt: skip
    assert cast.changed(data, Redactor().pieces) == data


def test_lines_of_a_conversation_stay_valid() -> None:
    line = {"message": {"content": [{"text": f'he said "{VALUE}"\nand left', "n": 1.50}]}, "id": VALUE}
    data = json.dumps(line).encode() + b'\n{"other":  "line" }\nno json ' + VALUE.encode() + b"\n"
    first, second, third, last = Redactor([VALUE]).lines(data).split(b"\n")
    assert json.loads(first)["message"]["content"][0]["text"] == f'he said "{"*" * 28}"\nand left'
    assert VALUE.encode() not in first + third
    assert (second, last) == (b'{"other":  "line" }', b"")
    assert Redactor().lines(b"[" * 100_000) == b"[" * 100_000


@given(st.text(max_size=300), st.text(alphabet="abc\x1b[m0;\n ", max_size=200))
def test_nothing_ever_moves(text: str, more: str) -> None:
    found = Redactor([VALUE, "abcabcab"]).text(f"{text}{VALUE[:9]}{more}{VALUE[9:]}{text}")
    before = f"{text}{VALUE[:9]}{more}{VALUE[9:]}{text}"
    assert len(found) == len(before)
    assert [char for char in found if not char.isprintable()] == [
        char for char in before if not char.isprintable()
    ]


@given(st.binary(max_size=300))
def test_any_bytes_come_through(data: bytes) -> None:
    assert Redactor([VALUE]).data(data + VALUE.encode() + data) == data + b"*" * 28 + data


def test_what_sounds_like_a_secret() -> None:
    assert is_secret("API_KEY", "12345678")
    assert is_secret("npm_config__authToken", "12345678")
    assert not is_secret("LANG", "en_US.UTF-8")
    assert is_secret("DB_PW", "12345678")
    assert not is_secret("API_KEY", "none")
    assert not is_secret("PWD", "/home/ada/shop")


def test_texts_of_a_login() -> None:
    login = {
        "claudeAiOauth": {
            "accessToken": "a" * 30,
            "refreshToken": "b" * 30,
            "scopes": ["user:inference:x:y:z:1"],
        }
    }
    assert list(texts(json.dumps(login).encode())) == ["a" * 30, "b" * 30]
    assert list(texts(b"nonsense")) == []


def test_a_document_stays_one() -> None:
    found = json.loads(Redactor([VALUE]).document(json.dumps({"a": [f"{VALUE}\n"], "b": 1}).encode()))
    assert found == {"a": ["*" * 28 + "\n"], "b": 1}
    assert Redactor([VALUE]).document(b'{"b":  1}') == b'{"b":  1}'
    assert Redactor([VALUE]).document(b"{" + VALUE.encode()) == b"{" + b"*" * 28
