"""Doing things at the same time that wait for other programs: git, the engine."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def together(*tasks: Callable[[], Any]) -> list[Any]:
    """Run every task in a thread of its own and return their results in order.

    When some fail the first of them, in the order given, is raised after all
    have ended.
    """
    results: list[Any] = [None] * len(tasks)
    problems: list[BaseException | None] = [None] * len(tasks)

    def run(number: int) -> None:
        try:
            results[number] = tasks[number]()
        except BaseException as problem:  # noqa: BLE001 - raised where the results are wanted
            problems[number] = problem

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for problem in problems:
        if problem is not None:
            raise problem
    return results
