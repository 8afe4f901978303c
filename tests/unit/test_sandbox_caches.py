from __future__ import annotations

import pytest

from realm.sandbox import caches


def test_tools_find_their_caches_unless_image_or_user_says_otherwise() -> None:
    found = caches.environment({"PIP_CACHE_DIR": "/data/pip", "NPM_CONFIG_CACHE": "/data/npm"})
    assert (found["GOMODCACHE"], found["UV_CACHE_DIR"]) == ("/cache/go/mod", "/cache/uv")
    assert not found.keys() & {"PIP_CACHE_DIR", "npm_config_cache", "NPM_CONFIG_CACHE"}


def test_all_is_below_the_one_volume() -> None:
    ways = [*caches.environment({}).values(), *(str(file.data) for file in caches.files())]
    assert [way for way in ways if way != "copy" and "/cache" not in way] == []


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
