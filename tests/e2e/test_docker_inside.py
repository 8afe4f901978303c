"""A container with an engine of its own: everything that a project's tests do with Docker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = [pytest.mark.engine, pytest.mark.defaults]

# An image of one program; its second user is another than root, as a database's is.
DAY = r"""
set -e
mkdir -p image/bin image/etc && cp /bin/busybox image/bin/ && ln -s busybox image/bin/sh
echo 'pg:x:999:999::/:/bin/sh' > image/etc/passwd
tar -C image -c . | docker import - base > /dev/null
docker run --rm base sh -c 'busybox touch /x; busybox chown 999:999 /x; busybox su pg -c "busybox id -u"; busybox stat -c %u /x'
echo hello > page
docker run -d -p 8123:80 -v "$PWD:/w" --name web base busybox httpd -f -p 80 -h /w > /dev/null
curl -s --noproxy '*' http://localhost:8123/page
docker rm -f web > /dev/null
curl -s --noproxy '*' -m 5 http://localhost:8123/page || echo closed
printf 'FROM base\nRUN echo built > /built\nCMD ["busybox", "cat", "/built"]\n' > Dockerfile
docker build -q -t made . > /dev/null && docker run --rm made
cat > docker-compose.yml <<'END'
version: "3"
services:
  server: {image: base, command: busybox httpd -f -p 80 -h /w, volumes: [".:/w"], ports: ["8200:80"]}
  client: {image: base, command: sh -c "busybox sleep 1; busybox wget -q -O - http://server/page"}
END
docker-compose up -d > /dev/null 2>&1
docker wait "$(docker-compose ps -q client)" && docker-compose logs --no-color client | tail -n 1
curl -s --noproxy '*' http://localhost:8200/page
docker run --rm -p 53:53/udp base true 2>&1 | grep -o 'only TCP.*'
docker-compose exec -T -w /w server sh -c 'busybox mkdir -m 700 data; echo 5 > data/rows; busybox chown -R 999 data'
rm -rf image
"""  # noqa: E501


def test_containers_are_started_built_and_composed(user: User) -> None:
    user.repo.git("config", "realm.docker", "rootless")
    user.repo.git("config", "realm.packages", "busybox-static")
    done = user.scripted("x", DAY)
    assert done.out.splitlines() == [
        "999", "999", "hello", "closed", "built", "0", "client_1  | hello", "hello",
        "only TCP ports can be published in a sandbox.",
    ]  # fmt: skip
    assert "ran with less protection: realm.docker rootless" in done.err
    (listed,) = user.listed()
    assert listed["weakened"] == "realm.docker rootless"
    assert "seccomp=custom" in user.realm("audit", "x").out
    assert user.repo.git("show", "refs/realm/x:data/rows") == "5"
    assert not user.leftovers()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"REALM_NETWORK": "open"}, "has no network but the proxies, and the container's is open"),
        ({"REALM_NETWORK": "none", "REALM_DOCKER_ARGS": "--user 0"}, "docker flag --user 0 is a way to root"),
    ],
)
def test_where_it_cannot_be_had_nothing_is_made(user: User, settings: dict[str, str], said: str) -> None:
    user.extra |= {"REALM_DOCKER": "rootless", **settings}
    done = user.scripted("x", "true", code=125)
    assert said in done.err
    assert not user.listed()
