"""Fetching a model: from a hub on this machine that speaks as much of the protocol as it takes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from headroom_site.cli import main
from proxy.ml import download, model
from tests.proxy.ml.fixtures import make_folder

pytest.importorskip("onnxruntime", reason="the [ml] extra is not installed")
pytest.importorskip("huggingface_hub", reason="the [ml] extra is not installed")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, bytes]]]:
    source = make_folder(tmp_path / "source")
    files = {
        f"/{origin.repository}/resolve/{origin.revision}/{origin.file}": (source / name).read_bytes()
        for name, origin in download.KOMPRESS.items()
    }

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("X-Repo-Commit", "b" * 40)
            self.send_header("ETag", f'"{hashlib.sha256(content or b"").hexdigest()}"')
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(files.get(self.path, b""))

        def log_message(self, *arguments: object) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", files
        server.shutdown()
        thread.join()


def test_a_model_is_fetched_checked_and_ready(hub: tuple[str, dict[str, bytes]], tmp_path: Path) -> None:
    endpoint, files = hub
    folder = tmp_path / "models" / "kompress"
    result = CliRunner().invoke(main, ["download-model", str(folder), "--endpoint", endpoint])
    assert result.exit_code == 0, result.output
    assert f"HEADROOM_ML_MODEL_DIR={folder}" in result.stdout
    assert sorted(path.name for path in folder.iterdir()) == [model.SUMS, model.MODEL, model.TOKENIZER]
    assert [path.name for path in folder.parent.iterdir()] == ["kompress"]
    model.check(folder)
    files.clear()
    result = CliRunner().invoke(main, ["download-model", str(tmp_path / "other"), "--endpoint", endpoint])
    assert result.exit_code == 1 and "kompress-int8-wo.onnx" in result.stderr
