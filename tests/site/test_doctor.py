"""`headroom doctor` names what is wrong and what to do; nothing of it needs a network."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from headroom_site import doctor
from headroom_site.doctor import Finding
from tests.live.proxies import free_port


@pytest.fixture(autouse=True)
def _alone(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installation of its own, whose providers are ports where nobody listens."""
    for name in ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    tmp_path.chmod(0o700)
    settings.WORKSPACE_DIR = tmp_path
    settings.PORT = free_port()
    settings.ANTHROPIC_API_URL = settings.OPENAI_API_URL = f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def found(transactional_db: None) -> dict[str, Finding]:
    return {finding.part: finding for finding in doctor.examine()}


def test_without_a_network_only_the_providers_are_a_problem(found: dict[str, Finding]) -> None:
    assert {part for part, finding in found.items() if finding.status == "problem"} == {"anthropic", "openai"}
    assert "cannot be reached" in found["openai"].detail and "HTTPS_PROXY" in found["openai"].hint
    assert (found["port"].status, found["clients"].status, found["redis"].detail) == ("note", "note", "not used")
    assert found["database"].status == "ok" and found["code-aware"].detail == "on"


@pytest.fixture
def _spoilt(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    settings.WORKERS, settings.IS_EMBEDDED = 2, True
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}"
    settings.ML_MODEL_DIR = str(tmp_path / "nowhere")
    settings.REQUIRE_KEY = True
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://localhost:{settings.PORT}/v1")
    tmp_path.chmod(0o755)
    with socket.create_server(("127.0.0.1", settings.PORT)) as stranger:
        stranger.settimeout(0.1)
        monkeypatch.setattr(doctor, "TIMEOUT_S", 0.3)
        yield


@pytest.mark.usefixtures("_spoilt")
def test_what_is_wrong_comes_with_what_to_do(found: dict[str, Finding]) -> None:
    assert "--workers 2 needs PostgreSQL and Redis" in found["settings"].detail
    assert found["workspace"].status == "warning" and found["workspace"].hint.startswith("chmod 700 ")
    assert found["redis"].status == "problem" and "HEADROOM_REDIS_URL" in found["redis"].hint
    assert found["port"].status == "problem" and "something else is at" in found["port"].detail
    assert found["ml"].status == "problem" and "SHA256SUMS cannot be read" in found["ml"].detail
    assert (found["keys"].status, found["clients"].status) == ("note", "ok")
