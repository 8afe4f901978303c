"""``realm config``: every setting, its value and where it comes from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from realm.cli import output
from realm.cli.command import verb
from realm.cli.output import Cell
from realm.cli.params import common, here, json_option
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from realm.config import Config, Setting
    from realm.errors import UsageError

EXAMPLES = (
    ("config", "show all settings"),
    ("config --json", "the same for scripts"),
)
NOTE = (
    "An option on the command line comes first, then the environment, then git config (git config "
    "--global realm.image IMAGE sets one), then the default. Settings are never read from files of the "
    "project."
)


@verb("config", EXAMPLES, NOTE)
@json_option
@common
def command(directory: Path | None, as_json: bool) -> None:
    """Show the settings as a table or as JSON."""
    from realm.config import SETTINGS, Config
    from realm.session import doctor

    config = Config(here(directory))
    problems = doctor.problems(config)
    records = [_record(config, setting, problems.get(setting.key)) for setting in SETTINGS]
    if as_json:
        output.json(records)
        return
    output.table(
        ("SETTING", "VALUE", "SOURCE", "ENVIRONMENT"), [_cells(found) for found in records], elastic=[1]
    )
    for problem in problems.values():
        output.warning(problem.message)
    for name in config.removed():
        output.warning(f"{name} is set, but no longer has any effect")


command.elsewhere = "git config sets one: git config realm.network none"


def _record(config: Config, setting: Setting[Any], problem: UsageError | None) -> dict[str, str]:
    found = config.lookup(setting)
    value = " ".join(config.texts(setting)) if setting.many else found.text
    key = f"realm.{setting.key}"
    source = clean(found.source)
    return {
        "key": key,
        "value": clean(value),
        "source": source,
        "variable": setting.variable,
        "help": setting.help,
        "problem": clean(problem.message) if problem else "",
    }


def _cells(record: dict[str, str]) -> list[Cell]:
    value = record["value"] or ("-" if output.is_terminal(sys.stdout) else "")
    source = Cell(record["source"], "dim" if record["source"] == "default" else "green")
    return [
        Cell(record["key"]),
        Cell(value, "bold red" if record["problem"] else "bold"),
        source,
        Cell(record["variable"], "dim"),
    ]
