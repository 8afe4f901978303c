"""Doing things at the same time that wait for other programs: git, the engine."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
PATIENCE = 10.0
"""Seconds that tasks are waited for after an interrupt."""


class Begun(Generic[_T]):
    """Something harmless that is done in a thread of its own from now on, until its result is wanted."""

    def __init__(self, task: Callable[[], _T]) -> None:
        self._results: list[_T] = []
        self._problem: BaseException | None = None

        def run() -> None:
            try:
                self._results.append(task())
            except BaseException as problem:  # noqa: BLE001 - raised where the result is wanted
                self._problem = problem

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def result(self) -> _T:
        """Wait for the end; return the result or raise what was raised."""
        self._thread.join()
        if self._problem is not None:
            raise self._problem
        return self._results[0]


class Beside:
    """Something that is done in a thread of its own while somebody does something else.

    The ``task`` is given what tells it to end, which it looks at, or waits for, now and then.
    """

    def __init__(self, task: Callable[[threading.Event], object]) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=task, args=(self._stop,), daemon=True)
        self._thread.start()

    def end(self, patience: float) -> bool:
        """Tell the task to end; return whether it has within ``patience`` seconds."""
        self._stop.set()
        self._thread.join(patience)
        return not self._thread.is_alive()


def together(*tasks: Callable[[], Any]) -> list[Any]:
    """Run the tasks at the same time and return their results in order.

    The last one runs in the calling thread, where Ctrl-C arrives; each other
    has a thread of its own.  When some fail the first of them, in the order
    given, is raised after all have ended; an interrupt goes before them.
    """
    results: list[Any] = [None] * len(tasks)
    problems: list[BaseException | None] = [None] * len(tasks)

    def run(number: int) -> None:
        try:
            results[number] = tasks[number]()
        except BaseException as problem:  # noqa: BLE001 - raised where the results are wanted
            problems[number] = problem

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(tasks) - 1)]
    interrupted = None
    try:
        for thread in threads:
            thread.start()
        if tasks:
            run(len(tasks) - 1)
    except KeyboardInterrupt as wish:  # between the tasks
        interrupted = wish
    interrupted = _join([thread for thread in threads if thread.ident is not None]) or interrupted
    wishes = [problem for problem in problems if problem is not None and not isinstance(problem, Exception)]
    for problem in (interrupted, *wishes, *problems):
        if problem is not None:
            raise problem
    return results


def _join(threads: list[threading.Thread]) -> KeyboardInterrupt | None:
    """Wait for all threads, also when interrupted, for some seconds: what they have in hand is soon done.

    Whoever undoes what they did has to know it.
    """
    interrupted, deadline = None, None
    for thread in threads:
        while thread.is_alive():
            try:
                thread.join(None if deadline is None else max(0.01, deadline - time.monotonic()))
            except KeyboardInterrupt as wish:
                interrupted = interrupted or wish
                deadline = deadline or time.monotonic() + PATIENCE
            if interrupted is not None and deadline is not None and time.monotonic() > deadline:
                raise interrupted
    return interrupted
