"""Was a form enough? Arithmetic over counts: the same counts give the same verdict.

Two things speak against a form of a tool's results. Either its originals are fetched: the lower end of Wilson's interval
for the share of results that were fetched is at least `TOO_OFTEN`. Or files are read again: the lower end of Newcombe's
interval for how much oftener that happens than to files of the same tool that went out as they came is at least that; a
file that is read twice anyway says nothing about its form.

Intervals have a confidence of 95 %, and fewer than `MIN_RESULTS` results say nothing at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from headroom.values import Level

Z = 1.96
MIN_RESULTS = 20
TOO_OFTEN = 0.2
"""From here on, fetching texts back costs more than their shorter forms saved, and the agent's patience besides."""

Rule = tuple[str, str, Level]
"""A tool, and a form at a level that its results shall not go out in."""

_FORMS: dict[str, Level] = {"lossless": "lossless", "balanced": "balanced", "deep": "deep"}


@dataclass(frozen=True, slots=True)
class Cohort:
    """Results of one tool that went out in one form; counts as `FormCount` has them, of any number of days."""

    tool: str
    form: str
    level: str
    sent: int
    asked: int = 0
    files: int = 0
    reread: int = 0
    parts: tuple[tuple[str, int], ...] = ()
    tokens_before: int = 0
    tokens_after: int = 0

    @property
    def is_lossy(self) -> bool:
        return self.level not in ("whole", "lossless")

    @property
    def saved_tokens(self) -> int:
        return self.tokens_before - self.tokens_after

    @property
    def asked_share(self) -> float:
        return self.asked / self.sent if self.sent else 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What speaks against a form: `count` of `total` results were fetched (`asked`) or read again (`reread`), which is
    `low` to `high` of all such results with 95 % confidence. `usual` is the share that is read again in any case."""

    rule: Rule
    why: Literal["asked", "reread"]
    count: int
    total: int
    low: float
    high: float
    usual: float = 0.0

    @property
    def share(self) -> float:
        return self.count / self.total


def findings(cohorts: Iterable[Cohort]) -> list[Finding]:
    """What speaks against forms that are in use, by tool, form and level."""
    known = sorted(cohorts, key=lambda one: (one.tool, one.form, one.level))
    found = []
    for cohort in known:
        level = _FORMS.get(cohort.level)
        if level is None or not cohort.tool or not cohort.form:
            continue
        rule = (cohort.tool, cohort.form, level)
        finding = _fetched(rule, cohort) or _read_again(rule, cohort, known)
        if finding is not None:
            found.append(finding)
    return found


def _fetched(rule: Rule, cohort: Cohort) -> Finding | None:
    if cohort.sent < MIN_RESULTS:
        return None
    low, high = wilson(cohort.asked, cohort.sent)
    return Finding(rule, "asked", cohort.asked, cohort.sent, low, high) if low >= TOO_OFTEN else None


def _read_again(rule: Rule, cohort: Cohort, all_of_them: Sequence[Cohort]) -> Finding | None:
    usual = [one for one in all_of_them if one.tool == cohort.tool and one.level == "whole"]
    files, reread = sum(one.files for one in usual), sum(one.reread for one in usual)
    if min(cohort.files, files) < MIN_RESULTS or excess(cohort.reread, cohort.files, reread, files) < TOO_OFTEN:
        return None
    low, high = wilson(cohort.reread, cohort.files)
    return Finding(rule, "reread", cohort.reread, cohort.files, low, high, usual=reread / files)


def wilson(count: int, total: int) -> tuple[float, float]:
    """The interval in which a share lies of which `count` of `total` were seen (Wilson's score, without correction)."""
    if not total:
        return 0.0, 1.0
    share, spread = count / total, Z * Z / total
    middle = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def excess(count: int, total: int, usual_count: int, usual_total: int) -> float:
    """The least by which one share is above another (Newcombe's interval from Wilson's two); negative if it may not be."""
    share, usual = count / total, usual_count / usual_total
    low, high = wilson(count, total)[0], wilson(usual_count, usual_total)[1]
    return share - usual - math.hypot(share - low, high - usual)
