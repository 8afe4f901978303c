"""Creating the sandbox of a run, and removing leftovers of runs that never began."""

from __future__ import annotations

import hashlib
import os
import posixpath
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from realm.config import CACHE, CACHE_PATH, LIMIT_FILE, SETUP
from realm.errors import EngineError
from realm.paths import remove_tree, scratched
from realm.sandbox import (
    caches,
    creation,
    flags,
    history,
    image,
    layout,
    lookup,
    network,
    repositories,
    workspace,
)
from realm.sandbox import spec as specs
from realm.sandbox.egress import sidecar, ticket
from realm.sandbox.image import recipe
from realm.sandbox.repositories import Contents, Inner, Repositories
from realm.sandbox.transfer import SandboxFile
from realm.sandbox.workspace import Checkout
from realm.session import egress, keys, large, refusals, sight
from realm.session import run as running
from realm.session.images import inputs
from realm.session.lock import holder, run_directory
from realm.store import branches, lfs, manifests, sparse, stores, submodules
from realm.text import clean
from realm.together import Begun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from realm.model import Project
    from realm.sandbox.answers import Machine
    from realm.sandbox.docker import Engine
    from realm.sandbox.sandbox import Sandbox
    from realm.sandbox.spec import SandboxSpec
    from realm.session.requests import UI
    from realm.session.run import Plan
    from realm.store.history import History
    from realm.store.submodules import Submodule


class Outfit(NamedTuple):
    """The parts of a sandbox: its description, its repositories as files, its base volume.

    ``unmatched`` are the patterns of ``realm.historyRefs`` that match nothing.
    """

    spec: SandboxSpec
    layout: list[SandboxFile]
    checkout: Checkout
    unmatched: tuple[str, ...]


def create(engine: Engine, plan: Plan, image: str, seen: History, ui: UI) -> Sandbox:
    """Create the sandbox of a run, which may see the history ``seen``, ready to be started."""
    refusals.forget(plan.session.id)
    with (
        egress.way(engine, plan, ui) as way,
        outfit(engine, plan, image, ["run", *running.argv(plan)], seen, progress=ui.progress) as made,
    ):
        for pattern in made.unmatched:
            ui.warn(f"no branch or tag matches realm.historyRefs {clean(pattern)}")
        return placed(engine, plan, made, running.files(plan), way)


def placed(
    engine: Engine, plan: Plan, made: Outfit, inside: Sequence[SandboxFile], way: egress.Way | None
) -> Sandbox:
    """Create a sandbox from its outfit, with this way to the network; on failure nothing is left."""
    spec = way.onto(made.spec) if way else made.spec
    more: list[SandboxFile] = [ticket.YARN] if way else []
    if found := image.seen(engine, spec.image):
        # realm's own image, and those on top of it, have the user's authorities among theirs.
        is_own = found.labels.get(recipe.FINGERPRINT)
        authorities = b"" if is_own else recipe.authorities(inputs(plan.config))
        if authorities:
            more.append(SandboxFile(layout.AUTHORITIES, authorities, owner="root"))
        trusting = specs.trusting(found.environment, is_more=bool(authorities))
        spec = spec._replace(environment={**trusting, **spec.environment})
    if running.has_docker(plan.config):
        from realm.sandbox.egress import image as proxies

        spec = spec._replace(mapper_image=proxies.ensure(engine, inputs(plan.config), made.checkout.progress))
    checkout = made.checkout
    if plan.config.value(CACHE):
        spec = _with_cache(engine, spec, checkout, caches.chosen(plan.config.values(CACHE_PATH)))
        more += caches.files()
    if checkout.setup:
        checkout = checkout._replace(inside=[*more, *checkout.inside])
    # The user's own files of these names come later, and so take precedence.
    sandbox = creation.create(engine, spec, [*more, *inside, *made.layout], checkout)
    try:
        if way:
            way.made()
    except BaseException:
        sandbox.remove()
        raise
    return sandbox


