"""`headroom doctor` beside a serving proxy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

from tests.live.provider import Provider
from tests.live.proxies import ROOT, Proxy


def test_a_serving_proxy_with_its_providers_is_well(proxy: Proxy, provider: Provider) -> None:
    ended = call(proxy, "doctor", ANTHROPIC_BASE_URL=proxy.url)
    report = json.loads(ended.stdout)
    found = {finding["part"]: finding for finding in report["findings"]}
    assert (ended.returncode, report["is_well"]) == (0, True), report
    assert "a proxy serves at " in found["port"]["detail"]
    assert {found[part]["status"] for part in ("database", "anthropic", "openai", "clients", "workspace")} == {"ok"}
    assert not provider.last.header("authorization") and not provider.last.header("x-api-key")


def test_the_login_link_leads_to_the_proxy_that_runs(proxy: Proxy) -> None:
    assert json.loads(call(proxy, "dashboard").stdout)["url"].startswith(f"{proxy.url}/login/once?token=")
    assert "python3 manage.py dashboard " in proxy.output, "there may be no `headroom` to call in a checkout"


def test_a_proxy_on_postgres_is_found_under_whatever_port(
    start_proxy: Callable[..., Proxy], migrated_postgres_url: str
) -> None:
    proxy = start_proxy(HEADROOM_DATABASE_URL=migrated_postgres_url)
    report = json.loads(call(proxy, "doctor").stdout)
    details = [finding["detail"] for finding in report["findings"] if finding["part"] == "port"]
    assert details[0].startswith(f"a proxy serves at {proxy.url}, ")


def call(proxy: Proxy, name: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command as from another shell, which knows nothing of the flags that the proxy was given."""
    command = [sys.executable, "manage.py", name, "--json"]
    given = {**proxy.env, **env}
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=120, check=False)
