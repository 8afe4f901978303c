"""A run from its plan to its end: one immutable value, and its sandbox's description, derived from it.

Everything in it was read and checked before anything was created (:mod:`realm.session.plan`), except ``meta``
and ``parent``, its commits in git once it has begun.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from typing import TYPE_CHECKING, NamedTuple

from realm import agents
from realm.config import CPUS, DISK_RESERVE, DOCKER, MEMORY, PIDS, WORKSPACE, WORKSPACE_SIZE
from realm.model import Totals
from realm.sandbox import flags, layout
from realm.sandbox.egress.ticket import API_PORT, ticket
from realm.sandbox.layout import STATE, Owner
from realm.sandbox.spec import SandboxSpec, secrets
from realm.sandbox.transfer import SandboxFile
from realm.session import surroundings
from realm.store import sparse, worktree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from realm.agents import Agent, Api, Login
    from realm.config import Config
    from realm.hosts import Host
    from realm.model import Identity, Kept, Project, Run, Session
    from realm.sandbox.egress.registries import Registry
    from realm.sandbox.egress.rules import Stand
    from realm.sandbox.flags import DockerArgs
    from realm.session.ssh import Ssh
    from realm.store.sparse import Sparse
    from realm.store.submodules import Submodule
    from realm.store.worktree import Include


class Network(NamedTuple):
    """A run's network: the ``policy`` (``open``, ``allow``, ``none``), and why it differs from the setting.

    ``given`` are extra hosts that the agent needs.
    """

    policy: str = "open"
    why: str = ""
    given: tuple[Host, ...] = ()


class Dotfiles(NamedTuple):
    """Files of the user's home for the sandbox, and a note on each that was requested, cleaned."""

    files: tuple[SandboxFile, ...] = ()
    notes: tuple[str, ...] = ()


class Plan(NamedTuple):
    """One run of a session: all it needs, decided before anything is created, and its commits in git."""

    project: Project
    session: Session
    run: Run
    """The run's record."""
    config: Config
    login: Login
    args: DockerArgs
    identity: Identity
    network: Network = Network()
    api: Api | None = None
    """The API that the sidecar gives access to with the login, which the sandbox then lacks."""
    exposed: str = ""
    """Why the sandbox has the login all the same."""
    git_hosts: tuple[Stand, ...] = ()
    """Hosts that the sidecar reads with the user's logins, like ``registries``."""
    registries: tuple[Registry, ...] = ()
    ssh: Ssh | None = None
    """The user's ssh agent, if it is lent."""
    meta: str = ""
    """The commit with the run's record, empty until there is one."""
    parent: str | None = None
    """The commit with the record of the run before, ``None`` for a session's first."""
    totals: Totals = Totals()
    """The session's size when the run began."""
    ignore: bytes = b""
    agent_args: tuple[str, ...] = ()
    include: tuple[Include, ...] = ()
    neighbours: tuple[Submodule, ...] = ()
    """The repositories beside the project."""
    plain: Mapping[str, Sequence[tuple[Path, str]]] = {}
    """The files of other directories beside the project, by these directories' names."""
    dotfiles: Dotfiles = Dotfiles()
    resume: bool = False
    transcript: bytes | None = None
    briefing: str = ""
    """What to tell the agent about a conversation that it cannot continue."""
    tty: bool = False
    stdin: bool = True
    detach: bool = False
    record: bool | None = None

    @property
    def name(self) -> str:
        """The session's name."""
        return self.session.name

    @property
    def agent(self) -> Agent:
        """The session's agent."""
        return agents.find(self.session.agent, self.config.for_agents())

    @property
    def directory(self) -> str:
        """The directory in the sandbox where the agent starts."""
        return posixpath.join(self.session.workspace, self.session.subdir).rstrip("/")

    @property
    def included(self) -> list[str]:
        """The paths that ignore rules name for the files that are copied in."""
        return list(dict.fromkeys(item.place for item in self.include))


