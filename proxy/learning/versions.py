"""The only writer of `PolicyVersion`: proposed from counts, adopted or declined by somebody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import transaction

from budgets import trail
from proxy.aging.epochs import Tuning
from proxy.learning import counts, horizon, judgement
from proxy.learning.horizon import Horizon, Past
from proxy.learning.judgement import Cohort, Finding, Rule
from proxy.learning.models import PolicyVersion
from proxy.models import EpochRecord

OVER_AFTER = timedelta(days=2)
"""Hardly any conversation goes on that long after an epoch."""
MAX_EPOCHS = 20_000
BY_SETTING = "HEADROOM_TOIN_AUTO_ADOPT"
INSTEAD = {"deep": "a balanced form", "balanced": "one that is whole", "lossless": "the text as it came"}


class NoSuchVersion(LookupError):
    """No policy version has this number."""


class NotOpen(ValueError):
    """A version cannot be decided on in this way any more."""


def propose(now: datetime) -> PolicyVersion | None:
    """Have the proposal that the counts ask for stand there, with its evidence; `None` when they ask for nothing new.

    What was declined, or gone back from, is proposed again only on what was counted on later days.
    """
    past = list(PolicyVersion.objects.order_by("pk"))
    # Judged before anything is locked: it takes a while, and on SQLite everybody would wait for it.
    wanted = _wanted(past, now)
    with transaction.atomic():
        locked = list(PolicyVersion.objects.select_for_update().order_by("pk"))
        if [(one.pk, one.state, one.decided_at) for one in locked] != [
            (one.pk, one.state, one.decided_at) for one in past
        ]:
            return None  # somebody decided meanwhile; the next round knows
        is_open = next((one for one in locked if one.state == "proposed"), None)
        if is_open is not None and (wanted is None or not _says_the_same(is_open, wanted)):
            _decide(is_open, "superseded", now, by="later counts")
            is_open = None
        if wanted is not None and is_open is not None:
            is_open.evidence, is_open.horizon_evidence = wanted.evidence, wanted.horizon_evidence
        proposed = is_open or wanted
        if proposed is not None:
            proposed.save()
        return proposed


def _wanted(past: Sequence[PolicyVersion], now: datetime) -> PolicyVersion | None:
    """The version that the counts ask for, not saved yet."""
    kept = set(rules_of(_in_force(past)))
    turned_down = _turned_down(past, kept)
    evidence = counts.cohorts(now, lambda name, day: name not in turned_down or day > turned_down[name])
    found = [one for one in judgement.findings(evidence) if one.rule not in kept]
    turns = _horizon(past, now)
    if not found and turns is None:
        return None
    return PolicyVersion(
        rules=[list(rule) for rule in sorted(kept | {one.rule for one in found})],
        evidence=[_told(one, evidence) for one in found],
        horizon_share=turns.share if turns is not None else _share(_in_force(past)),
        horizon_evidence=_rounded(asdict(turns)) if turns is not None else None,
        created_at=now,
    )


def _says_the_same(one: PolicyVersion, other: PolicyVersion) -> bool:
    return rules_of(one) == rules_of(other) and one.horizon_share == other.horizon_share


def _horizon(past: Sequence[PolicyVersion], now: datetime) -> Horizon | None:
    """What epochs whose conversations are over say about the expected further turns; those since somebody last refused to
    hear it."""
    current = _in_force(past)
    share = _share(current)
    since = now - counts.EVIDENCE_FOR
    for one in past:
        was_refused = one.state == "declined" or (one.state == "adopted" and one != current)
        when = one.decided_at if one.state == "declined" or current is None else current.decided_at
        if was_refused and one.horizon_share not in (None, share) and when is not None:
            since = max(since, when)
    rows = EpochRecord.objects.filter(created_at__gt=since, created_at__lt=now - OVER_AFTER)
    figures = rows.order_by("-created_at").values_list("saved_tokens", "turn", "last_turn")[:MAX_EPOCHS]
    seen = [Past(saved, turn, max(0, last - turn)) for saved, turn, last in figures]
    return horizon.judge(seen, share if share is not None else Tuning().horizon_share)


def _share(version: PolicyVersion | None) -> float | None:
    return version.horizon_share if version is not None else None


def adopt(number: int, *, by: str = trail.COMMAND_LINE) -> PolicyVersion:
    """Put a version in force for conversations that begin from now on; an earlier one goes back to it. Raises NoSuchVersion
    or NotOpen."""
    with transaction.atomic():
        past = list(PolicyVersion.objects.select_for_update().order_by("pk"))
        version = _get(past, number)
        if version == _in_force(past):
            raise NotOpen(f"{version} is in force already")
        if version.state == "superseded":
            raise NotOpen(f"{version} is superseded: later counts do not support it any more, or not alone")
        _decide(version, "adopted", datetime.now(UTC), by=by)
        trail.record("adopted", version, by=by, rules=version.rules, horizon_share=str(version.horizon_share or ""))
    return version


def decline(number: int, *, by: str = trail.COMMAND_LINE) -> PolicyVersion:
    """Turn a proposal down: what spoke for it does not count any more. Raises NoSuchVersion or NotOpen."""
    with transaction.atomic():
        version = _get(list(PolicyVersion.objects.select_for_update()), number)
        if version.state != "proposed":
            raise NotOpen(f"{version} is {version.state}: only a proposal can be declined")
        _decide(version, "declined", datetime.now(UTC), by=by)
        trail.record("declined", version, by=by, rules=version.rules)
    return version


def in_force() -> PolicyVersion | None:
    """The version that new conversations begin with; `None` is the built-in policy."""
    return _in_force(list(PolicyVersion.objects.filter(state="adopted")))


@dataclass(frozen=True, slots=True)
class Standing:
    """A version, whether it is `in force`, `replaced` or as its state says, and its rules in words."""

    version: PolicyVersion
    name: str
    rules: list[str]


def history() -> list[Standing]:
    """All versions, the newest first."""
    past = list(PolicyVersion.objects.order_by("-pk"))
    now = _in_force(past)
    return [Standing(one, standing(one, now), in_words(one)) for one in past]


def in_words(version: PolicyVersion) -> list[str]:
    """What a version says: what is new in it, then the rest."""
    new = {tuple(one["rule"]) for one in version.evidence}
    rules = sorted(rules_of(version), key=lambda rule: rule not in new)
    return [*filter(None, [horizon_worded(version)]), *(worded(rule, version) for rule in rules)]


def standing(version: PolicyVersion, now: PolicyVersion | None) -> str:
    """What a version is, given the one in force."""
    if version.state == "adopted":
        return "in force" if version == now else "replaced"
    return version.state


def choices(version: PolicyVersion, now: PolicyVersion | None) -> frozenset[str]:
    """What can be done about a version, given the one in force: `adopt`, `decline`, both or neither."""
    adopt = {"adopt"} if version != now and version.state != "superseded" else set()
    return frozenset(adopt | ({"decline"} if version.state == "proposed" else set()))


def worded(rule: Rule, version: PolicyVersion) -> str:
    """A rule as people read it, with the evidence for it where the version has that."""
    tool, form, level = rule
    told = f"{tool}: no {form} at level {level}, but {INSTEAD[level]}"
    found = next((one for one in version.evidence if tuple(one["rule"]) == rule), None)
    if found is None:
        return told
    why = "wanted back" if found["why"] == "asked" else "read again"
    usual = f", {found['usual']:.0%} is usual" if found["why"] == "reread" else ""
    return (
        f"{told} ({found['count']:,} of {found['total']:,} {why}, {found['count'] / found['total']:.0%}; "
        f"95 % interval {found['low']:.0%} to {found['high']:.0%}{usual})"
    )


def horizon_worded(version: PolicyVersion) -> str:
    """What a version says about further turns as people read it, "" where it says nothing of its own."""
    if version.horizon_share is None:
        return ""
    told = f"epochs count on {version.horizon_share:.0%} of the turns so far to follow"
    found = version.horizon_evidence
    if not found:
        return told
    seen = f"{found['seen']:.0%}; 95 % interval {found['low']:.0%} to {found['high']:.0%}"
    return f"{told} (after {found['epochs']:,} epochs {seen})"


def rules_of(version: PolicyVersion | None) -> tuple[Rule, ...]:
    """What a version says is not to be used."""
    return tuple((tool, form, level) for tool, form, level in version.rules) if version is not None else ()


def _in_force(past: Sequence[PolicyVersion]) -> PolicyVersion | None:
    adopted = [one for one in past if one.state == "adopted"]
    return max(adopted, key=lambda one: (one.decided_at, one.pk), default=None)


def _turned_down(past: Sequence[PolicyVersion], kept: set[Rule]) -> dict[tuple[str, str, str], date]:
    """Rules that somebody did not want, and the last day on which that was said."""
    now = _in_force(past)
    found: dict[tuple[str, str, str], date] = {}
    for one in past:
        gone_back_from = one.state == "adopted" and now is not None and one != now
        when = now.decided_at if gone_back_from and now is not None else one.decided_at
        if (one.state == "declined" or gone_back_from) and when is not None:
            for rule in set(rules_of(one)) - kept:
                found[rule] = max(when.date(), found.get(rule, date.min))
    return found


def _get(past: Sequence[PolicyVersion], number: int) -> PolicyVersion:
    found = next((one for one in past if one.pk == number), None)
    if found is None:
        raise NoSuchVersion(f"there is no policy version {number}")
    return found


def _decide(version: PolicyVersion, state: str, now: datetime, *, by: str) -> None:
    version.state, version.decided_at, version.decided_by = state, now, by[:200]
    version.save(update_fields=["state", "decided_at", "decided_by"])


def _told(finding: Finding, evidence: Sequence[Cohort]) -> dict[str, object]:
    """A finding as it is kept, with what is at stake."""
    cohort = next(one for one in evidence if (one.tool, one.form, one.level) == finding.rule)
    numbers = {name: value for name, value in _rounded(asdict(finding)).items() if isinstance(value, float)}
    return {
        "rule": list(finding.rule),
        "why": finding.why,
        "count": finding.count,
        "total": finding.total,
        **numbers,
        "parts": dict(cohort.parts),
        "saved_tokens": cohort.saved_tokens,
    }


def _rounded(numbers: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in numbers.items()}
