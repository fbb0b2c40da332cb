"""Records that come again: the law is that the earlier copy and what is said give back the new one."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headroom import changes
from headroom.changes import Shown

ORDER: dict[str, Any] = {
    "id": "W-1204",
    "customer": "ann.lee",
    "items": [{"name": "lamp", "price": 12.5}, {"name": "desk", "price": 210}],
    "coupon": None,
    "status": "pending",
}
FIELDS = st.dictionaries(
    st.sampled_from(["id", "state", "size", "owner", "tags", "note", "kind"]),
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=12), st.lists(st.integers(), max_size=3)),
)


def restored(said: str, earlier: dict[str, Any]) -> dict[str, Any]:
    head, body = said.split("\n")
    found = re.search(r" and without (.*), but:\]$", head)
    gone = json.loads(f"[{found[1]}]") if found else []
    return {**{name: value for name, value in earlier.items() if name not in gone}, **json.loads(body)}


def test_only_what_changed_is_said() -> None:
    after = {**ORDER, "status": "cancelled", "refund": 222.5}
    del after["coupon"]
    found = changes.told(json.dumps(after, indent=1), [Shown("get_order", json.dumps(ORDER))])
    assert found is not None
    assert found[0] == (
        '[As the latest get_order result above with "id":"W-1204" and without "coupon", but:]\n'
        '{"status":"cancelled","refund":222.5}'
    )
    assert restored(found[0], ORDER) == after


def test_numbers_keep_their_spelling() -> None:
    before = json.dumps(ORDER).replace("210", "210.00")
    found = changes.told(before.replace("210.00", "210.0").replace("12.5", "1e3"), [Shown("get_order", before)])
    assert found is None or '"price":210.0}' in found[0]
    assert changes.told(before.replace('"coupon": null', '"coupon": 1.10'), [Shown("get_order", before)])[0].endswith(  # type: ignore[index]
        '{"coupon":1.10}'
    )


def test_one_copy_is_named_that_cannot_be_taken_for_another_one() -> None:
    text, paid, sent = (json.dumps({**ORDER, "status": status}) for status in ("pending", "paid", "sent"))
    other = json.dumps({**ORDER, "id": "W-77-other"})
    shown = [Shown("get_order", text), Shown("get_order", paid, is_whole=False), Shown("get_order", other)]
    found = changes.told(sent, shown)
    assert found is not None and found[0].startswith("[As the first get_order") and found[1] == 0
    between = [Shown("get_order", text, is_whole=False), *shown[:1], *shown[1:2]]
    assert changes.told(sent, between) is None


def test_other_records_and_other_texts_are_no_changes() -> None:
    text = json.dumps(ORDER)
    unlike = json.dumps({"id": "W-1204", "items": [], "a": "some thing else" * 9})
    for one in (text.replace("W-1204", "W-1205"), unlike, "no record", f"[{text}]", f"{text}\n{text}", text[:-1], "{}"):
        assert changes.told(one, [Shown("get_order", text)]) is None
    assert changes.told(text.replace("pending", "paid"), [Shown("get_order", text, is_whole=False)]) is None


@given(FIELDS, FIELDS)
def test_nothing_is_lost(before: dict[str, Any], change: dict[str, Any]) -> None:
    before, after = {"key": "a-name", **before}, {"key": "a-name", **before, **change}
    found = changes.told(json.dumps(after), [Shown("get", json.dumps(before))])
    if found is not None:
        kept = restored(found[0], before)
        assert kept == after and {n: type(v) for n, v in kept.items()} == {n: type(v) for n, v in after.items()}


@given(st.text(), st.text())
def test_any_text_will_do(text: str, other: str) -> None:
    for one in (text, "{" + text, json.dumps({"a": text, "b": other})):
        changes.told(one, [Shown("get", other), Shown("get", json.dumps({"a": text}))])
