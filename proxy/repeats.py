"""A result that says again what the model still sees: a word about the earlier copy instead of another one."""

from __future__ import annotations

import json
import re
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations, takewhile

from headroom import answers, changes, commands, duplicates, pipeline, tokens
from headroom.duplicates import Repeat, Visible
from headroom.shrinkers import echo, numbered, shared_start, shared_words
from headroom.values import ToolCall
from proxy import decisions, files
from proxy.decisions import Decided
from proxy.values import ToolResult, light

MIN_CHARS = 80
"""Naming the copy takes a line of its own: a third of so short a text."""
MAX_CHARS = 400_000
MAX_COPIES = 3
"""Of the earlier results, those that share most lines with the new one are looked at word for word."""
MAX_FORMS = 12
MAX_FORM_CHARS = 50_000
"""Of the results of the same tool, the latest are compared as they are sent, as far as they are short enough for that."""
MIN_SHARED = 0.15
MAX_RECORDS = 40
"""Of the earlier results, the latest are looked through for an earlier state of a record."""
MIN_LINE_CHARS = 8
MIN_ENDING_CHARS = 60
MAX_CALLS = 40
"""Of the calls in which the model wrote several lines, the latest are looked at."""
WRITTEN = "\\n"
"""A line break as JSON spells it: somebody wrote several lines."""
MAX_REMEMBERED_LINES = 400_000
MARGIN = 0.9
"""A form that sends the model back up must be this much shorter than the one without."""
MAX_LABEL_CHARS = 40
MAX_VALUE_CHARS = 16
"""Of a call: longer values make a reference longer than it is worth."""
MAX_VALUES = 4
MAX_ARGUMENTS_CHARS = 2_000
HEADS = (shared_start.HEAD, shared_words.HEAD)
MAX_HEAD_LINES = 8
_PLAIN_VALUE = re.compile(r"[\w.,:\[\] /-]+")
_VERB = re.compile(r'"command"\s*:\s*"(\w{1,20})"')
"""What a tool that does several things is to do with a file."""


@light
class Earlier:
    """A result that stands before the new ones, its key, "" where it has none, and how it goes out.

    `is_plain`: its lines are all there and in their places. `is_whole`: nothing is left out of it. `is_in_sight`: it is not
    old news, and says itself what it says.
    """

    key: str
    result: ToolResult
    shown: str
    is_plain: bool = True
    is_whole: bool = True
    is_in_sight: bool = True


Placed = tuple[Earlier, str]
"""A result, and where a sentence says that it stands, or when it came."""


