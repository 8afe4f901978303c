from __future__ import annotations

from realm.sandbox import caches


def test_tools_find_their_caches_unless_image_or_user_says_otherwise() -> None:
    found = caches.environment({"PIP_CACHE_DIR": "/data/pip", "NPM_CONFIG_CACHE": "/data/npm"})
    assert (found["GOMODCACHE"], found["UV_CACHE_DIR"]) == ("/cache/go/mod", "/cache/uv")
    assert not found.keys() & {"PIP_CACHE_DIR", "npm_config_cache", "NPM_CONFIG_CACHE"}


def test_all_is_below_the_one_volume() -> None:
    ways = [*caches.environment({}).values(), *(str(file.data) for file in caches.files())]
    assert [way for way in ways if way != "copy" and "/cache" not in way] == []
