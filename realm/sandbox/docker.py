"""The Docker engine as a small set of verbs, whose failures are classified errors.

The Docker SDK talks to the engine; no URL, status or error text leaves this file: a failure is an
:class:`EngineError` with a ``kind``.  Importing the SDK takes 80 ms, so :func:`connect` does it while it
waits for the engine.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

from realm.errors import EngineError
from realm.sandbox.answers import Conditions, End, Facts, Image, Info, Listed, Machine, Volume
from realm.sandbox.endpoint import Endpoint, resolve
from realm.sandbox.stream import Lines, hijack, read_output, write_input
from realm.sandbox.trouble import cause, message, nonsense, refusal, unreachable

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from realm.errors import EngineTrouble

NEWEST_API = (1, 47)
"""The newest version of the Engine API that realm was written for."""
OLDEST_API = (1, 40)
"""Docker 19.03; volumes as mounts with labels and device requests need it."""

_PATIENCE = 10.0
"""Seconds to reach an engine."""
_ANSWERED, _ANSWERED_HERE = 60.0, 20.0
"""Seconds for its first answer, with time to type a password; and for a local engine's."""
_REMOVAL = 30.0
"""Seconds for the engine to remove a container."""
_CHUNK = 256 * 1024
KILLED = 137
"""The exit code of a killed container, also used for one that is gone."""
_HTTP_ERROR = 400
_NO_DETACH_KEYS = "%FF,%FE,%FF,%FE"
"""Detach keys that no UTF-8 contains, since the engine holds back what may be their beginning."""
_RARE_KEYS = ",".join(["ctrl-^"] * 4)
"""Detach keys for a command, whose request is JSON and cannot hold arbitrary bytes."""
_TO_THE_SESSION = """
session() { read -r line <"/proc/$1/stat" && set -- ${line##*) } && echo "$4"; }
own=$(session 1) reached=1
for process in /proc/[0-9]*; do
  process=${process#/proc/}
  [ "$process" = 1 ] || [ "$(session "$process")" != "$own" ] || ! kill "-$0" "-$process" || reached=0
done 2>/dev/null
exit "$reached"
"""
"""Sends a signal to each process group in the session of a container's init, its own child's included."""
_PASSING = 2.0
"""Seconds to wait for that; it continues in the background."""
_ENDED: tuple[EngineTrouble, ...] = ("not found", "conflict", "not running")
"""The kinds of errors that mean that a container has ended."""


