from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from realm.errors import EngineError
from realm.terminal.relay.loop import drain, relay
from realm.terminal.relay.protocols import Ended, Reason
from realm.terminal.relay.user import CHUNK, TYPED
from tests.support.terminal import SocketSandbox
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Seat:
    """A user's side made of pipes."""

    def __init__(self) -> None:
        self.stdin: int | None
        self.stdin, self.typing = os.pipe()
        self.reading, self.stdout = os.pipe()
        self.complaints, self.stderr = os.pipe()
        self.is_raw = False
        self.rows = 24
        self.noted = b""
        self.suspended = 0

    def size(self) -> tuple[int, int]:
        return self.rows, 80

    def note(self, data: bytes) -> None:
        self.noted += data

    def suspend(self) -> None:
        self.suspended += 1

    def resume(self) -> bool:
        return False

    def close(self) -> None:
        for fd in (self.typing, self.reading, self.stdout, self.complaints, self.stderr, self.stdin):
            if fd is not None:
                with contextlib.suppress(OSError):
                    os.close(fd)


class Room:
    """A relay between a sandbox and a seat, with the far ends played by threads."""

    def __init__(self, *, tty: bool) -> None:
        self.sandbox = SocketSandbox(tty=tty)
        self.seat = Seat()
        self.sizes: list[tuple[int, int]] = []
        self.tapped: list[bytes] = []
        self._threads: list[threading.Thread] = []

    def play(self, part: Callable[[], object]) -> None:
        thread = threading.Thread(target=part)
        self._threads.append(thread)
        thread.start()

    def relay(self, **options: Any) -> Ended:
        settings: dict[str, Any] = {
            "tap": self.tapped.append,
            "resize": lambda rows, columns: self.sizes.append((rows, columns)),
        }
        return relay(self.sandbox, self.seat, **(settings | options))

    def close(self) -> None:
        for thread in self._threads:
            thread.join(20)
        self.sandbox.close()
        self.seat.close()


@pytest.fixture
def room() -> Iterator[Room]:
    made = Room(tty=True)
    yield made
    made.close()


@pytest.fixture
def framed() -> Iterator[Room]:
    made = Room(tty=False)
    yield made
    made.close()


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def test_output_reaches_user_tap_and_account(room: Room) -> None:
    room.sandbox.peer.sendall(b"hello")
    room.sandbox.peer.close()
    assert room.relay() == Ended(Reason.EOF)
    assert os.read(room.seat.reading, 100) == b"hello"
    assert room.tapped == [b"hello"]
    assert room.seat.noted == b"hello"


def test_the_size_is_set_before_the_first_byte_moves(room: Room) -> None:
    order: list[str] = []
    room.sandbox.peer.sendall(b"x")
    room.sandbox.peer.close()
    room.relay(
        begin=lambda: order.append("begin"),
        resize=lambda *_: order.append("resize"),
        tap=lambda _: order.append("output"),
    )
    assert order == ["begin", "resize", "output"]


def test_a_resize_while_attaching_is_applied(room: Room) -> None:
    def begin() -> None:
        room.seat.rows = 50
        os.kill(os.getpid(), signal.SIGWINCH)

    def program() -> None:
        eventually(lambda: len(room.sizes) > 1, 20)
        room.sandbox.peer.close()

    room.play(program)
    room.relay(begin=begin)
    assert set(room.sizes) == {(50, 80)}


def test_every_resize_is_applied(room: Room) -> None:
    def play() -> None:
        for rows in range(30, 40):
            room.seat.rows = rows
            os.kill(os.getpid(), signal.SIGWINCH)
            eventually(lambda rows=rows: room.sizes[-1:] == [(rows, 80)], 20)  # type: ignore[misc]
        room.sandbox.peer.close()

    room.play(play)
    room.relay()
    assert [rows for rows, _ in room.sizes][-10:] == list(range(30, 40))


def test_a_sandbox_without_a_size_is_no_matter(room: Room) -> None:
    def resize(_rows: int, _columns: int) -> None:
        raise EngineError("the sandbox has ended")

    room.sandbox.peer.close()
    assert room.relay(resize=resize).reason is Reason.EOF


def test_end_of_input_closes_the_sandboxs_input_only(room: Room) -> None:
    def program() -> None:
        got = b""
        while data := room.sandbox.peer.recv(100):
            got += data
        room.sandbox.peer.sendall(b"read " + got)
        room.sandbox.peer.close()

    os.write(room.seat.typing, b"task")
    os.close(room.seat.typing)
    room.play(program)
    assert room.relay().reason is Reason.EOF
    assert os.read(room.seat.reading, 100) == b"read task"


def test_without_input_the_sandbox_sees_its_end_at_once(room: Room) -> None:
    room.seat.stdin = None

    def program() -> None:
        assert room.sandbox.peer.recv(10) == b""
        room.sandbox.peer.close()

    room.play(program)
    assert room.relay().reason is Reason.EOF


