"""Every defence, how to switch it off, and the attack that then succeeds.

As a plugin of pytest (``-p tests.support.switches``) it switches off the one named by ``REALM_SWITCH_OFF``:
:mod:`tests.attacks.test_each_defence_counts` runs the attack that way.
"""

from __future__ import annotations

import os
import pkgutil
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NEVER = re.compile("(?!)")
ANYTHING = re.compile(r"(?s:.*)")


class Switch(NamedTuple):
    """An attack, ``file::test`` below tests/attacks, and the defence's replacement by its name.

    A function in ``changed`` gets the original.
    """

    attack: str
    off: Mapping[str, Any] = {}
    changed: Mapping[str, Callable[[Any], Any]] = {}
    engine: bool = False


def _nothing(*_: object, **__: object) -> None:
    return None


def _no(*_: object, **__: object) -> bool:
    return False


def _empty(*_: object, **__: object) -> str:
    return ""


def _first(*given: Any, **_: object) -> Any:
    """Return the first argument unchanged (of a method the second)."""
    return given[0]


def _second(_: object, given: Any, *__: object, **___: object) -> Any:
    return given


def _text(text: bytes | str, **_: object) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _lax(index_pack: Any) -> Any:
    def off(self: object, pack: object, limits: object, **_: object) -> Any:
        return index_pack(self, pack, limits, strict=False)

    return off


def _boundless(take: Any) -> Any:
    def off(intake: object, _: object = None) -> Any:
        from realm.store.quarantine import Limits

        endless = Limits._make(10**12 for _ in Limits._fields)
        return take(intake, endless._replace(memory=2**42, cpu=600, wall=600.0))

    return off


def _limitless(files: Any) -> Any:
    return lambda given: files(given._replace(largest=2**62))


def _uncounted(take: Any) -> Any:
    def off(intake: object, limits: Any = None) -> Any:
        from realm.store.quarantine import Limits

        return take(intake, (limits or Limits())._replace(entries=10**12, wall=3.0))

    return off


def _without(*keys: str) -> Callable[[Any], Any]:
    def change(host_config: Any) -> Any:
        def off(*given: object) -> dict[str, Any]:
            return {key: value for key, value in host_config(*given).items() if key not in keys}

        return off

    return change


def _less(unwanted: str) -> Callable[[Any], Any]:
    def change(lines: Any) -> Any:
        return lambda *given: (line for line in lines(*given) if line != unwanted)

    return change


def _unlike(beginning: str) -> Callable[[Any], Any]:
    def change(lines: Any) -> Any:
        return lambda *given: (line for line in lines(*given) if not line.startswith(beginning))

    return change


def _asking_first(squid: Any) -> Any:
    def off(*given: object) -> Any:
        for line in squid(*given):
            yield line
            if line.startswith("acl private "):
                yield "http_access deny private because_private"

    return off


