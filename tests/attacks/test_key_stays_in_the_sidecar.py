"""With the key in the sidecar no sandbox has it, nothing shows it, and it opens nothing but the model."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.api import MessagesApi
from tests.support.packages import Registry
from tests.support.repos import Repo
from tests.support.servers import HttpServer
from tests.support.user import KEY
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.user import User

pytestmark = [pytest.mark.engine, pytest.mark.defaults]

ASK = "curl -s -o /dev/null -w '%{http_code} ' --path-as-is http://127.0.0.1:3129"
FORGED = "-H 'x-api-key: mine' -H 'Authorization: Bearer mine' -H 'Host: other.example'"
OTHERS = (
    "/v1/files", "/v1/messages/../files", "/v1/messages%2f..%2ffiles", "/v1/messages/batches",
    "/v1/messages%0d%0aX:", "//v1/files", "/api/oauth/profile", "/v1/organizations", "/x/../../v1/files",
)  # fmt: skip
WAYS = ("-X GET -d x", "-X GET -H 'Transfer-Encoding: chunked' -d x", "-X DELETE", "-X PUT -d x")
ODD = ("/../npm/x", "/%2e%2e/npm/x", "/x%2f..%2f..%2fpip", "/.%2E/x", "/x%252f..", "/%5c..%5cx")


def know(egress: str, address: str, authority: bytes, company: str) -> None:
    """Let a sidecar trust a certificate, find npm.test at an address, and have a company's proxy there."""
    conf = "/run/realm/conf"
    made = {"ca.pem": authority}
    changes = {
        "dnsmasq.conf": f"host-record=npm.test,{address}",
        "squid.conf": f"tls_outgoing_options cafile={conf}/ca.pem\n"
        f"cache_peer {address} parent {company} 0 no-query default no-digest\nnever_direct allow all",
    }
    for name, line in changes.items():
        made[name] = f"{engines.docker('exec', egress, 'cat', f'{conf}/{name}')}\n{line}\n".encode()
    renew(egress, made)


