"""Lists of paths (`find`, `git ls-files`, `rg --files`): each folder written once."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headroom import reading
from headroom.shrinkers import terminal
from headroom.values import Form, Source

_MIN_PATHS = 8
_MAX_PATH_CHARS = 400
_SHORT_LIST = 60
_FEW_NAMES = 3
"""Of a short list the next call names one path, most often: those in folders of few names stay in one piece."""
_MIN_SHARE = 0.9
_COMPLAINT = re.compile(r"(?:find|fd|grep|ls|rg|git|xargs|du|tree|sort|head): ")


def forms(source: Source) -> Iterable[Form]:
    """Yield the list with each folder once; nothing when the text is no list of paths, or a file that an edit may quote."""
    if reading.is_nothing_else(source):
        return
    lines = terminal.strip_escapes(source.text).replace("\r\n", "\n").strip("\n").split("\n")
    paths = sum(1 for line in lines if is_path(line))
    complaints = sum(1 for line in lines if _COMPLAINT.match(line))
    if paths < _MIN_PATHS or paths < _MIN_SHARE * (len(lines) - complaints):
        return
    yield Form("\n".join(_folders(lines)), "path_list")


def is_path(line: str) -> bool:
    """Tell whether a whole line is one path, as far as its shape says."""
    return (
        0 < len(line) <= _MAX_PATH_CHARS
        and "/" in line
        and " " not in line
        and "\t" not in line
        and ":" not in line
        and line[0] not in "+-#<>[{(\"'|"
    )


def _folders(lines: list[str]) -> list[str]:
    """Return one line per folder, in order of first mention: its first path in full, then the other names; of a short list
    all paths in folders of few names in full.

    What is no path, such as a complaint about a folder that may not be read, stays a line of its own where it stood.
    """
    names: dict[str, list[str]] = {}
    out: list[tuple[str, list[str]]] = []
    for line in lines:
        if not is_path(line):
            out.append((line, [""]))
            continue
        folder, slash, name = line.rpartition("/")
        if folder + slash not in names:
            out.append((folder + slash, names.setdefault(folder + slash, [])))
        names[folder + slash].append(name)
    count = sum(map(len, names.values()))
    said = f"{count:,} paths in {len(names):,} folders; further names on a line are in the folder of its first path:"
    few = _FEW_NAMES if count <= _SHORT_LIST else 0
    return [said, *(line for folder, inside in out for line in _written(folder, inside, few))]


def _written(folder: str, names: list[str], few: int) -> list[str]:
    return [folder + name for name in names] if len(names) <= few else [folder + " ".join(names)]
