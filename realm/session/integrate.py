"""Brings a session's work into the user's work tree, or into their branch.

When a session included uncommitted changes (``--wip``), its first commit holds them, and they are still in
the user's work tree: they are not part of its work.
"""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from realm import git
from realm.errors import GitError, RealmError
from realm.paths import current_directory
from realm.session import untold
from realm.session.review import CommitRange, commit_range, turns
from realm.store import merging, refs, repo, worktree
from realm.store import turns as numbered
from realm.store.commits import tree_of
from realm.store.quarantine import quarantine
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realm.model import Project, Totals
    from realm.session.requests import UI, At
    from realm.store.quarantine import Quarantine
    from realm.store.turns import Commit


_PUT_AWAY = "git stash -u puts away all that is not committed"


class Work(NamedTuple):
    """A session's work: its place, its chain, and the commit that the work begins on.

    ``begin`` is the session's base, or the commit of the user's uncommitted changes on top of it.
    """

    whole: CommitRange
    commits: Sequence[Commit]
    begin: str


class Merged(NamedTuple):
    """Git's exit code, and the session's commit that it merged; ``way`` is how to end or undo a conflict."""

    code: int
    tip: str
    way: str


def work(at: At, directory: Path | None, ui: UI) -> Work:
    """Return a session's work, up to a turn if one is given; report what its background run had to say.

    Raises :class:`RealmError` when there is none.
    """
    whole = commit_range(at, directory)
    here = current_directory().resolve()
    if directory is None and not here.is_relative_to(whole.project.root.resolve()):
        raise RealmError(
            f"{at.name} is a session of {clean(str(whole.project.root))}",
            f"realm -C {shlex.quote(str(whole.project.root))} … does it there",
        )
    commits = numbered.chain(whole.project, whole.base, whole.tip)
    first = commits[0] if commits else None
    begin = whole.base
    if first is not None and first.key is None and first.subject.startswith(numbered.WIP):
        begin = first.oid
    if whole.tip == begin:
        raise RealmError(f"{at.name} changed nothing", f"realm log {at.name}")
    untold.tell_of(whole.project, at.name, whole.id, ui)
    return Work(whole, commits, begin)


def apply(at: At, directory: Path | None, paths: Sequence[str], ui: UI, *, pick: bool = False) -> Totals:
    """Apply a session's changes to the work tree, uncommitted; return their size.

    They are merged three-way with the files as they are.  With ``pick`` the user's git asks about each hunk,
    except for lines that both sides changed, which stay.  No hook is run: the session could have changed it.
    Raises :class:`RealmError`, and changes nothing, when both changed the same lines or an ignored file is in
    the way.
    """
    done = work(at, directory, ui)
    git.without_hooks()
    theirs, cut_off = done.whole.tip, _cut_off(done, "apply")
    if problem := _unfinished(done.whole.project) or _torn(done):
        ui.warn(f"{problem.message}: {problem.hint}")
    if cut_off:
        before = (cut_off[0].new or "")[:12]
        ui.warn(
            f"realm apply {at.name} was cut off before: git restore --source={before} :/ brings back what "
            "your files were then"
        )
    with quarantine(done.whole.project) as held:
        project, index = held.aside, held.path / "index"  # objects made here are not for the project
        if paths:
            theirs = merging.limited(project, done.begin, theirs, paths)
        now = worktree.snapshot(project, index)
        try:
            after = merging.merge(project, done.begin, now, theirs)
        except merging.ConflictError as conflict:
            if not pick:
                raise RealmError(
                    f"{at} does not apply to your work tree: {conflict.message}",
                    f"realm merge {at} leaves conflicts to you, realm apply {at} -- PATHS takes a part, and "
                    f"realm apply {at} -p all but the lines that both changed",
                ) from None
            ui.warn(f"{conflict.message}: lines that both changed stay yours, and are not asked about")
            after = merging.merge(project, done.begin, now, theirs, keep=True)
        if after == now:
            raise RealmError(f"your work tree has all of {at} already", "git status")
        if pick:
            chosen = ("restore", "-p", f"--source={after}", "--", *(paths or [":/"]))
            if code := git.type_in(*chosen, project=project):
                raise GitError(
                    f"git restore ended with exit code {code}", f"realm apply {at} takes all of it"
                )
            return repo.diffstat(project, now, worktree.snapshot(project, index))
        with _kept(held, done, now, after):
            merging.rewrite_files(project, index, now, after)
        _forget(done, cut_off)
        return repo.diffstat(project, now, after)


