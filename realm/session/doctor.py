"""Checks of the machine, each with advice; and a trial run of everything."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from realm import agents
from realm.config import DOCKER_ARGS, IMAGE, NETWORK, Config
from realm.errors import EngineError, RealmError, UsageError
from realm.git import git
from realm.paths import current_directory, realm_home
from realm.session.requests import Check, NewRequest
from realm.text import clean, listed
from realm.together import Begun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realm.sandbox.docker import Engine
    from realm.sandbox.lookup import Stranger
    from realm.session.requests import UI

GIT_MINIMUM = (2, 30)

_PATIENCE = 30.0
"""Seconds that a check which asks the engine may take."""

DISK_MINIMUM = 2 * 1024**3
"""Bytes free below which an image or a workspace may not fit."""

TRIAL_AGENT = (
    "sh -c 'echo made in a container >trial.txt && git add trial.txt && git commit -qm \"Try realm\"'"
)


def checks() -> Iterator[Check]:
    """Yield each check's result as it is made; no check raises.

    Once the engine has not answered one, the others do not wait for it.
    """
    answers = True
    for name, check in _CHECKS:
        of_engine = check in (_engine, _leftovers, _image)
        if of_engine and not answers:
            yield Check(name, "warn", "not checked: the engine does not answer")
            continue
        try:
            found = Begun(partial(check, name)).result(_PATIENCE) if of_engine else check(name)
        except TimeoutError:
            answers = False
            found = Check(
                name, "fail", f"the engine has not answered for {_PATIENCE:.0f} seconds", "docker info"
            )
        except RealmError as error:
            answers = answers and check is not _engine
            found = Check(name, "fail", error.message, error.hint)
        yield found


def problems(config: Config) -> dict[str, UsageError]:
    """Return the errors in settings and docker's flags, by the setting's key."""
    from realm.sandbox import flags

    found = config.problems()
    try:
        flags.parse(config.value(DOCKER_ARGS))
    except UsageError as error:
        found.setdefault("dockerArgs", error)
    return found


def _settings(name: str) -> Check:
    config = Config(current_directory())
    wrong = [error.message for error in problems(config).values()]
    gone = [f"{key} is set, but no longer has any effect" for key in config.removed()]
    if wrong or gone:
        return Check(
            name, "fail" if wrong else "warn", "; ".join(wrong + gone), "realm config shows all of them"
        )
    return Check(name, "ok", "all of them are valid")


def _git(name: str) -> Check:
    if shutil.which("git") is None:
        return Check(name, "fail", "git is not installed", "install git with your package manager")
    text = git("--version").text
    found = re.search(r"(\d+)\.(\d+)", text)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < GIT_MINIMUM:
        wanted = ".".join(map(str, GIT_MINIMUM))
        return Check(name, "fail", f"{text} is too old", f"install git {wanted} or later")
    return Check(name, "ok", text)


def _engine(name: str) -> Check:
    from realm.sandbox import docker

    with closing(docker.connect()) as connection:
        info = connection.info()
        kind = "Podman" if connection.is_podman else "Docker"
        unlimited = listed(connection.machine().unlimited)
    found = f"{kind} {info.version} at {info.endpoint} ({info.source})"
    if unlimited:
        advice = "a rootless engine needs cgroups v2, delegated by systemd"
        return Check(name, "warn", f"{found}; it cannot limit the {unlimited} of a container", advice)
    return Check(name, "ok", found)


def _leftovers(name: str) -> Check:
    """Report sandboxes with work that nothing will bring into git; they are never removed.

    An earlier version's lack the proof of this REALM_HOME; the others' sessions are no longer in git.
    """
    from realm.sandbox import docker, lookup
    from realm.session import registry

    try:
        with closing(docker.connect()) as connection:
            found, lost = lookup.strangers(connection), _without_session(connection)
    except EngineError:
        return Check(name, "warn", "not checked: the engine does not answer")
    if not found and not lost:
        return Check(name, "ok", "no forgotten work outside git")
    why = "an earlier version of realm left what may hold work" if found else "work of sessions that are gone"
    found = found or lost
    sessions = ", ".join(clean(f"{one.owner.session} ({one.what})", limit=160) for one in found[:10])
    owner = found[0].owner
    place = "" if registry.is_gone(Path(owner.project)) else f"-C {shlex.quote(owner.project)} "
    first = clean(f"{place}rescue {shlex.quote(owner.session)}")
    return Check(
        name,
        "warn",
        f"{why}: {sessions}",
        f"realm {first} DIRECTORY writes its files there; {found[0].removal} gives it up",
    )


def _without_session(connection: Engine) -> list[Stranger]:
    """Return this realm's sandboxes that have no holder and whose session no known project has."""
    from realm.sandbox import lookup
    from realm.session import registry
    from realm.session.lock import holder
    from realm.store import listing
    from realm.store.repo import discover

    left = [sandbox for sandbox in lookup.find(connection) if holder(sandbox.owner.id) is None]
    known = set()
    for root in {*registry.known(), *(Path(sandbox.owner.project) for sandbox in left)} if left else ():
        with suppress(RealmError):
            known |= {row.summary.id for row in listing.rows(discover(root))}
    return [
        lookup.Stranger(sandbox.id, sandbox.owner, volumes=sandbox.volumes)
        for sandbox in left
        if sandbox.owner.id not in known and sandbox.state() != "created"
    ]


