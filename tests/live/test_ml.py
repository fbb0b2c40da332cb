"""A proxy with a trained model: prose is shortened by it, and a folder that was tampered with is refused at start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from proxy.ml import model
from tests.live.provider import Provider
from tests.live.proxies import START_S, Proxy
from tests.proxy.ml.fixtures import make_folder
from tests.proxy.ml.test_prose import TEXT

for library in model.LIBRARIES:
    pytest.importorskip(library, reason=f"the [ml] extra is not installed: no {library}")


def test_prose_goes_out_without_the_words_that_the_model_lets_go(
    start_proxy: Callable[..., Proxy], provider: Provider, http: httpx.Client, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "model")
    proxy = start_proxy(HEADROOM_ML_MODEL_DIR=str(folder))
    assert http.get(f"{proxy.url}/health").json()["config"]["ml"] == "on"
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "WebFetch", "input": {"url": "x"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": TEXT}]},
    ]
    http.post(f"{proxy.url}/v1/messages", json={"model": "m", "max_tokens": 5, "messages": messages})
    sent = provider.last.json["messages"][1]["content"][0]["content"]
    assert sent.startswith("The pump turns beside ") and "words, as a trained model chose them" in sent
    proxy.stop()
    (folder / model.TOKENIZER).write_text("{}")
    proxy.start(expect_ready=False)
    assert proxy.process is not None and proxy.process.wait(START_S) == 2
    assert "is not the file whose hash is in SHA256SUMS" in proxy.output
