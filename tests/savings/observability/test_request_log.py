from __future__ import annotations

import json
import stat

from savings.observability.bodies import MAX_BODY_BYTES, Waiting
from savings.observability.request_log import RequestLog
from savings.pricing import Price, PricedReceipt, Saving
from savings.receipts import Usage
from tests.savings.receipts import make_receipt


def booked(**admission: object) -> PricedReceipt:
    receipt = make_receipt({"tokens_before": 100, "tokens_after": 40, **admission})
    return PricedReceipt(receipt, Usage(input_fresh=3), "measured", Price(12, "test", ""), Saving(-4))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_call_is_a_line_that_its_owner_alone_can_read(tmp_path):
    log = RequestLog(tmp_path / "calls.jsonl")
    log([booked(project="a\nb"), booked()])
    log.close()
    first, _ = lines(tmp_path / "calls.jsonl")
    assert (first["project"], first["tokens_saved"], first["savings_percent"]) == ("a\nb", 60, 60.0)
    assert (first["cost_nano_usd"], first["saved_nano_usd"], first["cache_read_tokens"]) == (12, -4, None)
    assert "request_body" not in first
    assert stat.S_IMODE((tmp_path / "calls.jsonl").stat().st_mode) == 0o600


def test_rotation_goes_on_in_a_new_file(tmp_path):
    path = tmp_path / "calls.jsonl"
    log = RequestLog(path)
    log([booked()])
    path.rename(tmp_path / "calls.jsonl.1")
    log([booked()])
    log.reopen()
    log([booked()])
    log.close()
    assert len(lines(tmp_path / "calls.jsonl.1")) == 2
    assert len(lines(path)) == 1


def test_bodies_are_in_the_line_when_they_are_kept(tmp_path):
    waiting, entry = Waiting(), booked()
    bodies = waiting.expect(entry.receipt.admission.call_id, b'{"long":1}', b'{"short":1}')
    bodies.answer(b"an ")
    bodies.answer(b"answer")
    log = RequestLog(tmp_path / "calls.jsonl", waiting.recall)
    log([entry])
    log.close()
    line = lines(tmp_path / "calls.jsonl")[0]
    assert line["request_body"] == '{"long":1}'
    assert line["sent_body"] == '{"short":1}'
    assert line["response_body"] == "an answer"


def test_a_huge_answer_is_cut_and_says_so():
    bodies = Waiting().expect("x", b"", b"")
    for _ in range(5):
        bodies.answer(b"x" * (MAX_BODY_BYTES // 4))
    assert len(bodies.answered) < MAX_BODY_BYTES + 100
    assert bodies.answered.endswith(b"]")