def _cut_off(done: Work, part: str) -> list[refs.RefUpdate]:
    """Return how refs, the latest first, were made that an earlier command did not :func:`_forget`."""
    found = refs.list_trash(done.whole.project, done.whole.name)
    updates = [update for trash in found for update in trash.moved_in()]
    return [update for update in updates if update.ref.endswith(f"/branches/merge/{part}")]


def _unfinished(project: Project) -> RealmError | None:
    """Return the error for a merge, whoever began it, that keeps git from another one."""
    if (project.git_dir / "MERGE_HEAD").exists():
        return RealmError(
            "a merge in your work tree is not finished",
            "git merge --continue concludes it, git merge --abort goes back",
        )
    if (project.git_dir / "MERGE_AUTOSTASH").exists():
        return RealmError(
            "a merge was cut off: some of your files may have its changes, and your own are set aside",
            f"{_PUT_AWAY}; git stash list then has your own changes as autostash",
        )
    return None


def _torn(done: Work) -> RealmError | None:
    """Return the error for a merge of this session that was killed while git rewrote files."""
    project, cut_off = done.whole.project, _cut_off(done, "begun")
    tip = (cut_off[0].new if cut_off else None) or ""
    if not tip or repo.is_ancestor(project, tip, "HEAD"):
        return None
    asked = ("ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard", "--", ":/")
    now = git.git(*asked, "--full-name", project=project).out.split(b"\0")
    if not {*now} & repo.changed_names(project, "HEAD", tip):
        return None
    return RealmError(
        f"realm merge {done.whole.name} was cut off: some of your files may have its changes",
        _PUT_AWAY,
    )


@contextmanager
def _kept(held: Quarantine, done: Work, now: str, after: str) -> Iterator[None]:
    """Keep the work tree ``now`` in the trash while its uncommitted files are rewritten as in ``after``."""
    project = held.aside
    asked = ("rev-parse", "--quiet", "--verify", "HEAD^{commit}")
    head = git.git(*asked, project=project, check=False).text or done.whole.base
    if not repo.changed_names(project, head, now) & repo.changed_names(project, now, after):
        yield
        return
    own = merging.nameless(project, now, head)
    held.give(own, [head])
    kept = _keep(done, "apply", own)
    try:
        yield
    except merging.TornError as torn:
        torn.hint = f"free some space, then: git restore --source={own[:12]} :/"
        raise
    except RealmError:
        _forget(done, kept)
        raise
    _forget(done, kept)


