"""Every route for every kind of caller, as the real SDKs see it, on SQLite and on PostgreSQL with Redis."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any

import anthropic
import openai
import pytest

from tests import conftest as services
from tests.live import proxies
from tests.live.provider import Provider
from tests.live.proxies import ROOT, Proxy
from tests.savings.databases import migrated_postgres

MODEL = {"claude": "claude-sonnet-5", "gpt": "gpt-4o"}
HELLO: list[Any] = [{"role": "user", "content": "hi"}]
SDK_ERRORS = {401: "AuthenticationError", 403: "PermissionDeniedError", 429: "RateLimitError"}
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

MAKE_CALLERS = """
import json, sys, django
django.setup()
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from budgets import keys, limits
from budgets.keys import Permissions
from budgets.models import ApiKey
secrets = {}
def make(name, **permissions):
    key, secrets[name] = keys.create(name, permissions=Permissions(**permissions))
    return key
make("allowed")
make("revoked")
keys.revoke("revoked")
ApiKey.objects.filter(pk=make("expired").pk).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
make("rate limited", requests_per_minute=1)
limits.create(Decimal(0), "total", key=make("over budget"))
make("foreign model", models=("another-model",))
print(json.dumps(secrets))
"""


@cache
def _anthropic(url: str, key: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)


@cache
def _openai(url: str, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0)


@dataclass(frozen=True)
class Site:
    proxy: Proxy
    secrets: dict[str, str]

    def anthropic(self, key: str) -> anthropic.Anthropic:
        return _anthropic(self.proxy.url, key)

    def openai(self, key: str) -> openai.OpenAI:
        return _openai(self.proxy.v1, key)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.redis])]
)
def site(
    request: pytest.FixtureRequest,
    _provider: Provider,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: Any,
) -> Iterator[Site]:
    with ExitStack() as stack:
        env, flags = {"HEADROOM_RATE_LIMIT_ENABLED": "1"}, ("--require-key",)
        if request.param == "postgres":
            with django_db_blocker.unblock():
                template = migrated_postgres()
            env["HEADROOM_DATABASE_URL"] = stack.enter_context(services.fresh_postgres(template))
            env["HEADROOM_REDIS_URL"] = stack.enter_context(services.fresh_redis())
            flags += ("--workers", "2")
        proxy = Proxy(tmp_path_factory.mktemp("matrix") / "workspace", _provider.url, flags=flags, env=env)
        secrets = json.loads(run(proxy, "-c", MAKE_CALLERS))
        secrets |= {"no key": "sk-of-a-provider", "wrong key": "hr_" + "0" * 40}
        stack.callback(proxy.stop)
        proxy.start()
        yield Site(proxy, secrets)
        for make in (_anthropic, _openai):
            for secret in secrets.values():
                make(proxy.url if make is _anthropic else proxy.v1, secret).close()
            make.cache_clear()


def run(proxy: Proxy, *arguments: str) -> str:
    env = {**proxy.env, "DJANGO_SETTINGS_MODULE": "headroom_site.settings"}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


Ask = Callable[[Site, str], Any]
BILLABLE: dict[str, Ask] = {
    "/v1/messages": lambda site, key: site.anthropic(key).messages.create(
        model=MODEL["claude"], max_tokens=5, messages=HELLO
    ),
    "/v1/messages, streamed": lambda site, key: list(
        site.anthropic(key).messages.create(model=MODEL["claude"], max_tokens=5, messages=HELLO, stream=True)
    ),
    "/v1/chat/completions": lambda site, key: site.openai(key).chat.completions.create(
        model=MODEL["gpt"], max_tokens=5, messages=HELLO
    ),
    "/v1/chat/completions, streamed": lambda site, key: list(
        site.openai(key).chat.completions.create(model=MODEL["gpt"], max_tokens=5, messages=HELLO, stream=True)
    ),
    "/v1/responses": lambda site, key: site.openai(key).responses.create(model=MODEL["gpt"], input="hi"),
    "/v1/embeddings": lambda site, key: site.openai(key).embeddings.create(model="text-embedding-3-small", input="hi"),
}
UNPRICED: dict[str, Ask] = {
    "/v1/messages/batches": lambda site, key: site.anthropic(key).messages.batches.create(requests=[]),
    "/v1/batches": lambda site, key: site.openai(key).batches.create(
        input_file_id="f", endpoint="/v1/responses", completion_window="24h"
    ),
    "/v1/images/generations": lambda site, key: site.openai(key).images.generate(model="gpt-image-1", prompt="x"),
}
FREE: dict[str, Ask] = {
    "/v1/messages/count_tokens": lambda site, key: site.anthropic(key).messages.count_tokens(
        model=MODEL["claude"], messages=HELLO
    ),
}
LISTS: dict[str, Ask] = {
    "GET /v1/models": lambda site, key: site.openai(key).models.list(),
    "GET /v1/models of Anthropic": lambda site, key: site.anthropic(key).models.list(),
}
ROUTES = BILLABLE | UNPRICED | FREE | LISTS
PASSES = (200, "")
CALLERS: dict[str, Callable[[str], tuple[int, str]]] = {
    "no key": lambda route: (401, "missing_key"),
    "wrong key": lambda route: (401, "unknown_key"),
    "revoked": lambda route: (401, "revoked_key"),
    "expired": lambda route: (401, "expired_key"),
    "rate limited": lambda route: (429, "rate_limited"),
    "over budget": lambda route: (
        (429, "budget_spent") if route in BILLABLE else (403, "no_price") if route in UNPRICED else PASSES
    ),
    "foreign model": lambda route: PASSES if route in LISTS else (403, "not_permitted"),
    "allowed": lambda route: PASSES,
}


@pytest.mark.parametrize("caller", CALLERS)
def test_every_route_for_every_caller(site: Site, provider: Provider, caller: str) -> None:
    if caller == "rate limited":
        outcome(lambda: LISTS["GET /v1/models"](site, site.secrets[caller]))  # the one of this minute
        provider.requests.clear()
    for route, ask in ROUTES.items():
        expected = CALLERS[caller](route)
        before = len(provider.requests)
        assert outcome(lambda ask=ask: ask(site, site.secrets[caller])) == expected, route
        assert len(provider.requests) - before == (expected == PASSES), f"{route} reached the provider, or did not"


def outcome(ask: Callable[[], Any]) -> tuple[int, str]:
    """What the SDK makes of it: a result, or an error of its own class, with body and headers of its dialect."""
    try:
        ask()
    except (anthropic.APIStatusError, openai.APIStatusError) as exc:
        code = exc.response.headers["x-headroom-error"]
        assert type(exc).__name__ == SDK_ERRORS[exc.status_code]
        if isinstance(exc, anthropic.APIStatusError):
            assert isinstance(exc.body, dict) and exc.body["type"] == "error"
            assert exc.body["error"]["type"] == TYPES[exc.status_code]
        else:
            assert exc.code == code
            assert exc.type == ("insufficient_quota" if code == "budget_spent" else TYPES[exc.status_code])
        assert "hr_" not in exc.message.replace("(hr_…)", "").replace(exc_prefix(exc.message), "")
        assert exc.response.headers.get("x-should-retry") == ("false" if code in ("budget_spent", "no_price") else None)
        return exc.status_code, code
    return PASSES


def exc_prefix(message: str) -> str:
    """The beginning of a key, by which its owner may recognise it."""
    start = message.find("hr_")
    return message[start : message.find("…", start)] if start >= 0 else "\0"


OURS = {
    "/v1/compress": {"model": "m", "messages": HELLO},
    "/v1/retrieve": {"hash": "0" * 24},
    "/cache/clear": {},
}


@pytest.mark.parametrize("caller", CALLERS)
def test_our_own_routes_ask_for_a_key_and_cost_nothing(site: Site, provider: Provider, caller: str) -> None:
    headers = {"x-headroom-key": site.secrets[caller]} if caller != "no key" else {}
    may = caller not in ("no key", "wrong key", "revoked", "expired")
    for path, body in OURS.items():
        answer = proxies.post(f"{site.proxy.url}{path}", json=body, headers=headers)
        found = 404 if path == "/v1/retrieve" else 200
        assert answer.status_code == (found if may else 401), path
    assert provider.requests == []
