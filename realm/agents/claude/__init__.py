"""Claude Code, as version 2.1.330 behaves.

Its conversation file has one JSON object a line:
``{"type": "user"|"assistant", "timestamp": "…Z", "isSidechain": bool, "isMeta": bool,
"message": {"content": "text" | [{"type": "text", "text": …} | {"type": "tool_use",
"name": …, "input": {…}} | {"type": "tool_result", …}]}}``; other types are of no interest here.
The entry with the result of ``AskUserQuestion`` has ``"toolUseResult": {"answers": {question: answer}}``.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from realm.agents.base import Agent, Api, Exchange, Field, HomeFile, Login, News, Renewal, Said
from realm.agents.claude import api as apis
from realm.agents.claude import home
from realm.agents.claude import login as logins
from realm.agents.claude.exchanges import NOTIFICATION
from realm.model import Activity, TurnText

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from realm.agents.base import Press, Rows
    from realm.model import Question

DIRECTORY = "claude"
"""Its configuration directory in the state directory."""

_TEXT_LIMIT = 100_000
_LINE_LIMIT = 16 * 1024 * 1024
"""Bytes; a line may hold a pasted file."""

_WHO = {"user": "user", "assistant": "agent"}
_TELLING = ("command", "file_path", "path", "pattern", "url", "query", "description", "prompt")
"""The parts of a tool's input that describe the call, the best first."""

_SIGN = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
_RULE = "\N{BOX DRAWINGS LIGHT HORIZONTAL}{10,}\\s*"
_GREY = r"(?:.*;)?(?:2|38;5;24[0-9])(?:;.*)?"
"""The SGR parameters of text that the user did not type: dim, or a grey of the palette."""

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_CONVERSATION = rf"(?:{DIRECTORY}/projects/[A-Za-z0-9-]+/(?=.*\.jsonl))?({_UUID})(?:\.jsonl)?"
"""The conversations of its subagents, ``agent-*.jsonl``, do not match."""
_OWN_ID = rb'"sessionId": ?"(' + _UUID.encode() + rb')"'

_WORKTREE = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"
_WORKTREE_STATE = b'{"type":"worktree-state"'
"""How the line of a conversation begins that says in which work tree it goes on; in none without a name."""

_CHOOSES_CONVERSATION = ("--resume", "-r", "--continue", "-c", "--session-id", "--from-pr")

_SWITCHES = ("-p", "--print", "-c", "--continue", "--verbose", "--ide", "--strict-mcp-config", "--")
_ONE_VALUE = (
    "--model", "--effort", "--permission-mode", "--append-system-prompt", "--system-prompt", "--settings",
    "--session-id", "--agent", "--name", "--output-format", "--max-turns",
)  # fmt: skip
"""Options without a value, and with one; after any other option it is unclear which word is the prompt."""

_OPTIONS = """
add-dir advisor agent agents allow-dangerously-skip-permissions allowedTools allowed-tools
append-system-prompt append-system-prompt-file autocompact ax-screen-reader background bare betas bg brief
chrome cloud continue dangerously-skip-permissions debug debug-file desktop disable-slash-commands
disallowedTools disallowed-tools effort environment exclude-dynamic-system-prompt-sections fallback-model
file fork-session forward-subagent-text from-pr help ide include-hook-events include-partial-messages
input-format json-schema max-budget-usd max-turns mcp-config model name no-chrome no-session-persistence
output-format permission-mode permission-prompt-tool permission-prompts plugin-dir plugin-url print
prompt-suggestions remote remote-control remote-control-session-name-prefix replay-user-messages restricted
resume safe-mode session-id setting-sources settings strict-mcp-config system-prompt system-prompt-file
system-prompt-snapshot teammate-mode teleport tmux tools verbose version worktree
"""
"""The options that ``claude --help`` lists, and hidden ones."""


