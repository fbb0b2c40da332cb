"""Who gets in, whose key goes where, and which names the proxy answers to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.live import proxies, wire
from tests.live.provider import Provider
from tests.live.proxies import ROOT, Proxy

KEY = "hr_" + "bootstrap0" * 4
OTHER_KEY = "hr_" + "unknown000" * 4


@pytest.fixture(scope="module")
def guarded(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that listens on every interface, and therefore asks for keys. It goes by a name as well."""
    workspace = tmp_path_factory.mktemp("guarded") / "workspace"
    env = {"HEADROOM_BOOTSTRAP_KEY": KEY, "HEADROOM_ALLOWED_HOSTS": "gateway.example"}
    with proxies.running(workspace, _provider.url, flags=("--host", "0.0.0.0"), env=env) as proxy:
        yield proxy


def command(proxy: Proxy, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=proxy.env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def ask(
    proxy: Proxy, target: str = "/v1/messages", method: str = "POST", host: str = "127.0.0.1", **lines: str
) -> wire.Heard:
    encoded = [(key.replace("_", "-").encode(), value.encode()) for key, value in lines.items()]
    body = b'{"model":"m"}' if method == "POST" else None
    return wire.ask(proxy.url, wire.request(method, target.encode(), encoded, body, host.encode()))


@pytest.mark.parametrize(
    "target",
    [
        "/v1/messages",
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/embeddings",
        "/v1/messages/count_tokens",
        "/v1/files",
        "/anything",
        "/p/x/v1/messages",
        "/chat/completions",
    ],
)
def test_without_a_key_nobody_gets_in(guarded: Proxy, provider: Provider, target: str) -> None:
    for lines in (
        {},
        {"authorization": "Bearer sk-ant-real"},
        {"x_api_key": "sk-real"},
        {"x_headroom_key": OTHER_KEY},
        {"authorization": f"Bearer {OTHER_KEY}"},
        {"x_api_key": KEY[:-1]},
    ):
        heard = ask(guarded, target, **lines)
        assert heard.status == 401
        error = json.loads(heard.body)["error"]
        assert error["type"] == "authentication_error"
        assert KEY[:20] not in error["message"]
    assert provider.requests == []


@pytest.mark.parametrize("target", ["/v1/models", "/", "/v1/retrieve/stats", "/v1/retrieve/" + "0" * 24])
def test_reading_needs_a_key_too(guarded: Proxy, provider: Provider, target: str) -> None:
    assert ask(guarded, target, "GET").status == 401
    assert provider.requests == []


@pytest.mark.parametrize("target", ["/v1/compress", "/v1/retrieve", "/v1/retrieve/tool_call"])
def test_our_own_routes_need_a_key_too(guarded: Proxy, target: str) -> None:
    assert ask(guarded, target).status == 401


def test_a_key_of_ours_opens_and_goes_no_further(guarded: Proxy, provider: Provider) -> None:
    for lines in (
        {"x_headroom_key": KEY},
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
        {"x_api_key": KEY},
    ):
        heard = ask(guarded, **lines)
        assert heard.status == 200
        assert KEY.encode() not in b"".join(value for _, value in provider.last.header_lines)
        row = guarded.row_of((heard.header(b"x-headroom-request-id") or b"").decode())
        assert row["key_label"] == "bootstrap"
        assert row["key_id"]
        assert row["owner"].startswith("key:")


def test_the_providers_own_credential_goes_on(guarded: Proxy, provider: Provider) -> None:
    ask(guarded, x_headroom_key=KEY, authorization="Bearer sk-ant-real")
    assert provider.last.lines() == [(b"authorization", b"Bearer sk-ant-real")]
    ask(guarded, authorization=f"Bearer {KEY}", x_api_key="sk-ant-real")
    assert provider.last.lines() == [(b"x-api-key", b"sk-ant-real")]


@pytest.mark.parametrize(
    "lines",
    [
        [(b"x-headroom-key", KEY), (b"authorization", f"Bearer {OTHER_KEY}")],
        [(b"authorization", f"Bearer {KEY}"), (b"x-api-key", KEY)],
        [(b"x-headroom-key", KEY), (b"x-api-key", OTHER_KEY), (b"authorization", f"bearer {KEY}")],
    ],
)
def test_no_key_of_ours_reaches_the_provider_from_anywhere(
    guarded: Proxy, provider: Provider, lines: list[tuple[bytes, str]]
) -> None:
    encoded = [(key, value.encode()) for key, value in lines]
    assert wire.ask(guarded.url, wire.request(lines=encoded)).status == 200
    assert provider.last.lines() == []


def test_health_needs_no_key(guarded: Proxy) -> None:
    for target in ("/livez", "/readyz", "/health"):
        assert ask(guarded, target, "GET").status == 200


def test_a_new_key_works_and_a_revoked_one_does_not(guarded: Proxy) -> None:
    made = json.loads(command(guarded, "key", "create", "laptop", "--team", "core", "--json").stdout)
    proxies.eventually(lambda: ask(guarded, x_headroom_key=made["secret"]).status, lambda status: status == 200)
    row = proxies.eventually(lambda: guarded.rows("key_label = ?", "laptop"), bool)[-1]
    assert (row["team"], row["key_id"]) == ("core", made["id"])
    assert command(guarded, "key", "revoke", "laptop").returncode == 0
    proxies.eventually(lambda: ask(guarded, x_headroom_key=made["secret"]).status, lambda status: status == 401)


def test_an_open_bind_without_any_key_makes_one_and_shows_it_once(
    start_proxy: Callable[..., Proxy], provider: Provider
) -> None:
    proxy = start_proxy("--host", "0.0.0.0")
    secrets = [word for word in proxy.output.split() if word.startswith("hr_") and len(word) > 30]
    assert len(secrets) == 1
    assert ask(proxy).status == 401
    assert ask(proxy, x_headroom_key=secrets[0]).status == 200
    proxy.stop()
    proxy.start()
    assert proxy.output.count(secrets[0]) == 1


def test_on_loopback_nobody_needs_a_key_but_a_wrong_one_is_said_to_be(proxy: Proxy, provider: Provider) -> None:
    heard = ask(proxy, authorization="Bearer sk-ant-real")
    assert heard.status == 200
    assert proxy.row_of((heard.header(b"x-headroom-request-id") or b"").decode())["owner"] == "local"
    assert ask(proxy, x_api_key=OTHER_KEY).status == 401


@pytest.mark.parametrize(
    ("method", "target"),
    [
        *((method, target) for method in ("GET", "HEAD") for target in ("/livez", "/readyz", "/health", "/dashboard")),
        ("GET", "/v1/retrieve/stats"),
        ("GET", "/v1/retrieve/" + "0" * 24),
    ],
)
def test_pages_that_took_another_name_for_us_read_nothing(proxy: Proxy, target: str, method: str) -> None:
    def status(**lines: str) -> int:
        return wire.ask(proxy.url, _get(method, target, **lines), has_body=False).status

    for host in (
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8787",
        "",
        "[::1].evil.example",
        "localhost@evil.example",
    ):
        assert status(host=host) in (400, 403)
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8787", "127.0.0.1:8787"):
        assert status(host=host) not in (400, 403)
    assert status(host="localhost:8787", origin="http://evil.example") == 403
    assert status(host="localhost:8787", origin="null") == 403
    assert status(host="localhost:8787", sec_fetch_site="cross-site") == 403
    assert status(host="localhost:8787", origin="http://localhost:8787") not in (400, 403)


def test_writing_to_our_own_routes_from_another_site_is_refused(proxy: Proxy) -> None:
    for target in ("/v1/compress", "/v1/retrieve", "/v1/retrieve/tool_call"):
        assert ask(proxy, target, host="evil.example").status == 403
        assert ask(proxy, target, origin="https://evil.example").status == 403


def test_a_name_of_ours_can_be_added(guarded: Proxy) -> None:
    assert wire.ask(guarded.url, _get("GET", "/livez", host="gateway.example:80")).status == 200
    assert wire.ask(guarded.url, _get("GET", "/livez", host="other.example")).status == 403


@pytest.mark.parametrize(
    ("path", "target", "project"),
    [
        ("/p/shop/v1/messages", b"/v1/messages", "shop"),
        ("/p/shop/messages", b"/v1/messages", "shop"),
        ("/p/my%20shop%2Feu/v1/messages?a=%2F/b", b"/v1/messages?a=%2F/b", "my shop/eu"),
        ("/p/%F0%9F%99%82/v1/messages", b"/v1/messages", "🙂"),
        ("/p/v1/v1/messages", b"/v1/messages", "v1"),
    ],
)
def test_a_project_in_the_path_is_taken_out_of_it(
    proxy: Proxy, provider: Provider, path: str, target: bytes, project: str
) -> None:
    heard = ask(proxy, path)
    assert provider.last.target == target
    row = proxy.row_of((heard.header(b"x-headroom-request-id") or b"").decode())
    assert (row["project"], row["route"]) == (project, "/v1/messages")


def test_a_header_names_the_project_before_the_path_does(proxy: Proxy, provider: Provider) -> None:
    heard = ask(proxy, "/p/path/v1/messages", x_headroom_project="header")
    assert proxy.row_of((heard.header(b"x-headroom-request-id") or b"").decode())["project"] == "header"


@pytest.mark.parametrize(
    ("lines", "dialect"),
    [
        ({"x_api_key": "sk"}, "anthropic"),
        ({"anthropic_version": "2023-06-01"}, "anthropic"),
        ({"authorization": "Bearer sk-ant-oat"}, "anthropic"),
        ({"authorization": "Bearer sk-proj"}, "openai"),
        ({}, "openai"),
    ],
)
def test_unknown_paths_go_to_the_provider_of_their_credentials(
    proxy: Proxy, provider: Provider, lines: dict[str, str], dialect: str
) -> None:
    heard = ask(proxy, "/v1/models", "GET", **lines)
    assert proxy.row_of((heard.header(b"x-headroom-request-id") or b"").decode())["provider"] == dialect


def test_originals_are_for_their_owner_alone(guarded: Proxy, provider: Provider) -> None:
    ours, theirs = (
        json.loads(command(guarded, "key", "create", team, "--team", team, "--json").stdout)["secret"]
        for team in ("payments", "rivals")
    )
    log = "\n".join(f"12:00:{n % 60:02} INFO owner run {n} took {n % 7} ms, nothing else to say" for n in range(800))
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": log}]},
    ]
    body = json.dumps({"model": "m", "messages": messages}).encode()
    proxies.eventually(
        lambda: wire.ask(guarded.url, wire.request(body=body, lines=[(b"x-headroom-key", ours.encode())])),
        lambda heard: heard.status == 200,
    )
    sent = provider.last.json["messages"][1]["content"][0]["content"]
    digest = sent.rpartition("/v1/retrieve/")[2][:24]
    assert len(digest) == 24
    mine = proxies.eventually(
        lambda: ask(guarded, f"/v1/retrieve/{digest}", "GET", x_headroom_key=ours), lambda heard: heard.status == 200
    )
    assert json.loads(mine.body)["original_content"] == log
    proxies.eventually(
        lambda: ask(guarded, f"/v1/retrieve/{digest}", "GET", x_headroom_key=theirs).status,
        lambda status: status == 404,
    )
    unknown = "0" * 24
    for path in ("/v1/retrieve", "/v1/retrieve/tool_call"):
        answers = {
            (heard.status, heard.body.replace(hash.encode(), b""))
            for hash in (digest, unknown)
            for heard in [fetch(guarded, path, hash, theirs)]
        }
        assert len(answers) == 1, "a hash of another team's is as unknown as one of nobody's"
        assert log[:40].encode() not in answers.pop()[1]
        assert b"owner run 700 took" in fetch(guarded, path, digest, ours).body


