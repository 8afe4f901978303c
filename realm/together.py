"""Doing things at the same time that wait for other programs: git, the engine."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from realm.interrupts import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


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

    def result(self, patience: float | None = None) -> _T:
        """Wait for the end; return the result or raise what was raised.

        With ``patience``, in seconds, :class:`TimeoutError` is raised after that.
        """
        self._thread.join(patience)
        if self._thread.is_alive():
            raise TimeoutError
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
    given, is raised after all have ended; an interrupt goes before them, and waits
    for the others for some seconds at most.
    """
    jobs = [_Job(task) for task in tasks]
    interrupted, deadline, is_begun = None, None, False
    while True:
        # Wherever an interrupt comes, what was started is waited for: whoever undoes it has to know it.
        try:
            if not is_begun:
                is_begun = True
                _run(jobs)
            for job in jobs:
                job.wait(deadline)
            break
        except KeyboardInterrupt as wish:
            if interrupted is not None:
                raise
            interrupted, deadline = wish, time.monotonic() + PATIENCE
    problems = [job.problem for job in jobs if job.problem is not None]
    wishes = [problem for problem in problems if not isinstance(problem, Exception)]
    for problem in (interrupted, *wishes, *problems):
        if problem is not None:
            raise problem
    return [job.result for job in jobs]


def _run(jobs: list[_Job]) -> None:
    for job in jobs[:-1]:
        job.is_begun = True
        threading.Thread(target=job.run, daemon=True).start()
    for job in jobs[-1:]:
        job.run()
        if isinstance(job.problem, KeyboardInterrupt):
            raise job.problem


class _Job:
    """A task and its result."""

    def __init__(self, task: Callable[[], Any]) -> None:
        self._task = task
        self._ended = threading.Event()
        self.is_begun = False
        self.result: Any = None
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._task()
        except BaseException as problem:  # noqa: BLE001 - raised where the results are wanted
            self.problem = problem
        finally:
            self._ended.set()

    def wait(self, deadline: float | None) -> None:
        """Wait for the end of a task that has a thread of its own."""
        if self.is_begun:
            self._ended.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
