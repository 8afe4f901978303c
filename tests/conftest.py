"""What every test gets: a sealed environment, repositories, and the engine when it asks for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.support import engines
from tests.support.repos import Repo
from tests.support.sealed import sealed_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

hypothesis.settings.register_profile("realm", deadline=None, database=None)
hypothesis.settings.load_profile("realm")


@pytest.fixture(autouse=True)
def sealed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Seal the test off from whoever runs it, and return its empty home directory."""
    home = tmp_path_factory.mktemp("home")
    wanted = sealed_environment(home, engine=request.node.get_closest_marker("engine") is not None)
    for name in os.environ.keys() - wanted.keys():
        monkeypatch.delenv(name)
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    return home


@pytest.fixture(autouse=True)
def _engine_marker(request: pytest.FixtureRequest) -> None:
    """Skip a test marked ``engine`` when none answers, or fail where one is required."""
    if request.node.get_closest_marker("engine") is not None:
        engines.require()


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[..., Repo]:
    """Return a function of the arguments of ``make`` that makes repositories below ``tmp_path``."""

    def make(name: str = "project", *, bare: bool = False, object_format: str = "sha1") -> Repo:
        return Repo.init(tmp_path / name, bare=bare, object_format=object_format)

    return make


@pytest.fixture
def repo(make_repo: Callable[..., Repo]) -> Repo:
    """Return a repository called ``project`` with one commit that holds ``README.md``."""
    made = make_repo()
    made.write("README.md", "# project\n")
    made.commit("Start")
    return made
