"""Configuration: YAML, TOML, INI and what `kubectl` and `helm` print in these shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headroom.shrinkers import kubernetes, outline
from headroom.values import Form, Source

_FILE_READ = re.compile(r"\b(?:cat|head|tail|sed|nl|less|bat)\b|file_?path|\"path\"", re.IGNORECASE)
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
    if level != "deep" and _is_file(source):
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


def _is_file(source: Source) -> bool:
    name = source.call.name.lower()
    return "read" in name or name in {"view", "cat", "open"} or bool(_FILE_READ.search(source.call.arguments[:2000]))