class Claude(Agent):
    """Claude Code; words after ``claude`` are arguments of every run."""

    name = "Claude Code"
    image_part = "claude"
    options = frozenset(f"--{name}" for name in _OPTIONS.split())
    closing = re.compile(rb"claude(?: [ -~]{1,200})? --resume " + _UUID.encode())
    suspends_to_background = True
    image_key = ord("V") & 0x1F
    tells_turns = True
    credentials = f"{DIRECTORY}/.credentials.json"
    credentials_limit = logins.CREDENTIALS_LIMIT
    renewal = ("claude", "-p", "Answer with one word: ok", "--model", "haiku", "--max-turns", "1")
    lasting_login = "claude setup-token"
    conversations = f"{DIRECTORY}/projects/*/????????-????-????-????-????????????.jsonl"
    worktrees = ".claude/worktrees"
    resumes = f'"prompt":"{NOTIFICATION}'

    def argv(self, arguments: Sequence[str], *, conversation: str | None, resume: bool) -> list[str]:
        """Return the command line; a conversation or mode that the user chose wins over ours."""
        arguments = [*self.words[1:], *arguments]
        given = {argument.split("=", 1)[0] for argument in arguments}
        allow = "allow-" if "--permission-mode" in given else ""
        start = ["claude", f"--{allow}dangerously-skip-permissions"]
        chosen = not given.isdisjoint(_CHOOSES_CONVERSATION)
        if conversation and not chosen:
            start += ["--resume" if resume else "--session-id", conversation]
        return [*start, *arguments]

    def instructions(self, text: str) -> tuple[str, ...]:
        """Return the option that appends to its system prompt."""
        return ("--append-system-prompt", text)

    def worktree(self, arguments: Sequence[str], transcript: bytes | None) -> tuple[str, str] | None:
        """Return the work tree of ``--worktree``, which Claude Code reuses, or of the conversation."""
        for option, values in _options((*self.words[1:], *arguments)):
            if option in ("--worktree", "-w") and values and re.fullmatch(_WORKTREE, values[0]):
                return self._worktree(values[0])
        _, last, rest = (transcript or b"").rpartition(_WORKTREE_STATE)
        found = logins.json_object(last + rest.partition(b"\n")[0]).get("worktreeSession")
        name = str(found.get("worktreeName")) if isinstance(found, dict) else ""
        return self._worktree(name) if re.fullmatch(_WORKTREE, name) else None

    def _worktree(self, name: str) -> tuple[str, str]:
        return f"{self.worktrees}/{name}", f"worktree-{name}"

    def directories(self, arguments: Sequence[str]) -> list[str]:
        """Return the values of ``--add-dir``, which takes all words up to the next option."""
        options = _options((*self.words[1:], *arguments))
        return [value for option, values in options if option == "--add-dir" for value in values]

    def environment(self, state: str) -> dict[str, str]:
        """Return the path of its configuration, and switches against updates, plugins and telemetry."""
        return {
            "CLAUDE_CONFIG_DIR": f"{state}/{DIRECTORY}",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
        }

    def settings(self) -> dict[str, str]:
        """Return the variables of the user's settings that make sense in a sandbox."""
        return home.settings_environment(self.environ).kept

    def host_environment(self) -> dict[str, str]:
        """Return the configuration directory, if the user chose one."""
        chosen = logins.chosen(self.environ)
        return {"CLAUDE_CONFIG_DIR": chosen} if chosen else {}

    def wants_screen(self, arguments: Sequence[str], *, listens: bool = True) -> bool:
        """Tell whether it shows its screen: always, unless it is to print an answer and exit."""
        del listens
        return not any(argument in ("-p", "--print") for argument in (*self.words[1:], *arguments))

    def prompt(self, arguments: Sequence[str]) -> str:
        """Return the first word that is neither an option nor an option's value, as far as that is known."""
        words = iter([*self.words[1:], *arguments])
        for word in words:
            if not word.startswith("-"):
                return word
            if word in _ONE_VALUE:
                next(words, "")
            elif "=" not in word and word not in _SWITCHES:
                break
        return ""

    def find_login(self, given: Mapping[str, str] | None = None) -> Login:
        """Return the keys of the environment or of the user's settings, else the host's own login."""
        return logins.find(self.environ, given or {}, self.settings(), lambda: home.lent_key(self.environ))

    def warnings(self, login: Login) -> list[str]:
        """Return warnings about settings that cannot work in a sandbox or are left out."""
        return home.warnings(login, self.environ)

    def renew(self, inside: bytes) -> Renewal:
        """Compare by the tokens' expiry; see :mod:`realm.agents.claude.login`."""
        return logins.renew(inside, self.environ)

    def api(self, login: Login, given: Mapping[str, str]) -> Api | None:
        """Return Anthropic's API, a gateway that replaces it, or Bedrock's for a bearer token."""
        return apis.find(login, self.environ, {**self.settings(), **given})

    def login_ends(self) -> float | None:
        """Return when the host's access token expires."""
        found = logins.parse(logins.read_host(self.environ) or b"")
        return found["expiresAt"] / 1000 if found else None

    def unrenewed(self, login: Login) -> Login:
        """Return the host's access token as a variable."""
        return logins.unrenewed(login)

    def keyless(self, login: Login, api: Api, url: str, placeholder: str, given: Mapping[str, str]) -> Login:
        """Return variables of the same names that hold a placeholder."""
        return apis.inside(login, api, url, placeholder, given)

    def reaches(self, login: Login, given: Mapping[str, str]) -> list[str]:
        """Return the URLs of the chosen provider's API and of the MCP servers."""
        servers = home.servers(self.environ)[0].values()
        return [*home.reaches(login, given, self.environ), *(one["url"] for one in servers if "url" in one)]

    def files(
        self, login: Login, directory: str, *, sealed: bool = False, more: Sequence[str] = ()
    ) -> Iterable[HomeFile]:
        """Return its configuration with the user's settings, instructions, commands, agents and skills."""
        for file in home.files(login, directory, self.environ, sealed=sealed, more=more):
            yield file._replace(path=f"{DIRECTORY}/{file.path}")

    def new_conversation(self) -> str:
        """Return a new UUID."""
        return str(uuid.uuid4())

    def conversation_file(self, directory: str, conversation: str) -> str:
        """Return the path: in its directory's name, every character but letters and digits is a dash."""
        return f"{DIRECTORY}/projects/{re.sub(r'[^A-Za-z0-9]', '-', directory)}/{conversation}.jsonl"

    def helpers(self, conversation: str) -> str:
        """Return the directory named after the conversation, which holds its subagents'."""
        return f"{conversation.removesuffix('.jsonl')}/subagents"

    def conversation_id(self, path: str) -> str | None:
        """Return the UUID in the file's name."""
        found = re.fullmatch(_CONVERSATION, path)
        return found[1] if found else None

    def with_id(self, data: bytes, conversation: str) -> bytes:
        """Replace every occurrence of the file's own ids (``sessionId`` of its lines)."""
        for old in dict.fromkeys(re.findall(_OWN_ID, data)):
            data = data.replace(old, conversation.encode())
        return data

    def turn_texts(self, prompts: Mapping[int, bytes], answers: Mapping[int, bytes]) -> dict[int, TurnText]:
        """Return ``prompt`` of UserPromptSubmit and ``last_assistant_message`` of Stop or StopFailure."""
        return {
            number: TurnText(
                _prompt(prompts.get(number)), _text(answers.get(number), "last_assistant_message")
            )
            for number in sorted({*prompts, *answers})
        }

    def news(self, message: bytes) -> News | None:
        """Return what a hook's JSON reports: a prompt, an answer, a question, or that one was answered."""
        entry = logins.json_object(message)
        kind, conversation = entry.get("hook_event_name"), str(entry.get("session_id", ""))
        if kind == "UserPromptSubmit":
            news = News(Activity.WORKING, prompt=_prompt(message))
        elif kind in ("Stop", "StopFailure"):
            activity = Activity.DONE if kind == "Stop" else Activity.STUCK
            news = News(activity, words=_text(message, "last_assistant_message"))
        elif kind == "PermissionRequest":
            news = News(Activity.ASKS, *_question(entry))
        elif kind == "PostToolUse":
            news = News(Activity.WORKING)
        else:
            return None
        return news._replace(conversation=self.conversation_id(conversation) or "")

    def spent(self, lines: Iterable[bytes]) -> Iterator[tuple[str, int, float]]:
        """Yield the ``usage`` of the model's messages."""
        from realm.agents.claude.exchanges import spent

        return spent(lines)

    def exchanges(self, lines: Iterable[bytes]) -> Iterator[Exchange]:
        """Yield each prompt with its answer and its tokens; see :mod:`realm.agents.claude.exchanges`."""
        from realm.agents.claude.exchanges import exchanges

        return exchanges(lines)

    def paste(self, text: str) -> bytes:
        """Return a bracketed paste and Enter; a space follows a last word that would open a menu."""
        last = (text.split() or [""])[-1]
        more = " " if last[:1] in ("/", "@") else ""
        return b"\x1b[200~" + (text + more).encode("utf-8", "replace") + b"\x1b[201~\r"

    def field(self, rows: Rows) -> Field:
        """Return the state of the field between the last two rules.

        Its sign is grey while the agent works.
        """
        texts = ["".join(text for text, _ in row) for row in rows]
        rules = [place for place, text in enumerate(texts) if re.fullmatch(_RULE, text)]
        if len(rules) < 2 or rules[-1] - rules[-2] < 2:  # noqa: PLR2004 - one above, one below, a row between
            return Field.NONE
        inside = rows[rules[-2] + 1 : rules[-1]]
        if not inside[0] or not inside[0][0][0].startswith(_SIGN):
            return Field.NONE
        if _is_grey(inside[0][0][1]) or "esc to interrupt" in " ".join(texts[rules[-1] :]):
            return Field.BUSY
        first = (inside[0][0][0].removeprefix(_SIGN), inside[0][0][1])
        runs = (first, *inside[0][1:], *(run for row in inside[1:] for run in row))
        written = "".join(text.strip() for text, codes in runs if not _is_grey(codes))
        # A suggestion is grey, except for its first character, which is under the cursor.
        proposes = any(text.strip() for text, codes in runs if _is_grey(codes))
        return Field.EMPTY if not written or (proposes and len(written) == 1) else Field.DRAFT

    def press(
        self, rows: Rows, questions: Sequence[Question], picks: Sequence[Collection[int]]
    ) -> Press | None:
        """Press one digit, or the arrow to the next question, if the screen is as expected."""
        from realm.agents.claude.questions import press

        return press(rows, questions, picks)

    def read(self, lines: Iterable[bytes]) -> Iterator[Said]:
        """Yield prompts, answers, tool calls, and the user's answers to questions; skip all other lines."""
        from realm.agents.claude.exchanges import OUTPUT, as_given

        for line in lines:
            entry = logins.json_object(line) if len(line) <= _LINE_LIMIT else {}
            who = _WHO.get(str(entry.get("type")))
            message = entry.get("message")
            aside = entry.get("isSidechain") or entry.get("isMeta") or entry.get("isCompactSummary")
            if who is None or aside or not isinstance(message, dict):
                continue
            time = entry.get("timestamp")
            for said in (*_said(who, message.get("content")), *_answers(entry.get("toolUseResult"))):
                written = said.who == "user"
                if written and said.text.startswith(OUTPUT):
                    continue
                text = as_given(said.text) if written else said.text
                yield Said(said.who, text, time if isinstance(time, str) else "")


