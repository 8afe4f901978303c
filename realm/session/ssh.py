"""The hosts where a run may log in with the user's ssh agent (``realm.sshAgent``), from this machine's ssh.

An alias in the user's ``~/.ssh/config`` is a host, too.  The sandbox gets an ``ssh_config`` and a
``known_hosts`` with only these.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from realm import hosts
from realm.errors import RealmError
from realm.git import user_environment
from realm.sandbox import layout
from realm.sandbox.egress.ticket import PROXY_PORT
from realm.sandbox.transfer import SandboxFile
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realm.hosts import Host

_PORT = 22
_PATIENCE = 20.0
"""Seconds for ssh to read its configuration, and for an agent to list its keys."""
_OLDEST = (8, 9)
"""The first OpenSSH that tells an agent the host of a login."""
_HOME = f"{layout.HOME}/.ssh"
_CONFIG = f"{_HOME}/config"
_KNOWN = f"{_HOME}/known_hosts"
_HOST = """\
Host {host.name}
  HostName {host.at.name}
  Port {host.at.port}
  User {host.user}
  HostKeyAlias {host.name}
"""
_BIN = f"{layout.EGRESS}/bin"
_ALL = f"""\
Host *
  ProxyCommand {_BIN}/ld.so --library-path {_BIN} {_BIN}/socat - PROXY:127.0.0.1:%h:%p,proxyport={PROXY_PORT}
  StrictHostKeyChecking yes
  UserKnownHostsFile {_KNOWN}
"""
_PUBLIC = re.compile(r"[a-z][a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}( [^\n]*)?")


class LoginHost(NamedTuple):
    """A host of the setting: its address (``at``), the user there, and its keys, as in ``known_hosts``.

    ``identities`` are the only public keys for it, in the format of key files; empty if all may be used.
    """

    name: str
    at: Host
    user: str
    host_keys: tuple[str, ...]
    identities: tuple[str, ...] = ()

    def takes(self, host_key: bytes, key: bytes | None = None) -> bool:
        """Tell whether ``host_key`` is this host's, and the user's ``key`` may be used for it."""
        is_for_it = key is None or not self.identities or _is_among(key, self.identities)
        return _is_among(host_key, self.host_keys) and is_for_it


def _is_among(key: bytes, lines: Sequence[str]) -> bool:
    return base64.b64encode(key).decode() in (line.split()[1] for line in lines)


class Ssh(NamedTuple):
    """The socket of the user's agent, and the hosts that it may be used for."""

    agent: str
    hosts: tuple[LoginHost, ...]

    def environment(self, directory: str) -> dict[str, str]:
        """Return the variables of a sandbox whose sockets are in ``directory``."""
        return {
            "SSH_AUTH_SOCK": f"{directory}/agent",
            # Without -F, ssh reads the configuration in the home that the image's passwd names.
            "GIT_SSH_COMMAND": f"ssh -F {_CONFIG}",
            # cargo's built-in ssh does not support a proxy.
            "CARGO_NET_GIT_FETCH_WITH_CLI": "true",
        }

    def files(self) -> list[SandboxFile]:
        """Return the configuration of a sandbox's ssh."""
        config, known, files = "", "", []
        for host in self.hosts:
            paths = [f"{_HOME}/{host.name}-{number}.pub" for number in range(len(host.identities))]
            files += [
                SandboxFile(path, f"{line}\n".encode())
                for path, line in zip(paths, host.identities, strict=True)
            ]
            own = "".join(f"  IdentityFile {path}\n" for path in paths)
            config += _HOST.format(host=host) + own + ("  IdentitiesOnly yes\n" if paths else "")
            known += "".join(f"{host.name} {key}\n" for key in host.host_keys)
        return [SandboxFile(_CONFIG, f"{config}{_ALL}".encode()), SandboxFile(_KNOWN, known.encode()), *files]


def find(named: Sequence[Host]) -> Ssh:
    """Return the user's agent and the ``named`` hosts.

    Raises :class:`RealmError` when something is missing on this machine.
    """
    version = re.search(r"OpenSSH\D*(\d+)\.(\d+)", _run("ssh", "-V"))
    if version is None or (int(version[1]), int(version[2])) < _OLDEST:
        raise RealmError("realm.sshAgent needs OpenSSH 8.9 or later on this machine", "ssh -V")
    options = [_options(host) for host in named]
    agent, *others = dict.fromkeys(map(_agent, options))
    if others:
        raise RealmError(
            "the hosts of realm.sshAgent have different agents",
            "git config --unset realm.sshAgent HOST leaves one out",
        )
    return Ssh(agent, tuple(map(_login_host, named, options)))


