"""What whole sessions cost with us and without, offline: the proxy's own code, a provider's caching rules, exact tokens.

    python -m benchmarks.sessions FOLDER_OR_FILES... [--as-anthropic] [--prefix 17000] [--idle 400] [--mode cache]

A transcript is JSON: {"format": "openai" | "anthropic", "messages": [...], "system"?, "tools"?, "needed"?: [{"fact",
"message_index", "used_at"}]}. Shares are of the limit: the bill with every tool result deleted. `--half a|b` takes one of
two halves of the sessions, chosen by their names, so that numbers tuned on one can be checked on the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections import Counter
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from statistics import mean
from typing import Any


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--as-anthropic", action="store_true")
    parser.add_argument("--prefix", type=int, default=0, help="tokens of tools and system text before every request")
    parser.add_argument("--idle", type=float, default=0.0, help="seconds of one pause in the middle")
    parser.add_argument("--mode", choices=["token", "cache"], default="token")
    parser.add_argument("--max-turns", type=int, default=500)
    parser.add_argument("--half", choices=["a", "b"])
    parser.add_argument("--only", default="", help="sessions whose name begins with one of these, split by commas")
    parser.add_argument("--hidden", action="store_true", help="list facts that were hidden when they were used")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headroom_site.settings")
    import_module("django").setup()
    rows = asyncio.run(_rows(options))
    print(json.dumps(rows) if options.json else _table(rows, options))


async def _rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    recordings = import_module("benchmarks.sessions.recordings")
    play = import_module("benchmarks.sessions.play")
    stores = import_module("proxy.stores")
    conversations = import_module("proxy.conversations")
    policy = import_module("headroom.values").Policy(
        retrieval="full text: GET http://127.0.0.1:8787/v1/retrieve/{hash}"
    )
    rows = []
    for name, transcript in recordings.read(options.paths):
        if not name.startswith(tuple(options.only.split(","))) or not _is_in(name, options.half):
            continue
        recording = recordings.recorded(
            name,
            transcript,
            as_anthropic=options.as_anthropic,
            prefix_tokens=options.prefix,
            max_turns=options.max_turns,
        )
        if not recording.answers:
            continue
        before = play.direct(recording, idle_s=options.idle)
        limit = play.direct(recordings.without_results(recording), idle_s=options.idle)
        road = conversations.Conversations(store=stores.NoStore())
        after = await play.through(recording, road, policy, mode=options.mode, idle_s=options.idle)
        road.offload.close()
        rows.append(
            {
                "name": name,
                "turns": before.turns,
                "direct": before.cost,
                "limit": limit.cost,
                "cost": after.cost,
                "charged": after.charged,
                "written": after.written + after.fresh,
                "written_direct": before.written + before.fresh,
                "facts": after.facts,
                "visible": after.facts - len(after.hidden),
                "rounds": after.rounds,
                "ms": mean(after.turn_ms),
                "epochs": len(after.epochs),
                "hidden": after.hidden if options.hidden else [],
            }
        )
    return rows


def _is_in(name: str, half: str | None) -> bool:
    return half is None or (blake2b(name.encode()).digest()[0] % 2 == 0) == (half == "a")


def _table(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    lines = [
        f"{'session':44} {'turns':>5} {'direct $':>9} {'limit':>7} {'ours':>7} {'share':>6} {'facts':>6} {'seen %':>7} "
        f"{'rounds':>6} {'epochs':>6} {'ms':>6}"
    ]
    for row in rows:
        lines.append(_line(row["name"][:44], row))
        lines += [f"    hidden {said} → {used}: {text[:150]!r}" for said, used, text in row["hidden"]]
    longest = sorted(rows, key=lambda row: row["turns"])[:-2]
    lines.append(_line("all", _summed(rows)))
    if longest:
        lines.append(_line("without the two longest", _summed(longest)))
    shares = [_share(row) for row in rows if row["direct"] - row["limit"] > 1e-9]
    dearest = max(rows, key=lambda row: row["charged"] / row["direct"])
    lines.append(
        f"per-session mean {mean(shares or [0.0]):.1%} of its limit; dearest {dearest['charged'] / dearest['direct'] - 1:+.2%} "
        f"({dearest['name']}); more than 1 % dearer: {sum(r['charged'] > 1.01 * r['direct'] for r in rows)}"
    )
    return "\n".join(lines)


def _summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    total: Counter[str] = Counter()
    for row in rows:
        total.update({key: value for key, value in row.items() if isinstance(value, int | float) and key != "ms"})
    return {**total, "ms": sum(row["ms"] * row["turns"] for row in rows) / max(1, total["turns"])}


def _share(row: dict[str, Any]) -> float:
    return (row["direct"] - row["charged"]) / (row["direct"] - row["limit"])


def _line(name: str, row: dict[str, Any]) -> str:
    seen = f"{row['visible'] / row['facts']:.2%}" if row["facts"] else "–"
    return (
        f"{name:44} {row['turns']:5} {row['direct']:9.4f} {row['limit'] / row['direct'] - 1:+7.1%} "
        f"{row['charged'] / row['direct'] - 1:+7.1%} {_share(row):6.1%} {row['facts']:6} {seen:>7} {row['rounds']:6} "
        f"{row['epochs']:6} {row['ms']:6.2f}"
    )


if __name__ == "__main__":
    main()