def _options(words: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each option with its value behind ``=``, or else the words up to the next option."""
    option, values = "", list[str]()
    for word in words:
        if word.startswith("-"):
            yield option, values
            option, given, value = word.partition("=")
            values = []
            if given:
                yield option, [value]
                option = ""
        else:
            values.append(word)
    yield option, values


def _is_grey(codes: str) -> bool:
    return re.fullmatch(_GREY, codes) is not None


def _text(raw: bytes | None, key: str) -> str:
    """Return the string ``key`` of a hook's JSON, cut to the limit; empty when there is none."""
    found = logins.json_object(raw or b"").get(key)
    return found[:_TEXT_LIMIT] if isinstance(found, str) else ""


def _prompt(raw: bytes | None) -> str:
    from realm.agents.claude.exchanges import as_given

    return as_given(_text(raw, "prompt"))


def _question(entry: Mapping[str, Any]) -> tuple[str, tuple[Question, ...]]:
    """Return the question's text, and all questions where numbers can answer them."""
    from realm.agents.claude.questions import asked

    given, tool = entry.get("tool_input"), entry.get("tool_name")
    if isinstance(given, dict) and (found := asked(given))[0]:
        return found
    if tool == "ExitPlanMode":
        return "to go on with its plan", ()
    return f"to use {_call({'name': tool, 'input': given})}", ()


def _said(who: str, content: object) -> Iterator[Said]:
    if isinstance(content, str):
        yield Said(who, content)
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, dict):
            continue
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            yield Said(who, part["text"])
        elif part.get("type") == "tool_use":
            yield Said("tool", _call(part))


def _answers(result: object) -> Iterator[Said]:
    """Yield the user's answers to questions, as the client recorded them."""
    found = result.get("answers") if isinstance(result, dict) else None
    for question, answer in found.items() if isinstance(found, dict) else ():
        if isinstance(answer, str):
            yield Said("tool", f"{question} was answered: {answer}")


def _call(part: dict[str, Any]) -> str:
    given = part.get("input")
    values = given if isinstance(given, dict) else {}
    told = next((values[key] for key in _TELLING if isinstance(values.get(key), str)), "")
    if not told and "questions" in values:
        from realm.agents.claude.questions import asked

        told = asked(values)[0]
    return " ".join(f"{part.get('name') or 'tool'} {told}".split())