def _run(*command: str) -> str:
    """Return the output of ssh or one of its programs; ``RealmError`` if it cannot be run."""
    try:
        done = subprocess.run(
            command, env=user_environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=_PATIENCE,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        why = error.strerror if isinstance(error, OSError) else "it takes too long"
        raise RealmError(f"{command[0]} cannot be run here, which realm.sshAgent needs: {why}") from None
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def _options(host: Host) -> dict[str, list[str]]:
    """Return the user's ssh settings for a host by lower-case name."""
    port = ["-p", str(host.port)] if host.port else []
    found: dict[str, list[str]] = {}
    for line in _run("ssh", "-G", *port, host.name).splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    if "hostname" not in found:
        raise RealmError(f"ssh knows nothing of {host.name} (realm.sshAgent)", f"ssh -G {host.name}")
    return found


def _login_host(named: Host, options: Mapping[str, list[str]]) -> LoginHost:
    name = named.name
    address, port, user = (options[key][0] for key in ("hostname", "port", "user"))
    if "proxyjump" in options or "proxycommand" in options:
        raise RealmError(
            f"ssh reaches {name} through another host, which a container cannot do",
            f"git config --unset realm.sshAgent {name}",
        )
    try:
        at = hosts.parse(address)._replace(port=int(port), known=True)
    except ValueError as error:
        raise RealmError(f"ssh has {name} at {clean(address, limit=80)}: {error}", f"ssh -G {name}") from None
    known_as = options.get("hostkeyalias", [address if port == str(_PORT) else f"[{address}]:{port}"])[0]
    files = " ".join(options.get("userknownhostsfile", []) + options.get("globalknownhostsfile", []))
    known = _lines(known_as, re.split(" (?=[/~])", files))  # ssh does not quote names with spaces
    host_keys = _keys(known)
    if not host_keys and any(words[0] == "@cert-authority" for words in known):
        raise RealmError(
            f"your known_hosts has {name} by a certificate authority alone, which a container cannot check",
            f"ssh-keyscan -p {port} {address} shows keys of its own to compare and add there",
        )
    if not host_keys and "knownhostscommand" in options:
        raise RealmError(
            f"your ssh asks a program for the keys of {name} (KnownHostsCommand), and realm only known_hosts",
            f"ssh-keyscan -p {port} {address} shows its keys to compare and add there",
        )
    if not host_keys:
        raise RealmError(
            f"the keys of {name}, which realm.sshAgent names, are not in your known_hosts",
            f"ssh {name} once asks whether they are right",
        )
    identities: tuple[str, ...] = ()
    if options.get("identitiesonly") == ["yes"]:
        tokens = {"h": address, "n": name, "p": port, "r": user, "d": str(Path.home()), "%": "%"}
        files_of_keys = [_filled(file, tokens) for file in options.get("identityfile", [])]
        identities = tuple(filter(None, map(_identity, files_of_keys)))
        if not identities:
            raise RealmError(
                f"ssh has IdentitiesOnly for {name}, and its public keys cannot be read",
                f"ssh -G {name}",
            )
    return LoginHost(name, at, user, tuple(host_keys), identities)


def _lines(name: str, files: Sequence[str]) -> list[list[str]]:
    """Return the lines for a host in files, split into words."""
    return [
        line.split()
        for file in files
        if Path(file).is_file()
        for line in _run("ssh-keygen", "-F", name, "-f", file).splitlines()
        if line.strip()
    ]


def _keys(lines: Sequence[Sequence[str]]) -> list[str]:
    """Return the keys in a host's lines, without certificate authorities and revoked ones."""
    revoked = [words[2:4] for words in lines if words[0] == "@revoked"]
    keys = [words[1:3] for words in lines if words[0][0] not in "#@"]
    return list(dict.fromkeys(" ".join(key) for key in keys if len(key) > 1 and key not in revoked))


def _filled(file: str, tokens: Mapping[str, str]) -> str:
    """Return a path with its tokens (ssh_config(5)) expanded, which ``ssh -G`` does not do for key files."""
    return re.sub("%(.)", lambda token: tokens.get(token[1], token[0]), file)


def _identity(file: str) -> str:
    """Return the public key beside a private one, or in the file itself; empty if there is none."""
    path = Path(os.path.expanduser(file))  # noqa: PTH111 - Path's own raises where nobody is named so
    for public in (path.with_name(f"{path.name}.pub"), path):
        with suppress(OSError, ValueError):
            line = public.read_text("utf-8").strip()
            if _PUBLIC.fullmatch(line):
                return line
    return ""


def _agent(options: Mapping[str, list[str]]) -> str:
    """Return the socket of the agent that ssh uses for a host."""
    named = options.get("identityagent", ["SSH_AUTH_SOCK"])[0]
    is_variable = named == "SSH_AUTH_SOCK" or named.startswith("$")
    path = os.environ.get(named.removeprefix("$"), "") if is_variable else named
    if path in ("", "none"):
        raise RealmError(
            "there is no ssh agent to lend (realm.sshAgent): SSH_AUTH_SOCK is not set",
            'eval "$(ssh-agent)"; ssh-add',
        )
    return path
