"""Decides who gets an agent's key or login: with ``realm.credentials proxy`` only the sidecar, no sandbox.

From a login of the host's (OAuth) the sidecar gets only the access token.  The host keeps the refresh token,
which works once: neither can log the other out.  The run's holder follows the host's file, so that the
sidecar gets what the host's own Claude Code renewed; when the token is about to expire and nobody has renewed
it, the holder makes it do so (:func:`_renew`).
"""

from __future__ import annotations

import base64
import fcntl
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from realm import hosts
from realm.config import BUDGET, CREDENTIALS, GIT_CREDENTIALS, REGISTRY_CREDENTIALS
from realm.errors import GitError, RealmError, UsageError
from realm.git import git, user_environment
from realm.paths import make_private, realm_home
from realm.sandbox import flags
from realm.sandbox.egress import registries, rules, sidecar
from realm.sandbox.egress.ticket import API_PORT, Ticket, ticket
from realm.together import Beside

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

    from realm.agents import Agent, Login
    from realm.agents.base import Api
    from realm.config import Config
    from realm.model import Project
    from realm.sandbox.docker import Engine
    from realm.sandbox.egress.registries import Registry
    from realm.sandbox.layout import Owner
    from realm.sandbox.sandbox import Sandbox
    from realm.session.requests import UI
    from realm.session.run import Network, Plan

ENV, PROXY = "env", "proxy"
PERIOD = 5.0 if sys.platform != "darwin" else 60.0  # there each look runs a program
"""Seconds between two looks at the host's login."""
_DUE = 240.0
"""Seconds before its expiry when an access token must be renewed: Claude Code does it at 300."""
_PATIENCE = 120.0
"""Seconds that a renewal may take."""
_LOCK = "renewal.lock"
_PAUSE = 0.1
"""Seconds between two looks at whether another process has renewed it."""
_GIT_PATIENCE = 30.0
"""Seconds that the user's credential helper may take."""
_GIT_AGAIN, _GIT_LATEST = 20.0, 3600.0
"""Seconds until it is asked again for a login that was refused; twice as long each time, up to the latter,
as long as it has no other one."""
_GIT_PATHS = r"/[A-Za-z0-9._~/+-]{1,400}/(info/refs|git-upload-pack)"
"""The paths that git requests over HTTP to fetch (gitprotocol-http(5))."""


class Choice(NamedTuple):
    """The API that the sidecar adds the key for; ``None`` if the agent has its key itself, or none.

    ``why`` is the reason why the agent has it, if nobody asked for that.
    """

    api: Api | None = None
    why: str = ""


def choose(
    config: Config, network: Network, agent: Agent, login: Login, given: Mapping[str, str] = {}
) -> Choice:
    """Decide who gets the key; ``given`` are variables that docker flags set in the sandbox.

    If the user has not decided, the sandbox gets keys that the sidecar cannot use; if they chose the sidecar,
    such a key raises :class:`UsageError`.
    """
    has_login = bool(login.source) or login.credentials is not None
    if config.value(CREDENTIALS) != PROXY or not has_login or network.policy == "none":
        return Choice()
    is_asked = config.lookup(CREDENTIALS).source != "default"
    if network.policy != "allow":
        if is_asked:
            why = network.why or f"realm.network is {network.policy}"
            raise UsageError(
                f"realm.credentials is proxy, which needs realm.network allow: {why}",
                "git config realm.network allow, or git config realm.credentials env",
            )
        return Choice(why=network.why)
    api = agent.api(login, given)
    if api is None:
        problem = f"the proxy cannot stand in for this login: {login.source}"
    elif hosts.is_here(api.url):
        if api.url in agent.reaches(login, given):
            raise _here(api.url)
        problem = f"{api.url} is this machine, which no proxy in a container can ask"
    else:
        try:
            rules.stands(Ticket("0", "127.0.0.1"), [_stand(api)])
        except ValueError as error:
            problem = str(error)
        else:
            return Choice(api)
    if is_asked:
        raise UsageError(
            f"realm.credentials is proxy, but {problem}",
            "git config realm.credentials env hands the login to the container",
        )
    return Choice(why=problem)


