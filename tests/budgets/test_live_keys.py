"""Keys as clients meet them: what they open, what is put in for them, and what must never show."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.live import proxies
from tests.live.provider import Provider
from tests.live.proxies import ROOT, Proxy, eventually

BODY = {"model": "claude-sonnet-5", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
OURS = "sk-ant-of-the-house"


def headroom(proxy: Proxy, *arguments: str, given: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=proxy.env,
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def new_key(proxy: Proxy, *arguments: str) -> str:
    secret: str = json.loads(headroom(proxy, "key", "create", uuid.uuid4().hex, "--json", *arguments))["secret"]
    headers = {"x-headroom-key": secret}
    eventually(
        lambda: proxies.get(f"{proxy.url}/v1/retrieve/stats", headers=headers).status_code,
        lambda code: code == 200,
    )
    return secret


@pytest.fixture(scope="module")
def _house(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    workspace = tmp_path_factory.mktemp("house") / "workspace"
    env = {"HEADROOM_RATE_LIMIT_ENABLED": "1"}
    with proxies.running(workspace, _provider.url, flags=("--require-key",), env=env) as proxy:
        furnish(proxy)
        yield proxy


@pytest.fixture
def house(_house: Proxy, provider: Provider) -> Proxy:
    """A proxy that has a credential for each provider. It is the same one for all tests."""
    return _house


@pytest.fixture(scope="module")
def _secret(_house: Proxy) -> str:
    return new_key(_house)


@pytest.fixture
def secret(_secret: str) -> str:
    """A key of that proxy that may do everything."""
    return _secret


def furnish(proxy: Proxy) -> None:
    assert "encrypted" in headroom(proxy, "key", "credential", "anthropic", given=OURS + "\n")
    headroom(proxy, "key", "credential", "openai", given="sk-openai-of-the-house")


@pytest.mark.parametrize(
    ("path", "header", "value", "put_in"),
    [
        ("/v1/messages", "x-api-key", "{}", ("x-api-key", OURS)),
        ("/v1/messages", "authorization", "Bearer {}", ("x-api-key", OURS)),
        ("/v1/chat/completions", "authorization", "Bearer {}", ("authorization", "Bearer sk-openai-of-the-house")),
        ("/v1/messages", "x-headroom-key", "{}", ("x-api-key", OURS)),
    ],
)
def test_our_credential_takes_the_place_of_our_key(
    path: str, header: str, value: str, put_in: tuple[str, str], house: Proxy, provider: Provider, secret: str
) -> None:
    answer = proxies.post(f"{house.url}{path}", json=BODY, headers={header: value.format(secret)})
    assert answer.status_code == 200
    assert provider.last.header(put_in[0]) == put_in[1]
    assert secret.encode() not in b"".join(value for _, value in provider.last.header_lines)
    other = {"x-api-key", "authorization"} - {put_in[0]}
    assert provider.last.header(other.pop()) is None


def test_a_credential_of_the_clients_own_passes(house: Proxy, provider: Provider, secret: str) -> None:
    headers = {"x-headroom-key": secret, "x-api-key": "sk-ant-own"}
    assert proxies.post(f"{house.v1}/messages", json=BODY, headers=headers).status_code == 200
    assert provider.last.header("x-api-key") == "sk-ant-own"


def test_our_credential_opens_prompts_and_nothing_else(house: Proxy, provider: Provider, secret: str) -> None:
    headers = {"x-api-key": secret}
    for path in ("/v1/organizations/api_keys", "/v1/files", "/v1/messages/batches", "/v1//messages"):
        answer = proxies.post(f"{house.url}{path}", json=BODY, headers=headers)
        assert (answer.status_code, answer.headers["x-headroom-error"]) == (403, "route_closed"), path
    assert proxies.get(f"{house.v1}/files", headers=headers).status_code == 403
    assert provider.requests == []
    assert proxies.get(f"{house.v1}/models", headers=headers).status_code == 200
    assert provider.last.header("x-api-key") == OURS


def test_a_key_is_held_to_its_models_and_routes(house: Proxy, provider: Provider) -> None:
    headers = {"x-api-key": new_key(house, "--model", "claude-haiku-*", "--route", "/v1/messages", "--rpm", "0")}
    refused = proxies.post(f"{house.v1}/messages", json=BODY, headers=headers)
    assert (refused.status_code, refused.headers["x-headroom-error"]) == (403, "not_permitted")
    assert refused.json()["error"]["type"] == "permission_error"
    body = {**BODY, "model": "claude-haiku-4-5"}
    assert proxies.post(f"{house.v1}/messages", json=body, headers=headers).status_code == 200
    assert proxies.post(f"{house.v1}/chat/completions", json=body, headers=headers).status_code == 403
    assert len(provider.requests) == 1


def test_a_key_with_a_rate_of_its_own(house: Proxy) -> None:
    headers = {"x-headroom-key": new_key(house, "--rpm", "2")}
    statuses = [proxies.post(f"{house.v1}/messages", json=BODY, headers=headers).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


@pytest.mark.parametrize(
    "place", ["/v1/messages?key={}", "/p/{}/v1/messages", "/v1/files/{}", "/v1/x?a=hr%5F{}", "/dashboard?key={}"]
)
def test_a_key_in_an_address_is_refused_and_never_repeated(
    place: str, house: Proxy, provider: Provider, secret: str
) -> None:
    spelled = secret.removeprefix("hr_") if "%5F" in place else secret
    url = house.url + place.format(spelled)
    answer = proxies.post(url, json=BODY, headers={"x-headroom-key": secret})
    assert (answer.status_code, answer.headers["x-headroom-error"]) == (401, "key_in_url")
    assert secret not in answer.text + house.output
    assert provider.requests == []


def test_no_secret_is_in_the_workspace_or_the_log(start_proxy: Callable[..., Proxy]) -> None:
    house = start_proxy("--require-key")
    furnish(house)
    secret = new_key(house)
    proxies.post(f"{house.v1}/messages", json=BODY, headers={"x-api-key": secret})
    house.stop()
    for path in house.workspace.rglob("*"):
        if path.is_file():
            assert OURS.encode() not in path.read_bytes(), path
            assert secret.encode() not in path.read_bytes(), path
    assert OURS not in house.output and secret not in house.output