def merge(at: At, directory: Path | None, ui: UI, *, squash: bool = False, message: str = "") -> Merged:
    """Merge a session into the current branch with the user's git.

    Hooks, signing and settings of theirs apply; hooks do not where the session changes them.
    A conflict is left in the work tree, as ``git merge`` leaves it.  Raises
    :class:`RealmError`, and changes nothing, when there is nothing to merge or the work builds
    on uncommitted changes that are not committed yet.
    """
    done = work(at, directory, ui)
    project, tip = done.whole.project, done.whole.tip
    head = repo.resolve_commit(project, "HEAD")
    text = message or describe(done, squash=squash)
    if problem := _unfinished(project):
        raise problem
    if problem := _torn(done):
        ui.warn(f"{problem.message}: {problem.hint}")
    cut_off, stash = _cut_off(done, "begun"), []
    if done.begin != done.whole.base:
        tip, stash = _without_wip(done, head, text if squash else ""), ["--autostash"]
    with _begun(done, tip) as kept:
        if changed := _changed_hooks(done):
            git.without_hooks()
            ui.warn(
                f"{at.name} changes git hooks of your project ({clean(changed)}): none was run; "
                "look at them before your next git command"
            )
        if squash and not stash:
            code = _squash(done, text)
        else:
            how = ["--ff-only"] if squash else _how(project, head, tip, text, is_own=bool(message))
            code = git.type_in("merge", *stash, *how, "--end-of-options", tip, project=project)
    unfinished = _unfinished(project)
    if code < 0 and (problem := unfinished or _torn(done)):
        raise problem
    if stash and _goes_on(done, tip):
        _keep(done, "head", tip)
    _forget(done, kept)
    if code == 0:
        _forget(done, cut_off)
    return Merged(code, done.whole.tip, unfinished.hint if unfinished else "")


@contextmanager
def _begun(done: Work, tip: str) -> Iterator[Sequence[refs.RefUpdate]]:
    """Note a merge of ``tip``; yield what forgets it.  An interrupt says what it left undone."""
    kept = _keep(done, "begun", tip)
    try:
        yield kept
    except RealmError:
        _forget(done, kept)
        raise
    except KeyboardInterrupt as wish:
        if problem := _unfinished(done.whole.project) or _torn(done):
            wish.add_note(f"{problem.message}: {problem.hint}")
        raise


def _how(project: Project, head: str, tip: str, text: str, *, is_own: bool) -> list[str]:
    """Return git's options for a merge with the message ``text``, the user's own or not."""
    asked = git.git("config", "--type=bool", "merge.ff", project=project, check=False)
    if not is_own and asked.text != "false" and repo.is_ancestor(project, head, tip):
        return ["--no-edit"]  # git refuses a message here
    return ["--no-ff", "-m", text] if is_own else ["-m", text]


def _forget(done: Work, kept: Sequence[refs.RefUpdate]) -> None:
    """Undo :func:`_keep`; what cannot be undone expires with the rest of the trash."""
    if not kept:
        return
    with suppress(RealmError):
        gone = [refs.RefUpdate(ref, oid, None) for ref, _, oid in kept]
        refs.transact(done.whole.project, gone, "realm: gone")


def _keep(done: Work, part: str, oid: str) -> list[refs.RefUpdate]:
    """Keep a commit in the trash: ``git gc`` does not see that a stopped merge needs it."""
    project, name = done.whole.project, done.whole.name
    beside = {f"{refs.BRANCHES}{name}/merge/{part}": oid}
    updates = refs.keep_updates(project, name, refs.Tips(None, None), beside)
    refs.transact(project, updates, "realm: merge")
    return updates


def _goes_on(done: Work, tip: str) -> bool:
    """Tell whether the merge of ``tip`` waits for the user; their uncommitted changes are then kept too."""
    project = done.whole.project
    found = [
        git.git("rev-parse", "--quiet", "--verify", f"MERGE_{what}", project=project, check=False).text
        for what in ("HEAD", "AUTOSTASH")
    ]
    if found[0] != tip:
        return False
    if found[1]:
        _keep(done, "stash", found[1])
    return True


def _changed_hooks(done: Work) -> str:
    """Return what the session changes of the user's hooks in the work tree, a directory or a file."""
    project = done.whole.project
    asked = git.git("config", "--type=path", "--get", "core.hooksPath", project=project, check=False)
    root = project.root.resolve()
    named = root / (asked.text or project.common_dir / "hooks")
    places = [Path(os.path.normpath(named)), named.resolve()]
    with suppress(OSError):
        places += [path.resolve() for path in named.iterdir() if path.is_symlink()]
    # husky's own directory only runs the hooks, which are in its parent.
    hooks = dict.fromkeys(path.parent if path.name == "_" else path for path in places)
    inside = [path.relative_to(root) for path in hooks if path.is_relative_to(root)]
    if all(path.parts[:1] == (".git",) for path in inside):  # which is in no tree
        return ""
    changed = repo.changed_names(project, done.begin, done.whole.tip)
    folded = [f"{os.fsdecode(name)}/".casefold() for name in changed]
    for below in map(Path.as_posix, inside):
        place = "" if below == "." else f"{below}/".casefold()
        # A link in the place of a directory above leads to other hooks, too.
        if any(name.startswith(place) or place.startswith(name) for name in folded):
            return below
    return ""