def _here(url: str) -> UsageError:
    return UsageError(
        f"{url} is this machine, which a container cannot reach",
        "make it listen on all addresses (0.0.0.0), or name an address that containers can reach, such as "
        "that of docker's bridge (ip -4 addr show docker0)",
    )


def _stand(api: Api) -> rules.Stand:
    return rules.Stand(api.url, api.headers, api.paths)


def git_hosts(project: Project, config: Config, network: Network) -> tuple[rules.Stand, ...]:
    """Return the git hosts of ``realm.gitCredentials``, each with the login that the user's git has for it.

    The logins are only for fetching.  Raises :class:`UsageError` if the sandbox has another way out, and
    :class:`RealmError` if git knows no login.
    """
    urls = config.values(GIT_CREDENTIALS)
    if not urls or network.policy == "none":
        return ()
    if network.policy != "allow":
        raise UsageError(
            "realm.gitCredentials needs realm.network allow: the sidecar has the logins",
            "git config realm.network allow, or git config --unset-all realm.gitCredentials",
        )
    return tuple(_git_host(project, url) for url in urls)


def _git_host(project: Project, url: str) -> rules.Stand:
    scheme, _, host = url.partition("://")
    asked = f"protocol={scheme}\nhost={host}\n\n".encode()
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": ""}
    try:
        done = git("credential", "fill", project=project, env=quiet, stdin=asked, timeout=_GIT_PATIENCE)
    except GitError as error:
        raise RealmError(
            f"git knows no login for {host}, which realm.gitCredentials names: {error.message}",
            "git credential fill says why; git config --unset-all realm.gitCredentials leaves it out",
        ) from None
    known = dict(line.partition("=")[::2] for line in done.lines)
    pair = f"{known.get('username', '')}:{known.get('password', '')}"
    basic = base64.b64encode(pair.encode("utf-8", "surrogateescape")).decode()
    return rules.Stand(
        url, {"authorization": f"Basic {basic}"}, _GIT_PATHS, prefix=f"/git/{host}", reads=True
    )


