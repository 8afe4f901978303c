from __future__ import annotations

import re

import pytest

from realm.errors import UsageError
from realm.sandbox import caches


def test_tools_find_their_caches_unless_image_or_user_says_otherwise() -> None:
    found = caches.environment({"PIP_CACHE_DIR": "/data/pip", "NPM_CONFIG_CACHE": "/data/npm"})
    assert (found["GOMODCACHE"], found["UV_CACHE_DIR"]) == ("/cache/go/mod", "/cache/uv")
    assert not found.keys() & {"PIP_CACHE_DIR", "npm_config_cache", "NPM_CONFIG_CACHE"}


def test_all_is_below_the_one_volume_but_environments() -> None:
    ways = [*caches.environment({}).values(), *(str(file.data) for file in caches.files())]
    elsewhere = [way for way in ways if way != "copy" and not re.search(r"(^|[ =\"])/cache\b", way)]
    assert elsewhere == ["/realm/home/.cache/pypoetry/virtualenvs"]


@pytest.mark.parametrize(
    ("variables", "places"),
    [
        ({"GOPATH": "/go"}, ["/go"]),
        ({"GOPATH": "/go:/opt/go/", "PATH": "/usr/bin"}, ["/go", "/opt/go"]),
        ({"CARGO_HOME": "/usr/local/cargo", "RUSTUP_HOME": "/usr/local/rustup"},
         ["/usr/local/cargo", "/usr/local/rustup"]),
        ({"CARGO_HOME": "/realm/home/.cargo", "GOPATH": "/cache/go", "GEM_HOME": "/tmp/gems"}, []),
        ({"CARGO_HOME": "/usr/../etc", "GOPATH": "/", "GEM_HOME": "relative", "RUSTUP_HOME": ""}, []),
        ({"GOPATH": "/workspace/shop/go", "CARGO_HOME": "/history", "GEM_HOME": "/proc/1"}, []),
    ],
)  # fmt: skip
def test_only_what_is_read_only_and_a_tools_own_is_copied(
    variables: dict[str, str], places: list[str]
) -> None:
    assert caches.tools_own(variables) == places


def test_the_user_may_choose_any_place_but_the_systems_and_realms() -> None:
    assert caches.chosen(["/opt/data/", "/go", "/opt/data"]) == ["/go", "/opt/data"]
    for place in ("/usr", "/realm/home", "/workspace/shop", "/opt/../etc", "/tmp/x", "/cache/pip"):
        with pytest.raises(UsageError, match=r"realm\.cachePath"):
            caches.chosen([place])


@pytest.mark.parametrize(
    ("places", "can"),
    [
        (
            "/etc/claude-code /etc/ssl/certs /lib/x86_64-linux-gnu /run/secrets /usr/lib/git-core /usr/sbin",
            False,
        ),
        (
            "/usr /usr/sbin /usr/local/lib /usr/local/bin/x /usr/local/share /usr/share/x /var/run/docker",
            False,
        ),
        ("/usr/local/cargo /usr/local/share/nvm /usr/src/app/node_modules /var/lib/pg /root/.cargo", True),
    ],
)
def test_where_the_systems_programs_and_settings_lie_is_no_place(places: str, *, can: bool) -> None:
    assert {caches.can_be(place) for place in places.split()} == {can}
