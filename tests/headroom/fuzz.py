"""`python -m tests.headroom.fuzz --minutes 10`: the engine's laws on bent real output, for as long as one likes.

Texts are drawn from the golden files and the shapes of the property tests, cut, spliced, doubled and sprinkled with
hostile characters; every shrinker and the whole pipeline must hold the laws. A finding is shrunk and printed.
"""

from __future__ import annotations

import argparse
import sys
import time

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from headroom import pipeline, tokens
from headroom.registry import SHRINKERS
from headroom.values import Level, Policy, Source, ToolCall
from tests.headroom import shapes

LEVELS: st.SearchStrategy[Level] = st.sampled_from(["lossless", "balanced", "deep"])
BATCH = 100
MAX_CHARS = 12_000
SEEDS = [path.read_text()[:MAX_CHARS] for path in sorted(shapes.GOLDEN.glob("*/*.in"))]
HOSTILE = [text(1)[:600] for _, text in sorted(shapes.HOSTILE.items())]
BITS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=8),
    st.sampled_from(["\x00", "\r\n", "\r", "\x1b[31m", "\ud800", "\u2028", "\ufeff", "\t", '"', "\\", "{", "]", "```", "[headroom left out x]"]),
)  # fmt: skip


@st.composite
def bent(draw: st.DrawFn) -> str:
    """Draw real output that something happened to."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.sampled_from([0, 1, 40, 400, 4_000])))
        match draw(st.sampled_from(["cut", "double", "insert", "splice", "swap lines"])):
            case "cut":
                text = text[:at] + text[end:]
            case "double":
                text = text[:end] + text[at:]
            case "insert":
                text = text[:at] + draw(BITS) + text[at:]
            case "splice":
                text = text[:at] + draw(st.sampled_from(SEEDS))[at:end] + text[at:]
            case _:
                text = "\n".join(draw(st.permutations(text.split("\n")[:40]))) + text[at:]
    return text[: 2 * MAX_CHARS]


def check(text: str, call: ToolCall, level: Level, words: tuple[str, ...]) -> None:
    """Fail when a law does not hold."""
    policy = Policy(level=level, min_tokens=20, keep_words=words)
    for shrinker in SHRINKERS.values():
        found = list(shrinker(Source(text, call, policy)))
        assert level != "lossless" or not any(form.is_lossy for form in found)
    outcome = pipeline.shrink(text, call=call, policy=policy)
    assert outcome == pipeline.shrink(text, call=call, policy=policy)
    assert not outcome.reason.startswith("failed")
    if not outcome.is_changed:
        assert outcome.text == text
        return
    assert outcome.text.strip() and outcome.tokens_after == tokens.estimate(outcome.text) < outcome.tokens_before
    assert pipeline.is_shrunk(outcome.text) == outcome.is_lossy
    assert pipeline.shrink(outcome.text, call=call, policy=policy).text == outcome.text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    end, number = time.monotonic() + 60 * options.minutes, options.first_seed
    while time.monotonic() < end:
        batch = settings(
            max_examples=BATCH, deadline=None, database=None, suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )  # fmt: skip
        texts = st.one_of(bent(), bent(), shapes.ANY)
        words = st.sampled_from([(), ("id", "status"), ("def", "pool", "a.py")])
        seed(number)(batch(given(text=texts, call=shapes.CALLS, level=LEVELS, words=words)(check)))()
        number += 1
        sys.stdout.write(f"seed {number - 1}: {BATCH} texts, no finding\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
