"""Search results: matches grouped by file, path lists by folder, each path written once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from headroom import reading
from headroom.shrinkers import matched_prose, named, terminal
from headroom.values import Form, Source, ToolCall

# `path:12:text`. The path may hold blanks, but not end like the clock of a log line ("Jan 3 12:30:45").
_MATCH = re.compile(r"((?:[A-Za-z]:)?[^:]*[^:\s]):(\d+):(.*)")
_CONTEXT_TAIL = re.compile(r"-(\d+)-(.*)")
_CLOCK_END = re.compile(r"(?:^|[\sT])\d{1,2}$")
_UNNUMBERED = re.compile(r"([^\s:\"'(){}<>|=,;]+):(.*)")

_MIN_MATCHES = 4
# A share of lines that must be matches before the text counts as search output; the others pass through unchanged.
_MIN_SHARE = 0.6
_PARTED_SHARE = 0.95
# Longer match lines are minified or encoded files: what is far from the match is no use to a reader.
_LONG_TEXT_CHARS = 400
_HEAD_CHARS = 120
_AROUND_CHARS = 80
# Letters and digits without a blank over this length are encoded bytes, where a match is an accident.
_OPAQUE = re.compile(r"[A-Za-z0-9+/=_-]{60,}")
_OPAQUE_KEPT_CHARS = 16
_TERM = re.compile(r"[^\W\d_]\w{2,}")
_MAX_TERMS = 12
# Of an old search, what was found first in every file, when there are not too many of them.
_FIRST_HITS = 3
_MANY_FILES = 60
_TOO_MANY_ROWS = 3_000
"""More than that is a search that found too much, and is thinned out at first sight, too."""
_PLACES = 12
_SEARCHES = re.compile(r"(?i)(?<![a-z])(?:[ef]?grep|rg|ag|ack|ripgrep|search)(?![a-z])")


class Hit(NamedTuple):
    """One line of search output. `number` is "" where the tool printed none; `mark` is "-" for a context line."""

    path: str
    number: str
    mark: str
    text: str


Group = tuple[str | None, list[str]]


def forms(source: Source) -> Iterable[Form]:
    """Yield grouped forms of grep-like output; nothing when the text is none, or a file that an edit may quote."""
    if reading.is_nothing_else(source):
        return
    text = terminal.strip_escapes(source.text).replace("\r\n", "\n")
    rows = parse(text)
    if rows is None:
        yield from matched_prose.forms(source)
        return
    total = _total(rows)
    groups = _groups(rows)
    yield from _grouped(total, groups)
    if source.policy.level == "lossless":
        return
    cut, count = _cut(rows, _terms(source.call.arguments))
    if count:
        groups = _groups(cut)
        left_out = f"the far ends of {count:,} very long lines"
        yield from _grouped(total, groups, "_cut", left_out)
    if (source.policy.level == "deep" or len(rows) > _TOO_MANY_ROWS) and _is_search(source.call):
        spoken_of = named.rows(text.split("\n"), source.policy.keep_words)
        for most in (_FIRST_HITS, 1) if source.policy.level == "deep" else (_FIRST_HITS,):
            thinned, hidden = _thinned(cut, spoken_of, most)
            if hidden:
                left_out = f"{hidden:,} of {len(cut):,} lines of files with several"
                yield Form(_grouped(total, thinned)[-1].text, "search_first", left_out)
                break


def _grouped(total: str, groups: list[Group], suffix: str = "", left_out: str = "") -> list[Form]:
    """Return the matches below their files, and then the files below their folders where that is clearly shorter: a path
    that stands there whole can be quoted, and found again."""
    whole, parted = _by_file(total, groups), _by_folder(total, groups)
    found = [Form(whole, f"search_by_file{suffix}", left_out)]
    if len(parted) <= _PARTED_SHARE * len(whole):
        found.append(Form(parted, f"search_by_folder{suffix}", left_out))
    return found


def _is_search(call: ToolCall) -> bool:
    """Return whether a call searched, as far as is known: what a linter finds looks the same, and every finding counts."""
    return not call.name or bool(_SEARCHES.search(f"{call.name} {call.arguments[:400]}"))


def parse(text: str) -> list[Hit | str] | None:
    """Return hits and other lines in order; None when this is no search output."""
    lines = text.split("\n")
    rows = _numbered(lines)
    hits = sum([isinstance(row, Hit) for row in rows])
    if hits < _MIN_MATCHES:
        rows = _unnumbered(lines)
        hits = sum([isinstance(row, Hit) for row in rows])
    filled = len(lines) - lines.count("") - lines.count("--")
    if hits < _MIN_MATCHES or hits < _MIN_SHARE * filled:
        return None
    return rows


def _numbered(lines: list[str]) -> list[Hit | str]:
    rows: list[Hit | str] = []
    path = before = ""
    for line in lines:
        # Most matches are of the file above them: what stands behind its name is found faster without the expression.
        # After a single letter, which may be a drive, it decides.
        if len(path) > 1 and line.startswith(before):
            number, colon, text = line[len(before) :].partition(":")
            if colon and number.isdecimal():
                rows.append(Hit(path, number, ":", text))
                continue
        found = _MATCH.match(line)
        if found:
            start, number, text = found.groups()
            if start == path or _is_path(start):
                path, before = start, f"{start}:"
                rows.append(Hit(path, number, ":", text))
                continue
        if path and line.startswith(path):
            tail = _CONTEXT_TAIL.match(line, len(path))
            if tail:
                rows.append(Hit(path, tail[1], "-", tail[2]))
                continue
        rows.append(line)
    return _with_leading_context(rows)


def _with_leading_context(rows: list[Hit | str]) -> list[Hit | str]:
    """Return the rows with the context lines recognised that stand before the first match of their file."""
    path = ""
    for at in range(len(rows) - 1, -1, -1):
        row = rows[at]
        if isinstance(row, Hit):
            path = row.path
        elif path and row.startswith(path) and (tail := _CONTEXT_TAIL.fullmatch(row, len(path))):
            rows[at] = Hit(path, tail[1], "-", tail[2])
    return rows


def _is_path(text: str) -> bool:
    return len(text) < 300 and _CLOCK_END.search(text) is None and any(map(str.isalpha, text))


def _unnumbered(lines: list[str]) -> list[Hit | str]:
    rows: list[Hit | str] = []
    for line in lines:
        found = _UNNUMBERED.match(line)
        is_hit = found is not None and ("/" in found[1] or "." in found[1])
        rows.append(Hit(found[1], "", ":", found[2]) if found and is_hit else line)
    return rows


def _cut(rows: list[Hit | str], terms: list[str]) -> tuple[list[Hit | str], int]:
    """Return the rows with overlong texts cut around what was searched for, and how many were cut."""
    cut: list[Hit | str] = []
    count = 0
    for row in rows:
        text = row if isinstance(row, str) else row.text
        shorter = _shorter(text, terms) if len(text) >= 60 else text
        if len(shorter) < len(text):
            count += 1
            row = shorter if isinstance(row, str) else row._replace(text=shorter)
        cut.append(row)
    return cut, count


def _shorter(text: str, terms: list[str]) -> str:
    text = _OPAQUE.sub(_opaque_start, text)
    if len(text) <= _LONG_TEXT_CHARS:
        return text
    lower = text.lower()
    found = [at for at in map(lower.find, terms) if at >= 0]
    at = min(found, default=0)
    if at < _HEAD_CHARS:
        return f"{text[: _HEAD_CHARS + 2 * _AROUND_CHARS]}… [{len(text):,} characters]"
    return f"{text[:_HEAD_CHARS]} … {text[at - _AROUND_CHARS : at + _AROUND_CHARS]}… [{len(text):,} characters]"


def _opaque_start(found: re.Match[str]) -> str:
    run = found.group()
    # Plain long names ("----", snake_case) have no mix of cases and digits.
    if run.isupper() or run.islower() or not any(map(str.isdigit, run)):
        return run
    return f"{run[:_OPAQUE_KEPT_CHARS]}… [{len(run):,} characters]"


def _terms(arguments: str) -> list[str]:
    return [term.lower() for term in _TERM.findall(arguments[:2000])[:_MAX_TERMS]]


def _thinned(rows: list[Hit | str], spoken_of: frozenset[int], first: int) -> tuple[list[Group], int]:
    """Return every file with its first matches and where the others are, and how many lines that hides."""
    runs = _files(rows)
    most = first if len(runs) <= _MANY_FILES else min(1, first)
    groups: list[Group] = []
    hidden = at = 0
    for path, run in runs:
        hits = [row for row in run if isinstance(row, Hit) and row.mark == ":"]
        kept = [row for place, row in enumerate(run, at) if row in hits[:most] or place in spoken_of]
        more = [row.number for row in hits if row not in kept]
        at += len(run)
        if path is None or len(run) <= most + 1:
            groups.append(
                (path, _numbered_lines(run) if path is not None else [row for row in run if isinstance(row, str)])
            )
            continue
        lines = _numbered_lines(kept)
        if more:
            places = ", ".join(filter(None, more[:_PLACES])) + (", …" if len(more) > _PLACES else "")
            lines.append(f"[{len(more):,} {'more ' * bool(kept)}matches{': ' + places if places else ''}]")
        hidden += len(run) - len(kept)
        groups.append((path, lines))
    return groups, hidden


def _total(rows: list[Hit | str]) -> str:
    matches = sum(1 for row in rows if isinstance(row, Hit) and row.mark == ":")
    files = len({row.path for row in rows if isinstance(row, Hit)})
    return f"{matches:,} matches in {files:,} file{'s' * (files > 1)}:"


def _by_file(total: str, groups: list[Group]) -> str:
    out = [total]
    for path, lines in groups:
        if path is not None:
            out.append(path)
        out.extend(lines)
    return "\n".join(out)


def _by_folder(total: str, groups: list[Group]) -> str:
    out = [total]
    folder = None
    for path, lines in groups:
        if path is None:
            out.extend(lines)
            continue
        head, slash, name = path.rpartition("/")
        if head + slash != folder:
            folder = head + slash
            out.append(folder or "./")
        if len(lines) == 1:
            out.append(f" {name}:{lines[0]}")
        else:
            out.append(f" {name}")
            out.extend(lines)
    return "\n".join(out)


def _groups(rows: list[Hit | str]) -> list[Group]:
    """Return runs of rows of one file with the lines to print for them; other lines come under None."""
    return [
        (path, _numbered_lines(run) if path is not None else [row for row in run if isinstance(row, str)])
        for path, run in _files(rows)
    ]


def _files(rows: list[Hit | str]) -> list[tuple[str | None, list[Hit | str]]]:
    """Return runs of rows of one file; other lines come under None. "--" separators only stay inside a file."""
    groups: list[tuple[str | None, list[Hit | str]]] = []
    last: str | None = None
    run: list[Hit | str] = []
    for row in rows:
        path = row.path if isinstance(row, Hit) else None
        if groups and (path == last or row == "--"):
            run.append(row)
        else:
            last, run = path, [row]
            groups.append((last, run))
    return groups


def _numbered_lines(group: list[Hit | str]) -> list[str]:
    """Return one line per text: its line numbers, then the text as it stands."""
    while group and group[-1] == "--":
        group.pop()
    out: list[str] = []
    places: dict[str, int] = {}
    for row in group:
        if isinstance(row, str):
            out.append(row)
            continue
        _, number, mark, text = row
        at = places.get(text) if mark == ":" and number else None
        if at is None:
            places[text] = len(out)
            out.append(f"{number}{mark}{text}")
        else:
            numbers, _, text = out[at].partition(":")
            out[at] = f"{numbers},{number}:{text}"
    return out
