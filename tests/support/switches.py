"""Every defence, how to switch it off, and the attack that then succeeds (:mod:`tests.support.switched`)."""

from __future__ import annotations

import re
import shutil
import subprocess
from math import inf
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

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


def _yes(*_: object, **__: object) -> bool:
    return True


def _nowhere(*_: object, **__: object) -> list[str]:
    return []


def _no_variables(_: object) -> dict[str, str]:
    return {}


def _plain(pack: Path) -> Any:
    return pack.open("rb")


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


def _baseless(take_in: Any) -> Any:
    def off(held: Any, *given: object, **more: object) -> Any:
        found = take_in(held, *given, **more)
        held.bases = frozenset()
        return found

    return off


def _unlimited(earlier: Any) -> Any:
    return lambda held, limits: earlier(held, limits._replace(objects=10**12))


def _sizeless(limits: Any) -> Any:
    return dict.fromkeys(limits, 2**62)


def _without(*keys: str) -> Callable[[Any], Any]:
    def change(host_config: Any) -> Any:
        def off(*given: object) -> dict[str, Any]:
            return {key: value for key, value in host_config(*given).items() if key not in keys}

        return off

    return change


def _following(tidy: Any) -> Any:
    return lambda parent: tidy(parent.resolve())


def _with(key: str, value: object) -> Callable[[Any], Any]:
    return lambda host_config: lambda *given: {**host_config(*given), key: value}


def _all_refs(visible: Any) -> Any:
    def off(listed: Any, *given: object) -> Any:
        trunk, _, symbolic = visible(listed, *given)
        return trunk, {name: branch.oid for name, branch in listed.items()}, symbolic

    return off


def _shown(environment: Any) -> Any:
    from realm.sandbox import flags

    return lambda spec: {**environment(spec), **flags.environment(spec.args)}


def _one_token(ticket: Any) -> Any:
    return lambda owner: ticket(owner)._replace(token="0" * 32)


def _all_paths(stand: Any) -> Any:
    return lambda api: stand(api)._replace(paths="/.*")


def _all_objects(give: Any) -> Any:
    """Let a pack's objects all pass, those that no commit reaches included."""

    def off(quarantine: Any, *given: object) -> None:
        give(quarantine, *given)
        for path in (quarantine.path / "objects/pack").iterdir():
            shutil.copy(path, quarantine.project.object_stores[0] / "pack")

    return off


def _allowing(squid: Any) -> Any:
    def off(*given: object) -> Any:
        for line in squid(*given):
            yield line
            if line.startswith("http_port "):
                yield "http_access allow all"

    return off


def _less(unwanted: str) -> Callable[[Any], Any]:
    def change(lines: Any) -> Any:
        return lambda *given: (line for line in lines(*given) if line != unwanted)

    return change


def _unlike(beginning: str) -> Callable[[Any], Any]:
    def change(lines: Any) -> Any:
        return lambda *given: (line for line in lines(*given) if not line.startswith(beginning))

    return change


def _one_for_all(of: Any) -> Any:
    return lambda engine, _, __, *more: of(engine, "", "", *more)


def _all_calls(loosen: Any) -> Any:
    def off(host: dict[str, Any]) -> None:
        loosen(host)
        host["SecurityOpt"] = ["no-new-privileges", "seccomp=unconfined"]

    return off


def _without_refusal(shipped: Any) -> Any:
    def off(name: str) -> dict[str, bytes]:
        return {file: text.replace(b"exit 1", b":") for file, text in shipped(name).items()}

    return off


def _value(raw: bytes | None, key: str) -> Any:
    from realm.agents.claude.login import json_object

    return json_object(raw or b"").get(key, "")


def _integers(parameters: bytes) -> list[int]:
    return [int(part or b"0") for part in parameters.split(b";")]


