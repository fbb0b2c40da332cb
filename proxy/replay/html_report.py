"""The figures of a replay as one page of HTML: tables and charts drawn as SVG, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from proxy.replay.outcomes import NANO_PER_USD, Outcome, by_tokens, total
from proxy.replay.report import CLASSES, unpriced

WIDTH, ROW = 720, 54
COLORS = {"without": "#8a8f98", "first sight": "#7aa7e0", "with": "#2f6fbf"}
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #d8dce2}th:first-child,td:first-child{text-align:left}
svg{max-width:100%;height:auto}svg text{font:13px system-ui,sans-serif;fill:currentColor}
@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#16191d}th,td{border-color:#333a43}}
"""


def page(outcomes: Sequence[Outcome]) -> str:
    """The whole page."""
    every = total(outcomes)
    percent = every.saved_percent
    saved = "" if percent is None else f" ({percent:.1f} %)"
    parts = [
        f"<h1>{every.sessions:,} sessions, {every.turns:,} turns: {_usd(every.saved_nano_usd)} saved{saved}</h1>",
        *(f"<p>{escape(line)}</p>" for line in unpriced(every)),
        "<h2>Bills</h2>",
        _bars([every, *sorted((one for one in outcomes if one.is_priced), key=lambda one: -one.before.cost_nano_usd)]),
        "<h2>Billed tokens</h2>",
        _table(("", "without", "first sight", "with"), _classes(every)),
        "<h2>Sessions</h2>",
        _table(
            ("", "turns", "without", "first sight", "with", "saved", "written", "epochs", "hidden"),
            [_session(one) for one in outcomes],
        ),
        "<h2>What was shortened</h2>",
        _table(
            ("", "results", "tokens", "shorter"),
            [
                (name, f"{form.results:,}", f"{form.tokens_before:,}", f"{form.tokens_after:,}")
                for name, form in by_tokens(every.forms)
            ],
        ),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Replay</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _session(one: Outcome) -> tuple[str, ...]:
    percent = one.saved_percent
    bills = (one.before, one.first_sight, one.after)
    return (
        one.name,
        f"{one.turns:,}",
        *([_usd(bill.cost_nano_usd) for bill in bills] if one.is_priced else ["no price", "", ""]),
        "" if percent is None else f"{percent:.1f} %",
        f"{one.more_written:+,}",
        ", ".join(f"{turn} ({trigger})" for turn, trigger in one.epoch_turns),
        f"{one.hidden_facts} of {one.facts}" if one.facts else "",
    )


def _classes(every: Outcome) -> list[tuple[str, ...]]:
    sides = (every.before, every.first_sight, every.after)
    return [(CLASSES[name], *(f"{getattr(side, name):,}" for side in sides)) for name in CLASSES]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def _bars(outcomes: Sequence[Outcome]) -> str:
    """Three bars for each session, each session on a scale of its own: what it would have cost without us is full width."""
    parts = []
    for n, one in enumerate(outcomes):
        top = n * (ROW + 14)
        full = max(one.before.cost_nano_usd, one.first_sight.cost_nano_usd, one.after.cost_nano_usd) or 1
        parts.append(f'<text x="0" y="{top + 13}">{escape(one.name or "all")}</text>')
        sides = zip(COLORS, (one.before, one.first_sight, one.after), strict=True)
        for k, (name, side) in enumerate(sides):
            width = round(480 * side.cost_nano_usd / full)
            y = top + 18 + 12 * k
            parts.append(
                f'<rect x="0" y="{y}" width="{width}" height="10" fill="{COLORS[name]}"><title>{name}</title></rect>'
                f'<text x="{width + 8}" y="{y + 10}">{name} {_usd(side.cost_nano_usd)}</text>'
            )
    height = len(outcomes) * (ROW + 14)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Bills">{"".join(parts)}</svg>'


def _usd(nano_usd: int) -> str:
    usd = nano_usd / NANO_PER_USD
    return f"{'-' if usd < 0 else ''}${abs(usd):,.4f}"
