"""The engine's laws, for every registered shrinker and for the pipeline that chooses between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom import pipeline, tokens
from headroom.registry import SHRINKERS
from headroom.values import Level, Policy, Source, ToolCall
from tests.examples import examples
from tests.headroom import shapes

GOLDEN = Path(__file__).parent / "golden"
INPUTS = sorted(GOLDEN.glob("*/*.in"))
SMALL = examples(15)
LEVELS: st.SearchStrategy[Level] = st.sampled_from(["lossless", "balanced", "deep"])


def shrink(text: str, call: ToolCall, level: Level = "balanced") -> pipeline.Shrunk:
    return pipeline.shrink(text, call=call, policy=Policy(level=level, min_tokens=20))


@pytest.mark.parametrize("kind", sorted(SHRINKERS))
@SMALL
@given(text=shapes.ANY, call=shapes.CALLS, level=LEVELS)
def test_no_shrinker_raises_or_wavers(kind: str, text: str, call: ToolCall, level: Level) -> None:
    source = Source(text, call, Policy(level=level))
    found = list(SHRINKERS[kind](source))
    assert found == list(SHRINKERS[kind](source))
    assert level != "lossless" or not any(form.is_lossy for form in found)


@examples(60)
@given(text=shapes.ANY, call=shapes.CALLS, level=LEVELS)
def test_a_shrunk_text_is_shorter_marked_and_final(text: str, call: ToolCall, level: Level) -> None:
    outcome = shrink(text, call, level)
    assert outcome == shrink(text, call, level)
    assert outcome.tokens_after == tokens.estimate(outcome.text)
    if not outcome.is_changed:
        assert outcome.text == text
        return
    assert outcome.tokens_after < outcome.tokens_before
    assert outcome.text.strip()
    assert pipeline.is_shrunk(outcome.text) == outcome.is_lossy
    assert shrink(outcome.text, call, level).text == outcome.text


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
@pytest.mark.parametrize("level", ["lossless", "balanced", "deep"])
def test_real_output_obeys_the_laws(path: Path, level: Level) -> None:
    call = ToolCall("Bash", json.dumps({"command": "show"}))
    outcome = shrink(path.read_text(), call, level)
    assert not outcome.reason.startswith("failed")
    assert outcome.tokens_after <= outcome.tokens_before
    assert level != "lossless" or not outcome.is_lossy
    assert shrink(outcome.text, call, level).text == outcome.text


@pytest.mark.parametrize("name", sorted(shapes.HOSTILE))
def test_hostile_text_is_survived_in_linear_time(name: str) -> None:
    small, large = shapes.HOSTILE[name](1), shapes.HOSTILE[name](4)
    for level in ("balanced", "deep"):
        outcome = shrink(large, ToolCall("Bash", '{"command": "cat x"}'), level)
        assert not outcome.reason.startswith("failed")
        assert outcome.tokens_after <= outcome.tokens_before
    assert shapes.grows_by_less_than(8, lambda: shrink(small, ToolCall()), lambda: shrink(large, ToolCall()))


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    script = "from tests.headroom import shapes; print(shapes.digest_of_golden_files())"
    environment = {**os.environ, "PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True) as other:
        ours = shapes.digest_of_golden_files()
        theirs, _ = other.communicate()
    assert theirs.strip() == ours