def renew(egress: str, made: Mapping[str, bytes]) -> None:
    """Replace files of a sidecar's configuration."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in made.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    command = ["docker", "exec", "-i", egress, "sh", "/usr/local/lib/realm/egress", "renew"]
    subprocess.run(command, input=out.getvalue(), check=True)


def test_the_key_is_nowhere(claude: User, api: MessagesApi, tmp_path: Path) -> None:
    api.accept = frozenset({KEY})
    # Who passes it on, as one had to once, does not give it to the container either.
    claude.extra["REALM_DOCKER_ARGS"] = "-e ANTHROPIC_API_KEY -e ANTHROPIC_BASE_URL"
    wait = "until [ -e go ]; do sleep 0.2; done"
    claude.realm("new", "hush", "--detach", "--", "-p", f"run env > env.txt; {wait}")
    eventually(lambda: len(api.asked) == 1, 90)
    mine = f"realm.project={claude.repo.path}"
    (agent,) = engines.labelled("container", mine, "realm.role=box")
    (egress,) = engines.labelled("container", mine, "realm.role=egress")
    assert {request.key for request in api.requests} == {KEY}
    places = "/realm /workspace /tmp /history /egress /etc /home /root /run /var /dev/shm"
    for container in (agent, egress):
        inspected = engines.docker("inspect", container)
        assert KEY not in inspected + engines.docker("logs", container, check=False)
        assert KEY not in engines.docker("top", container, "-eo", "pid,args")
        needle = f"[{KEY[0]}]{KEY[1:]}"  # which does not find itself
        look = f"grep -rlas '{needle}' {places} /proc/[0-9]*/environ /proc/[0-9]*/cmdline; true"
        # As the user whose processes and files they are: root has no more rights in there.
        found = engines.docker("exec", container, "sh", "-c", look, check=False).split()
        kept = {"/run/realm/conf"} if container == egress else set()  # a tmpfs of the sidecar's user alone
        assert {path.rpartition("/")[0] for path in found} == kept, found
        image = json.loads(inspected)[0]["Image"]
        assert KEY not in engines.docker("history", "--no-trunc", image)
        assert KEY not in engines.docker("image", "inspect", image)
    assert KEY not in engines.docker("volume", "ls", "--format", "{{.Labels}}")
    engines.touch(agent)
    claude.realm("wait", "hush")
    assert "placeholder-" in claude.repo.show("refs/realm/hush:env.txt")
    every = claude.repo.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    assert KEY not in "".join(claude.repo.git("cat-file", "-p", oid) for oid in every)
    done = subprocess.run(["grep", "-rlas", KEY, tmp_path, claude.installed.home / ".realm"], check=False)
    assert done.returncode == 1
    (run,) = json.loads(claude.realm("audit", "hush", "--json").out)
    assert (run["credentials"], run["network"]) == ("proxy", "allow")


def test_it_opens_nothing_but_the_model(claude: User, api: MessagesApi) -> None:
    claude.extra["ANTHROPIC_CUSTOM_HEADERS"] = 'X-Team: "a" \\ {b}; #c'
    claude.extra["REALM_DOCKER_ARGS"] = "-e ANTHROPIC_CUSTOM_HEADERS -e AWS_BEARER_TOKEN_BEDROCK=hunter2"
    claude.extra["REALM_SETUP"] = "true"
    fit = f"{ASK}'/v1/messages?beta=true' -X POST -H 'content-type: application/json' -d '{{}}' {FORGED}; "
    script = "".join(f"{ASK}'{path}' {FORGED}; " for path in OTHERS)
    script += "".join(f"{ASK}/v1/models {way}; " for way in WAYS) + fit
    smuggled = r"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
    smuggled += r"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/files HTTP/1.1\r\nHost: x\r\n\r\n"
    script += f"printf '{smuggled}' | curl -s -m 3 telnet://127.0.0.1:3129; "
    past = "curl -s -o /dev/null -w '%{http_code}%{http_connect} '"
    script += f"{past} {api.url}; {past} -p {api.url}; "
    script += "env; cat /realm/layout/setup; ls /egress/run; cat /egress/run/*/* | head -c 100; true"
    done = claude.scripted("pry", script)
    # Nor with a key that somebody else has told it, past the sidecar's own server.
    assert "403000 000403" in done.out, done
    *refused, answered = done.out.split()[: len(OTHERS) + len(WAYS) + 1]
    assert set(refused) <= {"400", "403"}, done
    assert answered == "200", done
    assert [request.path for request in api.requests] == ["/v1/messages?beta=true"]
    (asked,) = api.requests
    assert asked.headers["x-api-key"] == KEY
    assert asked.headers["x-team"] == '"a" \\ {b}; #c'
    assert asked.headers["host"] == api.url.removeprefix("http://")
    assert "authorization" not in asked.headers
    assert not [secret for secret in (KEY, '"a"', "hunter2") if secret in done.out + done.err]
    tried = claude.realm("try", "pry", "--", "sh", "-c", f"{ASK}/v1/models; env", code=None)
    assert tried.out.startswith("000 ")
    assert "placeholder-" not in tried.out
    assert len(api.requests) == 1


def test_no_key_for_a_server_with_an_unknown_certificate(claude: User, tmp_path: Path) -> None:
    gateway = engines.gateway()
    ask = ["sh", "-c", f"{ASK}/v1/models"]
    with MessagesApi(gateway, directory=tmp_path) as api:
        claude.extra["ANTHROPIC_BASE_URL"] = api.url
        claude.realm("new", "asks", "--detach", "--agent", "sleep", "600")
        mine = f"realm.project={claude.repo.path}"
        (agent,) = engines.labelled("container", mine, "realm.role=box")
        (egress,) = engines.labelled("container", mine, "realm.role=egress")
        assert engines.docker("exec", agent, *ask).strip() == "502"
        assert not api.requests
        # The same server, once the sidecar knows its certificate.
        named = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(tmp_path / "ca.pem")]
        hashed = subprocess.run(named, check=True, capture_output=True, text=True).stdout.strip()
        nginx = engines.docker("exec", egress, "cat", "/run/realm/conf/nginx.conf")
        nginx = nginx.replace("VerifyCAPath /etc/ssl/certs", "VerifyCAPath /run/realm/conf")
        renew(egress, {f"{hashed}.0": (tmp_path / "ca.pem").read_bytes(), "nginx.conf": nginx.encode()})
        eventually(lambda: engines.docker("exec", agent, *ask).strip() == "200", 20)
        assert {request.key for request in api.requests} == {KEY}
    claude.realm("stop", "asks")


def test_the_hosts_login_is_renewed_outside(user: User, api: MessagesApi, tmp_path: Path) -> None:
    config, bin_ = tmp_path / "claude", tmp_path / "bin"
    config.mkdir()
    bin_.mkdir()
    file = config / ".credentials.json"

    def tokens(name: str, seconds: float) -> str:
        access, refresh = f"{name}-access-token-0123456789", f"{name}-refresh-0123456789"
        part = {"accessToken": access, "refreshToken": refresh, "scopes": ["user:inference"]}
        ends = int((time.time() + seconds) * 1000)
        return json.dumps({"claudeAiOauth": {**part, "expiresAt": ends}})

    file.write_text(tokens("old", 3600))
    (bin_ / "claude").write_text(f"#!/bin/sh\ncat > {file} <<'END'\n{tokens('new', 3600)}\nEND\n")
    (bin_ / "claude").chmod(0o755)
    user.extra |= {
        "ANTHROPIC_BASE_URL": api.url, "CLAUDE_CONFIG_DIR": str(config), "PATH": f"{bin_}:{user.env['PATH']}",
    }  # fmt: skip
    prompt = "run until [ -e go ]; do sleep 0.2; done\nwrite done.txt with it"
    with user.start("new", "long", "--", "-p", prompt, stdin=subprocess.DEVNULL) as running:
        eventually(lambda: len(api.asked) == 1, 60)
        file.write_text(tokens("old", 60))
        mine = f"realm.project={user.repo.path}"
        (egress,) = engines.labelled("container", mine, "realm.role=egress")
        (agent,) = engines.labelled("container", mine, "realm.role=box")

        def is_given() -> bool:
            show = "cat /run/realm/conf/api-*.conf"
            return "new-access" in engines.docker("exec", egress, "sh", "-c", show)

        eventually(is_given, 60)
        engines.touch(agent)
        running.communicate(timeout=120)
        assert running.returncode == 0
    assert "done.txt" in user.repo.files("refs/realm/long")
    used = [request.headers.get("authorization") for request in api.asked]
    assert used[0] == "Bearer old-access-token-0123456789"
    assert used[-1] == "Bearer new-access-token-0123456789"
    every = user.repo.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    kept = "".join(user.repo.git("cat-file", "-p", oid) for oid in every)
    assert "access-token-0123456789" not in kept
    assert json.loads(file.read_text())["claudeAiOauth"]["refreshToken"] == "new-refresh-0123456789"


def test_a_git_host_is_read_with_a_login_that_stays_outside(user: User, tmp_path: Path) -> None:
    password = "hunter22-of-the-user"
    root = tmp_path / "served"
    lib = Repo.init(root / "lib.git", bare=True)
    user.repo.git("push", "-q", str(lib.path), "HEAD:refs/heads/main")
    lib.git("config", "http.receivepack", "true")
    # The first token that it gives has ended: once the host has refused it, it is asked for another.
    helper = f"!f() {{ p=dead; test ! -e {tmp_path}/once || p={password}; touch {tmp_path}/once"
    helper += "; printf 'username=me\\npassword=%s\\n' $p; }; f"
    user.repo.git("config", "credential.helper", helper)
    with HttpServer(root, "me", password, engines.gateway()) as server:
        user.repo.git("config", "--add", "realm.gitCredentials", server.url)
        user.repo.git("config", "realm.setup", "bash -c '</dev/tcp/127.0.0.1/3129'")  # it may need that, too
        address = server.url.replace("//", "//git@")  # as npm writes it
        script = f"""
            until git clone -q {address}/lib.git /tmp/lib; do sleep 1; done
            git -C /tmp/lib log --format=%s
            git -C /tmp/lib push -q origin HEAD:refs/heads/evil 2>&1 | grep -o 'error: 403'
            env; cat ~/.gitconfig /tmp/lib/.git/config
            for path in config 'info/refs?service=git%2dreceive-pack'; do
              curl -s -o /dev/null -w '%{{http_code}}\\n' \
                http://127.0.0.1:3129/git/{server.url.removeprefix("http://")}/lib.git/$path
            done
        """
        done = user.scripted("reads", script)
    lines = done.out.splitlines()
    assert lines[:2] == ["Start", "error: 403"], done
    assert lines[-2:] == ["403", "403"]
    assert server.refused > 0
    assert password not in done.out + done.err
    assert list(lib.refs()) == ["refs/heads/main"]


def test_a_registry_is_read_with_a_login_that_stays_outside(user: User, sealed: Path, tmp_path: Path) -> None:
    bearer, password = "bearer-of-the-user-0123456789", "hunter22-of-the-user"
    basic = base64.b64encode(f"me:{password}".encode()).decode()
    gateway = engines.gateway()
    with (
        Registry(gateway, "", "") as elsewhere,
        Registry(gateway, bearer, f"me:{password}", elsewhere=elsewhere.url, directory=tmp_path) as registry,
        Registry(gateway, "x", "other:password-of-another") as plain,
    ):
        host = registry.url.removeprefix("https://")
        (sealed / ".npmrc").write_text(f"registry={registry.url}/npm/\n//{host}/npm/:_authToken={bearer}\n")
        address = f"{registry.url}/pip/".replace("://", f"://me:{password}@")
        (sealed / ".config/pip").mkdir(parents=True)
        (sealed / ".config/pip/pip.conf").write_text(f"[global]\nindex-url = {address}\n")
        (sealed / ".netrc").write_text(f"machine {gateway} login other password password-of-another\n")
        for name in (".npmrc", ".config/pip/pip.conf"):
            user.repo.git("config", "--add", "realm.home", name)
        for url in (registry.url, plain.url):
            user.repo.git("config", "--add", "realm.registryCredentials", url)
        user.repo.git("config", "--add", "realm.allow", elsewhere.url.removeprefix("http://"))
        user.repo.write("package.json", '{"name": "project", "version": "1.0.0"}')
        user.repo.commit("Depend on nothing")
        status = "curl -s -o /dev/null --path-as-is -w '%{http_code} '"
        odd = " ".join(f"{registry.url}/npm{path}" for path in ODD)
        swapped = plain.url.removeprefix("http://")
        script = f"""
            until [ -e go ]; do sleep 0.2; done
            {{
            {status} {registry.url}/npm/lib; echo
            npm install --no-audit --no-fund -s lib && node node_modules/lib
            pip install -q --target /tmp/tool tool && PYTHONPATH=/tmp/tool python3 -m tool
            for url in {registry.url}/npm/lib {plain.url}/x; do {status} $url; done
            echo; for way in PUT POST DELETE; do {status} -X $way -d x {registry.url}/npm/lib; done
            {status} -X GET -H 'Transfer-Encoding: chunked' -d x {registry.url}/npm/lib
            echo; for url in {odd}; do {status} $url; done
            echo; {status} -L {registry.url}/npm/moved
            echo; {status} -H 'Host: {swapped}' {registry.url}/npm/a; {status} -H 'Host: {host}' {plain.url}/b
            echo; {status} -H 'Authorization: Bearer mine' {registry.url}/npm/lib; {status} http://{host}/npm/c
            echo; curl -s -o /dev/null -w '%{{http_connect}} %{{http_code}}' https://denied.example/
            {status} http://denied.example/; curl -v https://denied.example/ 2>&1 | grep -ac 'HTTP/1.1 403'
            curl -si -H 'X-HTTP-Method-Override: PUT' -H 'X-Original-URL: /y' {registry.url}/npm/lib \
              | grep -ac session=
            od -An -tx1 -N8 $REALM_EGRESS/ca.jks
            }} > out 2>&1
            {{ env; cat ~/.npmrc ~/.config/pip/pip.conf
            grep -rlas -e '[b]earer-of' -e '[h]unter22' -e '{basic[:3]}[{basic[3]}]{basic[4:]}' \
              /realm /workspace /tmp /egress /etc /proc/[0-9]*/environ /proc/[0-9]*/cmdline
            }} > all 2>&1
        """
        user.realm("new", "reads", "--detach", "--agent", "sh", "--", "-c", script)
        mine = f"realm.project={user.repo.path}"
        (agent,) = engines.labelled("container", mine, "realm.role=box")
        (egress,) = engines.labelled("container", mine, "realm.role=egress")
        know(egress, gateway, (tmp_path / "ca.pem").read_bytes(), elsewhere.url.rpartition(":")[2])
        engines.touch(agent)
        secrets = (bearer, password, basic)
        shown = "".join(engines.docker("inspect", one) for one in (agent, egress))
        user.realm("wait", "reads", code=None)
    first, npm, pip, read, changed, odd_ones, moved, swaps, last, denied, cookies, java = user.repo.show(
        "refs/realm/reads:out"
    ).splitlines()
    assert (first, npm, pip, read) == ("200 ", "from npm", "from pip", "200 200 ")
    assert set(changed.split() + odd_ones.split()) == {"403"}
    assert (moved, swaps, last, cookies) == ("401 ", "403 200 ", "200 403 ", "0")
    assert (denied, java) == ("403 000403 1", " fe ed fe ed 00 00 00 02")
    assert registry.refused() == plain.refused() == []
    assert {method for method, *_ in registry.asked} <= {"GET", "HEAD"}
    # The company's proxy, too, which hears of nothing else.
    assert elsewhere.asked == [("GET", f"{elsewhere.url}/got", "")]
    assert f'"{registry.url}/npm/lib/-/lib-1.0.0.tgz"' in user.repo.show("refs/realm/reads:package-lock.json")
    scanned = user.repo.show("refs/realm/reads:all").splitlines()
    assert f"index-url = {registry.url}/pip/" in scanned
    assert not [line for line in scanned if line.startswith("/")]
    every = user.repo.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    shown += "".join(user.repo.git("cat-file", "-p", oid) for oid in every)
    assert not [secret for secret in secrets if secret in shown]
    net = user.realm("net", "reads").out
    assert f"denied: {host}, 11 times (it is only for reading, with a login)" in net
    assert "denied: denied.example, 2 times" in net
    (run,) = json.loads(user.realm("audit", "reads", "--json").out)
    assert run["registries"] == [registry.url, plain.url]
