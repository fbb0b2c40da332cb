"""`headroom doctor` beside a serving proxy."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.live.provider import Provider
from tests.live.proxies import ROOT, Proxy


def test_a_serving_proxy_with_its_providers_is_well(proxy: Proxy, provider: Provider) -> None:
    command = [sys.executable, "manage.py", "doctor", "--json"]
    env = {**proxy.env, "HEADROOM_PORT": str(proxy.port), "ANTHROPIC_BASE_URL": proxy.url}
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    report = json.loads(ended.stdout)
    found = {finding["part"]: finding for finding in report["findings"]}
    assert (ended.returncode, report["is_well"]) == (0, True), report
    assert "a proxy serves at " in found["port"]["detail"]
    assert {found[part]["status"] for part in ("database", "anthropic", "openai", "clients", "workspace")} == {"ok"}
    assert not provider.last.header("authorization") and not provider.last.header("x-api-key")
