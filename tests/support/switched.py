"""Runs attacks without the defences that stand against them (:mod:`tests.support.switches`).

As a plugin of pytest (``-p tests.support.switched``) it switches off the one that ``REALM_SWITCH_OFF`` names;
as a program it runs attacks that way, for :mod:`tests.attacks.test_each_defence_counts`.
"""

from __future__ import annotations

import os
import pkgutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.switches import SWITCHES

if TYPE_CHECKING:
    from tests.support.install import Installed

_ROOT = str(Path(__file__).resolve().parents[2])


def switch_off(name: str) -> None:
    """Switch off the defence in this process."""
    switch = SWITCHES[name]
    for place in (*switch.off, *switch.changed):
        module, _, attribute = place.rpartition(".")
        owner = pkgutil.resolve_name(module)
        before = getattr(owner, attribute)
        setattr(owner, attribute, switch.off[place] if place in switch.off else switch.changed[place](before))


def pytest_configure() -> None:
    """Switch off the defence that ``REALM_SWITCH_OFF`` names, here and in each realm that the test runs."""
    from tests.support import history
    from tests.support.install import Installed

    name = os.environ["REALM_SWITCH_OFF"]
    if "fuzz" in SWITCHES[name].attack:
        from hypothesis import Phase, settings  # half a second

        # That something is found is enough: it need not be made shorter.
        settings.register_profile("switched", phases=(Phase.explicit, Phase.generate))
        settings.load_profile("switched")
    program = (
        f"import sys; sys.path.insert(0, {_ROOT!r}); from tests.support.switched import switch_off; "
        f"switch_off({name!r}); from realm.__main__ import main; main()"
    )

    def switched(installed: Installed) -> Path:
        path = installed.home / f"switched-{os.getpid()}"
        path.write_text(f"#!{installed.python} -I\n{program}\n")
        path.chmod(0o755)
        return path

    switch_off(name)
    history.COMMAND[1:] = ["-c", program]
    Installed.realm = property(switched)  # type: ignore[assignment, method-assign]


def serve() -> None:
    """Run attacks, one for each name on standard input; answer with pytest's exit code and its output's file.

    Each is a fork of this process, which has loaded what takes them a second.
    """
    import docker
    import dulwich.repo
    import pytest

    del docker, dulwich
    for line in sys.stdin:
        name = line.rstrip("\n")
        file, _, test = SWITCHES[name].attack.partition("::")
        with tempfile.NamedTemporaryFile(delete=False) as output:
            child = os.fork()
            if child == 0:
                os.environ["REALM_SWITCH_OFF"] = name
                for stream in (1, 2):
                    os.dup2(output.fileno(), stream)
                # A test that fails may leave something unclosed.
                plugins = ("tests.support.switched", "no:cacheprovider", "no:xdist", "no:unraisableexception")
                words = ["-q", "-x", *(word for plugin in plugins for word in ("-p", plugin))]
                code = pytest.main([*words, f"{_ROOT}/tests/attacks/{file}", *(["-k", test] if test else [])])
                sys.stdout.flush()
                os._exit(code)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, output.name, flush=True)


if __name__ == "__main__":
    serve()
