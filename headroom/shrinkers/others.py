"""What the rows are called that are not shown: a reader sees what there is, and can ask for it by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from headroom.values import Level

MIN_NAMES = 8
MAX_CHARS = 20_000
"""About 6,000 tokens."""
MAX_SHARE = 0.4
"""Of what all rows took: names that take more are not worth it, and only the sample is shown."""
_MAX_NAME_CHARS = 60
_MAX_MEAN_CHARS = 40
_LONGER_PATHS = 2.5
_MIN_DIFFERENT = 0.9
_MIN_LETTERS = 0.5
_BEGINNING_CHARS = (60, 40, 24)
_MIN_TOGETHER = 3
_MIN_SECTION_CHARS = 4


def names(
    level: Level, columns: Iterable[tuple[str, Sequence[Any]]], shown: Collection[int], count: int, row_chars: float
) -> list[str]:
    """Return a line with what names the rows that are not among the `shown` ones, none where it would cost too much.

    `columns` are pairs of a name and one value for each of `count` rows; `row_chars` is what all rows took before. Names are
    the first column of short words that hardly repeat; numbers, hashes and times are none.
    """
    kept = frozenset(shown)
    hidden = [index for index in range(count) if index not in kept]
    most = min(MAX_CHARS, MAX_SHARE * row_chars)
    if level != "balanced" or len(hidden) < MIN_NAMES or 3 * len(hidden) > most:
        return []
    for name, values in columns:
        called = [_called(values[index]) for index in hidden if values[index] != ""]
        if len(called) >= _MIN_DIFFERENT * len(hidden) and _are_names(called):
            said = f"{name} of the others: {', '.join(_together([*dict.fromkeys(called)]))}"
            if len(said) <= most:
                return [said]
    return []


def beginnings(level: Level, name: str, values: Sequence[str], shown: Collection[int], row_chars: float) -> list[str]:
    """Return a line with how the `values` of the rows begin that are not `shown`, none where it would cost too much: of what
    has no name, as of a process, its command tells what it is."""
    kept = frozenset(shown)
    hidden = [value for index, value in enumerate(values) if index not in kept]
    letters = sum(map(str.isalpha, "".join(hidden)))
    if level != "balanced" or len(hidden) < MIN_NAMES or 2 * letters < sum(map(len, hidden)):
        return []
    for most in _BEGINNING_CHARS:
        counts = Counter(value if len(value) <= most else f"{value[:most]}…" for value in hidden)
        begins = "; ".join(value if times == 1 else f"{times:,}× {value}" for value, times in counts.items())
        if len(begins) <= min(MAX_CHARS, MAX_SHARE * row_chars):
            return [f"{name} of the others, as it begins: {begins}"]
    return []


def by_part(
    level: Level, values: Sequence[str], parts: Iterable[range], shown: Collection[int], row_chars: float
) -> dict[int, str]:
    """Return a line with the `values` of the rows of each part that are not `shown`, by the place of its last row; nothing where
    that would cost too much."""
    kept = frozenset(shown)
    told: dict[int, str] = {}
    for part in parts:
        called = [_called(values[index]) for index in part if index not in kept]
        names = [name for name in called if any(map(str.isalnum, name))]
        if names:
            told[part[-1]] = f"(others here: {', '.join(names)})"
    return told if level == "balanced" and sum(map(len, told.values())) <= MAX_SHARE * row_chars else {}


def share(columns: Iterable[Sequence[Any]], row_chars: float) -> float:
    """Return which share of `row_chars` names are, 0 where the `columns` hold none: of a list of settings, most of it."""
    for values in columns:
        called = [_called(value) for value in values if value != ""]
        if called and _are_names(called):
            return sum(map(len, called)) / max(1.0, row_chars)
    return 0.0


def _called(value: Any) -> Any:
    """Return a cell without blanks around it, and without what a link points to."""
    return value.partition(" -> ")[0].strip() if isinstance(value, str) else value


def _together(called: Sequence[str]) -> Iterator[str]:
    """Yield names in their order; those that stand together in one folder or section as a shell writes them.

    >>> list(_together(["fs.file-max", "net.ipv4.tcp_mem", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"]))
    ['fs.file-max', 'net.ipv4.{tcp_mem, tcp_rmem, tcp_wmem}']
    """
    for section, members in groupby(called, key=_section):
        several = list(members)
        ends = [name[len(section) :] for name in several]
        if len(several) >= _MIN_TOGETHER and len(section) >= _MIN_SECTION_CHARS and all(ends):
            yield f"{section}{{{', '.join(ends)}}}"
        else:
            yield from several


def _section(name: str) -> str:
    ends = "/" if "/" in name else ".:"
    return name[: max(map(name.rfind, ends)) + 1]


def _are_names(called: Sequence[Any]) -> bool:
    if set(map(type, called)) != {str} or not min(map(len, called)):
        return False
    text = "".join(called)
    longer = _LONGER_PATHS if all("/" in name and " " not in name for name in called) else 1
    if max(map(len, called)) > longer * _MAX_NAME_CHARS or len(text) > longer * _MAX_MEAN_CHARS * len(called):
        return False
    if not text.isprintable():
        return False
    if ", " in text and any(", " in one for one in called):
        return False
    if len(set(called)) < _MIN_DIFFERENT * len(called):
        return False
    return sum(map(str.isalpha, text)) >= _MIN_LETTERS * len(text)
