"""What a run may reach: the decision before it begins, its way through the sidecar, its refused requests.

A sandbox whose network is ``allow`` has none of its own (:mod:`realm.sandbox.egress`).  The run's holder gets
the sidecar's refusals, which :mod:`realm.session.refusals` records, and recreates a sidecar that has died.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from realm import agents, hosts
from realm.config import AGENT, ALLOW, DOCKER_ARGS, NETWORK, Config
from realm.errors import EngineError, RealmError, UsageError
from realm.model import Refusal
from realm.sandbox import flags
from realm.sandbox.egress import rules, sidecar
from realm.sandbox.egress.ticket import ticket, variables
from realm.session import keys, lending, refusals
from realm.session.run import Network
from realm.text import clean
from realm.together import Begun, Beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from realm.agents import Agent, Api, Login
    from realm.hosts import Host
    from realm.sandbox.docker import Engine
    from realm.sandbox.egress.registries import Registry
    from realm.sandbox.flags import DockerArgs
    from realm.sandbox.layout import Owner
    from realm.sandbox.sandbox import Sandbox
    from realm.sandbox.spec import SandboxSpec
    from realm.session.requests import UI
    from realm.session.run import Plan

    _Rules = Callable[[Sequence[Host]], Mapping[str, bytes]]

OPEN, BY_NAME, NONE = "open", "allow", "none"
_DELAY = 1.0
"""Seconds after a sandbox's start before it is queried: the user is waiting for it."""
_PERIOD = 0.5
"""Seconds between two writes of the refusals."""
_AGAIN, _LATEST = 1.0, 60.0
"""Seconds until the next try to reach a sidecar; twice as long each time, up to the latter."""
_PATIENCE = 5.0
"""Seconds that a sidecar may take that is just being made, before it is removed as unused."""
_MOST = 1000
"""The most different refusals that are counted separately."""


# -- the decision ----------------------------------------------------------------


def choose(config: Config, args: DockerArgs, agent: Agent, login: Login) -> Network:
    """Return the network that settings and docker flags give a run.

    Flags that need the engine's network make it open unless the user has chosen a network: then they raise
    :class:`UsageError`.
    """
    policy, needed = config.value(NETWORK), flags.networked(args)
    if flags.network(args) == NONE:
        policy = NONE
    if policy == OPEN:
        return Network()
    if needed:
        words = (
            f"docker flags {' and '.join(needed)} need"
            if len(needed) > 1
            else f"docker flag {needed[0]} needs"
        )
        if config.lookup(NETWORK).source != "default":
            raise UsageError(
                f"{words} a network, and realm.network is {policy}",
                "leave one of them out: git config --unset realm.network, or realm config for the flags",
            )
        return Network(OPEN, f"{words} it")
    urls = agent.reaches(login, flags.environment(args))
    if policy == NONE:
        return Network(NONE)
    reached = (of_url(url) for url in urls if not hosts.is_here(url))
    return Network(BY_NAME, given=tuple(host for host in reached if host is not None))


def reaching(network: Network, api: Api | None, servers: Sequence[Api | rules.Stand | Registry]) -> Network:
    """Return the network with the hosts of ``servers``; that of ``api`` is reachable for the sidecar alone.

    So the agent cannot use another account there with a key that somebody gave it.
    """
    found = [of_url(server.url) for server in servers if not hosts.is_here(server.url)]
    given = dict.fromkeys([*network.given, *filter(None, found)])
    alone = of_url(api.url) if api else None
    if alone:
        given.pop(alone, None)
        given[alone._replace(own=True)] = None
    return network._replace(given=tuple(given))


def warnings(plan: Plan) -> list[str]:
    """Return warnings about the run's network and the agent's login."""
    found = []
    if plan.network.why:
        login = ", and the agent's login is in it" if plan.exposed else ""
        found.append(f"the container's network is open{login}: {plan.network.why}")
    elif plan.exposed:
        found.append(f"the agent's login is in the container: {plan.exposed}")
    if plan.login.ends is not None and plan.api is None:
        when = time.strftime("%H:%M", time.localtime(plan.login.ends))
        lasting = f", {plan.agent.lasting_login} makes one that lasts" if plan.agent.lasting_login else ""
        found.append(
            f"the login in the container ends at {when}: realm.credentials share renews it there{lasting}"
        )
    return found


