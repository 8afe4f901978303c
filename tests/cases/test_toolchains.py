"""An agent can run the project's tests on the first day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine

SCRIPT = r"""
set -e
printf 'all:\n\tcc -o hello hello.c && ./hello\n' >Makefile
printf '#include <stdio.h>\nint main(void) { puts("C"); }\n' >hello.c
make -s
python3 -m venv /tmp/env && /tmp/env/bin/python -c 'print("Python")'
mkdir module && printf 'from setuptools import setup\nsetup(name="m", scripts=["tool"])\n' >module/setup.py
printf '#!/bin/sh\necho pip\n' >module/tool
pip install -q --no-build-isolation --no-index ./module && tool
mkdir package && cd package && npm init -y >/dev/null
printf '#!/usr/bin/env node\nconsole.log("npm")\n' >cli.js && npm pkg set bin.cli=cli.js
npx --offline -y . >/dev/null
npm install -g --offline --silent . >/dev/null && cli
echo '{"a": "jq"}' | jq -r .a
mktemp -p /var/tmp >/dev/null
for tool in less nano ps unzip file rg patch g++ ssh; do command -v $tool >/dev/null || echo "no $tool"; done
TERM=alacritty tput colors
"""


def test_what_agents_reach_for_is_there(user: User) -> None:
    """The system is read-only: tools are installed in the agent's home, and found there."""
    done = user.realm("new", "first", "--agent", "bash", "--", "-c", f"{{ {SCRIPT} }} >told 2>&1")
    told = user.repo.show("refs/realm/first:told").split("\n")
    assert told == ["C", "Python", "pip", "npm", "jq", "256"], done.err