def _locks(name: str) -> Check:
    """Report the lock files of killed gits, which git itself never removes."""
    from realm.session import gc
    from realm.store.repo import discover

    found = []
    with suppress(RealmError):
        found = gc.locks(discover(current_directory()))
    if found:
        shown = ", ".join(clean(f"{path} ({age:.0f} seconds old)", limit=300) for path, age in found[:5])
        first = shlex.quote(str(found[0][0]))
        return Check(name, "warn", f"a ref is locked: {shown}", clean(f"if no git is running: rm {first}"))
    left = gc.left_over()
    if left:
        return Check(name, "ok", f"{left} in use or left over", "realm gc removes leftovers")
    return Check(name, "ok", "none left by a killed git")


def _image(name: str) -> Check:
    from realm.sandbox import docker, image
    from realm.sandbox.egress import image as proxies
    from realm.session import images

    config = Config(current_directory())
    inputs = images.inputs(config)
    with closing(docker.connect()) as connection:
        status = image.status(connection, config.value(IMAGE) or None, inputs)
        has_proxies = config.value(NETWORK) != "allow" or proxies.is_built(connection, inputs)
    if status.missing and config.value(IMAGE):
        missing = f"{status.reference} (realm.image) is not on the engine"
        return Check(name, "fail", missing, image.way(status.reference))
    if status.missing:
        return Check(
            name, "warn", f"{status.reference} is not built yet", "realm build (the first run does it too)"
        )
    if status.stale:
        return Check(
            name, "warn", f"{status.reference} is older than realm", "realm build (the next run does it too)"
        )
    if not has_proxies:
        return Check(
            name,
            "warn",
            "the image of the proxies is not built yet",
            "realm build (the first run does it too)",
        )
    return Check(name, "ok", f"{status.reference} {status.detail}".strip())


def _login(name: str) -> Check:
    from realm.sandbox import flags
    from realm.session import plan

    config = Config(current_directory())
    agent = agents.find(plan.agent_program(None, config), config.for_agents())
    args = flags.parse(config.value(DOCKER_ARGS))
    try:
        login = plan.find_login(agent, args)
    except RealmError as error:
        return Check(name, "warn", error.message, error.hint)
    return Check(name, "ok", login.source or f"{agent.name} needs none")


def _path(name: str) -> Check:
    missing = [program for program in ("realm", "git-realm") if shutil.which(program) is None]
    if missing:
        hint = 'add the programs\' directory to PATH: export PATH="$HOME/.local/bin:$PATH"'
        return Check(name, "warn", f"not on PATH: {', '.join(missing)}", hint)
    return Check(name, "ok", f"realm is {shutil.which('realm')}")


def _disk(name: str) -> Check:
    place = next(path for path in [realm_home(), *realm_home().parents] if path.is_dir())
    free = shutil.disk_usage(place).free
    text = f"{free / 1024**3:.1f} GiB free at {place}"
    if not os.access(place, os.W_OK):
        return Check(
            name, "fail", f"{place} cannot be written", "give yourself write permission, or set REALM_HOME"
        )
    if free < DISK_MINIMUM:
        return Check(name, "warn", text, "docker system df shows what takes the space")
    return Check(name, "ok", text)


_CHECKS: tuple[tuple[str, Callable[[str], Check]], ...] = (
    ("git", _git),
    ("settings", _settings),
    ("engine", _engine),
    ("leftovers", _leftovers),
    ("locks", _locks),
    ("image", _image),
    ("login", _login),
    ("path", _path),
    ("disk", _disk),
)