def instead(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return the URLs that the sandbox's git uses instead of others."""
    found: dict[str, tuple[str, ...]] = {}
    for stand in plan.git_hosts:
        scheme, _, host = stand.url.partition("://")
        found[f"http://127.0.0.1:{API_PORT}{stand.prefix}/"] = (
            f"{stand.url}/", f"{scheme}://git@{host}/", f"git@{host}:", f"ssh://git@{host}/",
        )  # fmt: skip
    return found


def read_registries(plan: Plan) -> tuple[Registry, ...]:
    """Return the result of :func:`realm.session.registries.find`, which most runs need not import."""
    if not plan.config.values(REGISTRY_CREDENTIALS):
        return ()
    from realm.session.registries import find

    return find(plan.config, plan.network.policy)


def git_secrets(plan: Plan) -> list[str]:
    """Return the secret parts of git hosts' logins."""
    found = []
    for stand in plan.git_hosts:
        basic = stand.headers["authorization"].removeprefix("Basic ")
        password = base64.b64decode(basic).decode("utf-8", "replace").partition(":")[2]
        found += [basic, password]
    return found


def files(plan: Plan, owner: Owner) -> Mapping[str, bytes]:
    """Return the sidecar's files for the run, its key among them."""
    with suppress(RealmError):
        plan = _newest(plan)
    return _files(plan, owner)


def _files(plan: Plan, owner: Owner) -> Mapping[str, bytes]:
    api, budget = plan.api, plan.config.value(BUDGET)
    stands = [*([_stand(api)._replace(counts=any(budget))] if api else []), *plan.git_hosts]
    found = ticket(owner)
    return {
        **(rules.stands(found, stands) if stands else {}),
        **registries.files(found, plan.registries),
    }


def _newest(plan: Plan) -> Plan:
    """Return the plan with the host's current logins; raises ``RealmError`` when there are none."""
    if plan.registries:
        plan = plan._replace(registries=read_registries(plan))
    if plan.api is None or not plan.login.is_renewed:
        return plan
    given = flags.environment(plan.args)
    found = plan.agent.find_login(given=given)
    return plan._replace(api=(plan.agent.api(found, given) if found.is_renewed else None) or plan.api)


def lasting(plan: Plan) -> Plan:
    """Return a beginning run's plan; a login that the sandbox gets is renewed if it is about to expire.

    Raises :class:`RealmError` when the host's cannot be renewed.
    """
    agent = plan.agent
    is_kept = plan.config.value(CREDENTIALS) == ENV and plan.login.credentials is not None
    ends = agent.login_ends() if is_kept else None
    if ends is None or ends - time.time() >= _DUE:
        return plan
    if problem := _renew(agent):
        message, _, hint = problem.partition(": ")
        raise RealmError(message, hint)
    return plan._replace(login=agent.find_login(given=flags.environment(plan.args)))


@contextmanager
def followed(engine: Engine, plan: Plan, sandbox: Sandbox, ui: UI, stale: threading.Event) -> Iterator[None]:
    """Keep the sidecar's copy of the host's logins up to date until the context ends.

    git's are asked for again when one was refused, which ``stale`` says.
    """
    is_renewed = plan.api is not None and plan.login.is_renewed
    if not is_renewed and not plan.registries and not plan.git_hosts:
        yield
        return
    said = set[str]()

    def watch(stop: threading.Event) -> None:
        known, last = plan, files(plan, sandbox.owner)
        again = git_again = 0.0
        pause = _GIT_AGAIN
        while not stop.wait(PERIOD):
            with suppress(RealmError, OSError):
                ends = plan.agent.login_ends() if is_renewed and not plan.login.is_lent else None
                is_due = ends is not None and ends - time.time() < _DUE
                if is_due and time.monotonic() > again:
                    again = time.monotonic() + _DUE
                    said.add(_renew(plan.agent))
                if stale.is_set() and time.monotonic() > git_again:
                    stale.clear()
                    git_again, pause = time.monotonic() + pause, min(2 * pause, _GIT_LATEST)
                    found = git_hosts(plan.project, plan.config, plan.network)
                    pause = pause if found == known.git_hosts else _GIT_AGAIN
                    known, last = known._replace(git_hosts=found), {}
                now = _files(_newest(known), sandbox.owner)
                if now != last:
                    sidecar.give(engine, sandbox.owner.egress, now)
                    last = now

    beside = Beside(watch)
    try:
        yield
    finally:
        beside.end(2)
        for text in sorted(filter(None, said)):
            ui.warn(text)


@contextmanager
def renewing(patience: float = 2 * _PATIENCE) -> Iterator[None]:
    """Keep other realm processes from changing the host's login.

    Raises ``OSError`` when one takes more than ``patience`` seconds to do so.
    """
    until = time.monotonic() + patience
    with (make_private(realm_home()) / _LOCK).open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_PAUSE)
        yield


def _renew(agent: Agent) -> str:
    """Make the agent's program on the host renew its login; return a note for the user, usually empty.

    One process does this at a time, and first checks whether another one has.
    """
    ends_soon = f"{agent.name}'s login on this machine ends soon"
    command = agent.renewal
    if not command or shutil.which(command[0]) is None:
        advice = f": {agent.lasting_login} makes one that lasts" if agent.lasting_login else ""
        return f"{ends_soon}, and nothing here can renew it{advice}"
    try:
        with renewing():
            ends = agent.login_ends()
            if ends is None or ends - time.time() >= _DUE:
                return ""
            with suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(
                    command, cwd=realm_home(), env={**user_environment(), **agent.host_environment()},
                    stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False,
                )  # fmt: skip
            after = agent.login_ends()
    except BlockingIOError:
        return f"{ends_soon}, and another realm is still at it: try again in a minute"
    if after is not None and after > ends:
        return ""
    name = command[0]
    other = f", or {agent.lasting_login}" if agent.lasting_login else ""
    return f"{ends_soon}, and {name} did not renew it: run {name} here once{other}"
