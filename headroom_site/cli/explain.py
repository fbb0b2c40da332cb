"""`headroom explain`: what becomes of one tool result, and why."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from headroom import Policy, Shrunk, ToolCall, explanations, shrink
from headroom.values import Level
from headroom_site.cli import comparison, setup

LEVELS: tuple[Level, ...] = ("lossless", "balanced", "deep")
MAX_BYTES = 64 * 1024 * 1024
MAX_BAD_SHARE = 0.1
"""A text in another encoding has a few bytes that are not UTF-8; what has more of them is no text."""
MAX_COMPARED_CHARS = 4_000_000
"""Longer texts are shown at one level only: it takes seconds."""
SHELL = "Bash"
_TOOL = re.compile(r"\s*([A-Z]\w*|\w+__\w+)\s*(\{.*\})?\s*", re.DOTALL)
COLOURS = {"-": "red", "+": "green", "@": "cyan", "…": "cyan"}


@dataclasses.dataclass(frozen=True, slots=True)
class Looked:
    """A text with what became of it; `others` are the other levels, none for very long texts."""

    name: str
    text: str
    call: ToolCall
    policy: Policy
    shrunk: Shrunk
    others: dict[Level, Shrunk]


@click.command("explain")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--tool",
    default="",
    metavar="CALL",
    help="What printed the text: a shell command ('pytest -q'), or the name of a tool, perhaps with its JSON arguments "
    "('Read', 'Grep {\"pattern\": \"TODO\"}').",
)
@click.option("--level", type=click.Choice(LEVELS), help="[default: as the proxy would at first sight]")
@click.option("--target-ratio", type=click.FloatRange(0, 1, min_open=True), metavar="R", help="As the proxy's option.")
@click.option("--full", is_flag=True, help="Show every line of the comparison, removed ones too.")
@click.option("--text", "only_text", is_flag=True, help="Print only the shortened text.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    file: Path,
    tool: str,
    level: Level | None,
    target_ratio: float | None,
    full: bool,
    only_text: bool,
    as_json: bool,
) -> None:
    """Show what Headroom makes of the output of a tool, and why.

    FILE is a file with the output, or - for standard input:

    \b
      pytest -q | headroom explain - --tool "pytest -q"
      headroom explain src/app.py --tool Read --level deep

    Prints what the text was taken for, every form that was tried with its tokens, which one was kept and why not more,
    and both versions compared line by line. The settings of the proxy apply. Nothing is sent or stored.
    """
    text = _read(file)
    call = called(tool, str(file))
    setup.django()
    usual: Policy = import_module("proxy.policies").usual("original kept as {hash}")
    policy = dataclasses.replace(
        usual,
        level=level or usual.level,
        target_ratio=target_ratio or usual.target_ratio,
        tool_levels=_none_if(level, usual),
    )
    looked = _looked(str(file) if str(file) != "-" else "standard input", text, call, policy)
    if only_text:
        click.echo(looked.shrunk.text)
    elif as_json:
        click.echo(json.dumps(_as_json(looked), ensure_ascii=False))
    else:
        for line in _page(looked, is_whole=full):
            click.echo(line)


def called(words: str, path: str) -> ToolCall:
    """Return the call that `--tool` describes; a tool without arguments is taken to have been given the file.

    >>> called("pytest -q", "out.txt")
    ToolCall(name='Bash', arguments='{"command": "pytest -q"}')
    >>> called("Read", "src/app.py")
    ToolCall(name='Read', arguments='{"file_path": "src/app.py"}')
    """
    if not words.strip():
        return ToolCall()
    tool = _TOOL.fullmatch(words)
    if tool is None:
        return ToolCall(SHELL, json.dumps({"command": words}, ensure_ascii=False))
    return ToolCall(tool[1], tool[2] or json.dumps({"file_path": path}, ensure_ascii=False))


def _none_if(level: Level | None, usual: Policy) -> tuple[tuple[str, Level], ...]:
    """A level asked for here beats the one that a setting has for the tool."""
    return () if level else usual.tool_levels


def _read(file: Path) -> str:
    raw = sys.stdin.buffer.read(MAX_BYTES + 1) if str(file) == "-" else _bytes(file)
    if len(raw) > MAX_BYTES:
        raise click.ClickException(f"{file} is larger than {MAX_BYTES // 2**20} MB, more than any tool result")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        text = raw.decode("utf-8", "replace")
        bad = text.count("\ufffd")
        if b"\0" in raw or bad > MAX_BAD_SHARE * len(text):
            raise click.ClickException(
                f"{file} is not text: byte {raw[exc.start]:#04x} at {exc.start:,} is not UTF-8"
            ) from exc
        click.echo(f"{file}: {bad:,} bytes are not UTF-8 and are shown as \ufffd", err=True)
        return text


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as exc:
        raise click.ClickException(f"{file} cannot be read: {exc.strerror or exc}") from exc


def _looked(name: str, text: str, call: ToolCall, policy: Policy) -> Looked:
    extra = import_module("proxy.ml.prose").extra(import_module("django.conf").settings.ML_MODEL_DIR)
    shrunk = shrink(text, call=call, policy=policy, extra=extra)
    levels = [level for level in LEVELS if level != shrunk.level] if len(text) <= MAX_COMPARED_CHARS else []
    others = {
        level: shrink(text, call=call, policy=dataclasses.replace(policy, level=level, tool_levels=()), extra=extra)
        for level in levels
    }
    return Looked(name, text, call, policy, shrunk, others)


def _page(looked: Looked, *, is_whole: bool) -> Iterator[str]:
    shrunk = looked.shrunk
    yield click.style(f"{looked.name}: {_cost(shrunk)}", bold=True)
    yield ""
    if looked.call.name:
        yield f"  printed by  {looked.call.name} {looked.call.arguments}"
    else:
        yield "  printed by  an unknown tool (--tool says which; it is half of what there is to know)"
    yield f"  taken for   {', '.join(shrunk.detected) or 'nothing: it was not looked at'}"
    yield f"  level       {shrunk.level}"
    yield f"  outcome     {explanations.why(shrunk, looked.policy)}"
    yield ""
    yield from _tried(looked)
    if looked.others:
        yield "Other levels"
    for level, other in looked.others.items():
        yield f"  {level:9} {_cost(other)}  {other.form or other.reason}"
    yield ""
    if shrunk.is_changed:
        yield click.style("Before (-) and after (+)", bold=True)
        for line in comparison.lines(looked.text, shrunk.text, is_whole=is_whole):
            yield click.style(line, fg=COLOURS.get(line[:1]))


def _cost(shrunk: Shrunk) -> str:
    if not shrunk.is_changed:
        return f"{shrunk.tokens_before:,} tokens, left as they are"
    saved = 1 - shrunk.tokens_after / shrunk.tokens_before
    return f"{shrunk.tokens_before:,} → {shrunk.tokens_after:,} tokens ({saved:.1%} saved)"


def _tried(looked: Looked) -> Iterator[str]:
    attempts = explanations.attempts(looked.shrunk, looked.policy)
    if not attempts:
        return
    yield "Forms tried"
    for attempt in attempts:
        if attempt.round and attempt.round != attempts[attempts.index(attempt) - 1].round:
            yield "  and of the form kept, again:"
        cost = f"{attempt.tokens:,}" if attempt.tokens is not None else "–"
        sort = "leaves out" if attempt.is_lossy else "whole"
        line = f"  {cost:>10}  {sort:10}  {attempt.name:24} {attempt.verdict}"
        yield click.style(line, fg="green") if attempt.is_kept else line
    yield ""


def _as_json(looked: Looked) -> dict[str, Any]:
    shrunk = looked.shrunk
    return {
        "name": looked.name,
        "tool": looked.call.name,
        "arguments": looked.call.arguments,
        "detected": list(shrunk.detected),
        "level": shrunk.level,
        "tokens_before": shrunk.tokens_before,
        "tokens_after": shrunk.tokens_after,
        "kind": shrunk.kind,
        "form": shrunk.form,
        "left_out": shrunk.left_out,
        "reason": shrunk.reason,
        "why": explanations.why(shrunk, looked.policy),
        "attempts": [dataclasses.asdict(a) for a in explanations.attempts(shrunk, looked.policy)],
        "levels": {
            level: {"tokens_after": other.tokens_after, "form": other.form, "reason": other.reason}
            for level, other in [(shrunk.level, shrunk), *looked.others.items()]
        },
        "text": shrunk.text,
    }