_TRIALS = ("trial", "question")
"""The sessions of a trial."""


def repair_terminal() -> None:
    """Repair the terminal that this command runs in; raises :class:`RealmError` without one."""
    import termios

    from realm.terminal.relay.tty import repair

    try:
        with Path("/dev/tty").open("r+b", buffering=0) as terminal:
            repair(terminal.fileno())
    except (OSError, termios.error) as problem:
        raise RealmError("there is no terminal here to repair", "run it in the terminal itself") from problem


def trial(ui: UI) -> int:
    """Run one real session on a throw-away repository and check the result.

    A tiny script plays the agent, so no login is needed; if there is one, Claude Code then answers a one-word
    question.  Returns 0 when the script's commit arrived in the repository; raises :class:`RealmError` with
    what did not work.  In any case nothing of the trial remains.
    """
    with tempfile.TemporaryDirectory(prefix="realm-trial-") as place:
        repository = Path(place) / "trial"
        _make_repository(repository)
        ui.info("creating a throw-away repository")
        try:
            _try(repository, ui)
            _ask(repository, ui)
        except RealmError as error:
            # The repository is removed in a moment, with everything in it.
            gone = any(name in error.hint for name in (*_TRIALS, str(repository)))
            hint = "realm doctor checks what it needs" if gone else error.hint
            raise RealmError(f"the trial failed: {error.message}", hint) from error
        finally:
            _clear(repository, ui)
    return 0


def _try(repository: Path, ui: UI) -> None:
    """Let a script work in a container, and look for its commit."""
    from realm.session import new

    code = new.new(NewRequest("trial", repository, agent=TRIAL_AGENT, no_input=True), _Quiet(ui))
    ui.info(f"the agent ran in a container and ended with {code}")
    shown = _run(repository, "log", "--format=%s", "-1", "refs/realm/trial").strip()
    content = _run(repository, "show", "refs/realm/trial:trial.txt").strip()
    if (code, shown, content) != (0, "Try realm", "made in a container"):
        raise RealmError("its commit did not arrive", "realm doctor, then look at the lines above")
    ui.info("its commit arrived under refs/realm/trial: realm works")


def _clear(repository: Path, ui: UI) -> None:
    """Remove the trial's sessions with their containers and volumes, as far as the engine lets us."""
    from realm.session import registry, remove
    from realm.store.listing import rows
    from realm.store.repo import discover

    registry.forget(repository.resolve())
    for row in rows(discover(repository)):
        try:
            quiet = _Quiet(ui)
            remove.remove(remove.plan(row.name, repository, quiet, force=True), quiet)
        except RealmError as error:
            ui.warn(
                f"a container or volume of the trial may be left ({error.message}): "
                f"docker ps -a --filter label=realm.session={row.name}"
            )


def _ask(repository: Path, ui: UI) -> None:
    """Let Claude Code answer one small question, where it has a login."""
    from realm.sandbox import flags
    from realm.session import new, plan

    config = Config(repository)
    args = flags.parse(config.value(DOCKER_ARGS))
    try:
        plan.find_login(agents.find((), config.for_agents()), args)
    except RealmError as error:
        ui.info(f"{error.message}, so only the script was tried")
        return
    ui.info("asking Claude Code a one-word question:")
    question = ("-p", "Reply with this one word and nothing else: ready")
    code = new.new(NewRequest("question", repository, question, agent="claude", no_input=True), _Quiet(ui))
    if code != 0:
        raise RealmError(f"Claude Code ended with {code}", "its own output is above")
    ui.info("it answered: login and API access work in a container")


class _Quiet:
    """A UI that shows warnings and progress, and drops the session's other messages."""

    interactive = False

    def __init__(self, ui: UI) -> None:
        self.warn = ui.warn
        self.progress = ui.progress
        self.confirm = ui.confirm

    def info(self, text: str) -> None:
        """Say nothing."""


def _make_repository(repository: Path) -> None:
    repository.mkdir()
    _run(repository, "init", "-q")
    (repository / "README").write_text("A place to try realm.\n")
    _run(repository, "add", ".")
    # A machine on which git was never used has no identity yet.
    for setting in ("user.name realm", "user.email realm@localhost", "commit.gpgSign false"):
        _run(repository, "config", *setting.split())
    _run(repository, "commit", "-qm", "Begin", "--no-verify")


def _run(repository: Path, *arguments: str) -> str:
    return git(*arguments, cwd=repository, env={"GIT_CEILING_DIRECTORIES": f":{repository.parent}"}).text
