"""A token classifier in the Kompress format: an ONNX file that gives each token a score, and its tokenizer.

The folder holds `model.onnx` (int64 `input_ids` and `attention_mask` in, `final_scores` of the same shape out),
`tokenizer.json`, and `SHA256SUMS` with the hashes of both. Nothing is ever fetched; `headroom download-model` does that.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL, TOKENIZER, SUMS = "model.onnx", "tokenizer.json", "SHA256SUMS"
LIBRARIES = ("onnxruntime", "tokenizers")
MAX_TOKENS = 512
"""The longest text that such models were trained on; longer ones are scored in parts."""


class BadModel(ValueError):
    """The folder does not hold a model that can be used."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A token's place in a text and how much it is worth keeping, from 0 to 1."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Model:
    """A model ready for use."""

    session: Any
    tokenizer: Any

    def scores(self, text: str) -> list[Scored] | None:
        """Return the tokens of a text with their scores, in order; `None` when it has too many for one look."""
        encoding = self.tokenizer.encode(text)
        if len(encoding.ids) > MAX_TOKENS:
            return None
        (scores,) = self.session.run(
            ["final_scores"], {"input_ids": [encoding.ids], "attention_mask": [encoding.attention_mask]}
        )
        return [
            Scored(start, end, float(score))
            for (start, end), score, is_special in zip(
                encoding.offsets, scores[0], encoding.special_tokens_mask, strict=True
            )
            if not is_special
        ]


def check(folder: Path) -> None:
    """Raise BadModel unless the folder holds what it should, with the hashes that it says, and the libraries are there."""
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise BadModel(f"{' and '.join(missing)} not installed: pip install 'headroom-proxy[ml]'")
    sums = _sums(folder)
    for name in (MODEL, TOKENIZER):
        if name not in sums:
            raise BadModel(f"{folder / SUMS} does not name {name}")
        if _hash(folder / name) != sums[name]:
            raise BadModel(f"{folder / name} is not the file whose hash is in {SUMS}")


def load(folder: Path) -> Model:
    """Return the model of a folder. Raises BadModel."""
    check(folder)
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    # One thread: the other cores serve. The same sums in the same order, so that a machine gives the same scores again.
    options.intra_op_num_threads = 1
    options.use_deterministic_compute = True
    try:
        session = runtime.InferenceSession(str(folder / MODEL), options, providers=["CPUExecutionProvider"])
        tokenizer = importlib.import_module("tokenizers").Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as exc:  # both libraries raise classes of their own, some of them plain Exception
        raise BadModel(f"{folder} holds no usable model: {exc}") from exc
    tokenizer.no_truncation()
    tokenizer.no_padding()
    names = {put.name for put in [*session.get_inputs(), *session.get_outputs()]}
    if not {"input_ids", "attention_mask", "final_scores"} <= names:
        raise BadModel(f"{folder / MODEL} has {', '.join(sorted(names))}, not input_ids, attention_mask, final_scores")
    return Model(session, tokenizer)


def write_sums(folder: Path, names: Sequence[str] = (MODEL, TOKENIZER)) -> None:
    """Write down the hashes of a folder's files."""
    (folder / SUMS).write_text("".join(f"{_hash(folder / name)}  {name}\n" for name in names), encoding="utf-8")


def _sums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError as exc:
        raise BadModel(f"{folder / SUMS} cannot be read ({exc.strerror}): `headroom download-model` makes one") from exc
    pairs = (line.split() for line in lines if line.strip())
    return {pair[1].lstrip("*"): pair[0].lower() for pair in pairs if len(pair) == 2}


def _hash(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as exc:
        raise BadModel(f"{file} cannot be read ({exc.strerror})") from exc
