"""What every test gets: a sealed environment, repositories, and the engine when it asks for it."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

# realm imports it in a thread, which could be in the middle of that when pytest, at a test's end,
# makes errors of warnings again.
import docker  # noqa: F401
import hypothesis
import pytest

from tests.support import engines
from tests.support.api import MessagesApi
from tests.support.install import Installed, install_once, shared_directory
from tests.support.repos import Repo
from tests.support.sealed import sealed_environment
from tests.support.user import KEY, User, clean_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

# Under nohup, or in a script's background, signals come ignored, and every program a test starts
# would inherit that.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGTERM, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# The same examples each time, wherever it runs.
hypothesis.settings.register_profile(
    "realm", deadline=None, database=None, derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # it is the machine that is
)  # fmt: skip
hypothesis.settings.load_profile("realm")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a skipped test fail where the machine is to have all that tests need."""
    report = yield
    if report.skipped and os.environ.get("REALM_REQUIRE_DOCKER") == "1":
        report.outcome = "failed"
    return report


@pytest.fixture(autouse=True)
def sealed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Seal the test off from whoever runs it, and return its empty home directory."""
    home = tmp_path_factory.mktemp("home")
    engine = request.node.get_closest_marker("engine") is not None
    quick = engine and request.node.get_closest_marker("defaults") is None
    wanted = sealed_environment(home, engine=engine, quick=quick)
    for name in os.environ.keys() - wanted.keys():
        monkeypatch.delenv(name)
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    return home


@pytest.fixture(autouse=True)
def _engine_marker(request: pytest.FixtureRequest) -> None:
    """Skip a test marked ``engine`` when none answers."""
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


@pytest.fixture
def other_disk() -> Iterator[Path]:
    """Return a directory on another filesystem than the repository's."""
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK):
        pytest.skip("no other filesystem to write to")
    with tempfile.TemporaryDirectory(dir=shm) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return realm as a user has it, installed once for all tests."""
    return install_once(shared_directory(tmp_path_factory))


@pytest.fixture
def user(installed: Installed, repo: Repo, tmp_path: Path) -> Iterator[User]:
    """Return a person with the installed realm in ``repo``; what sandboxes are left over goes at the end."""
    yield User(installed, repo)
    if not engines.missing():
        clean_engine(tmp_path)


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    """Return the stand-in for the Messages API, reachable from every sandbox."""
    with MessagesApi(engines.gateway()) as serving:
        yield serving


@pytest.fixture
def claude(user: User, api: MessagesApi) -> User:
    """Return the person, with a key for the stand-in in the environment."""
    user.extra |= {"ANTHROPIC_BASE_URL": api.url, "ANTHROPIC_API_KEY": KEY}
    return user
