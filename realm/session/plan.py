"""Planning a run: everything is read and checked here, before anything is created."""

from __future__ import annotations

import contextlib
import sys
import time
import uuid
from typing import TYPE_CHECKING

from realm import agents
from realm.config import (
    AGENT,
    CACHE_PATH,
    CREDENTIALS,
    DOCKER_ARGS,
    HOME,
    INCLUDE,
    REMOTE,
    SSH_AGENT,
    Config,
)
from realm.errors import RealmError, UsageError
from realm.model import WORKSPACE_ROOT, Run, Session
from realm.paths import make_private, realm_home
from realm.sandbox import flags
from realm.session import approvals, egress, homes, keys, neighbours
from realm.session.run import Dotfiles, Plan
from realm.store import record, refs, repo, worktree
from realm.together import together

if TYPE_CHECKING:
    from realm.agents import Agent, Login
    from realm.model import Project
    from realm.sandbox.flags import DockerArgs
    from realm.session.requests import UI, NewRequest, ResumeRequest


def new(request: NewRequest, project: Project, config: Config) -> Plan:
    """Plan the first run of a session."""
    program = agent_program(request.agent, config)
    agent = agents.find(program, config.for_agents())
    args = flags.parse(config.value(DOCKER_ARGS))
    _check_places(config)
    login = find_login(agent, args)
    network = egress.choose(config, args, agent, login)
    base, identity, ignore, include = together(
        lambda: _base(project, request, config),
        lambda: repo.identity(project, config.of_git()),
        lambda: worktree.ignore_lines(project, config.of_git()),
        lambda: approvals.included(project, request.include, config.values(INCLUDE)),
    )
    session = Session(
        id=str(uuid.uuid4()),
        name=request.name,
        project=str(project.root),
        workspace=f"{WORKSPACE_ROOT}/{project.name}",
        base=base,
        created=time.time(),
        subdir=project.subdir,
        agent=program,
        image=request.image or "",
        conversation=agent.new_conversation(),
        include=worktree.named(project, request.include),
    )
    session = neighbours.named(project, session, request.neighbours, project.root / project.subdir)
    plan = Plan(
        project=project,
        session=session,
        run=starting(1, base)._replace(
            network=network.policy,
            neighbours=tuple((one.name, one.base) for one in session.neighbours if one.base),
        ),
        config=config,
        login=login,
        args=args,
        network=network,
        include=include,
        plain=neighbours.plain(project, session),
        dotfiles=_dotfiles(config),
        identity=identity,
        ignore=ignore,
    )
    return _as_asked(with_ssh(with_keys(keys.lasting(plan))), request)


def following(project: Project, session: Session, last: Run | None, request: ResumeRequest) -> Plan:
    """Plan the next run, or the rest of the last one, without the user's ssh agent.

    Missing logins are no error yet.  Raises :class:`UsageError` when a setting is wrong.
    """
    config = Config(project.root)
    config.check()
    agent = agents.find(session.agent, config.for_agents())
    args = flags.parse(config.value(DOCKER_ARGS))
    _check_places(config)
    login = _login(agent, args)
    network = egress.choose(config, args, agent, login)
    plan = Plan(
        project=project,
        session=session._replace(project=str(project.root)),
        run=starting(last.number + 1 if last else 1, "")._replace(network=network.policy),
        config=config,
        login=login,
        args=args,
        network=network,
        identity=repo.identity(project, config.of_git()),
        ignore=worktree.ignore_lines(project, config.of_git()),
        include=approvals.included(project, (), config.values(INCLUDE), session.include),
        dotfiles=_dotfiles(config),
        resume=True,
    )
    with contextlib.suppress(RealmError):  # work is saved without
        plan = with_keys(plan)
    return _as_asked(plan, request)


def with_keys(plan: Plan) -> Plan:
    """Return the plan with the logins that only the sidecar gets, not the sandbox.

    Raises :class:`RealmError` when the settings ask for something impossible.
    """
    given = flags.environment(plan.args)
    if plan.config.value(CREDENTIALS) == keys.ENV:
        plan = plan._replace(login=plan.agent.unrenewed(plan.login))
    api, why = keys.choose(plan.config, plan.network, plan.agent, plan.login, given)
    hosts = plan.git_hosts or keys.git_hosts(plan.project, plan.config, plan.network)
    read = plan.registries or keys.read_registries(plan)
    itself = None if api else plan.agent.api(plan.login, given)
    network = egress.reaching(plan.network, api, [*([itself] if itself else []), *hosts, *read])
    return plan._replace(api=api, exposed=why, git_hosts=hosts, registries=read, network=network)