def _with_cache(engine: Engine, spec: SandboxSpec, checkout: Checkout, chosen: Sequence[str]) -> SandboxSpec:
    """Return a sandbox's description with the project's caches.

    The user's mounts at their paths take precedence.
    """
    found = image.seen(engine, spec.image)
    given = found.environment if found else {}
    of = partial(caches.of, engine, checkout.key, checkout.place, spec.user)
    targets = dict.fromkeys([*caches.tools_own(given), *chosen])
    wanted = [of(), *(of(target, spec.image) for target in targets)]
    taken = {layout.normal(target) for target in spec.args.targets}
    kept = [caches.ready(engine, spec.image, one, spec.owner) for one in wanted if one.target not in taken]
    return spec._replace(
        caches=(*spec.caches, *kept), environment={**caches.environment(given), **spec.environment}
    )


@contextmanager
def outfit(
    engine: Engine, plan: Plan, image: str, command: Sequence[str], seen: History, *,
    more: Sequence[str] = (),
    progress: Callable[[str], AbstractContextManager[object]] = lambda _: nullcontext(), prefer: str = "",
) -> Iterator[Outfit]:  # fmt: skip
    """Yield the parts of a sandbox of the plan that runs ``command``; its history is ready until the end.

    ``seen`` is from :func:`sight.find`, with the commits ``more``, for a sandbox that replays commits and has
    no submodules.  ``prefer`` is its earlier history volume.
    """
    machine = Begun(lambda: _machine(engine, plan))
    shop = history.Workshop(engine, image, running.owner(plan), progress)
    with history.prepared(shop, seen, prefer=prefer) as ready, _inside(plan, more) as inner:
        spec = running.spec(plan, image, command)._replace(history=ready.volume)
        spec = spec._replace(owner=spec.owner._replace(history=ready.volume))
        pointers = large.given(plan)
        files = {pointer.oid: pointer.file for pointer in pointers if pointer.file is not None}
        outline = running.outline(plan)
        beyond = sparse.changed(plan.project, plan.session.base, plan.run.before) if outline else ()
        refs, kept = _refs(seen, plan.session.name), sight.kept(plan)
        contents = _contents(plan.project, seen, refs, kept, plan.session.name)._replace(
            objects=ready.objects, shallow=ready.shallow
        )
        laid = Repositories(
            tip=plan.run.before,
            identity=plan.identity,
            branch=plan.session.name,
            object_format=plan.project.object_format,
            contents=contents._replace(known=(*more, *contents.known)),
            exclude=running.exclude(plan),
            instead=keys.instead(plan),
            inner=tuple(one for one, _ in inner),
            pointers=tuple(pointer.path for pointer in pointers if pointer.oid in files),
            largest=plan.config.value(LIMIT_FILE),
            patterns=outline.patterns if outline else None,
            cone=outline is not None and outline.cone,
            beyond=tuple(map(os.fsdecode, beyond)),
        )
        base = laid._replace(
            tip=plan.session.base,
            branch="",
            contents=contents._replace(refs=refs, known=tuple(more), kept={}, stashes=()),
            exclude=b"",
            inner=(),
            pointers=(),
            beyond=(),
        )
        proxies = _proxies(engine, plan)
        command_file, setup = _setup(plan, image, proxies)
        in_base = list(command_file)
        if command_file:
            in_base += [*plan.dotfiles.files, *(plan.ssh.files() if plan.ssh else [])]
        if inner or pointers or plan.session.neighbours:
            # A base volume lacks them, so the command is run in each sandbox.
            in_base, setup = [], ""
        packs = [file for _, files in inner for file in files]
        packs += [_way_to(plan, one) for one, _ in inner if one.is_beside]
        packs += [
            SandboxFile(f"{layout.LARGE}/{oid}", path, 0o444, owner="root") for oid, path in files.items()
        ]
        # Several repositories may have the same file of Git LFS.
        packs = [*{file.path: file for file in packs}.values()]
        yield Outfit(
            specs.limited(spec, machine.result()),
            [*repositories.files(laid), *ready.files, *packs, *_conversations(plan),
             *_worktree(plan, contents.kept), *command_file,
             *([SandboxFile(layout.ENVIRONMENT, specs.secrets(proxies), 0o600)] if proxies else [])],
            Checkout(
                plan.session.base, seen.key, seen.place,
                [*repositories.files(base), *ready.files, *in_base], seen.contains, progress, setup,
                f"{outline.cone} {outline.patterns!r}" if outline else "",
            ),
            seen.unmatched,
        )  # fmt: skip