def refuse_none(plan: Plan) -> None:
    """Raise :class:`RealmError` if the agent has no network but cannot work without."""
    urls = plan.agent.reaches(plan.login, flags.environment(plan.args))
    if plan.network.policy == NONE and not all(map(hosts.is_here, urls)):
        raise RealmError(
            f"{plan.agent.name} cannot reach its model without a network: realm.network is none",
            "git config realm.network allow lets it reach its model and package registries, and nothing else",
        )


def of_url(url: str) -> Host | None:
    """Return the host of a URL as one that was named, at its port; ``None`` where it has none."""
    with suppress(ValueError):
        parts = urlsplit(url)
        host = hosts.parse(f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "")
        return host._replace(port=parts.port or 0, known=True)
    return None


# -- the way out -----------------------------------------------------------------


class Way(NamedTuple):
    """How a sandbox reaches out: its sidecar, which is set up while the sandbox is created."""

    name: str
    made: Callable[[], object]
    reads: bool = False
    """Whether it leads to registries with logins."""

    def onto(self, spec: SandboxSpec) -> SandboxSpec:
        """Return the sandbox's description with all that it needs to use the sidecar."""
        owner = spec.owner._replace(egress=self.name)
        inside = {**spec.environment, **variables(ticket(owner), reads=self.reads)}
        return spec._replace(network=BY_NAME, egress=self.name, owner=owner, environment=inside)


@contextmanager
def way(engine: Engine, plan: Plan, ui: UI) -> Iterator[Way | None]:
    """Yield the way out of a sandbox being created; ``None`` if its network is ``none`` or ``open``.

    Until the context ends, nobody removes the sidecar.  Raises ``EngineError`` when it cannot be set up.
    """
    if plan.network.policy != BY_NAME:
        yield None
        return
    from realm.sandbox.egress import image
    from realm.session import images, run

    make_rules = _rules(engine, plan.config, ui)
    owner = run.owner(plan)
    made_of = image.ensure(engine, images.inputs(plan.config), ui.progress)
    name = sidecar.name(owner.project, made_of)
    try:
        with sidecar.in_use(name):
            sidecar.prepare(engine, name, owner)
            joined = Begun(lambda: _join(engine, plan, owner, name, made_of, make_rules))
            try:
                with lending.lent(
                    engine, plan.ssh, owner._replace(egress=name)
                ):  # to what sets the project up
                    yield Way(name, joined.result, bool(plan.registries))
            except BaseException:
                with suppress(Exception):
                    joined.result(_PATIENCE)
                raise
    except BaseException:  # no sandbox uses it: it would run for nobody
        with suppress(EngineError, OSError):
            sidecar.sweep(engine)
        raise


def _join(engine: Engine, plan: Plan, owner: Owner, name: str, image: str, make_rules: _Rules) -> str:
    container = sidecar.start(engine, name, owner, image)
    own = {**keys.files(plan, owner), **({sidecar.LENDS + ticket(owner).token: b""} if plan.ssh else {})}
    sidecar.join(engine, name, container, ticket(owner), plan.network.given, make_rules, own)
    return container


def _rules(engine: Engine, config: Config, ui: UI | None = None) -> _Rules:
    """Return what turns the settings, and hosts that runs were given besides, into a sidecar's configuration.

    With ``ui`` the user is told of a company proxy that the sidecar cannot use.
    """
    upstream = None
    try:
        upstream = company_proxy(_named(engine, config))
    except ValueError as error:
        if ui is not None:
            ui.warn(f"{error}: the container reaches the network without it")
    return lambda given: rules.files([*config.values(ALLOW), *given], upstream)


def _named(engine: Engine, config: Config) -> dict[str, str]:
    """Return the variables that may name a company proxy."""
    program, args = config.value(AGENT), flags.parse(config.value(DOCKER_ARGS))
    settings = agents.find(program, config.for_agents()).settings()
    return {**engine.proxies(), **os.environ, **settings, **flags.environment(args)}


_PROXY_NAMES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def company_proxy(environ: Mapping[str, str]) -> rules.Upstream | None:
    """Return the proxy that ``environ`` names for HTTPS; ``None`` if there is none.

    Raises :class:`ValueError`, with the reason, for one that the sidecar cannot use.
    """
    name = next((name for name in _PROXY_NAMES if environ.get(name)), "")
    if not name:
        return None
    url = environ[name] if "//" in environ[name] else f"http://{environ[name]}"
    try:
        parts = urlsplit(url)
        host, port = hosts.parse(parts.hostname or "").name, parts.port or 8080
    except ValueError:
        host = ""
    if not host:
        raise ValueError(f"{name} is not the address of a proxy")
    if hosts.is_here(f"http://{parts.netloc.rpartition('@')[2]}"):
        raise ValueError(f"{name} names a proxy on this machine's loopback, which containers cannot reach")
    if parts.scheme != "http":
        raise ValueError(f"{name} names a proxy of the kind {clean(parts.scheme, limit=20)}, not http")
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
    without = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    return rules.Upstream(host, port, login, tuple(_names(without)))