class Outcome(NamedTuple):
    """The result of a run: the session's tips, its size, and notes for the user."""

    code: str
    meta: str
    totals: Totals
    new_commits: int
    exit_code: int
    notes: tuple[str, ...] = ()
    is_nothing: bool = False
    """Whether the agent could not be started, or failed before its first prompt, and changed nothing."""
    kept: tuple[Kept, ...] = ()
    risky: tuple[str, ...] = ()
    is_partial: bool = False
    """Whether git refused the agent's commits, and only its files were taken in."""
    inside: tuple[tuple[str, int], ...] = ()
    """Paths of submodules and other repositories, and how many commits the run made there."""


def argv(plan: Plan) -> list[str]:
    """Return the agent's arguments."""
    going_on = plan.resume and plan.transcript is not None
    given = (*plan.agent.instructions(plan.briefing), *plan.agent_args) if plan.briefing else plan.agent_args
    return plan.agent.argv(given, conversation=plan.session.conversation, resume=going_on)


def kept(plan: Plan) -> str:
    """Return the message about a run whose saving was interrupted."""
    return (
        f"interrupted before the work of run {plan.run.number} of {plan.name} was saved; nothing is lost: "
        f"realm stop {plan.name} saves it, realm resume {plan.name} saves it and continues"
    )


def owner(plan: Plan) -> Owner:
    """Return the owner to label the sandbox with."""
    return Owner(
        id=plan.session.id,
        session=plan.session.name,
        run=plan.run.number,
        project=str(plan.project.root),
        tip=plan.run.before,
        started=int(plan.run.started),
    )


def credentials(plan: Plan) -> str:
    """Return where the agent's login is, in the terms of the setting."""
    if plan.api is not None:
        return "proxy"
    return "env" if plan.login.credentials is None else "share"


def has_docker(config: Config) -> bool:
    """Tell whether the sandbox has an engine of its own."""
    return config.value(DOCKER) == "rootless"


def weakened(plan: Plan) -> tuple[str, ...]:
    """Return the user's flags and settings, as given, that reduce the sandbox's protection."""
    config = plan.config
    memory = ("realm.memory none",) if config.value(MEMORY) == 0 else ()
    cpus = ("realm.cpus all",) if config.value(CPUS) == 0 else ()
    reserve = ("realm.diskReserve none",) if config.value(DISK_RESERVE) == 0 else ()
    size = ("realm.workspaceSize none",) if config.value(WORKSPACE_SIZE) == 0 else ()
    docker = ("realm.docker rootless",) if has_docker(config) else ()
    has_login = bool(plan.login.source) and plan.api is None
    login = (f"realm.credentials {credentials(plan)}",) if has_login and plan.network.policy != "none" else ()
    lent = (f"realm.sshAgent {' '.join(host.name for host in plan.ssh.hosts)}",) if plan.ssh else ()
    limits = (*memory, *cpus, *reserve, *size)
    return (*flags.weakening(plan.args, plan.project.root), *limits, *docker, *login, *lent)


def environment(plan: Plan) -> dict[str, str]:
    """Return the sandbox's environment without secrets, for which see :func:`secrets`."""
    own = {
        "REALM_SESSION": plan.session.name,
        "REALM_RUN": str(plan.run.number),
        "REALM_TIP": plan.run.before,
        "REALM_WORKSPACE": plan.session.workspace,
        "REALM_SUBDIR": plan.session.subdir,
    }
    if plan.tty:
        from realm.terminal.relay.tty import Terminal

        own["REALM_TERMINAL"] = "{} {}".format(*Terminal().size())
    if plan.registries:
        from realm.session import registries

        own |= registries.variables(plan.registries)
    if plan.ssh:
        own |= plan.ssh.environment(ticket(owner(plan)).directory)
    return {**surroundings.passed_on(), **plan.agent.environment(STATE), **own}


def files(plan: Plan) -> list[SandboxFile]:
    """Return the files to put into the sandbox before it starts, without its repositories."""
    login = inside(plan)
    found = [*plan.dotfiles.files, *_home(plan, login), *plain_files(plan)]
    found += plan.ssh.files() if plan.ssh else []
    if login.variables:
        found.append(SandboxFile(layout.ENVIRONMENT, secrets(login.variables), 0o600))
    workspace = plan.session.workspace
    return found + [
        SandboxFile(f"{workspace}/{item.path}", item.source, _mode(item.source)) for item in plan.include
    ]


