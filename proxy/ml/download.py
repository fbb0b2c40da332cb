"""Fetch a model from its hub into a folder: the only module that does, and only when somebody asks for it."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from proxy.ml import model


@dataclass(frozen=True, slots=True)
class Origin:
    """A file of a repository on the hub, at a fixed revision."""

    repository: str
    file: str
    revision: str


KOMPRESS = {
    model.MODEL: Origin(
        "chopratejas/kompress-v2-base", "onnx/kompress-int8-wo.onnx", "b1563631b35bfdcee37587ad530147497d820d4c"
    ),
    model.TOKENIZER: Origin("answerdotai/ModernBERT-base", "tokenizer.json", "main"),
}


class DownloadFailed(RuntimeError):
    """The hub does not answer, or has no such file."""


def fetch(folder: Path, *, endpoint: str | None = None) -> None:
    """Fill a folder with the model and its hashes; nothing half-done is left there. Raises DownloadFailed, BadModel."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise model.BadModel("huggingface_hub not installed: pip install 'headroom-proxy[ml]'")
    hub = importlib.import_module("huggingface_hub")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
        for name, origin in KOMPRESS.items():
            try:
                fetched = hub.hf_hub_download(
                    origin.repository, origin.file, revision=origin.revision, local_dir=draft, endpoint=endpoint
                )
            except (OSError, ValueError, hub.errors.HfHubHTTPError) as exc:
                raise DownloadFailed(f"{origin.repository}/{origin.file}: {exc}") from exc
            shutil.move(fetched, folder / name)
    model.write_sums(folder)
