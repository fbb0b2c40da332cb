"""Words about an outcome: they follow from what was measured."""

from __future__ import annotations

import json

import pytest

from headroom import explanations, pipeline
from headroom.values import Policy, Shrunk, ToolCall

CALL = ToolCall("Bash", '{"command": "cat app.log"}')
LOG = "\n".join(f"2024-01-02 03:04:{at % 60:02} INFO served /items/{at * 7} in {at % 90} ms" for at in range(600))
RECORDS = json.dumps([{"id": at, "zone": "eu-central-1", "state": "running"} for at in range(200)], indent=2)
NO_REPEATS = "".join(chr(0x4E00 + at * 7 % 20_000) for at in range(2_000))


def shrunk(text: str, policy: Policy) -> Shrunk:
    return pipeline.shrink(text, call=CALL, policy=policy)


def test_every_form_that_was_tried_has_a_verdict_and_one_a_round_is_kept() -> None:
    for text in (LOG, RECORDS):
        outcome = shrunk(text, Policy())
        told = explanations.attempts(outcome, Policy())
        assert len(told) == len(outcome.attempts) and all(attempt.verdict for attempt in told)
        kept = [attempt for attempt in told if attempt.verdict == "kept"]
        assert [attempt.round for attempt in kept] == [*range(len(kept))]
        assert kept[-1].tokens == outcome.tokens_after


def test_a_longer_form_is_told_which_one_beat_it() -> None:
    folders = "\n".join(f"src/app/part{at % 9}.py:{at}:    return value{at}" for at in range(90))
    told = {a.name: a.verdict for a in explanations.attempts(shrunk(folders, Policy()), Policy()) if a.round == 0}
    assert told["search_by_folder"] == "kept"
    assert told["search_by_file"] in (
        "longer than search_by_folder",
        "plainly longer than another form, so not counted",
    )


@pytest.mark.parametrize(
    ("text", "policy", "words"),
    [
        (LOG, Policy(), "which leaves out"),
        (RECORDS, Policy(level="lossless"), "Level lossless goes no further."),
        (RECORDS, Policy(target_ratio=0.6), "the mildest form that reaches the 60% asked for"),
        (LOG, Policy(excluded_tools=frozenset(["Bash"])), "the policy excludes this tool"),
        (LOG[:60], Policy(), "are fewer than the 60"),
        (NO_REPEATS, Policy(), "no form at level balanced saves 5%"),
    ],
)
def test_one_sentence_says_why_not_more(text: str, policy: Policy, words: str) -> None:
    assert words in explanations.why(shrunk(text, policy), policy)
