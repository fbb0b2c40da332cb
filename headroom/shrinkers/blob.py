"""Opaque runs, base64, hex, minified one-liners: their size and a hash say all that a reader can use."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from itertools import groupby
from string import hexdigits

from headroom.values import Form, Level, Source

MIN_RUN_CHARS = 256
MAX_KEY_CHARS = 1200
"""Shorter ones may be keys, tokens or cipher texts, which the next call quotes: they stay until they are old."""
MIN_LINE_CHARS = 2000
_MIN_WRAPPED_CHARS = 48
_MIN_WRAPPED_LINES = 6
_MIN_DUMP_LINES = 8
_RUN = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{256,}+={0,2}")
_WRAPPED = re.compile(r"(?:(?>^[ \t]*+[A-Za-z0-9+/=_-]{48,}+[ \t]*+(?:\n|\Z))){6,}+", re.MULTILINE)
_DUMP = re.compile(r"(?:(?>^[0-9a-fA-F]{4,16}:? +(?:[0-9a-fA-F]{2,8} +){4,}.*(?:\n|\Z))){8,}+", re.MULTILINE)
_ADDRESS = re.compile(r"[0-9a-fA-F]{4,16}:? ")
_HEX = re.compile(r"[0-9a-fA-F\s]+")
# Beside the bytes of a dump: characters in a row that words, paths, keys and flags are made of.
_READABLE = re.compile(r"[\w/{}:=@-]{5}", re.ASCII)


def forms(source: Source) -> Iterable[Form]:
    """Yield the text with every opaque run named by kind, size and hash."""
    if source.policy.level == "lossless":
        return
    text = source.text
    gone: list[int] = []

    def named(found: re.Match[str]) -> str:
        run = found[0]
        if not _is_opaque(run) or (len(run) < MAX_KEY_CHARS and source.policy.level != "deep"):
            return run
        gone.append(len(run))
        tail = "\n" if run.endswith("\n") else ""
        return f"[{_kind(run)}, {len(run):,} characters, begins {run.strip()[:24]}, sha256 {_digest(run)}]{tail}"

    # Asking every line first is ten times faster than the expressions, and most texts have none like these.
    lines = text.split("\n")
    longest = max(map(len, lines))
    if len([1 for line in lines if len(line) >= _MIN_WRAPPED_CHARS and " " not in line.strip()]) >= _MIN_WRAPPED_LINES:
        text = _WRAPPED.sub(named, text)
    if len([1 for line in lines if line[:1] in hexdigits and _ADDRESS.match(line)]) >= _MIN_DUMP_LINES:
        text = _DUMP.sub(lambda found: _dump(found, gone, source.policy.level), text)
    if longest >= MIN_RUN_CHARS:
        text = "\n".join([_RUN.sub(named, line) if len(line) >= MIN_RUN_CHARS else line for line in text.split("\n")])
    if longest >= MIN_LINE_CHARS and (source.policy.level == "deep" or not gone):
        text = "\n".join(_minified(line, gone) for line in text.split("\n"))
    if gone:
        parts = "an opaque run" if len(gone) == 1 else f"{len(gone):,} opaque runs"
        yield Form(text, "blob", f"{parts} of {sum(gone):,} characters in all")


def _is_opaque(run: str) -> bool:
    """Return whether a run is encoded rather than written: mixed letters and digits, or hex; not a path, not words."""
    body = run.strip()
    if _HEX.fullmatch(body):
        return True
    sample = body[:4096]
    parts = (sum(map(is_one, sample)) for is_one in (str.isdigit, str.isupper, str.islower))
    joints = sum(sample.count(letter) for letter in "/_-")
    return all(part * 100 >= len(sample) for part in parts) and joints * 12 <= len(sample)


def _kind(run: str) -> str:
    return "hex data" if _HEX.fullmatch(run) else "base64 data"


def _digest(run: str) -> str:
    return hashlib.sha256(run.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _dump(found: re.Match[str], gone: list[int], level: Level) -> str:
    """Return a dump by its ends and, until it is old, by the lines with something to read in them."""
    lines = found[0].rstrip("\n").split("\n")
    if len(lines) <= 12:
        return found[0]
    shown = {0, 1, 2, 3, len(lines) - 2, len(lines) - 1}
    if level != "deep":
        shown.update(*((place, place + 1) for place, line in enumerate(lines) if _is_readable(line)))
    out: list[str] = []
    for is_shown, places in groupby(range(len(lines)), shown.__contains__):
        run = [lines[place] for place in places]
        if not is_shown and len(run) > 1:
            hidden = "\n".join(run)
            gone.append(len(hidden))
            run = [f"[{len(run):,} more lines of the dump, sha256 {_digest(hidden)}]"]
        out += run
    return "\n".join(out) + ("\n" if found[0].endswith("\n") else "")


def _is_readable(line: str) -> bool:
    """Return whether a dump's line shows text beside its bytes; a text may go on in the next line."""
    beside = line.rpartition("  ")
    return bool(beside[1] and _READABLE.search(beside[2]))


def _minified(line: str, gone: list[int]) -> str:
    """Return a very long line of code without blanks by its two ends; a line of prose or of plain data as it is."""
    if len(line) < MIN_LINE_CHARS or line.lstrip()[:1] in "{[" or line.count(" ") * 12 > len(line):
        return line
    if sum(line.count(letter) for letter in "(){};=,") * 12 < len(line):
        return line
    hidden = line[400:-200]
    gone.append(len(hidden))
    return f"{line[:400]} [minified, {len(hidden):,} of {len(line):,} characters left out, sha256 {_digest(hidden)}] {line[-200:]}"
