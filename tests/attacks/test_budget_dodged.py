"""An agent asks the model behind the back of its conversation: the sidecar counts what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.api import MessagesApi
    from tests.support.user import User

pytestmark = [pytest.mark.engine, pytest.mark.defaults]

ASK = (
    "curl -s -o answer.txt http://127.0.0.1:3129/v1/messages -H 'content-type: application/json'"
    """ -H 'accept-encoding: gzip' -d '{"messages":[{"role":"user","content":"hello"}],"stream":%s}'; """
)


def test_what_no_conversation_has_counts(claude: User, api: MessagesApi) -> None:
    """Answers that come word by word, and those that come whole."""
    claude.extra["REALM_BUDGET"] = "300"
    asks = ASK % "true" + ASK % "false"
    command = f"for n in $(seq 40); do {asks} echo $n > asked.txt; sleep 1; done"
    done = claude.realm("new", "sly", "--", "-p", f"run {command}", code=None, limit=120)
    assert "warning: the run was stopped: it has cost 3" in done.err
    assert "tokens, and realm.budget is 300" in done.err
    assert int(claude.repo.show("refs/realm/sly:asked.txt")) < 13  # half of it would make 15
    assert '"usage"' in claude.repo.show("refs/realm/sly:answer.txt")
    assert len(api.requests) < 30
