"""Django's own checks of a deployment, under the settings of docker-compose.yml."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {
    "headroom_database_url": "postgresql://nobody@127.0.0.1:1/none",
    "headroom_secret_key": "kC0YNo8xvH5gYl3c1jV2m9Zt7qWb4uRe6sXa0pLdFhGiJkQnTwEr2Ty8Ui5Op0As",
    "headroom_bootstrap_key": "hr_" + "b" * 48,
}


def compose_environment(folder: Path, **more: str) -> dict[str, str]:
    """What the proxy's container is given, with its secrets in a folder of ours."""
    web = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["web"]
    values = {name: "" if str(value).startswith("${") else str(value) for name, value in web["environment"].items()}
    for name, secret in SECRETS.items():
        (folder / name).write_text(secret)
    inside = {name: value.replace("/run/secrets", str(folder)) for name, value in values.items()}
    passed_on = {name: os.environ[name] for name in ("PATH", "HOME", "VIRTUAL_ENV") if name in os.environ}
    own = {"HEADROOM_HOST": "0.0.0.0", "HEADROOM_WORKSPACE_DIR": str(folder)}
    return {**passed_on, **inside, **own, **more}


@pytest.mark.parametrize("public_url", ["", "https://headroom.example.com"])
def test_the_deployment_checks_are_clean(tmp_path, public_url):
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=compose_environment(tmp_path, HEADROOM_PUBLIC_URL=public_url),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
