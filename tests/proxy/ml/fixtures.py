"""A model's folder for tests: see make_model.py."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

from proxy.ml import model

WORDS = {"[UNK]": 0, "very": 1, "really": 2, "quite": 3, "somewhat": 4, "[CLS]": 5}
SCORES = [0.9, 0.1, 0.2, 0.3, 0.5, 0.0]
"""By id: words that are not in the list are worth keeping."""


def make_folder(folder: Path) -> Path:
    """Fill a folder with the stand-in, its tokenizer and their hashes."""
    tokenizers = importlib.import_module("tokenizers")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).parent / "model.onnx", folder / model.MODEL)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", WORDS["[CLS]"])]
    )
    tokenizer.save(str(folder / model.TOKENIZER))
    model.write_sums(folder)
    return folder
