"""A result that says again what the model still sees: a word about the earlier copy instead of another one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from headroom import commands, duplicates, pipeline, tokens
from headroom.duplicates import Repeat, Visible
from headroom.values import ToolCall
from proxy import files
from proxy.decisions import Decided
from proxy.values import ToolResult

MIN_CHARS = 400
"""Naming the copy takes a line of its own: a third of so short a text."""
MAX_CHARS = 400_000
MAX_COPIES = 3
"""Of the earlier results, those that share most lines with the new one are looked at word for word."""
MAX_FORMS = 12
MAX_FORM_CHARS = 50_000
"""Of the shortened results of the same tool, the latest are looked at, as far as they are short enough to do that at once."""
MIN_SHARED = 0.3
MIN_LINE_CHARS = 8
MAX_REMEMBERED_LINES = 400_000
MARGIN = 0.9
"""A form that sends the model back up must be this much shorter than the one without."""
MAX_LABEL_CHARS = 60


@dataclass(frozen=True, slots=True)
class Earlier:
    """A result that stands before the new ones, and its key. `shortened` is the form that it goes out in when something of
    it was left out, "" when nothing was."""

    key: str
    result: ToolResult
    shortened: str = ""


class Repeats:
    """Finds earlier copies; remembers which lines results have, so that each is looked through once."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, frozenset[int]] = OrderedDict()
        self._remembered_lines = 0

    def decided(self, result: ToolResult, alone: Decided, earlier: Sequence[Earlier]) -> Decided | None:
        """The decision to refer to an earlier result, if that is clearly shorter than what would be sent without it."""
        found = self._find(result, earlier)
        made = _whole(*found, alone) if found else None
        return made or _shortened_alike(result, alone, earlier)

    def _find(self, result: ToolResult, earlier: Sequence[Earlier]) -> tuple[Repeat, str] | None:
        """The result by reference to an earlier one, and that one's key. Where something was left out of that, it can only
        be said that the new result is exactly the same."""
        if not MIN_CHARS <= len(result.text) <= MAX_CHARS:
            return None
        same = [one for one in earlier if one.result.text == result.text]
        closest = same[-1:] or self._closest(result, [one for one in earlier if not one.shortened])
        if not closest:
            return None
        repeat = duplicates.refer(result.text, [Visible(_label(one, earlier), one.result.text) for one in closest])
        return (repeat, closest[repeat.source].key) if repeat else None

    def _closest(self, result: ToolResult, earlier: Sequence[Earlier]) -> list[Earlier]:
        wanted = _lines(result.text)
        shared = [(len(wanted & self._lines_of(one)), n) for n, one in enumerate(earlier)]
        enough = max(1.0, MIN_SHARED * len(wanted))
        best = sorted((pair for pair in shared if pair[0] >= enough), reverse=True)[:MAX_COPIES]
        return [earlier[n] for _, n in sorted(best, key=lambda pair: pair[1])]

    def _lines_of(self, one: Earlier) -> frozenset[int]:
        known = self._lines.get(one.key)
        if known is None:
            known = self._lines[one.key] = _lines(one.result.text)
            self._remembered_lines += len(known)
            while self._remembered_lines > MAX_REMEMBERED_LINES and len(self._lines) > 1:
                self._remembered_lines -= len(self._lines.popitem(last=False)[1])
        else:
            self._lines.move_to_end(one.key)
        return known


def _whole(repeat: Repeat, source: str, alone: Decided) -> Decided | None:
    after = tokens.estimate(repeat.form.text)
    if after > MARGIN * alone.tokens_after:
        return None
    return Decided(
        repeat.form.text,
        repeat.form.name,
        "",
        alone.tokens_before,
        after,
        refers_to=source,
        policy_version=alone.policy_version,
    )


def _shortened_alike(result: ToolResult, alone: Decided, earlier: Sequence[Earlier]) -> Decided | None:
    """The shortened form by reference to that of an earlier result, as when the same command runs again; its own marker
    stays at its end."""
    form = alone.form or ""
    if not alone.original_hash or not MIN_CHARS <= len(form) <= MAX_FORM_CHARS:
        return None
    named = [one for one in earlier if one.shortened and one.result.tool == result.tool]
    alike = [one for one in named if len(one.shortened) <= MAX_FORM_CHARS][-MAX_FORMS:]
    repeat = duplicates.refer(form, [Visible(_label(one, earlier), one.shortened) for one in alike])
    if repeat is None or not pipeline.is_shrunk(repeat.form.text):
        return None
    after = tokens.estimate(repeat.form.text)
    if after > MARGIN * alone.tokens_after:
        return None
    return replace(
        alone,
        form=repeat.form.text,
        label=f"{alone.label}+{repeat.form.name}",
        tokens_after=after,
        refers_to=alike[repeat.source].key,
    )


def _lines(text: str) -> frozenset[int]:
    """The lines of a text worth comparing, without the numbers that tools write before them."""
    bare = (line.lstrip(" 0123456789").lstrip("\t→:|").strip() for line in text.split("\n"))
    return frozenset(hash(line) for line in bare if len(line) >= MIN_LINE_CHARS)


def _label(one: Earlier, earlier: Sequence[Earlier]) -> str:
    name = _name(one.result)
    if sum(_name(other.result) == name for other in earlier) == 1:
        return name
    place = next(n for n, other in enumerate(earlier, 1) if other.key == one.key)
    return f"{name} (large result {place} of this conversation)"


def _name(result: ToolResult) -> str:
    touch = files.touched(result.tool, result.arguments)
    if touch is not None:
        return f"the {result.tool} of {touch.name}"
    command = " ".join(commands.line(ToolCall(result.tool, result.arguments)).split()) if result.tool else ""
    if command:
        cut = command if len(command) <= MAX_LABEL_CHARS else f"{command[:MAX_LABEL_CHARS]}…"
        return f"the output of `{cut}`"
    return f"the {result.tool or 'tool'} result"