SWITCHES = {
    "names": Switch("test_tree_names.py::test_file_is_left_out", {"realm.store.names.name_problem": _empty}),
    "names that are one": Switch(
        "test_tree_names.py::test_a_link_that_is_a_directory", {"realm.store.verify.Verifier._apart": _second}
    ),
    "names that Windows lacks": Switch(
        "test_tree_names.py::test_what_other_systems", {"realm.store.names.oddity": _empty}
    ),
    "names of git's directory": Switch(
        "test_tree_git_directory.py::test_name_is_known", {"realm.store.names.is_taken_for_git": _no}
    ),
    "links": Switch("test_tree_links_out.py::test_link_is", {"realm.store.names.link_problem": _empty}),
    "links of git's own": Switch(
        "test_tree_linked_git_files.py::test_link_is_left_out", {"realm.store.names.is_gits_own": _no}
    ),
    "bare repositories": Switch(
        "test_tree_bare_repository.py::test_left_out_and_said", {"realm.store.names.is_repository": _no}
    ),
    "what runs unasked": Switch(
        "test_tree_runs_by_itself.py::test_by_its_name", {"realm.store.risky._RULES": {}}
    ),
    "large files": Switch(
        "test_pack_bombs.py::test_large_file", {"realm.store.verify.Verifier._file_problem": _empty}
    ),
    "size of all": Switch(
        "test_pack_bombs.py::test_huge_tree_or_commit", changed={"realm.store.ingest._taken": _boundless}
    ),
    "number of commits": Switch(
        "test_pack_many_commits.py", changed={"realm.store.ingest._taken": _boundless}
    ),
    "depth": Switch("test_tree_depth.py::test_deep", changed={"realm.store.ingest._taken": _boundless}),
    "files of holes": Switch(
        "test_agent_files_of_holes.py",
        changed={"realm.sandbox.repositories.files": _limitless},
    ),
    "number of files": Switch(
        "test_tree_bomb.py::test_by_the_limits", changed={"realm.store.ingest._taken": _uncounted}
    ),
    "git's strict check": Switch(
        "test_tree_malformed.py::test_pack_is_refused",
        changed={"realm.store.quarantine.Quarantine._index_pack": _lax},
    ),
    "git's check of submodules": Switch(
        "test_tree_gitmodules.py::test_pack_is_refused",
        changed={"realm.store.quarantine.Quarantine._index_pack": _lax},
    ),
    "closure": Switch("test_pack_fishing.py", {"realm.store.quarantine.Quarantine.check_closed": _nothing}),
    "closure of branches": Switch(
        "test_left_branches.py::test_a_commit_that_was_not",
        {
            "realm.store.quarantine.Quarantine.check_closed": _nothing,
            "realm.store.left._Writer._check_visible": _nothing,
        },
    ),
    "realm's trailers": Switch(
        "test_pack_forged_commits.py::test_forged_trailers", {"realm.store.commits._FORGED": NEVER}
    ),
    "the user's trailers": Switch(
        "test_pack_speaks_for_the_user.py", {"realm.store.commits._SPEAKING": NEVER}
    ),
    "control bytes in messages": Switch(
        "test_pack_forged_commits.py::test_control_bytes", {"realm.store.commits.clean": _text}
    ),
    "ids in records": Switch(
        "test_ref_hostile_record.py::test_remove_obeys_no_path",
        {"realm.store.schema._UUID": ANYTHING, "realm.store.schema._OID": {"sha1": ANYTHING}},
    ),
    "size of records": Switch(
        "test_agent_says_too_much.py::test_the_record_can_be_read", {"realm.store.schema.fitting": _first}
    ),
    "symbolic refs": Switch(
        "test_ref_symbolic.py::test_never_written_through", {"realm.store.refs._refuse_symbolic": _nothing}
    ),
    "pushes that a record claims": Switch(
        "test_ref_claims_a_push.py",
        {"realm.session.approvals.last_push": lambda _, session, place: session.pushed.get(place)},
    ),
    "another session's id": Switch(
        "test_ref_anothers_id.py",
        {"realm.session.claim.check": _nothing, "realm.session.claim.is_anothers": _no},
    ),
    "names in archives": Switch(
        "test_archive_traversal.py::test_unknown_names",
        {"realm.sandbox.report._known": lambda member: member.name.decode("utf-8", "surrogateescape")},
    ),
    "what a recording does": Switch(
        "test_replay_hostile.py::test_nothing_passes",
        {"realm.terminal.recording.filter.Filter.feed": _second},
    ),
    "the clipboard": Switch(
        "test_agent_uses_the_clipboard.py::test_neither_reaches",
        {"realm.terminal.relay.clipboard.Clipboard.feed": _second},
    ),
    "answers to the terminal": Switch(
        "../unit/test_terminal_tty.py::test_answers", {"realm.terminal.relay.tty._ASKED": -1.0}
    ),
    "text in pictures": Switch(
        "test_picture_hostile.py::test_text_stays_text", {"realm.terminal.render.pictures.escape": _first}
    ),
    "repositories in a rescue": Switch(
        "test_rescue_hostile.py::test_no_repository", {"realm.session.rescue._is_git": _no}
    ),
    "names in a rescue": Switch(
        "test_rescue_hostile.py::test_names_are_cleaned", {"realm.store.names.name_problem": _empty}
    ),
    "capabilities": Switch(
        "test_sandbox_no_capabilities.py::test_sandbox_is_powerless",
        changed={"realm.sandbox.spec.host_config": _without("CapDrop", "SecurityOpt")},
        engine=True,
    ),
    "number of processes": Switch(
        "test_sandbox_no_capabilities.py::test_fork_bomb",
        changed={"realm.sandbox.spec.host_config": _without("PidsLimit")},
        engine=True,
    ),
    "memory and dumps": Switch(
        "test_sandbox_limits.py::test_it_gets_no_more",
        changed={"realm.sandbox.spec.host_config": _without("Memory", "MemorySwap", "Ulimits")},
        engine=True,
    ),
    "sandboxes apart": Switch(
        "test_sandbox_neighbours.py::test_they_do_not_reach",
        {"realm.sandbox.layout.OPEN_NETWORK": "bridge", "realm.sandbox.network.ensure_open": _nothing},
        engine=True,
    ),
    "where a login is": Switch(
        "test_agent_misuses_the_ssh_agent.py::test_forged", {"realm.session.warden.is_signed": bool}
    ),
    "reading alone with a login": Switch(
        "../unit/test_registries.py::test_at_a_registry",
        changed={"realm.sandbox.egress.registries._lines": _unlike("http_access deny ")},
    ),
    "logins past a company's proxy": Switch(
        "../unit/test_registries.py::test_a_login_and_what",
        changed={"realm.sandbox.egress.registries._lines": _unlike("always_direct ")},
    ),
    "names that lead to private addresses": Switch(
        "test_egress_names.py", {"realm.sandbox.egress.rules._PRIVATE": ("255.255.255.255/32",)},
        changed={"realm.sandbox.egress.rules._dnsmasq": _less("stop-dns-rebind")}, engine=True,
    ),
    "names that nobody hears": Switch(
        "test_egress_names.py", changed={"realm.sandbox.egress.rules._squid": _asking_first}, engine=True
    ),
}  # fmt: skip


def pytest_configure() -> None:
    """Switch off the named defence."""
    switch = SWITCHES[os.environ["REALM_SWITCH_OFF"]]
    for name in (*switch.off, *switch.changed):
        place, _, attribute = name.rpartition(".")
        owner = pkgutil.resolve_name(place)
        before = getattr(owner, attribute)
        setattr(owner, attribute, switch.off[name] if name in switch.off else switch.changed[name](before))