def test_a_megabyte_typed_arrives_whole(room: Room) -> None:
    sent, got = os.urandom(1_000_000), bytearray()

    def user() -> None:
        rest = memoryview(sent)
        while rest:
            rest = rest[os.write(room.seat.typing, rest[:10_000]) :]
        os.close(room.seat.typing)

    def program() -> None:
        while data := room.sandbox.peer.recv(3_000):
            got.extend(data)
        room.sandbox.peer.close()

    room.play(user)
    room.play(program)
    room.relay()
    assert bytes(got) == sent


def test_a_sandbox_that_reads_nothing_holds_the_user_back(room: Room) -> None:
    written = 0

    def user() -> None:
        nonlocal written
        os.set_blocking(room.seat.typing, False)
        quiet = time.monotonic()
        while time.monotonic() < quiet + 0.5:
            try:
                written += os.write(room.seat.typing, bytes(4096))
                quiet = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        room.sandbox.peer.close()

    room.play(user)
    room.relay()
    assert written < 2 * TYPED + CHUNK + 2_000_000


def test_a_user_who_reads_nothing_holds_the_sandbox_back(room: Room) -> None:
    written = 0

    def program() -> None:
        nonlocal written
        room.sandbox.peer.setblocking(False)
        quiet = time.monotonic()
        while time.monotonic() < quiet + 0.5:
            try:
                written += room.sandbox.peer.send(bytes(4096))
                quiet = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    room.play(program)
    assert room.relay() == Ended(Reason.SIGNAL, signal.SIGTERM)
    assert written < 2_000_000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_relay_and_handlers_come_back(room: Room, number: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in (number, signal.SIGWINCH, signal.SIGCONT)}
    assert room.relay(begin=lambda: os.kill(os.getpid(), number)) == Ended(Reason.SIGNAL, number)
    assert {each: signal.getsignal(each) for each in before} == before
    assert signal.set_wakeup_fd(-1) == -1


def test_an_interrupt_outside_raw_mode_is_passed_on(room: Room) -> None:
    interrupts: list[int] = []

    def interrupt() -> None:
        interrupts.append(1)
        room.sandbox.peer.close()

    ended = room.relay(resize=lambda *_: os.kill(os.getpid(), signal.SIGINT), interrupt=interrupt)
    assert ended.reason is Reason.EOF
    assert interrupts == [1]


def test_an_interrupt_while_the_program_is_started_ends_the_relay(room: Room) -> None:
    interrupts: list[int] = []
    ended = room.relay(
        begin=lambda: os.kill(os.getpid(), signal.SIGINT), interrupt=lambda: interrupts.append(1)
    )
    assert ended == Ended(Reason.SIGNAL, signal.SIGINT)
    assert interrupts == []


def test_a_reader_that_closed_ends_the_relay(room: Room) -> None:
    os.close(room.seat.reading)
    room.sandbox.peer.sendall(b"x")
    assert room.relay().reason is Reason.CLOSED


def test_a_terminal_that_is_gone_ends_the_relay(room: Room) -> None:
    room.seat.is_raw = True
    os.close(room.seat.typing)
    assert room.relay().reason is Reason.HANGUP


def test_a_program_that_closed_its_input_is_still_heard(room: Room) -> None:
    def program() -> None:
        room.sandbox.peer.shutdown(0)
        os.write(room.seat.typing, b"unheard")
        time.sleep(0.1)
        room.sandbox.peer.sendall(b"still here")
        room.sandbox.peer.close()

    room.play(program)
    assert room.relay().reason is Reason.EOF
    assert os.read(room.seat.reading, 100) == b"still here"


def test_detach_keys_end_the_relay_and_are_not_sent(room: Room) -> None:
    os.write(room.seat.typing, b"ab\x10\x11")
    assert room.relay(detach=(16, 17)).reason is Reason.DETACHED
    assert room.sandbox.peer.recv(100) == b"ab"


class Pastes:
    """Who sees to pastes: text in capitals, and an image when it is time for it."""

    key = 0x16

    def __init__(self, image: bytes = b"") -> None:
        self._image = image
        self.asked, self.go_on = threading.Event(), threading.Event()

    def text(self, paste: bytes) -> bytes:
        return paste.upper()

    def image(self) -> bytes:
        self.asked.set()
        assert self.go_on.wait(20)
        return self._image


def test_what_the_user_pastes_may_be_changed_and_what_the_program_writes_not(room: Room) -> None:
    paste, heard = b"\x1b[200~/etc/motd\x1b[201~", []
    os.write(room.seat.typing, paste)

    def program() -> None:
        heard.append(room.sandbox.peer.recv(100))
        room.sandbox.peer.sendall(paste)
        room.sandbox.peer.close()

    room.play(program)
    room.relay(paste=Pastes())
    assert heard == [b"\x1b[200~/ETC/MOTD\x1b[201~"]
    assert os.read(room.seat.reading, 100) == paste