class Repeats:
    """Finds earlier copies; remembers which lines results have, so that each is looked through once."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, frozenset[int]] = OrderedDict()
        self._remembered_lines = 0

    def decided(
        self,
        result: ToolResult,
        alone: Decided,
        earlier: Sequence[Earlier],
        calls: Sequence[ToolResult] = (),
        owner: str = "",
    ) -> Decided | None:
        """The decision to refer to an earlier result, or to what the call of one of `calls` wrote, if that is clearly shorter
        than what would be sent without it."""
        if len(result.text) < MIN_CHARS:
            return None
        placed = _placed(earlier, result)
        alike = [pair for pair in placed if pair[0].result.tool == result.tool and len(pair[0].shown) <= MAX_FORM_CHARS]
        said = _said_once(alone.form or result.text)
        alike = [pair for pair in alike[-MAX_FORMS:] if _said_once(pair[0].shown) == said]
        found = [
            self._whole(result, alone, placed),
            _shown_alike(alone, alike),
            _same_ending(result, alone, alike),
            _as_changed(result, earlier, alone),
            _as_answered(result, earlier, alone),
            _as_written(result, alone, calls, owner),
        ]
        best = min((one for one in found if one is not None), key=lambda one: one.tokens_after, default=None)
        return best if best is not None and best.tokens_after <= MARGIN * alone.tokens_after else None

    def _whole(self, result: ToolResult, alone: Decided, placed: Sequence[Placed]) -> Decided | None:
        found = self._find(result, placed)
        if found is None:
            return None
        repeat, source = found
        return Decided(
            repeat.form.text,
            repeat.form.name,
            "",
            alone.tokens_before,
            tokens.estimate(repeat.form.text),
            refers_to=source,
            policy_version=alone.policy_version,
        )

    def _find(self, result: ToolResult, placed: Sequence[Placed]) -> tuple[Repeat, str] | None:
        """The result by reference to an earlier one, and that one's key. Of one that goes out in another shape, it can only
        be said that the new result is exactly the same."""
        if len(result.text) > MAX_CHARS:
            return None
        same = [pair for pair in placed if pair[0].result.text == result.text]
        closest = same[-1:] or self._closest(result, [pair for pair in placed if pair[0].is_plain])
        if not closest:
            return None
        repeat = duplicates.refer(result.text, [Visible(where, one.result.text) for one, where in closest])
        return (repeat, closest[repeat.source][0].key) if repeat else None

    def _closest(self, result: ToolResult, placed: Sequence[Placed]) -> list[Placed]:
        wanted = _lines(result.text)
        shared = [(len(wanted & self._lines_of(one)), n) for n, (one, _) in enumerate(placed)]
        enough = max(1.0, MIN_SHARED * len(wanted))
        best = sorted((pair for pair in shared if pair[0] >= enough), reverse=True)[:MAX_COPIES]
        return [placed[n] for _, n in sorted(best, key=lambda pair: pair[1])]

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


def _shown_alike(alone: Decided, alike: Sequence[Placed]) -> Decided | None:
    """The form by reference to that of an earlier result, as when the same command runs again; a marker stays at its end."""
    form = alone.form or ""
    if not MIN_CHARS <= len(form) <= MAX_FORM_CHARS or numbered.NOTE in form:
        return None
    repeat = duplicates.refer(form, [Visible(where, one.shown) for one, where in alike])
    if repeat is None or (alone.original_hash and not pipeline.is_shrunk(repeat.form.text)):
        return None
    return _referring(alone, repeat.form.text, repeat.form.name, alike[repeat.source][0])


def _said_once(form: str) -> list[str]:
    """What a form says above its lines about all of them: under something else the same lines would mean something else."""
    return [line for line in form.split("\n", MAX_HEAD_LINES)[:MAX_HEAD_LINES] if line.startswith(HEADS)]


def _same_ending(result: ToolResult, alone: Decided, alike: Sequence[Placed]) -> Decided | None:
    """The form without the lines that an earlier result ends with as well: notes that a tool puts below all it says."""
    body, marker = _parted(alone.form or result.text)
    lines = body.split("\n")
    best, count, chars = None, 0, MIN_ENDING_CHARS
    for pair in alike:
        shared = _shared_ending(lines, _parted(pair[0].shown)[0].split("\n"))
        size = sum(map(len, lines[len(lines) - shared :]))
        if shared and size >= chars:
            best, count, chars = pair, shared, size
    if best is None:
        return None
    ending = f"[last {count} lines as {best[1]}]"
    return _referring(alone, "\n".join([*lines[: len(lines) - count], ending]) + marker, "same_ending", best[0])


def _as_changed(result: ToolResult, earlier: Sequence[Earlier], alone: Decided) -> Decided | None:
    """A record by what is not as in an earlier result: what services answer to a change of theirs."""
    records = [one for one in earlier if one.key][-MAX_RECORDS:]
    shown = [
        changes.Shown(one.result.tool or "tool", one.result.text, is_whole=one.is_in_sight and one.is_whole)
        for one in records
    ]
    found = changes.told(result.text, shown)
    return _referring(_whole_form(alone), found[0], "changes", records[found[1]]) if found else None


def _as_answered(result: ToolResult, earlier: Sequence[Earlier], alone: Decided) -> Decided | None:
    """An answer that says of its call what the first one of the tool said of another."""
    first = next((one for one in earlier if one.result.tool == result.tool), None)
    if first is None or not first.is_in_sight or first.shown != first.result.text or not result.tool:
        return None
    if not answers.is_told_by(result.text, result.arguments, first.result.text, first.result.arguments):
        return None
    form = f"[As the first {result.tool} result above, for this call]"
    if any(one.shown == form for one in earlier):
        form = f"[As the first {result.tool}]"  # what that means was said
    return _referring(_whole_form(alone), form, "same_answer", first)


def _as_written(result: ToolResult, alone: Decided, calls: Sequence[ToolResult], owner: str) -> Decided | None:
    """The text by reference to what the model wrote itself in an earlier call: a file that it looks at once more."""
    if len(result.text) > MAX_FORM_CHARS:
        return None
    text = result.text.replace("\r\n", "\n")
    wanted = _lines(text)
    if all(wanted.isdisjoint(_lines_of_call(call.arguments)) for call in calls if wrote(call.arguments)):
        return None
    named = _named([_call(call, owner) for call in calls])[-MAX_CALLS:]
    shown = [(text, _whole_form(alone)), *([(alone.form, alone)] if alone.form is not None else [])]
    shared = [(len(wanted & _lines_of_call(one.result.arguments)), n) for n, (one, _) in enumerate(named)]
    found: list[Decided] = []
    for count, n in sorted(shared, reverse=True)[:MAX_COPIES]:
        one, label = named[n]
        written = {f"{name} of {label}": lines for name, lines in echo.written(one.result.arguments).items()}
        forms = [(echo.referring(body, written), instead) for body, instead in shown if count]
        found += [_referring(instead, form, "written", one) for form, instead in forms if form is not None]
    return min(found, key=lambda one: one.tokens_after, default=None)


def _call(result: ToolResult, owner: str) -> Earlier:
    """The call that a result answers: in sight where the model wrote several lines in it."""
    is_in_sight = wrote(result.arguments)
    return Earlier(decisions.call_key(owner, result) if is_in_sight else "", result, "", is_in_sight=is_in_sight)


@lru_cache(maxsize=8192)
def wrote(arguments: str) -> bool:
    """Whether the model wrote several lines in a call; asked of all calls, turn after turn."""
    return WRITTEN in arguments


@lru_cache(maxsize=512)
def _lines_of_call(arguments: str) -> frozenset[int]:
    return _lines("\n".join(line for lines in echo.written(arguments).values() for line in lines))


def _whole_form(alone: Decided) -> Decided:
    """The decision to send a text as it is."""
    return replace(alone, form=None, label="", original_hash="", level="lossless")


def _parted(shown: str) -> tuple[str, str]:
    """A text without our marker, and the marker."""
    body, line, marker = shown.rpartition("\n")
    return (body, line + marker) if line and pipeline.is_shrunk(marker) else (shown, "")


def _shared_ending(lines: Sequence[str], others: Sequence[str]) -> int:
    pairs = zip(reversed(lines), reversed(others), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _referring(alone: Decided, form: str, name: str, source: Earlier) -> Decided:
    return replace(
        alone,
        form=form,
        label=f"{alone.label}+{name}" if alone.label else name,
        reason="",
        tokens_after=tokens.estimate(form),
        refers_to=source.key,
        level=alone.level if alone.original_hash else "lossless",
    )


def _lines(text: str) -> frozenset[int]:
    """The lines of a text worth comparing, without the numbers and signs that tools write before them."""
    bare = (line.lstrip(" 0123456789").lstrip("\t→:|+").strip() for line in text.split("\n"))
    return frozenset(hash(line) for line in bare if len(line) >= MIN_LINE_CHARS)


def _placed(earlier: Sequence[Earlier], again: ToolResult) -> list[Placed]:
    """Those in sight that a few words tell from all others, each with these words. Of the same call as the new result's it
    is enough to say when."""
    named = {id(one): f"in {label}" for one, label in _named(earlier, again)}
    same = [one for one in earlier if again.arguments and _is_same_call(one.result, again)]
    times = {id(same[0]): "the first time"} | {id(same[-1]): "last time"} if same else {}
    placed = [(one, times.get(id(one)) or named.get(id(one), "")) for one in earlier if one.is_in_sight]
    return [(one, where) for one, where in placed if where]


def _is_same_call(result: ToolResult, other: ToolResult) -> bool:
    return result.tool == other.tool and result.arguments == other.arguments


def _named(earlier: Sequence[Earlier], again: ToolResult | None = None) -> list[tuple[Earlier, str]]:
    """Those in sight that a few words tell from all others, each with these words: the only one, the latest, the first, or
    the one whose call has a value that neither those of the others nor the new one has."""
    names = [_name(one.result.tool, one.result.arguments) for one in earlier]
    counts, last = Counter(names), {name: n for n, name in enumerate(names)}
    first = {name: n for n, name in reversed([*enumerate(names)])}
    calls = [*zip(names, (one.result for one in earlier), strict=True)]
    calls += [(_name(again.tool, again.arguments), again)] if again is not None else []
    taken = Counter(
        (name, value) for name, result in calls if counts[name] > 2 for value in _values(result.tool, result.arguments)
    )
    found: list[tuple[Earlier, str]] = []
    for n, (one, name) in enumerate(zip(earlier, names, strict=True)):
        if not one.is_in_sight:
            continue
        if n in (last[name], first[name]):
            which = "" if counts[name] == 1 else "latest " if last[name] == n else "first "
            found.append((one, f"the {which}{name}"))
        else:
            values = _values(one.result.tool, one.result.arguments)
            found += [(one, f"the {name} with {value}") for value in values if taken[name, value] == 1][:1]
    return found


@lru_cache(maxsize=8192)
def _values(tool: str, arguments: str) -> tuple[str, ...]:
    """The short values of a call, with their names, and each two of them: not those beside a command, which do not say what
    it prints."""
    if len(arguments) > MAX_ARGUMENTS_CHARS:
        return ()
    if files.touched(tool, arguments) is None and commands.line(ToolCall(tool, arguments)):
        return ()
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError):
        return ()
    pairs = given.items() if isinstance(given, dict) else ()
    said = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in pairs]
    plain = [(name, value) for name, value in said if len(value) <= MAX_VALUE_CHARS and _PLAIN_VALUE.fullmatch(value)]
    singles = [f"{name} {value}" for name, value in plain[:MAX_VALUES]]
    return (*singles, *(f"{one} and {other}" for one, other in combinations(singles, 2)))


@lru_cache(maxsize=8192)
def _name(tool: str, arguments: str) -> str:
    touch = files.touched(tool, arguments)
    if touch is not None:
        verb = _VERB.search(arguments)
        return f"{verb[1] if verb else tool} of {touch.name}"
    command = " ".join(commands.line(ToolCall(tool, arguments)).split()) if tool else ""
    if command:
        half = MAX_LABEL_CHARS // 2
        cut = command if len(command) <= MAX_LABEL_CHARS else f"{command[:half]}…{command[-half:]}"
        return f"output of `{cut}`"
    return f"{tool or 'tool'} result"
