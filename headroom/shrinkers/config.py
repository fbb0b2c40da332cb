"""Configuration: YAML, TOML, INI and what `kubectl` and `helm` print in these shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headroom import reading
from headroom.shrinkers import kubernetes, outline
from headroom.values import Form, Source

_COMMENT = re.compile(r"\s*(?:#|;|//)(?!!)")


def forms(source: Source) -> Iterable[Form]:
    """Yield the configuration without what carries no information, parts that come again said once.

    A file that was read may be quoted by the next edit: at first sight it stays as it is.
    """
    text, level = source.text, source.policy.level
    if kubernetes.is_description(text):
        if level != "lossless":
            yield from kubernetes.description_forms(text)
        return
    if kubernetes.is_object(text):
        if level != "lossless":
            yield from kubernetes.object_forms(text)
        return
    if reading.is_quotable(source):
        return
    lines = text.split("\n")
    folded, saved = outline.fold_repeats(lines)
    if saved:
        yield Form("\n".join(folded), "config_repeats")
    if level == "deep":
        kept = [line.rstrip() for line in folded if line.strip() and not _COMMENT.match(line)]
        gone = len(folded) - len(kept)
        if gone and kept:
            yield Form(
                "\n".join(kept), "config_settings", f"{gone:,} of {len(lines):,} lines: comments and blank lines"
            )