@pytest.mark.parametrize("key", [b"\x16", b"\x1b[118;5u", b"\x1b[118;69:1u", b"\x1b[27;5;118~"])
@pytest.mark.parametrize("image", [b"", b"/home/shot.png"])
def test_an_image_takes_the_place_of_its_key_and_output_and_later_keys_wait_for_nothing_else(
    room: Room, key: bytes, image: bytes
) -> None:
    pastes, heard = Pastes(image), b""
    wanted = b"a" + (b"\x1b[200~" + image + b"\x1b[201~" if image else key) + b"b\x16c"

    def program() -> None:
        nonlocal heard
        os.write(room.seat.typing, b"a")
        heard += room.sandbox.peer.recv(100)
        os.write(room.seat.typing, key)
        assert pastes.asked.wait(20)
        os.write(room.seat.typing, b"b\x16c")
        room.sandbox.peer.sendall(b"shown meanwhile")
        assert os.read(room.seat.reading, 100) == b"shown meanwhile"
        pastes.go_on.set()
        while len(heard) < len(wanted):
            heard += room.sandbox.peer.recv(100)
        room.sandbox.peer.close()

    room.play(program)
    room.relay(paste=pastes)
    assert heard == wanted


def test_the_user_can_leave_while_an_image_is_waited_for(room: Room) -> None:
    pastes = Pastes()

    def program() -> None:
        os.write(room.seat.typing, b"\x16")
        assert pastes.asked.wait(20)
        os.write(room.seat.typing, b"\x10\x11")

    room.play(program)
    assert room.relay(paste=pastes, detach=(0x10, 0x11)).reason is Reason.DETACHED
    pastes.go_on.set()


def test_output_and_errors_stay_apart(framed: Room) -> None:
    framed.sandbox.peer.sendall(frame(1, b"out ") + frame(2, b"err ") + frame(1, b"put"))
    framed.sandbox.peer.close()
    assert framed.relay().reason is Reason.EOF
    assert os.read(framed.seat.reading, 100) == b"out put"
    assert os.read(framed.seat.complaints, 100) == b"err "


def test_malformed_frames_are_an_error_and_handlers_come_back(framed: Room) -> None:
    before = signal.getsignal(signal.SIGTERM)
    framed.sandbox.peer.sendall(b"not a frame")
    with pytest.raises(EngineError):
        framed.relay()
    assert signal.getsignal(signal.SIGTERM) == before


def test_idle_work_is_done_when_nothing_moves_and_until_it_is_done(room: Room) -> None:
    left = [1, 1, 1, 0]

    def idle() -> bool:
        more = bool(left.pop(0))
        if not more:
            room.sandbox.peer.close()
        return more

    room.sandbox.peer.sendall(b"x")
    assert room.relay(idle=idle).reason is Reason.EOF
    assert left == []


def test_further_descriptors_are_watched(room: Room) -> None:
    read, write = os.pipe()
    seen: list[bytes] = []

    def ready() -> bool:
        seen.append(os.read(read, 10))
        room.sandbox.peer.close()
        return False

    os.write(write, b"turn")
    room.relay(watch={read: ready})
    assert seen == [b"turn"]
    os.close(read)
    os.close(write)


class ReadAheadSandbox(SocketSandbox):
    """A stream that holds bytes its descriptor does not announce, as TLS does."""

    def __init__(self) -> None:
        super().__init__()
        self.held = b"held back"

    def recv(self, size: int) -> bytes:
        data, self.held = self.held[:4], self.held[4:]
        return data or self.peer_end(size)

    def peer_end(self, size: int) -> bytes:
        return os.read(self.fileno(), size)

    def pending(self) -> int:
        return len(self.held)


def test_bytes_that_a_stream_read_ahead_are_not_forgotten(room: Room) -> None:
    room.sandbox.close()
    room.sandbox = ReadAheadSandbox()
    room.sandbox.peer.close()
    assert room.relay().reason is Reason.EOF
    assert os.read(room.seat.reading, 100) == b"held back"


def test_a_lone_beginning_of_the_detach_keys_goes_through_after_a_moment(room: Room) -> None:
    os.write(room.seat.typing, b"\x10")

    def program() -> None:
        room.sandbox.peer.settimeout(5)
        assert room.sandbox.peer.recv(100) == b"\x10"
        os.write(room.seat.typing, b"\x11")
        assert room.sandbox.peer.recv(100) == b"\x11"
        room.sandbox.peer.close()

    room.play(program)
    began = time.monotonic()
    assert room.relay(detach=(16, 17)).reason is Reason.EOF
    assert 0.4 < time.monotonic() - began < 3


def test_the_rest_of_a_frame_is_read_by_whoever_comes_next(framed: Room) -> None:
    whole = frame(1, b"one ") + frame(2, b"three")
    framed.sandbox.peer.sendall(whole[:10])

    def stop() -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return False

    assert framed.relay(idle=stop).reason is Reason.SIGNAL
    framed.sandbox.peer.sendall(whole[10:])
    framed.sandbox.peer.close()
    assert drain(framed.sandbox, tap=framed.tapped.append) == Ended(Reason.EOF)
    assert b"".join(framed.tapped) == b"one three"