def _squash(done: Work, text: str) -> int:
    project = done.whole.project
    if git.git("diff", "--cached", "--quiet", project=project, check=False).code == 0:
        code = git.type_in("merge", "--squash", "--end-of-options", done.whole.tip, project=project)
        if code != 0 or git.git("diff", "--cached", "--quiet", project=project, check=False).code == 0:
            return code
    elif not _is_staged(done):
        raise RealmError(
            "there are staged changes, which would go into the same commit", "git stash, or git commit"
        )
    return git.type_in("commit", "-m", text, project=project)


def _is_staged(done: Work) -> bool:
    """Tell whether exactly a squash's changes are staged, as after one that was killed."""
    with quarantine(done.whole.project) as held:
        project, head, tip = held.aside, repo.resolve_commit(held.project, "HEAD"), done.whole.tip
        base = repo.merge_base(project, head, tip)
        staged = git.git("write-tree", project=project, check=False).text
        with suppress(merging.ConflictError):
            return base is not None and staged == merging.merge(project, base, head, tip)
    return False


def _without_wip(done: Work, head: str, squashed: str) -> str:
    """Return the chain without the commit of uncommitted changes, held until a ref has it.

    With the message ``squashed`` it is one commit on ``head``, or ``head`` itself if that has all of it.
    """
    project = done.whole.project
    with quarantine(project) as held:
        tip = _chain_without_wip(held.aside, done, head)
        if squashed:
            tree = merging.merge(held.aside, done.whole.base, head, tip)
            is_there = tree == tree_of(project, head)
            tip = head if is_there else merging.commit(held.aside, tree, head, squashed)
        held.give(tip, [head])
    return tip


def _chain_without_wip(project: Project, done: Work, head: str) -> str:
    """Return the chain; if the uncommitted changes that it builds on were committed, rebased onto those."""
    base = done.whole.base
    chain = [commit.oid for commit in done.commits]
    try:
        return merging.without_first(project, chain, base)
    except merging.ConflictError as conflict:
        if merging.is_contained(project, base, done.begin, head):
            with suppress(merging.ConflictError):
                return merging.without_first(project, chain, head)
            return done.whole.tip  # git shows the conflicts
        name = done.whole.name
        raise RealmError(
            f"{name} builds on the changes that were not committed when it began: {conflict.message}",
            f"commit these first (git add -A; git commit), then: realm merge {name}",
        ) from None


def describe(done: Work, *, squash: bool) -> str:
    """Return a commit message for a session's work, made of its prompts."""
    asked = [turn.prompt for turn in turns(done.whole) if turn.prompt and turn.commits]
    name = done.whole.name
    return message(name, asked) if squash else f"Merge session '{name}'\n\n{_listed(asked)}".rstrip() + "\n"


def message(name: str, about: Sequence[str], *, titled: bool = True) -> str:
    """Return the message of one commit with all of a session's work.

    Its subject is the first of ``about`` if ``titled``, else the session's name.
    """
    subject = about[0] if about and titled else name
    return f"{subject}\n\n{_listed(about[1:] if titled else about)}".rstrip() + "\n"


_LISTED = 100


def _listed(prompts: Sequence[str]) -> str:
    more = len(prompts) - _LISTED
    lines = [f"* {prompt}\n" for prompt in prompts[:_LISTED]]
    return "".join([*lines, *([f"* and {more} more\n"] if more > 0 else [])])
