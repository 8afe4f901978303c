"""``realm completion``: prints the script that completes realm's command lines in a shell, and answers it.

The scripts and their protocol are click's; realm adds ``git realm``, and words that bash splits at ``=``.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import common
from realm.cli.verbs import AGENT, find_verb
from realm.errors import RealmError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "_REALM_COMPLETE"
"""Set by the scripts to the shell that asks for completions (``bash_complete``)."""

EXAMPLES = (
    ("completion bash > ~/.local/share/bash-completion/completions/realm", "bash"),
    ("completion zsh > ~/.zfunc/_realm", "zsh"),
    ("completion fish > ~/.config/fish/completions/realm.fish", "fish"),
)
NOTE = (
    "For zsh, ~/.zfunc must be in fpath. The same script under the name git-realm (zsh: _git-realm) "
    "completes git realm as well."
)

_BASH_GIT = """
# Called by git's own completion for "git realm …", which adds its own spaces.
_git_realm() {
    compopt +o nospace 2>/dev/null
    _realm_completion realm
}
complete -o nosort -F _realm_completion git-realm
"""
_FISH_GIT = """
complete --no-files --command git-realm --arguments "(_realm_completion)";
complete --no-files --command git --arguments "(_realm_completion)" \
--condition "string match -rq -- '^git( +-C +\\\\S+)* +realm ' (commandline -cp)";
"""


class _Complete(ShellComplete):
    """What all shells have in common."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return realm's words before the cursor, and the incomplete one there."""
        words, begun = super().get_completion_args()
        if os.environ["COMP_WORDS"].split(maxsplit=1)[0].endswith("git") and "realm" in words:
            del words[: words.index("realm") + 1]
        return words, begun

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """Return the candidates at the cursor; for an option's value, the whole word ``--option=value``."""
        try:
            items = super().get_completions(args, incomplete)
        except RealmError:  # an unknown verb, no repository
            return []
        option, equals, _ = incomplete.partition("=")
        if equals and option.startswith("--"):
            return [CompletionItem(f"{option}={item.value}") for item in items if item.type == "plain"]
        return items


class _Bash(_Complete, BashComplete):
    def source(self) -> str:
        """Return the script, without checking bash's version."""
        return self.source_template % self.source_vars() + _BASH_GIT

    def get_completion_args(self) -> tuple[list[str], str]:
        """Rejoin words that readline split at ``=``, and at ``@`` for verbs without an agent."""
        words, begun = super().get_completion_args()
        turns = find_verb(words)[0] not in AGENT
        joined: list[str] = []
        for word in [*words, begun]:
            before = joined[-1] if joined else ""
            value = word == "=" or (before.startswith("--") and before.endswith("="))
            if before and (value or (turns and (word == "@" or before.endswith("@")))):
                joined[-1] += word
            else:
                joined.append(word)
        return joined[:-1], joined[-1]

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """Return only values: readline treats what follows ``=`` or ``@`` as a separate word."""
        return [
            CompletionItem(re.split("[=@]", str(item.value))[-1], item.type, item.help)
            for item in super().get_completions(args, incomplete)
        ]


class _Zsh(_Complete, ZshComplete):
    def source(self) -> str:
        """Return the script for both of realm's names; click's completes nothing at the second TAB."""
        script = super().source().replace("#compdef realm", "#compdef realm git-realm", 1)
        return script.replace("$zsh_eval_context[-1] == loadautofunc", "$funcstack[1] == (_realm|_git-realm)")


class _Fish(_Complete, FishComplete):
    def source(self) -> str:
        """Return the script, for git as well."""
        return super().source() + _FISH_GIT


SHELLS: Mapping[str, type[_Complete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


def script(shell: str) -> str:
    """Return the completion script for ``shell``, a key of :data:`SHELLS`."""
    return SHELLS[shell](click.Group(), {}, "realm", VARIABLE).source()


def complete(application: click.Group, instruction: str) -> int:
    """Write the candidates for the shell that asks, and nothing else; never fails."""
    try:
        shell = SHELLS[instruction.removesuffix("_complete")]
        click.echo(shell(application, {}, "realm", VARIABLE).complete())
    except Exception:
        if os.environ.get("REALM_DEBUG"):
            raise
    return 0


@verb("completion", EXAMPLES, NOTE)
@click.argument("shell", type=click.Choice(list(SHELLS)), metavar="shell")
@common
def command(shell: str, **_: object) -> None:
    """Print the script."""
    output.data(script(shell).rstrip("\n"))
