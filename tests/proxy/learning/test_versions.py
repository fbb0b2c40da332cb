"""From a result that was shortened to the policy of the next conversation, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from budgets.models import Change
from headroom.values import Policy
from proxy import decisions, policies
from proxy.decisions import Batch
from proxy.learning import counts, cycle, in_force, judgement, uses, versions
from proxy.learning.models import FormCount, FormUse, PolicyVersion
from proxy.learning.parts import Part
from proxy.retrieval import lookup
from tests.proxy.requests import make_decided, make_result

pytestmark = pytest.mark.usefixtures("road_database")
NOW = datetime.now(UTC)
LIFE = timedelta(hours=48)
LOG = ("Bash", "log", "balanced")


@pytest.fixture(autouse=True)
def _nothing_is_in_force() -> Iterator[None]:
    yield
    in_force.stop()


def shorten(
    count: int,
    tool: str = "Bash",
    *,
    asked: int = 0,
    reread: int = 0,
    at: datetime = NOW,
    name: str = "",
    **fields: Any,
) -> None:
    """So many results were sent in one form; some of them were wanted back, some read again."""
    names = [f"{name}{tool}{n}" for n in range(count)]
    values = {"level": "balanced", **fields}
    made = {one: make_decided(original_hash=one.rjust(24, "0")[-24:], **values) for one in names}
    arguments = '{"file_path": "/src/a.py"}' if tool == "Read" else "{}"
    results = {one: make_result(f"text of {one}", tool=tool, arguments=arguments) for one in names}
    decisions.store(Batch("local", made, results), at, LIFE)
    for one in names[:asked]:
        lookup.note("local", made[one].original_hash, Part.SEARCH, at)
    uses.note_reread(names[:reread])


def test_counts_are_sums_of_what_happened_however_often_they_are_made() -> None:
    shorten(4, asked=1)
    shorten(2, "Read", reread=1, at=NOW - timedelta(days=1))
    for _ in range(2):
        counts.fold(NOW)
        bash, read = counts.cohorts(NOW)
        assert (bash.tool, bash.form, bash.level, bash.sent, bash.asked) == ("Bash", "log", "balanced", 4, 1)
        assert (bash.files, bash.parts, bash.tokens_before, bash.tokens_after) == (0, (("search", 1),), 400, 40)
        assert (read.sent, read.asked, read.files, read.reread) == (2, 0, 2, 1)
    assert FormCount.objects.count() == 2


def test_counts_outlive_what_they_were_counted_from() -> None:
    shorten(4, asked=1, at=NOW - timedelta(days=10))
    counts.fold(NOW)
    later = NOW + timedelta(days=10)
    assert uses.prune(later) == 4
    counts.fold(later)
    assert counts.cohorts(later)[0].sent == 4
    assert counts.prune(later) == 0 and counts.prune(later + timedelta(days=400)) == 1


def test_what_is_fetched_speaks_against_the_form_that_stood_for_it_then() -> None:
    hash = "a" * 24
    result = {"first": make_result("text"), "deep": make_result("text")}
    decisions.store(Batch("local", {"first": make_decided(original_hash=hash, level="balanced")}, result), NOW, LIFE)
    lookup.note("local", hash, Part.HEAD, NOW)
    later = NOW + timedelta(minutes=5)
    decisions.store(Batch("local", {"deep": make_decided(original_hash=hash, level="deep")}, result), later, LIFE)
    lookup.note("local", hash, Part.ERRORS, later)
    lookup.note("team:1", hash, Part.TAIL, later)
    asked = dict(FormUse.objects.values_list("level", "asked"))
    assert asked == {"balanced": Part.HEAD, "deep": Part.ERRORS}


def test_files_that_went_out_whole_are_what_others_are_compared_with() -> None:
    whole = make_decided(None, reason="no_gain", level="whole", label="")
    shown = make_result("text", tool="Read", arguments='{"file_path": "/src/a.py"}')
    part = make_result("text", tool="Read", arguments='{"file_path": "/src/a.py", "offset": 5}')
    results = {"a": shown, "b": part, "c": make_result()}
    decisions.store(Batch("local", dict.fromkeys(results, whole), results), NOW, LIFE)
    assert list(FormUse.objects.values_list("key", "level", "is_file")) == [("a", "whole", True)]


def test_a_form_that_was_wanted_back_is_proposed_adopted_and_gone_back_from() -> None:
    shorten(30, asked=20)
    shorten(30, "Grep", asked=1)
    proposed = cycle.run(NOW)
    assert proposed is not None and versions.rules_of(proposed) == (LOG,)
    (evidence,) = proposed.evidence
    assert (evidence["count"], evidence["total"], evidence["parts"]) == (20, 30, {"search": 20})
    assert (evidence["low"], evidence["saved_tokens"]) == (round(judgement.wilson(20, 30)[0], 4), 2700)
    again = cycle.run(NOW)
    assert again == proposed and PolicyVersion.objects.filter(state="proposed").count() == 1
    assert policies.usual("x").unwanted_forms == frozenset(), "a proposal changes nothing"

    versions.adopt(proposed.pk, by="olga")
    in_force.refresh()
    usual = policies.usual("x")
    assert (usual.version, usual.unwanted_forms) == (proposed.pk, {LOG})
    assert policies.pinned(usual, 1) == Policy(retrieval="x"), "older conversations keep theirs"
    assert cycle.run(NOW) is None, "nothing new"
    with pytest.raises(versions.NotOpen):
        versions.adopt(proposed.pk)

    first = PolicyVersion.objects.order_by("pk")[0]
    versions.adopt(first.pk, by="olga")
    in_force.refresh()
    assert policies.usual("x").unwanted_forms == frozenset()
    assert policies.pinned(policies.usual("x"), proposed.pk).unwanted_forms == {LOG}
    assert cycle.run(NOW) is None, "what was gone back from needs new evidence"
    trail = list(Change.objects.order_by("pk").values_list("actor", "action", "object_id"))
    assert trail == [("olga", "adopted", str(proposed.pk)), ("olga", "adopted", str(first.pk))]


def test_what_was_declined_needs_new_evidence() -> None:
    shorten(30, asked=20)
    proposed = cycle.run(NOW)
    assert proposed is not None
    versions.decline(proposed.pk, by="olga")
    tomorrow = NOW + timedelta(days=2)  # it may be midnight right now
    assert cycle.run(tomorrow) is None
    shorten(30, asked=20, at=tomorrow, name="new")
    second = cycle.run(tomorrow)
    assert second is not None and second != proposed and second.evidence[0]["total"] == 30
    with pytest.raises(versions.NotOpen):
        versions.decline(proposed.pk)
    with pytest.raises(versions.NoSuchVersion):
        versions.adopt(12345)


def test_a_proposal_follows_the_counts() -> None:
    shorten(30, asked=20)
    first = cycle.run(NOW)
    shorten(30, "Grep", asked=25)
    second = cycle.run(NOW)
    assert first is not None and second is not None and second != first
    first.refresh_from_db()
    assert first.state == "superseded"
    with pytest.raises(versions.NotOpen):
        versions.adopt(first.pk)
    assert versions.rules_of(second) == (LOG, ("Grep", "log", "balanced"))
    shorten(900, name="more")
    shorten(900, "Grep", name="more")
    assert cycle.run(NOW) is None
    second.refresh_from_db()
    assert second.state == "superseded"


def test_a_setting_adopts(settings: Any) -> None:
    settings.TOIN_AUTO_ADOPT = True
    shorten(30, asked=20)
    adopted = cycle.run(NOW)
    assert adopted is not None and versions.in_force() == adopted
    assert adopted.decided_by == versions.BY_SETTING


def test_what_was_only_observed_teaches_nothing(settings: Any) -> None:
    settings.OBSERVE = True
    shorten(4)
    assert not FormUse.objects.exists()


def test_windows_learn_from_all_forms_of_a_tool() -> None:
    shorten(30, asked=3)
    shorten(30, asked=12, name="deep", level="deep")
    shorten(5, "Grep", asked=5)
    counts.fold(NOW)
    assert counts.asked_shares(NOW) == {"Bash": 0.25}
