"""Secrets are nowhere that an inspection, a label, a log or a process list shows."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from realm.sandbox import spec
from realm.sandbox.flags import parse
from realm.sandbox.transfer import SandboxFile
from tests.support.sandbox import Laboratory, environment_of, follow, laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.repos import Repo

pytestmark = pytest.mark.engine


@pytest.fixture
def lab(repo: Repo, tmp_path: Path) -> Iterator[Laboratory]:
    yield from laboratory(repo, tmp_path)


def test_secrets_are_not_shown(lab: Laboratory) -> None:
    key, flag = "sk-precious-key", "precious-flag"
    files = [SandboxFile("/realm/env", spec.secrets({"ANTHROPIC_API_KEY": key}), 0o600)]
    script = 'printf "%s %s" "$ANTHROPIC_API_KEY" "$TOKEN"; cat /realm/env'
    sandbox = lab.create("sh", "-c", script, put=files, args=parse(f"-e TOKEN={flag}"))
    output, _ = follow(sandbox)
    sandbox.wait()
    assert output.decode() == f"{key} {flag}"
    shown = json.dumps(environment_of(sandbox))
    logs = subprocess.run(["docker", "logs", sandbox.id], capture_output=True, check=False)
    volumes = json.dumps(lab.engine.volumes())
    for text in (shown, logs.stdout.decode(), volumes):
        assert "precious" not in text
    assert sandbox.read_file("/realm/env", 1000) == b""
