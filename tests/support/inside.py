"""A session with a submodule and a repository beside the project, without an engine."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

from realm.config import Config
from realm.paths import make_private
from realm.sandbox.layout import LARGE
from realm.session import approvals, homes, inner, large, plan, sandboxes
from realm.session.lock import run_directory
from realm.session.requests import NewRequest
from realm.store import submodules
from tests.support.repos import Repo
from tests.support.sandbox import HostSandbox
from tests.support.store import project_of

if TYPE_CHECKING:
    from pathlib import Path

    from realm.sandbox.report import Report
    from realm.session.inner import Inside
    from realm.session.run import Plan

KEPT = "refs/realm-branches/fix/"


class Place(NamedTuple):
    """A project with the submodule ``lib``, and beside it ``near``; the plan of a session with both."""

    repo: Repo
    lib: Repo
    near: Repo
    plan: Plan

    def later(self) -> Place:
        """Return it with the plan of the next run, based on the work so far."""
        run = self.plan.run._replace(number=self.plan.run.number + 1)
        return self._replace(plan=plan.with_neighbours(self.plan._replace(run=run)))

    def on_head(self) -> Place:
        """Return it with a session that begins on the project's current HEAD."""
        head = self.repo.head()
        session, run = self.plan.session._replace(base=head), self.plan.run._replace(before=head)
        return self._replace(plan=self.plan._replace(session=session, run=run))

    def sandbox(self, path: Path) -> HostSandbox:
        """Return the run's sandbox, laid out as the host does."""
        made = HostSandbox(path, self.repo)
        path.joinpath("spool").mkdir()
        found = submodules.find(self.plan.project, self.plan.session.base, self.plan.run.before)
        there = []
        for one in (*found, *self.plan.neighbours):
            assert one.clone is not None
            laid, files = sandboxes._filled(self.plan, one, one.clone, path / "spool" / one.key)
            for file in files:
                if file.path.startswith(f"{LARGE}/") and not isinstance(file.data, bytes):
                    large = made.state / "lfs" / file.path.rpartition("/")[2]
                    large.parent.mkdir(exist_ok=True)
                    shutil.copyfile(file.data, large)
            contents = laid.contents._replace(objects=(str(one.clone.common_dir / "objects"),))
            there.append(laid._replace(contents=contents))
            if one.path.startswith("../"):
                beside = made.workspace / one.path
                beside.mkdir()
                (beside / ".git").write_text(f"gitdir: ../project/.git/{one.place}\n")
        made.layout = made.layout._replace(inner=tuple(there))
        return made

    def take(self, report: Report) -> Inside:
        large.take(self.plan, report)
        return inner.take(self.plan, report, {}, is_end=True)


def placed(repo: Repo, tmp_path: Path) -> Place:
    """Give the session ``fix`` of ``repo``, with the submodule ``lib``, and ``../near`` beside it."""
    for name in ("library", "near"):
        made = Repo.init(tmp_path / name)
        made.write("lib.txt", "lib\n")
        made.commit(name)
    repo.git("submodule", "add", "-q", str(tmp_path / "library"), "lib")
    repo.commit("Add lib")
    request = NewRequest("fix", repo.path, agent="sh", neighbours=("../near",))
    planned = plan.with_neighbours(plan.new(request, project_of(repo), Config(repo.path)))
    approvals.approve_record(planned.project, planned.session)
    planned = plan.with_neighbours(planned)
    homes.reserve(planned.session, planned.neighbours)
    make_private(run_directory(planned.session.id))
    return Place(repo, Repo(repo.path / "lib"), Repo(tmp_path / "near"), planned)


def kept(repo: Repo, top: str = KEPT) -> dict[str, str]:
    """Return the branches kept in a repository: their commits' subjects by name."""
    found = {name.removeprefix(top): oid for name, oid in repo.refs(top).items()}
    return {name: repo.git("log", "-1", "--format=%s", oid) for name, oid in found.items()}
