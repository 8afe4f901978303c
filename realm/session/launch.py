"""From a session to the description of its box: what is mounted, set, put in and run."""

from __future__ import annotations

import hashlib
import os
import posixpath
import shlex
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from realm import agents
from realm.errors import UsageError
from realm.model import WORKSPACE_ROOT, Run
from realm.paths import realm_home
from realm.sandbox.archive import BoxFile
from realm.sandbox.policy import STATE, BoxSpec, secrets
from realm.store import repo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from realm.agents import Agent, Login
    from realm.config import Config
    from realm.model import Identity, Project, Session
    from realm.sandbox.dockerargs import DockerArgs
    from realm.store.repo import Include

_FOR_ALL = 0o005
"""Permission of everybody to list and to enter."""

_PASSED_ON = ("TERM", "COLORTERM", "LANG", "LC_ALL", "TZ", "NO_COLOR")


class Launch(NamedTuple):
    """Everything that one run of a session needs, decided before anything is started."""

    project: Project
    session: Session
    run: Run
    config: Config
    login: Login
    args: DockerArgs
    identity: Identity
    ignore: bytes = b""
    agent_args: tuple[str, ...] = ()
    include: tuple[Include, ...] = ()
    resume: bool = False
    transcript: bytes | None = None
    tty: bool = False
    stdin: bool = True
    history: bool = False
    detach: bool = False
    record: bool | None = None

    @property
    def agent(self) -> Agent:
        """The agent that the session is made for."""
        return agents.find(self.session.agent)

    @property
    def directory(self) -> str:
        """Where the agent starts, in the box."""
        return posixpath.join(self.session.workspace, self.session.subdir).rstrip("/")


def agent_program(chosen: str | None, config: Config) -> tuple[str, ...]:
    """Split ``--agent``, or the setting, into arguments; empty for Claude Code."""
    text = config.get("agent") if chosen is None else chosen
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--agent {text!r}: {error}", "quote it as for a shell") from None
    if chosen is not None and not words:
        raise UsageError("--agent is empty", "name a program, or leave --agent out for Claude Code")
    return words


def argv(launch: Launch) -> list[str]:
    """Return the agent's arguments."""
    going_on = launch.resume and launch.transcript is not None
    return launch.agent.argv(launch.agent_args, conversation=launch.session.conversation, resume=going_on)


def find_login(agent: Agent, args: DockerArgs) -> Login:
    """Return the login for a run with these docker flags; raises :class:`RealmError` when one is missing."""
    if not args.given:
        return agent.find_login()
    from realm.sandbox import flags

    return agent.find_login(given=flags.environment(args))


def box_user() -> tuple[int, int]:
    """Return uid and gid of the box: the user's own, for root a plain user's."""
    return (os.getuid(), os.getgid()) if os.getuid() != 0 else (1000, 1000)


def labels(launch: Launch) -> dict[str, str]:
    """Return what identifies the box whoever finds it."""
    return {
        "realm.id": launch.session.id,
        "realm.session": launch.session.name,
        "realm.run": str(launch.run.number),
        "realm.project": str(launch.project.root),
        "realm.home": home_label(),
        "realm.role": "box",
        "realm.tip": launch.run.before,
        "realm.started": str(int(launch.run.started)),
    }


def home_label() -> str:
    """Return what tells the boxes of this realm directory from others on the same engine."""
    return hashlib.sha256(os.fsencode(realm_home().resolve())).hexdigest()[:16]


def environment(launch: Launch) -> dict[str, str]:
    """Return the box's environment; secrets go another way (:func:`secrets`)."""
    own = {
        "REALM_SESSION": launch.session.name,
        "REALM_RUN": str(launch.run.number),
        "REALM_TIP": launch.run.before,
        "REALM_BASE": launch.session.base,
        "REALM_WORKSPACE": launch.session.workspace,
        "REALM_SUBDIR": launch.session.subdir,
        "REALM_OBJECT_FORMAT": launch.project.object_format,
        "REALM_USER_NAME": launch.identity.name,
        "REALM_USER_EMAIL": launch.identity.email,
    }
    passed = {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)}
    return {**passed, **launch.agent.environment(STATE), **own}