def directories(plan: Plan) -> list[str]:
    """Return the paths, in the run's sandbox, of the directories beside the project."""
    there = {*dict(plan.run.neighbours), *plan.plain}
    return [plan.session.beside(one.name) for one in plan.session.neighbours if one.name in there]


def plain_files(plan: Plan) -> Iterator[SandboxFile]:
    """Yield the files of plain directories, owned by root so that the agent cannot change them."""
    for name, there in plan.plain.items():
        for path, below in there:
            mode = 0o555 if os.access(path, os.X_OK) else 0o444
            yield SandboxFile(f"{plan.session.beside(name)}/{below}", path, mode, owner="root")


def inside(plan: Plan) -> Login:
    """Return the login for the sandbox: placeholders if the sidecar has the key."""
    if plan.api is None:
        return plan.login
    token = hashlib.sha256(ticket(owner(plan)).token.encode()).hexdigest()[:32]
    url = f"http://127.0.0.1:{API_PORT}"
    given = flags.environment(plan.args)
    return plan.agent.keyless(plan.login, plan.api, url, f"placeholder-{token}", given)


def _mode(path: Path) -> int:
    """Return a file's permissions, as programs must run, and ssh demands private keys."""
    try:
        return stat.S_IMODE(path.lstat().st_mode) & 0o777
    except OSError:  # gone: reading it reports that
        return 0o644


def exclude(plan: Plan) -> bytes:
    """Return the host git's ignore rules, and rules for copied files and for agents' work trees."""
    names = "".join(f"/{_escape(place)}\n" for place in plan.included) + (
        f"/{plan.agent.worktrees}/\n" if plan.agent.worktrees else ""
    )
    lines = plan.ignore.splitlines(keepends=True)
    ignored = b"".join(line for line in lines if line.strip() and not line.startswith(b"#"))
    return ignored + names.encode("utf-8", "surrogateescape")


def _escape(path: str) -> str:
    """Write a path so that gitignore takes it literally."""
    special = "".join(f"\\{char}" if char in "\\*?[]!#" else char for char in path)
    return special[:-1] + "\\ " if special.endswith(" ") else special


def _home(plan: Plan, login: Login) -> list[SandboxFile]:
    """Return the files for the agent's home, including the conversation to continue."""
    agent, more = plan.agent, directories(plan)
    found = [
        SandboxFile(f"{STATE}/{file.path}", file.content, file.mode)
        for file in agent.files(login, plan.directory, sealed=plan.network.policy != "open", more=more)
    ]
    conversation = plan.session.conversation
    if plan.transcript is not None and conversation:
        path = agent.conversation_file(plan.directory, conversation)
        if path is not None:
            found.append(SandboxFile(f"{STATE}/{path}", plan.transcript, 0o600))
    return found


def outline(plan: Plan) -> Sparse | None:
    """Return the user's sparse checkout, ``None`` if the work tree is complete."""
    return sparse.find(plan.project, plan.config.of_git())


def spec(plan: Plan, image: str, command: Sequence[str]) -> SandboxSpec:
    """Return the sandbox's description."""
    # The agent is an ordinary user even if realm runs as root.
    uid, gid = (os.getuid(), os.getgid()) if os.getuid() != 0 else (1000, 1000)
    config = plan.config
    return SandboxSpec(
        image=image,
        command=tuple(command),
        uid=uid,
        gid=gid,
        workspace=plan.session.workspace,
        environment=environment(plan),
        owner=owner(plan),
        tty=plan.tty,
        stdin=plan.stdin,
        hostname=plan.session.name,
        memory=config.value(MEMORY),
        cpus=config.value(CPUS),
        pids=config.value(PIDS),
        network="open" if plan.network.policy == "open" else "none",
        volumes=config.value(WORKSPACE),
        workspace_size=config.value(WORKSPACE_SIZE),
        files=worktree.tracked_count(plan.project),
        args=plan.args,
    )