class Engine:
    """A connected engine.  Calls may come from several threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.images_seen: dict[str, Image] = {}
        """Images that have been looked up, by id."""
        with self._asking():
            self._client = _client(endpoint, NEWEST_API)
        self.api = NEWEST_API
        self.is_podman = False
        """Whether it is Podman, where a container's new volumes get no labels, and its agent no signals."""
        self._machine: Machine | None = None
        self._asked = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def renew(self) -> None:
        """After a fork, leave the connections to the parent process and open new ones."""
        self._client.close()
        with self._asking():
            self._client = _client(self.endpoint, self.api)

    @contextlib.contextmanager
    def _asking(self, *fine: EngineTrouble) -> Generator[None, None, None]:
        """Turn the SDK's errors into EngineErrors; ignore those whose kind is ``fine``."""
        # Whole packages: when two threads import a package and its module at once, neither gets all of it.
        import docker
        import requests
        import urllib3

        try:
            yield
        except docker.errors.APIError as error:
            refused = refusal(error.status_code or 0, error.explanation)
            if refused.kind not in fine:
                raise refused from error
        except (
            requests.RequestException, urllib3.exceptions.HTTPError, OSError, docker.errors.DockerException,
        ) as error:  # fmt: skip
            raise unreachable(self.endpoint, cause(error)) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise nonsense(self.endpoint) from error

    # -- the engine itself ---------------------------------------------------

    def negotiate(self) -> None:
        """Choose the API's version; raises ``EngineError`` when there is no common one."""
        with self._asking():
            longest = _ANSWERED_HERE if self.endpoint.local else _ANSWERED
            answer = self._client.get(self._client.base_url + "/_ping", timeout=(_PATIENCE, longest))
        if answer.status_code >= _HTTP_ERROR:
            raise refusal(answer.status_code, message(answer.content))
        with self._asking():
            self.is_podman = "Libpod-API-Version" in answer.headers
            newest, oldest = _version(answer.headers["Api-Version"]), (0, 0)
            if newest > NEWEST_API:
                oldest = _version(self._client.version(api_version=False).get("MinAPIVersion", "0.0"))
        if newest < OLDEST_API:
            raise EngineError(
                f"the Docker engine is too old: it speaks API {newest[0]}.{newest[1]}, "
                f"realm needs {OLDEST_API[0]}.{OLDEST_API[1]}",
                "upgrade Docker to 19.03 or newer",
                kind="too old",
            )
        self.api = max(min(newest, NEWEST_API), oldest)
        if self.api != NEWEST_API:
            self._client.close()
            with self._asking():
                self._client = _client(self.endpoint, self.api)

    def info(self) -> Info:
        """Return the engine's facts about itself."""
        with self._asking():
            return Info.of(self._client.info(), self.endpoint)

    def proxies(self) -> dict[str, str]:
        """Return the proxy variables that the user's Docker configuration gives containers.

        They are its ``proxies`` for this engine, or for all (https://docs.docker.com/engine/cli/proxy/).
        """
        with self._asking():
            from docker.utils import config, proxy

            given: Any = config.load_general_config().get("proxies")
            named: Any = given if isinstance(given, dict) else {}
            found: Any = named.get(self.endpoint.url) or named.get("default")
            known: Any = found if isinstance(found, dict) else {}
            pairs = proxy.ProxyConfig.from_dict(known).get_environment()
            return {name: value for name, value in pairs.items() if isinstance(value, str)}

    def machine(self) -> Machine:
        """Return the engine's machine; the engine is asked once."""
        with self._asked:  # the answer takes some 10 ms, and two threads want it
            if self._machine is None:
                with self._asking():
                    self._machine = Machine.of(self._client.info())
            return self._machine

    def free(self) -> int | None:
        """Return the bytes free on the engine's disk; ``None`` if that is not this machine's."""
        root = self.machine().root if self.endpoint.local else ""
        try:
            found = os.statvfs(root)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize

    # -- networks ------------------------------------------------------------

    def networks(self, name: str) -> list[Mapping[str, Any]]:
        """Return the settings of the networks of that name as the engine has them, the oldest first.

        An engine that is asked twice at once may make two of one name.
        """
        with self._asking():
            found = [each for each in self._client.networks(names=[name]) if each["Name"] == name]
        return sorted(found, key=lambda each: (each["Created"], each["Id"]))

    def create_network(self, name: str, labels: Mapping[str, str], options: Mapping[str, str],
                       subnet: str = "") -> None:  # fmt: skip
        """Create a bridge network, on a subnet that the engine chooses by default."""
        pools = {"Driver": "default", "Config": [{"Subnet": subnet}]} if subnet else None
        with self._asking():
            self._client.create_network(
                name, driver="bridge", options=dict(options), ipam=pools, check_duplicate=True,
                labels=dict(labels),
            )  # fmt: skip

    def remove_network(self, network_id: str) -> None:
        """Remove a network; one that is gone is fine."""
        with self._asking("not found"):
            self._client.remove_network(network_id)

    # -- images --------------------------------------------------------------

    def image(self, reference: str) -> Image | None:
        """Return the image of that name or id; ``None`` when the engine has none."""
        seen = None
        with self._asking("not found"):
            seen = Image.of(self._client.inspect_image(reference))
            self.images_seen[seen.id] = seen
        return seen

    def images(self, wanted: str, kind: Literal["label", "reference"] = "label") -> list[Image]:
        """Return the images with a label (or ``label=value``), or whose name matches a pattern."""
        with self._asking():
            return [
                Image(found["Id"], found.get("Labels") or {}, tuple(found.get("RepoTags") or ()))
                for found in self._client.images(filters={kind: [wanted]})
            ]

    def remove_image(self, tag: str) -> None:
        """Remove an image's name, and with its last name the image."""
        with self._asking():
            self._client.remove_image(tag)

    def build(
        self, context: bytes, tag: str, arguments: Mapping[str, str], *, no_cache: bool = False
    ) -> Iterator[str]:
        """Build an image of the archive ``context`` with the engine's own builder; give its output by lines.

        Raises ``EngineError`` when a step fails, after its output.
        """
        with self._asking():
            messages: Iterator[dict[str, Any]] = self._client.build(
                fileobj=io.BytesIO(context), custom_context=True, tag=tag, buildargs=dict(arguments),
                nocache=no_cache, rm=True, forcerm=True, decode=True,
            )  # fmt: skip
            rest = ""
            for message in messages:
                *lines, rest = (rest + str(message.get("stream", ""))).split("\n")
                yield from lines
                if "error" in message:
                    yield from (rest, str(message["error"]))
                    raise EngineError("a step of the build failed")

    # -- a container's life --------------------------------------------------

    def create(self, options: Mapping[str, Any], name: str | None = None) -> str:
        """Create a container from a body of ``POST /containers/create``; return its id."""
        for mount in options["HostConfig"]["Mounts"] if self.is_podman else ():
            if labels := mount.get("VolumeOptions", {}).get("Labels"):
                self.create_volume(mount["Source"], labels, {})
        with self._asking():
            return str(self._client.create_container_from_config(dict(options), name)["Id"])

    def start(self, container: str) -> None:
        """Start a container's program."""
        with self._asking():
            self._client.start(container)

    def attach(self, container: str) -> tuple[socket.socket, bytes]:
        """Return the socket of a container's input and output, and the output read so far."""
        return hijack(
            self.endpoint,
            self.api,
            f"/containers/{quote(container)}/attach"
            f"?stream=1&stdin=1&stdout=1&stderr=1&detachKeys={_NO_DETACH_KEYS}",
        )

    def wait(self, container: str) -> int:
        """Wait for a container to end; return its exit code (137, killed, for one that is gone)."""
        codes = [KILLED]
        with self._asking("not found"):
            codes.append(int(self._client.wait(container)["StatusCode"]))
        return codes[-1]

    def signal(self, container: str, name: str) -> None:
        """Send a signal such as ``SIGINT``; no error if the container has ended."""
        if not self._pass_on(container, name):
            with self._asking(*_ENDED):
                self._client.kill(container, name)

    def _pass_on(self, container: str, name: str) -> bool:
        """Send a signal to the agent if the engine's init gives it only to its own child.

        Return whether it did so, which reaches that child too.
        """
        if not self.is_podman or name == "SIGKILL":
            return False
        words = ["sh", "-c", _TO_THE_SESSION, name.removeprefix("SIG")]
        with contextlib.suppress(EngineError):
            return self.exec(container, words, lambda _: None, patience=_PASSING) == 0
        return False

    def stop(self, container: str, grace: float) -> None:
        """Ask a container to end, and kill it after ``grace`` seconds; no error for one that has ended."""
        end = time.monotonic() + grace
        self._pass_on(container, "SIGTERM")
        with self._asking(*_ENDED):
            self._client.stop(container, max(1, round(end - time.monotonic())))

    def pause(self, container: str) -> None:
        """Freeze a container until :meth:`unpause`; no error for one that has ended."""
        with self._asking(*_ENDED):
            self._client.pause(container)

    def unpause(self, container: str) -> None:
        """Unfreeze a container; no error for one that is not paused or has ended."""
        with self._asking(*_ENDED):
            self._client.unpause(container)

    def is_paused(self, container: str) -> bool:
        """Return whether a container is paused."""
        with self._asking():
            return bool(self._client.inspect_container(container)["State"]["Paused"])

    def resize(self, container: str, rows: int, columns: int) -> None:
        """Set the size of a container's terminal; no error for one that has ended."""
        with self._asking(*_ENDED):
            self._client.resize(container, rows, columns)

    def facts(self, container: str) -> Facts:
        """Return a container's constants."""
        with self._asking():
            return Facts.of(self._client.inspect_container(container))

    def conditions(self, container: str) -> Conditions:
        """Return the conditions under which a container runs, or ran."""
        with self._asking():
            return Conditions.of(self._client.inspect_container(container))

    def end(self, container: str) -> End:
        """Return how a container that has stopped ended."""
        with self._asking():
            return End.of(self._client.inspect_container(container))

    def state(self, container: str) -> str:
        """Return ``created``, ``running``, ``exited`` or ``gone``, waiting for the end of a removal.

        The engine must not be asked for files of a container that it removes: it
        mounts the volumes to read them, and has been seen to delete what is in
        them with the rest.
        """
        deadline = time.monotonic() + _REMOVAL
        while True:
            status = self._status(container)
            if status in {"created", "gone"}:
                return status
            if status not in {"removing", "dead"}:
                return "running" if status in {"running", "paused", "restarting"} else "exited"
            if time.monotonic() > deadline:
                raise EngineError(
                    f"the engine does not finish removing the container {container[:12]}", "docker ps -a"
                )
            time.sleep(0.05)

    def _status(self, container: str) -> str:
        try:
            with self._asking():
                return str(self._client.inspect_container(container)["State"]["Status"])
        except EngineError as error:
            if error.kind == "not found":
                return "gone"
            if error.kind == "not running":
                return "removing"
            raise

    def containers(self, *labels: str) -> list[Listed]:
        """Return the containers, running or not, that have all ``labels`` (``name`` or ``name=value``)."""
        with self._asking():
            return [
                Listed.of(found)
                for found in self._client.containers(all=True, filters={"label": list(labels)})
                if _has_all(found, labels)
            ]

    def remove(self, container: str) -> None:
        """Remove a container, running or not, with its nameless volumes; one that is gone is fine."""
        with self._asking("not found"):
            self._client.remove_container(container, v=True, force=True)

    # -- commands in a running container ---------------------------------------

    def begin(
        self, container: str, command: Sequence[str], *, stdin: bool = True, tty: bool = False,
        directory: str = "", environment: Mapping[str, str] | None = None,
    ) -> tuple[str, socket.socket, bytes]:  # fmt: skip
        """Start ``command`` in a running container, in its ``directory``.

        Returns an id, the socket of its input and output, and what already came of it.
        """
        with self._asking():
            made = self._client.exec_create(
                container, list(command), stdin=stdin, tty=tty, workdir=directory or None,
                environment=dict(environment or {}), detach_keys=_RARE_KEYS,
            )["Id"]  # fmt: skip
        sock, begun = hijack(
            self.endpoint, self.api, f"/exec/{quote(made)}/start", {"Detach": False, "Tty": tty}
        )
        return made, sock, begun

    def exec(
        self, container: str, command: Sequence[str], write: Callable[[bytes], object], *, patience: float,
        limit: int = 1 << 20, given: bytes | None = None,
    ) -> int:  # fmt: skip
        """Run ``command`` in a running container and give its output to ``write``; return the exit code.

        ``given`` is its standard input.  Raises ``EngineError`` after ``patience`` seconds or
        more than ``limit`` bytes.
        """
        process, sock, begun = self.begin(container, command, stdin=given is not None)
        with sock:
            if given is not None:
                write_input(sock, given, patience)
            read_output(sock, begun, write, patience, limit)
        return self.exec_code(process) or 0

    def listen(self, container: str, command: Sequence[str], longest: int = 1000) -> Lines:
        """Run ``command`` in a running container and return the lines that it writes, as they come.

        They are cut to ``longest`` bytes.
        """
        _, sock, begun = self.begin(container, command, stdin=False)
        return Lines(sock, begun, longest)

    def resize_exec(self, process: str, rows: int, columns: int) -> None:
        """Set the size of a started command's terminal; no error for one that has ended."""
        with self._asking("not found", "conflict"):
            self._client.exec_resize(process, height=rows, width=columns)

    def exec_code(self, process: str) -> int | None:
        """Return the exit code of a started command, ``None`` while it runs."""
        with self._asking():
            found = self._client.exec_inspect(process)
        return None if found["Running"] else int(found["ExitCode"] or 0)

    # -- its files -----------------------------------------------------------

    def put(self, container: str, path: str, archive: Iterable[bytes]) -> None:
        """Unpack an archive, given in pieces, into directory ``path`` of a container.

        An engine that refuses in the middle is heard: its answer is read when it takes no more.
        """
        with self._asking():
            self._client.put_archive(container, path, iter(archive))

    @contextlib.contextmanager
    def get(self, container: str, path: str) -> Generator[Iterator[bytes], None, None]:
        """Yield what is at ``path`` in a container as an archive, in pieces.

        However the reading ends, the connection is closed then: an answer that
        nobody reads keeps the container locked in the engine, for everybody.
        """
        version = "{}.{}".format(*self.api)
        url = f"{self._client.base_url}/v{version}/containers/{quote(container)}/archive"
        with self._asking():
            answer = self._client.get(url, params={"path": path}, stream=True, timeout=None)
        with contextlib.closing(answer):
            if answer.status_code >= _HTTP_ERROR:
                raise refusal(answer.status_code, message(answer.content))
            yield self._pieces(answer.iter_content(_CHUNK))

    def _pieces(self, answer: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            with self._asking():
                piece = next(answer, b"")
            if not piece:
                return
            yield piece

    # -- volumes -------------------------------------------------------------

    def create_volume(self, name: str, labels: Mapping[str, str], options: Mapping[str, str]) -> str:
        """Make a volume of the local driver; return where the engine keeps it."""
        with self._asking():
            made = self._client.create_volume(name, "local", dict(options), dict(labels))
            return str(made["Mountpoint"])

    def volume(self, name: str) -> Volume | None:
        """Return the volume of that name; ``None`` when the engine has none."""
        found: list[Volume | None] = [None]
        with self._asking("not found"):
            found.append(Volume.of(self._client.inspect_volume(name)))
        return found[-1]

    def volumes(self, *labels: str) -> list[Volume]:
        """Return the volumes that have all ``labels`` (``name`` or ``name=value``)."""
        with self._asking():
            found = self._client.volumes(filters={"label": list(labels)}).get("Volumes")
            return [Volume.of(volume) for volume in found or () if _has_all(volume, labels)]

    def remove_volume(self, name: str) -> None:
        """Remove a volume; one that is gone is fine, one in use is a conflict."""
        with self._asking("not found"):
            self._client.remove_volume(name)


def connect(environ: Mapping[str, str] | None = None) -> Engine:
    """Return the user's engine, reached and of a version that fits; else ``EngineError`` with advice."""
    engine = Engine(resolve(environ))
    try:
        engine.negotiate()
    except BaseException:
        engine.close()
        raise
    return engine


def _client(endpoint: Endpoint, api: tuple[int, int]) -> Any:
    """Return the SDK's client, whose types are too few to check by; nothing is sent yet."""
    from docker import APIClient, ContextAPI
    from docker.utils import kwargs_from_env

    from realm.sandbox.bridge import Bridge

    tls: Any = False
    if endpoint.tls and endpoint.context:
        tls = ContextAPI.get_context(endpoint.context).TLSConfig
    elif endpoint.tls:
        tls = kwargs_from_env().get("tls", False)
    version = "{}.{}".format(*api)
    url = endpoint.secure_url if tls else "unix:///engine"
    try:
        client: Any = APIClient(url, version=version, tls=tls or False)
    except (AttributeError, TypeError, ValueError) as error:
        # The SDK reads proxies and logins there, without checking them.
        raise EngineError(
            "the docker command's config.json is malformed",
            "it is in ~/.docker, or where DOCKER_CONFIG says",
        ) from error
    if not tls:
        client.mount("http+docker://", Bridge(endpoint))
    # A container may be waited for as long as it runs.
    client.timeout = None
    # Proxies and passwords of the environment are not meant for an engine.
    client.trust_env = False
    return client


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def _has_all(found: Mapping[str, Any], labels: Sequence[str]) -> bool:
    """Return whether something listed has all ``labels``: to Podman, any of a filter's is enough."""
    given = found.get("Labels") or {}
    return all(
        given.get(name) == value if equals else name in given
        for name, equals, value in (label.partition("=") for label in labels)
    )
