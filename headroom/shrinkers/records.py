"""Output that repeats one block of lines per thing, as `stat`, `lspci -v`, `ip addr`, `show interface`, `psql -x` or `\\G` do."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from headroom.shrinkers import drawn, trouble
from headroom.shrinkers.grid import Item, Row, Sheet, unique, weight
from headroom.values import Form, Level

MIN_RECORDS = 2
MAX_RECORD_LINES = 600
_KEY = re.compile(
    r"\s*+(?!\|\s)([^\s:=][^:=\t]{0,60}?)(?=[\s.:=|])(?: *\|(?=\s|$)| ?\.{3,} ?:? ?|\s*:(?=\s|$)|\s*=|\t+| {2,}| is (?=\S)|:(?=\S))"
)
_FIELD = re.compile(r"(?:\t(?<=\S\t)|  (?<=\S  ))[ \t]*+(?=[\w(][\w./()-]{0,30}(?: [\w./()-]{1,30}){0,5}: )")
_NUMBER = re.compile(r"\d[\da-fA-F.:]*")
# A line drawn across with a number in it, as SQL shells begin a row with: `-[ RECORD 7 ]-+----`, `**** 7. row ****`.
_BANNER = re.compile(
    r"(?=.{12})([-*=#])[-*=#]*+[\[ ]{1,3}((?:[A-Za-z]{1,20} )?\d+\.?(?: [A-Za-z]{1,20})?)[\] ]{1,3}[-*=#+]*\1\s*"
)

# The end of a block alone: what stands before it is a quotation, whose lines keep their blanks and their places.
_CLOSES = re.compile(r"</[\w:.-]+>|[\W_]+")
_FURTHER = re.compile(r" +\| ?(.*)")
"""A further line of the value above, which ends in a plus then."""


class Entry(NamedTuple):
    """One line of a record: what names it (with the lines it stands under), its text, how deep it stands."""

    label: str
    parent: str
    text: str
    depth: int


@dataclass(frozen=True, slots=True)
class Record:
    """One block: its first line, the lines below, and all of them as they came."""

    title: str
    entries: tuple[Entry, ...]
    lines: tuple[str, ...]


def forms(text: str, level: Level, *, wanted: str = "") -> Iterable[Form]:
    """Yield the text with what most entries share said once above them, as blocks and, where they are flat, as a table."""
    lines = text.split("\n")
    if is_bannered(text):
        lines = _joined(lines)
    found = _split(lines)
    if found is None:
        return
    start, records = found
    shared = _shared(records)
    if any(not _CLOSES.fullmatch(entry.text[:200]) for entry in shared.values()):
        yield _blocks(lines[:start], records, shared)
    items = _table(lines[:start], records)
    if items:
        yield from drawn.forms(items, level, wanted=wanted)


def is_bannered(text: str) -> bool:
    r"""Return whether a text is rows of a database that stand one below the other, each under a line with its number.

    >>> is_bannered("-[ RECORD 1 ]--\nid   | 7\n-[ RECORD 2 ]--\nid   | 8\n-[ RECORD 3 ]--\nid   | 9")
    True
    """
    return bool(_BANNER.fullmatch(text[:4000].partition("\n")[0])) and len(_bannered(text.split("\n"))) > MIN_RECORDS


def _joined(lines: Sequence[str]) -> list[str]:
    r"""Return the lines with values of several lines in one, as psql writes them in its other styles.

    >>> _joined(["body  | begin    +", "      |   stop;  +", "      | end", "owner | app"])
    ['body  | begin↵  stop;↵end', 'owner | app']
    """
    joined: list[str] = []
    for line in lines:
        further = _FURTHER.match(line)
        if further and joined and joined[-1].endswith("+"):
            joined[-1] = f"{joined[-1][:-1].rstrip()}↵{further[1]}"
        else:
            joined.append(line)
    return joined


def _blocks(before: Sequence[str], records: Sequence[Record], shared: dict[str, Entry]) -> Form:
    said = [drawn.squeeze(line) for line in before]
    count = sum(1 for record in records if record.entries)
    said.append(f"{count:,} entries. Unless an entry says otherwise, each has these lines:")
    said += [" " * entry.depth + entry.text for entry in shared.values()]
    said.append("The entries, each with its first line and what is different:")
    for record in records:
        said += _written(record, shared)
    return Form("\n".join(said), "records")


def _table(before: Sequence[str], records: Sequence[Record]) -> list[Item]:
    """Return the records as rows of one sheet, where they are flat and alike enough; else nothing."""
    seen: Counter[str] = Counter(entry.label for record in records for entry in record.entries)
    labels = [label for label, times in seen.items() if times * 2 >= len(records)]
    if not 2 <= len(labels) <= 80 or sum(seen[label] for label in labels) * 10 < sum(seen.values()) * 8:
        return []
    if any(entry.depth > 1 for record in records for entry in record.entries):
        return []
    titles = {_label(record.title) for record in records}
    is_keyed = len(titles) == 1 and bool(_KEY.match(records[0].title[:200]))
    is_mixed = len(labels) < len(seen)
    names = [titles.pop() if is_keyed else "entry", *(_name(label) for label in labels)]
    sheet = Sheet(unique([*names, "also"] if is_mixed else names))
    known = frozenset(labels)
    values = iter(_values([one.text for record in records for one in record.entries if one.label in known]))
    items: list[Item] = [*before]
    for record in records:
        if not record.entries:
            items += record.lines
            continue
        own = {entry.label: next(values) for entry in record.entries if entry.label in known}
        more = "; ".join(entry.text for entry in record.entries if seen[entry.label] * 2 < len(records))
        title = _values([record.title])[0] if is_keyed else record.title
        cells = (title, *(own.get(label, "") for label in labels), *([more] if is_mixed else []))
        items += sheet.take([Row(cells, "\n".join(record.lines))])
    return items


def _values(texts: Sequence[str]) -> list[str]:
    """Return lines without what names them and without blanks that only draw columns."""
    keys = [_KEY.match(text[:200]) for text in texts]
    return drawn.squeezed([text[key.end() :].strip() if key else text for text, key in zip(texts, keys, strict=True)])


def _split(lines: Sequence[str]) -> tuple[int, list[Record]] | None:
    """Return where the first record starts, and the records: of the ways to cut the text the one that shares most."""
    labels = [_label(line) if line.strip() else "" for line in lines]
    filled = [index for index, line in enumerate(lines) if line.strip()]
    options = {
        tuple(starts)
        for starts in (_bannered(lines), _titled(lines, filled), *_keyed(lines, labels, filled), _apart(lines))
        if len(starts) >= MIN_RECORDS
    }
    best: tuple[int, list[int]] = (0, [])
    for starts in sorted(options, key=lambda starts: (-len(starts), starts)):
        bounds = [*starts, len(lines)]
        sizes = [end - start for start, end in zip(bounds, bounds[1:], strict=False)]
        if sum(sizes) < 3 * len(sizes) or max(sizes) > MAX_RECORD_LINES:
            continue
        alike = _alike(labels, bounds)
        if alike > best[0]:
            best = (alike, bounds)
    if not best[0]:
        return None
    bounds = best[1]
    records = [_record(lines[start:end], labels[start:end]) for start, end in zip(bounds, bounds[1:], strict=False)]
    return bounds[0], _tightened(records)


def _tightened(records: Sequence[Record]) -> list[Record]:
    """Return the records without the blanks that only draw columns, but for what reports trouble."""
    texts = [entry.text for record in records for entry in record.entries]
    reported = frozenset(trouble.reporting(texts))
    tight = iter(
        text if place in reported else short
        for place, (text, short) in enumerate(zip(texts, drawn.squeezed(texts), strict=True))
    )
    return [
        Record(
            record.title,
            tuple([Entry(entry.label, entry.parent, next(tight), entry.depth) for entry in record.entries]),
            record.lines,
        )
        for record in records
    ]


def _alike(labels: Sequence[str], bounds: Sequence[int]) -> int:
    """Return how many lines of the records have a namesake in an earlier record."""
    own = [frozenset(labels[start + 1 : end]) for start, end in zip(bounds, bounds[1:], strict=False)]
    seen = Counter(chain.from_iterable(own))
    return sum([times - 1 for label, times in seen.items() if label])


def _bannered(lines: Sequence[str]) -> list[int]:
    return [index for index, line in enumerate(lines) if line[:1] in ("-", "*", "=", "#") and _BANNER.fullmatch(line)]


def _titled(lines: Sequence[str], filled: Sequence[int]) -> list[int]:
    starts = [
        index
        for index, below in zip(filled, filled[1:], strict=False)
        if not lines[index][0].isspace() and lines[below][0].isspace()
    ]
    loose = sum(1 for index in filled if not lines[index][0].isspace())
    return starts if starts and loose <= 2 * len(starts) else []


def _keyed(lines: Sequence[str], labels: Sequence[str], filled: Sequence[int]) -> Iterable[list[int]]:
    for first in filled[:4]:
        key = labels[first]
        indent = len(lines[first]) - len(lines[first].lstrip())
        yield [
            index
            for index in filled
            if labels[index] == key and not lines[index][:indent].strip() and not lines[index][indent].isspace()
        ]


def _apart(lines: Sequence[str]) -> list[int]:
    return [index for index, line in enumerate(lines) if line.strip() and (not index or not lines[index - 1].strip())]


def _label(line: str) -> str:
    found = _KEY.match(line[:200])
    return found[1] if found else _NUMBER.sub("#", line.strip()[:200])


def _record(lines: Sequence[str], labels: Sequence[str]) -> Record:
    """Return one block; `labels` are those of its lines."""
    entries: list[Entry] = []
    stack: list[tuple[int, str]] = []
    seen: Counter[str] = Counter()
    is_flat = _ends_in_one_column(lines[1:])
    for line, label in zip(lines[1:], labels[1:], strict=True):
        text = line.strip()
        if not text:
            continue
        indent = 0 if is_flat else len(line) - len(line.lstrip())
        while stack and stack[-1][0] >= indent:
            stack.pop()
        parent = stack[-1][1] if stack else ""
        has_fields = ": " in text and ("  " in text or "\t" in text) and len(line) <= 4000
        parts = _FIELD.split(line) if has_fields else [line]
        for part in parts:
            path = f"{parent}\0{_label(part) if len(parts) > 1 else label}"
            seen[path] += 1
            path = f"{path}#{seen[path]}"
            entries.append(Entry(path, parent, part.strip(), min(len(stack), 8)))
        stack.append((indent, path))
    banner = _BANNER.fullmatch(lines[0][:4000])
    title = banner[2] if banner else lines[0].rstrip()
    return Record(title, tuple(entries), tuple(line.rstrip() for line in lines))


def _ends_in_one_column(lines: Sequence[str]) -> bool:
    """Return whether keys are set flush right, so that the blanks before them say nothing of what stands below what."""
    filled = [line for line in lines if line.strip()]
    ends = {line.find(":") for line in filled}
    end = min(ends, default=-1)
    return len(ends) == 1 and end > 0 and len(filled) > 1 and all(not line[end - 1].isspace() for line in filled)


def _shared(records: Sequence[Record]) -> dict[str, Entry]:
    """Return the lines worth saying once, by label: most records have them, word for word."""
    texts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    first: dict[tuple[str, str], Entry] = {}
    for record in records:
        for entry in record.entries:
            texts[entry.label][entry.text] += 1
            first.setdefault((entry.label, entry.text), entry)
    shared: dict[str, Entry] = {}
    for label, counts in texts.items():
        text, times = max(counts.items(), key=lambda pair: (pair[1], pair[0]))
        if times * 5 < len(records) * 3:
            continue
        missing = len(records) - sum(counts.values())
        entry = first[label, text]
        under = not entry.parent or entry.parent in shared
        gained = (times - 1) * (weight(text) + 1) - missing * (weight(_name(label)) + 4)
        if gained > 0 and under:
            shared[label] = entry
    return shared


def _name(label: str) -> str:
    return label.rsplit("\0", 1)[-1].rsplit("#", 1)[0]


def _written(record: Record, shared: dict[str, Entry]) -> list[str]:
    own = {entry.label for entry in record.entries}
    if any(len(line) > 80 and trouble.reports(line) and _FIELD.search(line) for line in record.lines):
        return [line for line in record.lines if line.strip()]
    shown: list[Entry] = []
    told: set[str] = set()
    by_label = {entry.label: entry for entry in record.entries}
    for entry in record.entries:
        usual = shared.get(entry.label)
        if usual is not None and usual.text == entry.text:
            continue
        shown += [entry, *()] if entry.parent in told or not entry.parent else [*_above(entry, by_label, told), entry]
        told.add(entry.label)
    missing = [
        label for label, entry in shared.items() if label not in own and (not entry.parent or entry.parent in own)
    ]
    lines = [drawn.squeeze(record.title)]
    if not record.entries:
        return lines
    if len(shown) <= 12:
        lines += ["  " + "; ".join(entry.text for entry in shown)] if shown else []
    else:
        lines += [" " * (1 + entry.depth) + entry.text for entry in shown]
    if missing:
        lines.append("  none of: " + ", ".join(dict.fromkeys(_name(label) for label in missing)))
    return lines


def _above(entry: Entry, by_label: dict[str, Entry], told: set[str]) -> list[Entry]:
    above: list[Entry] = []
    parent = entry.parent
    while parent and parent not in told and parent in by_label:
        told.add(parent)
        above.append(by_label[parent])
        parent = by_label[parent].parent
    return above[::-1]
