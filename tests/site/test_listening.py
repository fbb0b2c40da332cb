"""A proxy that anybody may use because only this machine can reach it, reached from elsewhere."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from headroom_site import listening
from tests.live import proxies

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("server", "is_elsewhere"),
    [
        (("127.0.0.1", 8787), False),
        (("127.0.0.2", 8787), False),
        (("::1", 8787), False),
        (("::ffff:127.0.0.1", 8787), False),
        (("/run/headroom.sock", None), False),
        (None, False),
        (("192.0.2.7", 8787), True),
        (("::ffff:192.0.2.7", 8787), True),
        (("2001:db8::1", 8787), True),
        (("fe80::1%eth0", 8787), True),
    ],
)
def test_addresses_of_this_machine_alone_are_known(server, is_elsewhere):
    assert listening.is_elsewhere(server) is is_elsewhere


def test_another_server_on_an_open_address_lets_nobody_in_unless_told_so(tmp_path):
    port = proxies.free_port()
    passed_on = {name: os.environ[name] for name in ("PATH", "HOME", "VIRTUAL_ENV") if name in os.environ}
    env = {**passed_on, "HEADROOM_WORKSPACE_DIR": str(tmp_path / "workspace")}
    migrate = [sys.executable, "manage.py", "migrate"]
    subprocess.run(migrate, cwd=ROOT, env=env, check=True, capture_output=True, timeout=120)
    serve = [
        sys.executable,
        "-m",
        "uvicorn",
        "headroom_site.asgi:application",
        "--host",
        "0.0.0.0",
        "--port",
        str(port),
    ]
    server = subprocess.Popen(serve, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        here = proxies.eventually(lambda: _status(f"http://127.0.0.1:{port}/livez"), bool)
        assert here == 200
        outside = _own_address()
        if outside:
            assert {_status(f"http://{outside}:{port}{path}") for path in ("/livez", "/dashboard", "/v1/models")} == {
                403
            }
    finally:
        server.terminate()
        server.wait(proxies.WAIT_S)


def _status(url: str) -> int:
    try:
        return httpx.get(url, trust_env=False, timeout=60).status_code
    except httpx.TransportError:
        return 0


def _own_address() -> str:
    """An address of this machine that is not its loopback; "" where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
