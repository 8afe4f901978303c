"""Opens a pull or merge request for a session: it is pushed, then the forge's program or a link is used."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from realm import git
from realm.errors import RealmError
from realm.session import integrate
from realm.session.push import note_request, push
from realm.session.requests import At
from realm.store import remote
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realm.session.requests import UI, PushRequest, PushResult

_URL = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:[^@/]*@)?(?P<host>[A-Za-z0-9.-]+\.[A-Za-z]+)(?::\d+(?=/))?[:/]+"
    r"(?P<path>[A-Za-z0-9._~/-]+?)(?:\.git)?/?"
)
"""A remote's URL on a forge: ``https://host/path.git``, ``ssh://git@host:22/path``, ``git@host:path``."""
_LINK = re.compile(r"https?://[^\s\"'<>]+")
_FORGES = {
    "github": ("gh", "https://{host}/{path}/compare/{base}{branch}?expand=1"),
    "gitlab": (
        "glab",
        "https://{host}/{path}/-/merge_requests/new?merge_request%5Bsource_branch%5D={branch}",
    ),
    "bitbucket": ("", "https://{host}/{path}/pull-requests/new?source={branch}"),
    "codeberg": ("", "https://{host}/{path}/compare/{base}{branch}"),
}
"""The pattern of a forge's host, its program, and the address to open a request by hand."""


class Request(NamedTuple):
    """What was ``pushed``, and the request's ``url``, or with ``by_hand`` the address to open one."""

    pushed: PushResult
    url: str
    by_hand: bool = False


def make(asked: PushRequest, ui: UI, *, base: str = "", draft: bool = False) -> Request:
    """Push a session and open a request for it, with ``gh`` or ``glab`` if installed.

    Title and text are made of the session's prompts.  ``base`` is the branch to merge into (default: the
    forge's). Raises :class:`RealmError` as a push does, and when the forge refuses.
    """
    done = integrate.work(At(asked.name, asked.turn), asked.directory, ui)
    title, _, text = integrate.describe(done, squash=True).partition("\n")
    pushed = push(asked, ui)
    project = done.whole.project
    place = _place(remote.urls(project, pushed.remote))
    if place is None:
        link = next((found[0] for line in pushed.lines if (found := _LINK.search(line))), "")
        return Request(pushed, link, by_hand=True)
    program, form = next(row for name, row in _FORGES.items() if name in place["host"])
    between = f"{quote(base)}..." if base else ""
    link = form.format(**place.groupdict(), base=between, branch=quote(pushed.branch, safe=""))
    if not program or shutil.which(program) is None:
        return Request(pushed, link, by_hand=True)
    order = _order(program, pushed.branch, base, title, text.strip(), draft=draft)
    try:
        with ui.progress(f"asking {program}"):
            ran = subprocess.run(
                order, cwd=project.root, env=git.user_environment(), stdin=subprocess.DEVNULL,
                capture_output=True, check=False,
            )  # fmt: skip
    except OSError as error:
        raise _unmade(asked, pushed, program, str(error), link) from error
    said = clean(ran.stdout + b"\n" + ran.stderr, multiline=True)
    url = next(iter(_LINK.findall(said)), "")
    if ran.returncode == 0 and not url:
        return Request(pushed, link, by_hand=True)
    if ran.returncode != 0 and not ("already exists" in said and url):
        why = next((line for line in said.splitlines() if line.strip()), "it gave no reason")
        raise _unmade(asked, pushed, program, why, link)
    note_request(project, asked.name, url)
    return Request(pushed, url)


def _unmade(asked: PushRequest, pushed: PushResult, program: str, why: str, link: str) -> RealmError:
    """Return the error of a forge's program that opened no request for the pushed branch."""
    return RealmError(
        f"{program} could not open the request: {clean(why, limit=300)}; {pushed.branch} is pushed to "
        f"{pushed.remote}",
        f"{program} auth status, then realm pr {asked.name} again; or open {link}",
    )


def _order(program: str, branch: str, base: str, title: str, text: str, *, draft: bool) -> list[str]:
    """Return the command that opens a request (gh-pr-create(1), glab-mr-create(1))."""
    if program == "gh":
        order = ["gh", "pr", "create", f"--head={branch}", f"--title={title}", f"--body={text}"]
        order += [f"--base={base}"] if base else []
    else:
        order = ["glab", "mr", "create", "--yes", f"--source-branch={branch}", f"--title={title}"]
        order += [f"--description={text}", *([f"--target-branch={base}"] if base else [])]
    return [*order, *(["--draft"] if draft else [])]


def _place(urls: Sequence[str]) -> re.Match[str] | None:
    """Return host and path of the first URL of a known forge."""
    for url in urls:
        found = _URL.fullmatch(url)
        if found is not None and any(name in found["host"] for name in _FORGES):
            return found
    return None