def _by_a_shell(text: str) -> list[str]:
    command = ["sh", "-c", f"set -- {text}; for word; do printf '%s\\n' \"$word\"; done"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


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
    "objects outside a turn's pack": Switch(
        "test_agent_forges_turns.py::test_a_secret",
        changed={"realm.store.quarantine.Quarantine.take_in": _baseless},
    ),
    "number of objects in all turns": Switch(
        "test_agent_hands_over_for_ever.py::test_all_packs",
        changed={"realm.store.quarantine.Quarantine.earlier": _unlimited},
    ),
    "what is held back": Switch(
        "test_agent_never_says_goodbye.py::test_little", {"realm.terminal.relay.rewrite._LONGEST_HELD": 10**9}
    ),
    "sizes in archives": Switch(
        "test_archive_bomb.py::test_large_report", changed={"realm.sandbox.report._LIMITS": _sizeless}
    ),
    "packs that are files": Switch(
        "test_pack_broken.py::test_pack_may_not", {"realm.store.quarantine._opened": _plain}
    ),
    "unclean history": Switch(
        "test_pack_unclean_history.py::test_files_come_home",
        changed={"realm.store.quarantine.Quarantine._index_pack": _lax},
    ),
    "modes": Switch(
        "test_tree_modes.py::test_devices", {"realm.store.verify.Verifier._file_problem": _empty},
        changed={"realm.store.quarantine.Quarantine._index_pack": _lax},
    ),
    "branches in submodules": Switch(
        "test_left_inside.py::test_what_the_sandbox",
        {
            "realm.store.quarantine.Quarantine.check_closed": _nothing,
            "realm.store.left._Writer._check_visible": _nothing,
        },
    ),
    "names of submodules": Switch(
        "test_submodule_hostile.py::test_a_name", {"realm.store.submodules._is_plain": _yes}
    ),
    "hooks that a session changes": Switch(
        "test_tree_hooks.py::test_they_are_not_run", {"realm.session.integrate._changed_hooks": _empty}
    ),
    "files from a remote": Switch(
        "test_remote_hostile.py::test_files_that_no", {"realm.store.foreign.findings": _nowhere}
    ),
    "fields of a shared record": Switch(
        "test_ref_shared_record.py::test_a_record_with", {"realm.store.schema._UUID": ANYTHING}
    ),
    "approval of directories": Switch(
        "test_ref_names_a_directory.py::test_no_run", {"realm.session.approvals.is_settled": _yes}
    ),
    "programs of the project": Switch(
        "test_project_brings_programs.py", {"realm.__main__.pass_by_project": _nothing}
    ),
    "what a screen does": Switch(
        "test_screen_snapshot.py::test_a_snapshot", {"realm.text.clean": _text}
    ),
    "approval of records": Switch(
        "test_ref_foreign_record.py::test_it_is_not_obeyed", {"realm.session.approvals.is_settled": _yes},
        engine=True,
    ),
    "approval of a project's list": Switch(
        "test_project_asks_for_secrets.py::test_a_list", {"realm.session.approvals._is_approved": _yes},
        engine=True,
    ),
    "committed secrets": Switch(
        "test_agent_commits_included_secrets.py::test_a_forced", {"realm.session.take._let_out": _nowhere},
        engine=True,
    ),
    "closure of a report": Switch(
        "test_agent_forges_points.py::test_another",
        {"realm.store.quarantine.Quarantine.check_closed": _nothing}, engine=True,
    ),
    "logins that are no renewal": Switch(
        "test_agent_swaps_login.py::test_what_is_no", {"realm.agents.claude.login.may_be_taken": _yes},
        engine=True,
    ),
    "words in messages": Switch(
        "test_agent_words_on_screen.py::test_nothing", {"realm.text.clean": _text}, engine=True
    ),
    "number of notifications": Switch(
        "test_agent_cries_wolf.py::test_without", {"realm.session.notices.SHORTEST": 0.0}, engine=True
    ),
    "what of the history is seen": Switch(
        "test_history_hidden.py::test_no_other", changed={"realm.store.history._visible": _all_refs},
        engine=True,
    ),
    "no network": Switch(
        "test_egress_direct.py",
        changed={"realm.sandbox.spec.host_config": _with("NetworkMode", "bridge")}, engine=True,
    ),
    "hosts that are named": Switch(
        "test_egress_addresses.py", changed={"realm.sandbox.egress.rules._squid": _allowing}, engine=True
    ),
    "one host for a request": Switch(
        "test_egress_smuggling.py", changed={"realm.sandbox.egress.rules._squid": _allowing}, engine=True
    ),
    "runs apart": Switch(
        "test_egress_other_sandbox.py", changed={"realm.sandbox.egress.ticket.ticket": _one_token},
        engine=True,
    ),
    "sidecars that are realm's": Switch(
        "test_egress_sidecar.py::test_a_container", {"realm.sandbox.proof.holds": _yes}, engine=True
    ),
    "hooks and filters of a work tree": Switch(
        "test_attributes_choose_programs.py::test_a_work_tree",
        {"realm.store.worktree._without_programs": _no_variables},
    ),
    "no directory of the host": Switch(
        "test_history_readonly.py::test_no_directory",
        changed={"realm.sandbox.spec.host_config": _with("Binds", ["/:/host:ro"])}, engine=True,
    ),
    "secrets in what is shown": Switch(
        "../e2e/test_screen.py::test_no_secret",
        {"realm.redact.Redactor.data": _second, "realm.redact.Redactor.text": _second}, engine=True,
    ),
    "links in realm's directory": Switch(
        "test_home_planted.py", changed={"realm.paths._tidy_former": _following}, engine=True
    ),
    "line ends in refs": Switch(
        "test_ref_odd_names.py",
        {"realm.git.GitResult.lines": property(lambda found: found.text.splitlines())},
    ),
    "variables out of sight": Switch(
        "test_sandbox_secrets_not_in_inspect.py", changed={"realm.sandbox.spec.environment": _shown},
        engine=True,
    ),
    "a user of its own": Switch(
        "test_agent_looks_at_the_host.py::test_no_way_out",
        {"realm.sandbox.spec.SandboxSpec.user": property(lambda _: (0, 0))}, engine=True,
    ),
    "files of conversations": Switch(
        "test_agent_conversation_games.py::absolute",
        {"realm.agents.claude.Claude.conversation_id": _second}, engine=True,
    ),
    "room on the disk": Switch(
        "test_agent_fills_the_disk.py::test_it_stands", {"realm.session.reserve.Reserve._compare": _nothing},
        engine=True,
    ),
    "length of questions": Switch(
        "test_agent_lies_about_itself.py::test_words",
        {"realm.session.bookkeeper.first_line": lambda text, _="": text[:1000]}, engine=True,
    ),
    "time for saving": Switch(
        "test_agent_never_ends_its_snapshot.py::test_it_is_given_up",
        {"realm.sandbox.sandbox.Sandbox.wait_at_most": lambda sandbox, _: sandbox.wait()}, engine=True,
    ),
    "commands of submodules": Switch(
        "test_agent_plants_hooks.py::test_a_submodule",
        changed={"realm.store.quarantine.Quarantine._index_pack": _lax}, engine=True,
    ),
    "cost that the sidecar counts": Switch(
        "test_budget_dodged.py::test_answers", {"realm.sandbox.egress.rules._COUNTED": ""}, engine=True
    ),
    "caches apart": Switch(
        "test_cache_poisoned.py", changed={"realm.sandbox.caches.of": _one_for_all}, engine=True
    ),
    "system calls beside an engine": Switch(
        "test_docker_inside.py", changed={"realm.sandbox.docker_inside.loosen": _all_calls}, engine=True
    ),
    "number of refusals": Switch(
        "test_egress_flood.py",
        {
            "realm.session.egress._MOST": 10**9,
            "realm.session.egress.settle": _nothing,  # the sidecar has a limit of its own
            "realm.store.schema._REFUSED_LIMIT": 10**9,
        },
        engine=True,
    ),
    "links, found by chance": Switch(
        "test_fuzz_intake.py::test_any_tree", {"realm.store.names.link_problem": _empty}
    ),
    "types of hooks' words, found by chance": Switch(
        "test_fuzz_report.py::test_any_report", {"realm.agents.claude._text": _value}
    ),
    "objects that no commit reaches": Switch(
        "test_pack_unreachable.py", changed={"realm.store.quarantine.Quarantine.give": _all_objects}
    ),
    "time for a recording": Switch(
        "test_recording_flood.py::resets", {"realm.terminal.recording.cast._TRIES": ((1, inf),)}
    ),
    "malformed parameters, found by chance": Switch(
        "test_screen_fuzz.py::test_no_soup", {"realm.terminal.emulator.numbers": _integers}
    ),
    "docker flags without a shell": Switch(
        "../unit/test_sandbox_flags.py::test_flags_are_text",
        {"realm.sandbox.flags.shlex": SimpleNamespace(split=_by_a_shell)},
    ),
    "records that are not pushed": Switch(
        "../unit/test_hooks_pre_push.py::test_records_stay", changed={"realm.paths.shipped": _without_refusal}
    ),
    "paths of the model": Switch(
        "test_key_stays_in_the_sidecar.py::test_it_opens", changed={"realm.session.keys._stand": _all_paths},
        engine=True,
    ),
}  # fmt: skip