def _setup(plan: Plan, image: str, proxies: Mapping[str, str]) -> tuple[list[SandboxFile], str]:
    """Return the user's setup command, and a digest of everything that it depends on.

    It gets the variables of the user's containers, except logins of the agent.
    """
    command = plan.config.value(SETUP)
    if not command.strip():
        return [], ""
    given = {**proxies, **flags.environment(plan.args)}
    if plan.network.policy == "allow":
        given = ticket.besides(
            ticket.variables(ticket.ticket(running.owner(plan)), reads=bool(plan.registries)), given
        )
    login = running.inside(plan).variables
    variables = {name: value for name, value in given.items() if name not in login}
    text = specs.secrets(variables) + f"{command}\n".encode("utf-8", "surrogateescape")
    home = [b"%b\0%r" % (file.path.encode(), file.data) for file in plan.dotfiles.files]
    cached = (caches.environment({}), caches.files(), caches.chosen(plan.config.values(CACHE_PATH)))
    depends = (
        image,
        manifests.digest(plan.project, plan.session.base, command),
        repr(cached) if plan.config.value(CACHE) else "",
    )
    digest = hashlib.sha256(b"\0".join([*map(str.encode, depends), text, *home])).hexdigest()
    return [SandboxFile(layout.SETUP, text, owner="root")], digest


@contextmanager
def _inside(plan: Plan, more: Sequence[str]) -> Iterator[list[tuple[Inner, list[SandboxFile]]]]:
    """Yield the submodules of the run's first commit, and the repositories beside it, with their packs."""
    found = [] if more else submodules.find(plan.project, plan.session.base, plan.run.before)
    found += [one for one in plan.neighbours if one.clone and not more]
    if not any(one.clone for one in found):
        yield [(_unfilled(one), []) for one in found]
        return
    with scratched("submodules") as spool:
        yield [
            _filled(plan, one, one.clone, spool / one.key) if one.clone else (_unfilled(one), [])
            for one in found
        ]


def _unfilled(one: Submodule) -> Inner:
    return Inner(one.key, one.parent, one.path, one.below, one.link)


def _filled(plan: Plan, one: Submodule, clone: Project, spool: Path) -> tuple[Inner, list[SandboxFile]]:
    seen = sight.inside(plan, one, clone)
    at = f"{layout.OBJECTS}/{one.key}"
    packs = [seen.pack((*seen.tips, *seen.own, *seen.annotated), (), spool / "all", whole=True),
             seen.complete(spool / "complete")]  # fmt: skip
    files = [
        SandboxFile(f"{at}/pack/{path.name}", path, 0o444, owner="root")
        for pack in packs if pack is not None for path in pack.files
    ]  # fmt: skip
    files += [
        SandboxFile(f"{layout.LARGE}/{pointer.oid}", pointer.file, 0o444, owner="root")
        for pointer in large.given_inside(plan, one, clone) if pointer.file is not None
    ]  # fmt: skip
    branch = plan.session.name if one in plan.neighbours else ""
    contents = _contents(clone, seen, _refs(seen, branch), sight.kept_inside(plan, one, clone), branch)
    inner = Inner(
        one.key, one.parent, one.path, one.below, one.link, name=one.name, url=one.url, place=one.place,
        contents=contents._replace(objects=(at,), shallow=seen.shallow),
    )  # fmt: skip
    return inner, files


