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

    from realm.config import Config, Setting

EXAMPLES = (
    ("config", "show all settings"),
    ("config --json", "the same for scripts"),
)
NOTE = (
    "An option on the command line comes first, then the environment, then git config (git config "
    "--global realm.image IMAGE sets one), then the default. Files that a project carries are never "
    "read. --json writes key, value, source, variable and help."
)


@verb("config", EXAMPLES, NOTE)
@json_option
@common
def command(directory: Path | None, as_json: bool) -> None:
    """Show the settings as a table or as JSON."""
    from realm.config import SETTINGS, Config

    config = Config(here(directory))
    if as_json:
        output.json([_record(config, setting) for setting in SETTINGS])
        return
    rows = [_cells(_record(config, setting)) for setting in SETTINGS]
    output.table(("SETTING", "VALUE", "SOURCE", "ENVIRONMENT"), rows, elastic=1)


def _record(config: Config, setting: Setting) -> dict[str, str]:
    found = config.lookup(setting.key)
    value = " ".join(config.get_all(setting.key)) if setting.many else found.text
    key = f"realm.{setting.key}"
    source = clean(found.source)
    variable, meaning = setting.variable, setting.help
    return {"key": key, "value": clean(value), "source": source, "variable": variable, "help": meaning}


def _cells(record: dict[str, str]) -> list[Cell]:
    value = record["value"] or ("-" if output.is_terminal(sys.stdout) else "")
    source = Cell(record["source"], "dim" if record["source"] == "default" else "green")
    return [Cell(record["key"]), Cell(value, "bold"), source, Cell(record["variable"], "dim")]