def fetch(proxy: Proxy, path: str, hash: str, secret: str) -> wire.Heard:
    call = {"id": "t", "name": "headroom_retrieve", "input": {"hash": hash, "query": "run 700"}}
    asked = {"tool_call": call} if path.endswith("tool_call") else call["input"]
    lines = [(b"x-headroom-key", secret.encode())]
    return wire.ask(proxy.url, wire.request("POST", path.encode(), lines, json.dumps(asked).encode()))


def test_a_second_proxy_on_the_workspace_is_refused(proxy: Proxy) -> None:
    second = Proxy(proxy.workspace, "http://127.0.0.1:9")
    second._output = proxy.workspace.with_name("second.log")
    second.start(expect_ready=False)
    assert second.process is not None
    assert second.process.wait(proxies.START_S) == 1
    assert "in use by process" in second.output
    assert str(proxy.pid) in second.output
    assert "Traceback" not in second.output


def test_a_busy_port_is_refused_by_its_number(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Proxy(tmp_path_factory.mktemp("busy") / "workspace", "http://127.0.0.1:9")
    other.port = proxy.port
    other.start(expect_ready=False)
    assert other.process is not None
    assert other.process.wait(proxies.START_S) == 1
    assert f"port {proxy.port}" in other.output
    assert "Traceback" not in other.output


def test_the_workspace_is_private(proxy: Proxy) -> None:
    for path in (
        proxy.workspace,
        proxy.workspace / "secret.key",
        *proxy.workspace.glob("journal/*"),
        *proxy.workspace.glob("journal/*/*.jsonl"),
    ):
        assert path.stat().st_mode & 0o077 == 0, path


def _get(method: str, target: str, **lines: str) -> bytes:
    head = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode()