def _contents(
    project: Project, seen: History, refs: Mapping[str, str], kept: Mapping[str, str], branch: str
) -> Contents:
    """Return the content of a repository of ``project`` in a sandbox, without its object directories.

    ``kept`` are refs that earlier runs left, by their names on the host; each gets another name if one of
    ``refs`` or the checked-out ``branch`` has the same.
    """
    beside = branches.inside(project, kept, [*refs, f"refs/heads/{branch}"])
    return Contents(
        refs={**refs, **beside.refs},
        symbolic=seen.symbolic,
        peeled={name: tag.peeled for name, tag in seen.tags.items() if tag.oid != tag.peeled},
        known=tuple(kept.values()),
        kept=beside.refs,
        stashes=tuple(beside.stashes),
        large=lfs.is_used(project),
        partial=stores.is_partial(project),
    )


def _way_to(plan: Plan, one: Inner) -> SandboxFile:
    """Return the ``.git`` of a repository beside the workspace, whose directory is thereby the user's."""
    top, workspace = posixpath.split(plan.session.workspace)
    place = f"gitdir: ../{workspace}/.git/{one.place}\n"
    return SandboxFile(f"{top}/{one.name}/.git", os.fsencode(place))


def _machine(engine: Engine, plan: Plan) -> Machine:
    """Return the engine's machine, and create the network that the plan wants."""
    if plan.network.policy == "open":
        network.ensure_open(engine)
    return engine.machine()


def _proxies(engine: Engine, plan: Plan) -> dict[str, str]:
    """Return the proxies of the user's containers; their addresses may contain a password."""
    given = flags.environment(plan.args)
    found = engine.proxies() if plan.network.policy == "open" else {}
    return {name: value for name, value in found.items() if name not in given}


def _conversations(plan: Plan) -> Iterator[SandboxFile]:
    if pattern := plan.agent.conversations:
        yield SandboxFile(layout.CONVERSATIONS, f"{pattern}\n".encode(), owner="root")
    if plan.agent.resumes:
        yield SandboxFile(layout.RESUMES, f"{plan.agent.resumes}\n".encode(), owner="root")
    if plan.transcript and plan.session.conversation:
        path = plan.agent.conversation_file(plan.directory, plan.session.conversation)
        yield SandboxFile(layout.SAID, f"{len(plan.transcript)} {path}\n".encode(), owner="root")


def _worktree(plan: Plan, kept: Mapping[str, str]) -> Iterator[SandboxFile]:
    """Yield a file that names an earlier run's linked work tree, if the agent is to continue there."""
    found = plan.agent.worktree(plan.agent_args, plan.transcript)
    if found and f"refs/heads/{found[1]}" in kept:
        yield SandboxFile(layout.WORKTREE, f"{found[0]} {found[1]}\n".encode(), owner="root")


def _refs(seen: History, branch: str) -> Mapping[str, str]:
    """Return the refs that the sandbox gets: those it may see, except where they collide with its branch."""
    own = f"refs/heads/{branch}"
    tags = {name: tag.oid for name, tag in seen.tags.items()}
    return {
        name: oid
        for name, oid in {**seen.refs, **tags}.items()
        if name != own and not name.startswith(f"{own}/")
    }


def forget(sandbox: Sandbox) -> None:
    """Let no new sandbox use the volumes that this one shares, as one of them is damaged."""
    place = history.forget(sandbox.owner.history) if sandbox.owner.history else ""
    if place:
        workspace.forget(place)


def prune() -> None:
    """Remove the shared volumes of projects that are gone, if an engine can be reached."""
    from realm.sandbox import docker

    with suppress(EngineError), docker.connect() as engine:
        history.prune(engine)
        workspace.prune(engine)
        caches.prune(engine)


def sweep(engine: Engine) -> None:
    """Remove sandboxes and volumes that a killed process made for a run and never used.

    Only the holder of a run's lock starts a sandbox or fills a shared volume: one that is found to have no
    holder, and afterwards is still not ready, will never be.
    """
    workspace.settle(engine, lambda session_id: holder(session_id) is not None)
    with suppress(EngineError):
        for sandbox in lookup.unready(engine):
            if holder(sandbox.owner.id) is None and lookup.is_unready(sandbox):
                with suppress(EngineError):
                    sandbox.remove()
                if sandbox.owner.role == lookup.TRY:
                    remove_tree(run_directory(sandbox.owner.id))
    with suppress(EngineError):
        sidecar.sweep(engine)