def _names(text: str) -> Iterator[str]:
    for word in text.replace(",", " ").split():
        with suppress(ValueError):
            found = hosts.parse(word.lstrip("*."))
            if found.network is None:
                yield f".{found.name}"


def renew(engine: Engine, root: Path | None) -> list[str]:
    """Give running sidecars, of the project at ``root`` or of all, the current settings.

    Returns the paths of the projects whose sandboxes can reach other hosts now.
    """
    mine = [found for found in sidecar.listed(engine) if root is None or found[1] == str(root)]
    return [path for name, path in mine if sidecar.renew(engine, name, _rules(engine, Config(Path(path))))]


# -- what was refused ------------------------------------------------------------


def settle(engine: Engine, sandbox: Sandbox) -> None:
    """Record all that a finished run was refused, and close its way out; its sidecar may be gone."""
    owner = sandbox.owner
    if not owner.egress:
        return
    with suppress(EngineError, OSError):
        container = engine.facts(owner.egress).id
        refusals.note(owner.id, container, sidecar.leave(engine, container, ticket(owner)))


class Listener:
    """Follows a run's refused requests while entered, and keeps its sidecar alive.

    :meth:`news` returns the hosts refused for the first time since its last call.
    """

    def __init__(self, engine: Engine, plan: Plan, sandbox: Sandbox) -> None:
        self._engine, self._plan, self._sandbox = engine, plan, sandbox
        self._new: list[str] = []
        self.stale = threading.Event()
        """Set when a git host refused the login that the sidecar has."""
        self._seen: set[str] = {refusal.host for refusal in refusals.recorded(sandbox.owner.id)}
        self._beside: Beside | None = None

    def __enter__(self) -> Self:
        if self._sandbox.owner.egress:
            self._beside = Beside(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        if self._beside is not None:
            self._beside.end(2)

    def news(self) -> list[str]:
        """Return hosts that were refused for the first time, each once."""
        found, self._new = self._new, []
        return found

    def _listen(self, stop: threading.Event) -> None:
        pause = 0.0
        while not stop.wait(pause or _DELAY):
            pause = min(max(pause * 2, _AGAIN), _LATEST)
            with suppress(RealmError, OSError):
                self._follow(self._ready(), stop)
                pause = _AGAIN

    def _ready(self) -> str:
        """Return the id of the sidecar's container; recreate one that died."""
        owner = self._sandbox.owner
        with suppress(EngineError):
            container = self._engine.facts(owner.egress).id
            if self._engine.state(container) == "running":
                return container
        if self._sandbox.state() != "running":
            raise EngineError("the run is over")
        from realm.sandbox.egress import image
        from realm.session import images

        made_of = image.ensure(self._engine, images.inputs(self._plan.config), _quietly)
        with sidecar.in_use(owner.egress):
            make_rules = _rules(self._engine, self._plan.config)
            return _join(self._engine, self._plan, owner, owner.egress, made_of, make_rules)

    def _follow(self, container: str, stop: threading.Event) -> None:
        owner = self._sandbox.owner
        found = ticket(owner)
        counts: dict[tuple[str, int, str], int] = {}
        written, is_new = 0.0, False
        with self._engine.listen(container, sidecar.following(found)) as lines:
            while not stop.is_set():
                said = lines.read(_PERIOD)
                if said is None:
                    return
                if any(sidecar.is_stale(line, found) for line in said):
                    self.stale.set()
                for refusal in filter(None, (sidecar.read(line, found) for line in said)):
                    key = (refusal.host, refusal.port, refusal.why)
                    if key in counts or len(counts) < _MOST:
                        counts[key] = counts.get(key, 0) + 1
                    if refusal.host not in self._seen and len(self._seen) < _MOST:
                        self._seen.add(refusal.host)
                        is_news = refusals.may_be_allowed(refusal) or refusal.why == "private"
                        self._new += [refusal.host] if is_news else []
                is_new = is_new or bool(said)
                if is_new and time.monotonic() - written > _PERIOD:
                    refusals.note(
                        owner.id, container, [Refusal(*key, count) for key, count in counts.items()]
                    )
                    written, is_new = time.monotonic(), False


@contextmanager
def _quietly(_: str) -> Iterator[None]:
    yield
