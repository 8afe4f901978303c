"""What identifies a run to its sidecar: a token that opens its sockets, and its connections' address."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from realm.sandbox import layout, proof
from realm.sandbox.transfer import SandboxFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realm.sandbox.layout import Owner

PROXY_PORT, API_PORT = 3128, 3129
"""The proxies' port, in a sandbox and in the sidecar."""
STAND_PORT = 3130
"""The port by which the sidecar's own server goes out: its servers are reachable only there."""
READ_PORT = 3131
"""The port, at a run's address, where the sidecar ends TLS for registries that it reads with logins."""
BACK_PORT = 3132
"""The port to which it leads their tunnels, which continue from there."""


class Ticket(NamedTuple):
    """A run's token, secret from all other sandboxes, and its loopback address in the sidecar."""

    token: str
    address: str

    @property
    def directory(self) -> str:
        """The directory of the run's sockets, in sandbox and sidecar."""
        return f"{layout.EGRESS}/run/{self.token}"


def ticket(owner: Owner) -> Ticket:
    """Return the ticket of a sandbox, which is derived from its labels and this REALM_HOME's key."""
    made = proof.prove("egress", f"{owner.id} {owner.run} {owner.started}")[layout.PROOF]
    first, second, third = bytes.fromhex(made[-6:])
    # 127.0.0.0/24 is the sidecar's own; no address ends in 0 or 255.
    return Ticket(made[:32], f"127.{1 + first % 254}.{second}.{1 + third % 254}")


_PROXIES = tuple(
    name for word in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY") for name in (word, word.lower())
)
_OPTIONS = ("NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "MAVEN_ARGS")
"""Variables with options: the user's are appended to realm's."""


def variables(found: Ticket, *, reads: bool = False) -> dict[str, str]:
    """Return the variables by which programs find the proxy, and trust one that ``reads`` registries."""
    proxy = f"http://127.0.0.1:{PROXY_PORT}"
    here = "localhost,127.0.0.1,::1"
    java = " ".join(
        f"-D{kind}.proxyHost=127.0.0.1 -D{kind}.proxyPort={PROXY_PORT}" for kind in ("http", "https")
    )
    if reads:
        java += f" -Djavax.net.ssl.trustStore={found.directory}/ca.jks -Djavax.net.ssl.trustStoreType=JKS"
    return {
        "REALM_EGRESS": found.directory,
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), here),
        # Node's own fetch, only in recent versions, uses the variables above if this is set.
        "NODE_USE_ENV_PROXY": "1",
        "NODE_OPTIONS": f"--require={layout.EGRESS}/node/fetch.cjs",
        "JAVA_TOOL_OPTIONS": f"{java} -Dhttp.nonProxyHosts=localhost|127.*|[::1]",
        # Maven from 3.9 on uses Java's settings if told to, but then warns at each download.
        "MAVEN_ARGS": "-Daether.connector.http.useSystemProperties=true"
        " -Daether.transport.apache.useSystemProperties=true"
        " -Dorg.slf4j.simpleLogger.log.org.eclipse.aether.transport=error",
        **dict.fromkeys(("YARN_HTTP_PROXY", "YARN_HTTPS_PROXY"), proxy),  # Yarn 2 and later
        "ELECTRON_GET_USE_PROXY": "1",
        **dict.fromkeys(layout.TRUSTING if reads else (), f"{found.directory}/ca.crt"),
    }


YARN = SandboxFile(
    f"{layout.HOME}/.yarnrc.yml",
    b'networkSettings:\n  "{localhost,127.0.0.1}":\n    httpProxy: ""\n    httpsProxy: ""\n',
)
"""Settings in the home for Yarn 2 and later, which has no variable for hosts that need no proxy."""


def besides(own: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the user's variables without proxies, and with options appended to those in ``own``."""
    kept = {name: value for name, value in given.items() if name not in _PROXIES}
    return kept | {name: f"{own[name]} {kept[name]}" for name in _OPTIONS if name in kept and name in own}
