"""The image of sandboxes: its inputs by the settings, and building it on request."""

from __future__ import annotations

import shlex
from contextlib import nullcontext
from typing import TYPE_CHECKING

from realm.config import BASE_IMAGE, CA_FILE, CLAUDE_VERSION, IMAGE, NETWORK, PACKAGES, SLIM, Config
from realm.errors import EngineError, UsageError
from realm.paths import current_directory
from realm.sandbox import docker_inside, flags, image
from realm.sandbox.image import derived, recipe
from realm.session import run
from realm.text import clean
from realm.together import Begun

if TYPE_CHECKING:
    from pathlib import Path

    from realm.sandbox.answers import Image
    from realm.sandbox.docker import Engine
    from realm.sandbox.image.recipe import Inputs
    from realm.session.requests import UI
    from realm.session.run import Plan


def inputs(config: Config) -> Inputs:
    """Return the inputs of realm's image by the settings, and for authorities by the environment."""
    return recipe.Inputs(
        config.value(BASE_IMAGE) or recipe.DEFAULT_BASE,
        config.value(CLAUDE_VERSION),
        config.value(CA_FILE) or recipe.ca_file(),
        slim=config.value(SLIM),
    )


def ensure(connection: Engine, plan: Plan, asked: str | None, ui: UI) -> str:
    """Return the id of a run's image: the one ``asked`` for, the session's, the setting's, or realm's own."""
    has_docker = run.has_docker(plan.config)
    if has_docker:
        _refuse_docker(connection, plan)
    wanted = asked or plan.session.image or plan.config.value(IMAGE) or None
    if wanted and wanted.startswith(derived.FEATURES):
        derived.note_use(wanted)
    if wanted and plan.run.number == 1:
        _mention_entrypoint(connection.image(wanted), wanted, ui)
    found = image.ensure(connection, wanted, inputs(plan.config), ui.progress, part=plan.agent.image_part)
    more = plan.config.values(PACKAGES)
    if has_docker:
        more = [*more, *docker_inside.PACKAGES]
    if more:
        from realm.sandbox.image import packages

        found = packages.ensure(connection, wanted or recipe.REFERENCE, found, more, ui.progress)
    return found


def _refuse_docker(connection: Engine, plan: Plan) -> None:
    """Raise :class:`RealmError` where a sandbox cannot run its own engine."""
    off = "git config realm.docker off runs agents without it"
    why = f" ({plan.network.why})" if plan.network.why else ""
    if plan.network.policy == "open":
        raise UsageError(
            f"realm.docker rootless has no network but the proxies, and the container's is open{why}",
            f"git config realm.network allow, or {off}",
        )
    if flag := flags.to_root(plan.args):
        raise UsageError(
            f"realm.docker rootless needs a non-root user, but docker flag {flag} is a way to root", off
        )
    if connection.is_podman or connection.machine().maps_users:
        raise EngineError(
            "realm.docker rootless needs a Docker engine that runs as root without user remapping; this one "
            "does not",
            off,
        )


def _mention_entrypoint(found: Image | None, wanted: str, ui: UI) -> None:
    """Note that realm starts the agent itself, so the image's ENTRYPOINT does not run."""
    if found is not None and found.entrypoint:
        words = clean(shlex.join(found.entrypoint), limit=80)
        ui.warn(f"the ENTRYPOINT of {wanted} is not run in a sandbox, and sets nothing up there: {words}")


def build(
    claude_version: str | None, base: str | None, ca_file: Path | None, slim: bool, no_cache: bool, ui: UI
) -> str:  # fmt: skip
    """Build ``realm:latest`` and return its id; the settings fill in what is not given.

    Where containers reach hosts by name the proxies' image is built beside it.  Raises
    :class:`ImageError` with the end of the build's output when it fails.
    """
    from realm.sandbox import docker
    from realm.sandbox.image.build import build_own

    config = Config(current_directory())
    found = inputs(config)
    if base:
        found = found._replace(base=BASE_IMAGE.read(base, "--base"))
    if claude_version:
        found = found._replace(claude_version=CLAUDE_VERSION.read(claude_version, "--claude-version"))
    if slim:
        found = found._replace(slim=True)
    if ca_file is not None:
        found = found._replace(ca_file=ca_file)
    proxies = None
    if config.value(NETWORK) == "allow":
        from realm.sandbox.egress import image as egress

        proxies = Begun(lambda: egress.ensure(docker.connect(), found, lambda _: nullcontext()))
    built = build_own(docker.connect(), found, ui.info, no_cache=no_cache)
    if proxies is not None:
        with ui.progress("building the image of the proxies"):
            proxies.result()
    return built
