"""An agent uses submodules to reach another repository, or one's objects that it was not given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.store import submodules
from realm.store.ingest import Intake, ingest
from realm.store.submodules import Links
from tests.support.repos import Repo
from tests.support.store import ME, STARTED, Forge, project_of, take

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lib(repo: Repo, tmp_path: Path) -> Repo:
    """Give the project's submodule ``lib``."""
    made = Repo.init(tmp_path / "library")
    made.write("lib.txt", "lib\n")
    made.commit("Library")
    repo.git("submodule", "add", "-q", str(made.path), "lib")
    repo.commit("Add lib")
    return Repo(repo.path / "lib")


@pytest.mark.parametrize("path", ["../outside", "/etc", "-lib", "a/../../outside", ".git/hooks"])
def test_a_path_that_leads_outside_is_no_submodule(repo: Repo, lib: Repo, path: str) -> None:
    outside = Repo.init(repo.path.parent / "outside")
    outside.write("secret")
    secret = outside.commit("Secret")
    repo.write(".gitmodules", f'[submodule "lib"]\n\tpath = {path}\n\turl = ../outside\n')
    repo.git("add", ".gitmodules")
    hostile = repo.commit("Outside", add=False)
    (one,) = submodules.find(project_of(repo), hostile, hostile)
    assert (one.path, one.clone) == ("lib", None)
    assert secret != one.link
    assert lib.path.is_dir()


@pytest.mark.parametrize("name", ["../../outside", "..", "/etc", "-x", "a/../../b", "a\\\\nb", ""])
def test_a_name_that_leads_outside_has_no_place(repo: Repo, lib: Repo, name: str) -> None:
    repo.write(".gitmodules", f'[submodule "{name}"]\n\tpath = lib\n\turl = ../outside\n')
    repo.git("add", ".gitmodules")
    hostile = repo.commit("Outside", add=False)
    (one,) = submodules.find(project_of(repo), hostile, hostile)
    assert (one.place, one.clone, one.name) == ("", None, "")
    assert lib.path.is_dir()


@pytest.mark.parametrize(
    "url", ["-u./payload", "ext::sh -c id", "../other", "file:///etc", "/etc", "https://u:p@h/x"]
)
def test_no_odd_address_and_no_login_goes_in(repo: Repo, lib: Repo, url: str) -> None:
    repo.write(".gitmodules", f'[submodule "lib"]\n\tpath = lib\n\turl = {url}\n')
    repo.git("add", ".gitmodules")
    hostile = repo.commit("Address", add=False)
    (one,) = submodules.find(project_of(repo), hostile, hostile)
    assert one.url in ("", "https://h/x")
    assert one.clone is not None
    assert lib.path.is_dir()


def test_what_an_agent_declares_is_not_looked_for_on_the_host(repo: Repo, lib: Repo) -> None:
    """Another repository of the user's lies in the work tree; its id would be all that it takes."""
    private = Repo.init(repo.path / "private")
    private.write("secret")
    secret = private.commit("Secret")
    base = repo.head()
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{secret},private")
    text = (repo.path / ".gitmodules").read_text() + '[submodule "private"]\n\tpath = private\n\turl = ./x\n'
    repo.write(".gitmodules", text)
    repo.git("add", ".gitmodules")
    repo.git("commit", "-qm", "Declare")
    found = {one.path: one for one in submodules.find(project_of(repo), base, repo.head())}
    assert found["private"].clone is None
    assert found["lib"].clone is not None
    assert lib.path.is_dir()


def test_a_gitlink_to_a_commit_of_another_branch_is_refused(repo: Repo, tmp_path: Path) -> None:
    """It is in the project's store, and the sandbox says that a remote has it."""
    repo.git("checkout", "-q", "-b", "private")
    repo.write("secret")
    secret = repo.commit("Secret")
    repo.git("checkout", "-q", "main")
    forge = Forge(project_of(repo))
    tree = forge.tree(("160000", b"vendor", secret))
    wanted = forge.intake(tmp_path / "pack", forge.commit(tree))
    links = Links(wanted.project, (wanted.tip,), {}, [(secret, "vendor")])
    done = take(wanted._replace(links=links))
    assert repo.files("refs/realm/fix") == []
    assert done.dropped == [f"vendor: a submodule at {secret[:12]}, a commit that is not here"]


def test_a_submodules_pack_cannot_name_what_its_repository_has_besides(lib: Repo, tmp_path: Path) -> None:
    lib.git("checkout", "-q", "-b", "private")
    lib.write("secret", "the secret\n")
    lib.commit("Secret")
    blob = lib.head("HEAD:secret")
    lib.git("checkout", "-q", "main")
    project = project_of(lib)
    forge = Forge(project)
    snapshot = forge.commit(forge.tree(("100644", b"fished", blob)))
    wanted = forge.intake(tmp_path / "pack", snapshot)
    intake = Intake(project, "fix", 1, wanted.tip, wanted.points, {}, wanted.pack, STARTED, ME)
    with pytest.raises(Exception, match="were not in the container"):
        ingest(intake)
    assert lib.refs("refs/realm") == {}
