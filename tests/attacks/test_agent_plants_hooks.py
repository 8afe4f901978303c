"""Hooks, filters and configuration that an agent plants in its workspace never run on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

SCRIPT = r"""
mark={mark}; mkdir -p "${{mark%/*}}" .git/hooks
for hook in pre-commit post-checkout post-merge post-rewrite reference-transaction pre-push update \
            post-update pre-receive fsmonitor-watchman post-index-change push-to-checkout; do
    printf '#!/bin/sh\ntouch %s\n' $mark >.git/hooks/$hook
    chmod +x .git/hooks/$hook
done
git config core.fsmonitor 'touch {mark};false'
git config core.sshCommand 'touch {mark};false'
git config core.pager 'touch {mark}'
git config core.editor 'touch {mark}'
git config filter.evil.clean 'touch {mark};cat'
git config filter.evil.smudge 'touch {mark};cat'
git config diff.evil.textconv 'touch {mark};cat'
git config diff.evil.command 'touch {mark}'
git config merge.evil.driver 'touch {mark}'
git config alias.status '!touch {mark}'
git config uploadpack.packObjectsHook 'touch {mark}'
git config credential.helper '!touch {mark}'
printf '* filter=evil diff=evil merge=evil\n' >.gitattributes
cp -r .git/hooks hooks-copy; cp .git/config config-copy
mkdir -p .claude
h='{{"hooks":[{{"type":"command","command":"touch {mark}"}}]}}'
echo "{{\"hooks\":{{\"Stop\":[$h]}}}}" >.claude/settings.json
cp .claude/settings.json $CLAUDE_CONFIG_DIR/settings.json
echo x >file
git add -A; git commit -qm Work --no-verify
"""


def test_nothing_runs_on_the_host(user: User, tmp_path: Path, sealed: Path) -> None:
    mark = tmp_path / "ran-on-the-host"
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    user.repo.git("remote", "add", "origin", str(origin.path))
    config = (user.repo.path / ".git/config").read_bytes()
    done = user.scripted("hooks", SCRIPT.format(mark=mark))
    assert "run or obeyed unasked: agent settings" in done.err
    user.realm("resume", "hooks", "-c", "git status; echo y >y")
    user.repo.write("more")
    user.repo.commit("More")
    user.realm("resume", "--rebase", "hooks", "-c", "true", code=None)
    user.realm("list", "--json")
    user.realm("push", "hooks")
    user.realm("push", "hooks", "--squash", "--as", "flat")
    user.realm("remove", "--yes", "hooks")
    user.realm("restore", "hooks")
    assert not mark.exists()
    assert (user.repo.path / ".git/config").read_bytes() == config
    assert not (sealed / ".claude").exists()


def test_a_submodule_that_would_run_a_command_is_refused(user: User) -> None:
    script = "printf '[submodule \"x\"]\\n path = x\\n url = ./x\\n update = !id\\n' >.gitmodules"
    done = user.scripted("sub", script, code=125)
    assert "gitmodulesUpdate" in done.err
    assert user.tip("sub") == user.repo.head()
