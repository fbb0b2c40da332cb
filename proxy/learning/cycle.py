"""One round of learning: sum up, judge, propose, and adopt where a setting says so."""

from __future__ import annotations

import logging
from datetime import datetime

from django.conf import settings

from proxy.learning import counts, uses, versions
from proxy.learning.models import PolicyVersion

log = logging.getLogger("headroom.learning")


def run(now: datetime) -> PolicyVersion | None:
    """Do a round; running it twice changes nothing. Returns the proposal that came of it, adopted or not."""
    counts.fold(now)
    uses.prune(now)
    counts.prune(now)
    proposed = versions.propose(now)
    if proposed is not None and settings.TOIN_AUTO_ADOPT:
        proposed = versions.adopt(proposed.pk, by=versions.BY_SETTING)
        log.info("%s was adopted, as %s says", proposed, versions.BY_SETTING)
    return proposed
