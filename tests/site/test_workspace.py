from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from headroom_site import workspace


def test_the_address_of_a_proxy_is_known_while_it_runs(tmp_path: Path) -> None:
    assert workspace.served_at(tmp_path) == ""
    held = workspace.lock(tmp_path, "http://127.0.0.1:9880")
    assert workspace.served_at(tmp_path) == "http://127.0.0.1:9880"
    with pytest.raises(workspace.WorkspaceInUse, match=f"by process {os.getpid()}:"):
        workspace.lock(tmp_path)
    os.close(held)
    assert (tmp_path / "headroom.lock").read_text().startswith(f"{os.getpid()}\n"), "a process of that number is there"
    assert workspace.served_at(tmp_path) == ""


def test_of_proxies_that_share_a_workspace_the_first_is_known(tmp_path: Path) -> None:
    first = workspace.announce(tmp_path, "http://127.0.0.1:9880")
    assert first is not None
    assert workspace.announce(tmp_path, "http://127.0.0.1:9881") is None
    assert workspace.served_at(tmp_path) == "http://127.0.0.1:9880"
    os.close(first)
    assert workspace.served_at(tmp_path) == ""
    os.close(workspace.lock(tmp_path))


def test_a_lock_of_an_older_version_names_no_address(tmp_path: Path) -> None:
    held = workspace.lock(tmp_path)
    (tmp_path / "headroom.lock").write_text(f"{os.getpid()}\n")
    assert workspace.served_at(tmp_path) == ""
    os.close(held)


def test_who_only_looks_keeps_no_proxy_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.close(workspace.lock(tmp_path))
    looking = (tmp_path / "headroom.lock").open()
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr("time.sleep", lambda _: looking.close())
    os.close(workspace.lock(tmp_path))
