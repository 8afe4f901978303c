"""Any program can be the agent: its work is kept, and its output and exit code are passed on."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo
from tests.support.waiting import first_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine


def test_output_input_and_exit_code_come_through(user: User) -> None:
    script = "cat >got.txt; echo words; echo complaint >&2; exit 7"
    done = user.realm("new", "--agent", "sh", "plain", "-c", script, stdin="a task\n", code=7)
    assert done.out == "words\n"
    assert "complaint\n" in done.err
    assert user.repo.show("refs/realm/plain:got.txt") == "a task"


def test_binary_output_is_not_changed(user: User) -> None:
    done = user.realm("new", "--agent", "sh", "bytes", "-c", r"printf 'a\r\nb\tc\033[1m'")
    assert done.out == "a\r\nb\tc\x1b[1m"


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_empty_ones(closed: str, user: User) -> None:
    line = f'{shlex.quote(str(user.installed.realm))} new --agent sh shut -c "cat >got; echo seen" {closed}'
    done = subprocess.run(
        ["sh", "-c", line], cwd=user.repo.path, env=user.env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "" if ">&-" in closed else "seen\n"), done.stderr
    assert user.repo.show("refs/realm/shut:got") == ""


def test_much_output_arrives_whole(user: User) -> None:
    done = user.scripted("much", "seq 1 200000")
    assert done.out.splitlines() == [str(number) for number in range(1, 200_001)]


def test_an_agent_that_changes_nothing_leaves_the_session_at_its_base(user: User) -> None:
    done = user.scripted("idle", "true")
    assert user.tip("idle") == user.repo.head()
    assert "no changes" in done.err


@pytest.mark.defaults
def test_a_run_without_news_never_advises_to_remove_what_there_is(user: User) -> None:
    assert "realm remove idle" in user.scripted("idle", "true").err
    user.scripted("idle", "echo 1 >1", verb="resume")
    done = user.scripted("idle", "true", verb="resume")
    assert done.err == "idle: no changes   realm resume idle   realm push idle\n"


def test_commits_and_leftovers_stack_over_runs(user: User) -> None:
    repo = user.repo
    user.scripted("stack", "echo 1 >1; git add 1; git commit -qm 'One by hand'; echo 2 >2")
    first = user.tip("stack")
    assert repo.files("refs/realm/stack") == ["1", "2", "README.md"]
    user.scripted("stack", "ls >seen; rm 1", verb="resume")
    assert repo.show("refs/realm/stack:seen").splitlines() == ["1", "2", "README.md", "seen"]
    assert repo.files("refs/realm/stack") == ["2", "README.md", "seen"]
    assert repo.head("refs/realm/stack~1") == first
    assert repo.git("log", "-1", "--skip=2", "--format=%s", "refs/realm/stack") == "One by hand"


def test_ignored_files_stay_out_of_commits(user: User) -> None:
    user.repo.write(".gitignore", "*.log\n")
    user.repo.commit("Ignore logs")
    user.scripted("ignored", "echo x >noise.log; echo y >kept")
    assert user.repo.files("refs/realm/ignored") == [".gitignore", "README.md", "kept"]


def test_modes_links_and_odd_names_survive(user: User) -> None:
    script = "echo x >run.sh; chmod +x run.sh; ln -s README.md link; mkdir 'a b'; echo ü >'a b/ü.txt'"
    user.scripted("odd", script)
    listing = user.repo.git("-c", "core.quotePath=false", "ls-tree", "-r", "refs/realm/odd")
    modes = {line.split("\t")[1]: line.split()[0] for line in listing.splitlines()}
    assert modes == {"README.md": "100644", "a b/ü.txt": "100644", "link": "120000", "run.sh": "100755"}


def test_what_is_left_out_is_on_this_machine(user: User, sealed: Path) -> None:
    script = "printf 'in\\n' >'tab\tname'; ln -s /etc/passwd link; mkdir d; echo no >'d/x\\y'; echo yes >fine"
    done = user.scripted("odd", script)
    assert user.repo.files("refs/realm/odd") == ["README.md", "fine"]
    (place,) = sealed.glob(".realm/runs/*/left-out")
    assert f"warning: files and links that were left out are in {place}\n" in done.err
    kept = {file.name: file.read_text() for file in place.iterdir()}
    assert kept == {"0001-link": "/etc/passwd", "0001-tab%09name": "in\n", "0001-d%2Fx%5Cy": "no\n"}


def test_history_and_branch_are_visible_in_the_sandbox(user: User) -> None:
    done = user.scripted(
        "look", "git log --format=%s; git branch --show-current; git status --porcelain; pwd; id -u"
    )
    assert done.out.splitlines() == ["Start", "look", "/workspace/project", "1000"]


def test_the_sandbox_does_not_see_the_work_tree_or_gits_configuration(user: User) -> None:
    user.repo.write(".env", "TOKEN=1")
    user.repo.write(".git/info/exclude", ".env\n")
    user.repo.git("config", "remote.origin.url", "https://user:hunter2@example.com/x.git")
    done = user.scripted("blind", "ls -A; git config --list; cat /proc/mounts; env")
    assert ".env" not in done.out.split()
    assert "hunter2" not in done.out


def test_only_one_run_at_a_time(user: User) -> None:
    process = user.start("new", "--agent", "sh", "busy", "-c", "echo ready; read line")
    assert first_line(process) == "ready\n"
    refused = user.realm("resume", "busy", code=125)
    assert "is still running" in refused.err
    assert [row["state"] for row in user.listed()] == ["running"]
    process.communicate("\n", timeout=60)
    assert process.returncode == 0
    assert [row["state"] for row in user.listed()] == ["exited"]


def test_a_push_during_a_run_is_no_hindrance(user: User) -> None:
    bare = Repo.init(user.repo.path.parent / "origin.git", bare=True)
    user.repo.git("remote", "add", "origin", str(bare.path))
    user.scripted("busy", "echo 1 >1")
    first = user.tip("busy")
    process = user.start("resume", "busy", "-c", "echo ready; read line; echo 2 >2")
    assert first_line(process) == "ready\n"
    user.realm("push", "busy")
    _, said = process.communicate("\n", timeout=60)
    assert process.returncode == 0, said
    assert [row["state"] for row in user.listed()] == ["exited"]
    record = json.loads(user.repo.show("refs/realm-meta/busy:session.json"))
    assert record["pushed"] == {"origin busy": first}
    user.realm("push", "busy")
    assert bare.refs("refs/heads")["refs/heads/busy"] == user.tip("busy") != first


def test_nothing_of_the_sandbox_is_left(user: User) -> None:
    user.scripted("gone", "echo x >x")
    assert list(user.leftovers()) == []


def test_list_tells_what_there_is(user: User) -> None:
    assert user.listed() == []
    user.scripted("first", "echo x >x")
    user.scripted("second", "true")
    rows = user.listed()
    assert [row["name"] for row in rows] == ["second", "first"]
    text = user.realm("list").out
    assert "first" in text
    assert str(user.repo.path) in text or user.repo.path.name in text


def test_git_realm_is_the_same_program(user: User) -> None:
    user.scripted("via-git", "true")
    assert user.repo.git("realm", "list", "--json", env=user.env) == user.realm("list", "--json").out.rstrip(
        "\n"
    )


def test_an_image_of_ones_own(user: User) -> None:
    done = user.scripted("own", "cat /etc/os-release", "--image", "realm:latest")
    assert "Debian" in done.out
    missing = user.realm("new", "--agent", "true", "--image", "realm-no-such-image:1", "none", code=125)
    assert "realm-no-such-image:1" in missing.err
    assert "refs/realm/none" not in user.repo.refs()


def test_docker_arguments_are_text_not_shell(user: User) -> None:
    user.extra["REALM_DOCKER_ARGS"] = '-e "WORDS=$(echo ran) `id`" --hostname thebox'
    done = user.scripted("dockerargs", 'echo "$WORDS"; hostname')
    assert done.out == "$(echo ran) `id`\nthebox\n"
    user.extra["REALM_DOCKER_ARGS"] = "--frobnicate"
    refused = user.realm("new", "--agent", "true", "x", code=None)
    assert refused.code in (2, 125)
    assert "--frobnicate" in refused.err


def test_the_image_has_the_tools(user: User) -> None:
    tools = ("git", "rg", "ssh", "curl", "claude", "node", "npm", "python3", "make")
    done = user.scripted("tools", f"for tool in {' '.join(tools)}; do command -v $tool; done; true")
    assert [line.rpartition("/")[2] for line in done.out.split()] == list(tools)


def test_doctor_shows_each_step_of_a_run_on_a_machine_where_git_has_no_identity(
    user: User, sealed: Path
) -> None:
    (sealed / ".gitconfig").write_text("")
    done = user.realm("doctor", "--run")
    assert "the agent ran in a container and ended with 0" in done.err
    assert "realm works" in done.err
    assert "Claude Code has no login that the container could use, so only the script was tried" in done.err
    assert list(user.leftovers()) == []


def test_an_agent_can_tell_what_terminal_it_is_in(user: User) -> None:
    told = {"TERM_PROGRAM": "WezTerm", "TERM_PROGRAM_VERSION": "20240203", "COLORTERM": "truecolor"}
    user.extra |= told | {"TERM": "xterm-kitty", "MY_SECRET": "swordfish"}
    done = user.scripted("x", "env")
    found = dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line)
    assert {name: found[name] for name in told} == told
    assert found["TERM"] == "xterm-256color"  # which every image knows
    assert "MY_SECRET" not in found


def test_what_a_run_went_under_is_in_its_record_and_no_secret_is(user: User) -> None:
    user.extra["REALM_DOCKER_ARGS"] = "-e HUSH=very-secret-indeed --memory 256m"
    user.extra["REALM_NETWORK"] = "none"
    user.scripted("kept", 'test "$HUSH" = very-secret-indeed && touch seen')
    assert "seen" in user.repo.files("refs/realm/kept")
    answer = user.realm("audit", "kept", "--json").out
    (run,) = json.loads(answer)
    container = run["container"]
    assert (run["network"], container["network"], container["memory"]) == ("none", "none", 256 * 1024**2)
    assert run["image"] == container["image"]
    assert run["flags"] == ["--env HUSH", "--memory 256m"]
    assert (container["read_only"], container["capabilities"]) == (True, [])
    assert {"/workspace", "/realm", "/history"} <= {mount["target"] for mount in container["mounts"]}
    assert "very-secret" not in answer + user.repo.show("refs/realm-meta/kept:runs/0001/audit.json")
    assert "no-new-privileges" in user.realm("audit", "kept", "--run", "1").out