def files(launch: Launch, packs: Sequence[Path] = ()) -> list[BoxFile]:
    """Return what is put into the box before it starts; ``packs`` are its history where it has no store."""
    project = launch.project
    rules = _exclude(launch)
    found = [BoxFile("/realm/exclude", rules, 0o444, owner="root")] if rules else []
    if launch.login.variables:
        found.append(BoxFile("/realm/env", secrets(launch.login.variables), 0o600))
    if project.shallow:
        lines = "".join(f"{oid}\n" for oid in project.shallow)
        found.append(BoxFile("/realm/shallow", lines.encode(), 0o444, owner="root"))
    found += [BoxFile(f"/realm/pack/{path.name}", path, 0o444, owner="root") for path in packs]
    found += _home(launch)
    for item in launch.include:
        found.append(BoxFile(f"{launch.session.workspace}/{item.path}", item.source, _mode(item.source)))
    return found


def _mode(path: Path) -> int:
    """Return a file's permissions: programs are to run, and ssh wants its keys to be private."""
    try:
        return stat.S_IMODE(path.lstat().st_mode) & 0o777
    except OSError:  # gone: whoever reads it says so
        return 0o644


def _exclude(launch: Launch) -> bytes:
    """Return rules for what the host's git ignores and for what was copied in; comments are none."""
    names = "".join(f"/{_escape(item.path)}\n" for item in launch.include)
    lines = launch.ignore.splitlines(keepends=True)
    ignored = b"".join(line for line in lines if line.strip() and not line.startswith(b"#"))
    return ignored + names.encode("utf-8", "surrogateescape")


def _escape(path: str) -> str:
    """Write a path so that gitignore takes it literally."""
    special = "".join(f"\\{char}" if char in "\\*?[]!#" else char for char in path)
    return special[:-1] + "\\ " if special.endswith(" ") else special


def _home(launch: Launch) -> list[BoxFile]:
    """Return what the agent needs in its home, the conversation to go on with included."""
    agent = launch.agent
    files = agent.files(launch.login, launch.directory)
    found = [BoxFile(f"{STATE}/{file.path}", file.content, file.mode) for file in files]
    conversation = launch.session.conversation
    if launch.transcript is not None and conversation:
        path = agent.conversation_file(launch.directory, conversation)
        if path is not None:
            found.append(BoxFile(f"{STATE}/{path}", launch.transcript, 0o600))
    return found


def spec(
    launch: Launch, image: str, command: Sequence[str], extra: Mapping[str, str] | None = None
) -> BoxSpec:
    """Return the box's description."""
    uid, gid = box_user()
    config = launch.config
    return BoxSpec(
        image=image,
        command=tuple(command),
        uid=uid,
        gid=gid,
        workspace=launch.session.workspace,
        object_stores=() if launch.history else launch.project.object_stores,
        environment={**environment(launch), **(extra or {})},
        labels=labels(launch),
        tty=launch.tty,
        stdin=launch.stdin,
        hostname=launch.session.name,
        memory=config.get("memory"),
        pids=_pids(config),
        network=config.get("network"),
        volumes=config.get("workspace"),
        files=repo.tracked_count(launch.project),
    )


def needs_history(project: Project, config: Config, *, local: bool) -> bool:
    """Tell whether the box gets a pack of its base's history in place of the object store.

    When the user wants it to see no more than that (``realm.objects``), when the
    engine is on another machine, and when the box's user, who is not root, may
    not read what root owns.
    """
    wanted = config.get("objects")
    if wanted not in ("all", "history"):
        raise UsageError(f"realm.objects is {wanted!r}", "git config realm.objects all (or history)")
    return wanted == "history" or not local or not _readable(project)


def _readable(project: Project) -> bool:
    if os.getuid() != 0:
        return True
    return all(store.stat().st_mode & _FOR_ALL == _FOR_ALL for store in project.object_stores)


def _pids(config: Config) -> int:
    text = config.get("pids")
    if not text.isdecimal() or int(text) == 0:
        raise UsageError(
            f"realm.pids is {text!r}, which is no number of processes", "git config realm.pids 4096"
        )
    return int(text)


def new_run(number: int, before: str) -> Run:
    """Return a run that starts now."""
    return Run(number=number, started=time.time(), before=before)


def workspace_path(project: Project) -> str:
    """Return where the project's work tree lies in its boxes."""
    return f"{WORKSPACE_ROOT}/{project.name}"
