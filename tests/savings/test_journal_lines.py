from __future__ import annotations

import uuid

import pytest

from savings import journal_lines
from savings.receipts import Admission, Reserved, Usage
from tests.savings.receipts import make_admission, make_settlement


def test_what_was_set_aside_for_a_call_is_written_down_with_it() -> None:
    reserved = (Reserved(7, 2**53 - 1, is_leased=True), Reserved(8, 0, is_leased=False))
    admission = make_admission(reserved=reserved, holder="worker")
    assert journal_lines.parse(journal_lines.admitted(admission)) == admission
    odd = make_admission(reserved=reserved, holder="worker", model="\ud800")
    parsed = journal_lines.parse(journal_lines.admitted(odd))
    assert isinstance(parsed, Admission)
    assert parsed.reserved == reserved


@pytest.mark.parametrize(
    "item",
    ['{"period":1}', '{"period":"1","nano_usd":1,"is_leased":true}', '{"period":1,"nano_usd":1.5,"is_leased":1}'],
)
def test_a_line_that_set_aside_nonsense_is_rejected(item: str) -> None:
    line = journal_lines.admitted(make_admission()).replace(b'"reserved":[]', b'"reserved":[' + item.encode() + b"]")
    with pytest.raises(journal_lines.BadLine):
        journal_lines.parse(line)


def test_what_a_call_would_have_been_billed_is_written_down_with_its_end() -> None:
    settled = make_settlement(str(uuid.uuid4()), counterfactual=Usage(1, 2, 3, 4, 5), cache_outcome="hit")
    assert journal_lines.parse(journal_lines.settled(settled)) == settled