def with_ssh(plan: Plan) -> Plan:
    """Return the plan with the user's ssh agent if the settings lend it; raises as :func:`with_keys`."""
    named = plan.config.values(SSH_AGENT)
    if not named:
        return plan
    if plan.network.policy != "allow":
        raise UsageError(
            f"realm.sshAgent needs realm.network allow: {plan.network.why or f'it is {plan.network.policy}'}",
            "git config realm.network allow, or git config --unset-all realm.sshAgent",
        )
    from realm.session import ssh, warden

    found = plan.ssh or ssh.find(named)
    warden.check(found.agent)
    given = dict.fromkeys([*plan.network.given, *(host.at for host in found.hosts)])
    return plan._replace(ssh=found, network=plan.network._replace(given=tuple(given)))


def still_with_ssh(plan: Plan, ui: UI) -> Plan:
    """Return a running run's plan as :func:`with_ssh`; warn if that is impossible here."""
    try:
        return with_ssh(plan)
    except RealmError as error:
        ui.warn(f"the run continues without your ssh agent: {error.message}")
        return plan


def _as_asked(plan: Plan, request: NewRequest | ResumeRequest) -> Plan:
    """Return the plan with the command line's agent, terminal and recording."""
    wants_one = plan.agent.wants_screen(request.agent_args, listens=not request.no_input)
    needs_one = request.detach and wants_one
    return plan._replace(
        agent_args=request.agent_args,
        tty=wants_tty(no_input=request.no_input) or needs_one,
        stdin=not request.no_input,
        detach=request.detach,
        record=False if request.no_record else None,
    )


def recorded(plan: Plan, run: Run) -> Plan:
    """Return the plan of ``run``, which has begun, as git has recorded it."""
    project, name = plan.project, plan.session.name
    meta = refs.tips(project, name).meta
    if meta is None:
        raise RealmError(f"session {name} has lost its record", f"git log {refs.META}{name}")
    return with_neighbours(plan._replace(run=run, meta=meta, parent=record.parent(project, meta)))


def with_neighbours(plan: Plan, *, begins: bool = False) -> Plan:
    """Return the plan with the repositories beside the project of its run, or of one that ``begins``."""
    there = homes.repositories(plan.project, plan.session)
    if begins:
        plan = plan._replace(run=plan.run._replace(neighbours=neighbours.beginning(plan.session, there)))
    return plan._replace(neighbours=neighbours.of_run(plan.run, there))


def agent_program(chosen: str | None, config: Config) -> tuple[str, ...]:
    """Split ``--agent``, or the setting, into arguments; empty for Claude Code."""
    words = config.value(AGENT) if chosen is None else AGENT.read(chosen, "--agent")
    if chosen is not None and not words:
        raise UsageError("--agent is empty", "name a program, or leave --agent out for Claude Code")
    return words


def mention_removed(config: Config, ui: UI) -> None:
    """Warn about each setting of an earlier version that no longer has any effect."""
    for name in config.removed():
        told = realm_home() / "told" / name
        if not told.exists():
            ui.warn(f"{name} is set, but no longer has any effect")
            with contextlib.suppress(OSError):
                make_private(told.parent)
                told.touch(mode=0o600)


def starting(number: int, before: str) -> Run:
    """Return a run that starts now, on the commit ``before``."""
    return Run(number=number, started=time.time(), before=before)


def wants_tty(*, no_input: bool) -> bool:
    """Tell whether the agent gets a terminal: when both its input and output are the user's."""
    return not no_input and sys.stdin.isatty() and sys.stdout.isatty()


def find_login(agent: Agent, args: DockerArgs) -> Login:
    """Return the login for a run with these docker flags; raises :class:`RealmError` when one is missing."""
    return agent.find_login(given=flags.environment(args))


def _check_places(config: Config) -> None:
    if places := config.values(CACHE_PATH):
        from realm.sandbox import caches

        caches.chosen(places)


def _dotfiles(config: Config) -> Dotfiles:
    names = config.values(HOME)
    if not names:
        return Dotfiles()
    from realm.session import dotfiles

    return dotfiles.read(names)


def _login(agent: Agent, args: DockerArgs) -> Login:
    try:
        return find_login(agent, args)
    except RealmError:
        return agents.Login()


def _base(project: Project, request: NewRequest, config: Config) -> str:
    if not request.remote:
        return repo.resolve_commit(project, "HEAD" if request.base is None else request.base)
    if request.base is not None:
        raise UsageError("--remote and --base both say where to start", "give one of them")
    from realm.store import remote

    return remote.fetch_branch(project, config.value(REMOTE), request.name)
