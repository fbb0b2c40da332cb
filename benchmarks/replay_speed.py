"""How many turns a second `headroom replay` prices, on conversations of about 100 kB.

    python -m benchmarks.replay_speed [--sessions 10] [--turns 40] [--kilobytes 100] [--json]

Conversations are made of this repository's own files and of listings of them, as an agent reads them.
Every session grows to the size given; the mean request is then about half of that. `--full-size` puts a session of that
size in front of the first measured turn, so that every request has it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
GOAL_TURNS_PER_S = 50


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--kilobytes", type=int, default=100)
    parser.add_argument("--full-size", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = _measured(Path(folder), options)
    if options.json:
        print(json.dumps(figures))
        return
    print("\n".join(f"{name:24} {value:>12,}" for name, value in figures.items()))
    print(f"goal: at least {GOAL_TURNS_PER_S} turns a second")


def _measured(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    pieces = _pieces(options.kilobytes * 1000 // options.turns)
    files = []
    for n in range(options.sessions):
        path = folder / f"{n}.json"
        path.write_text(json.dumps(_session(n, pieces, options)), encoding="utf-8")
        files.append(path)
    os.environ["HEADROOM_WORKSPACE_DIR"] = str(folder)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headroom_site.settings")
    import_module("django").setup()
    replays = import_module("proxy.replay.run")
    targets = replays.targets(files, with_demo=False)
    started = time.perf_counter()
    ticks: list[tuple[float, float]] = []  # after each turn: the clock, and this process's own

    def tick() -> None:
        ticks.append((time.perf_counter(), time.process_time()))

    run = replays.replay(targets, mode=None, model="", max_turns=None, on_turn=tick, on_file=lambda: None)
    seconds, cpu_s = ticks[-1][0] - ticks[0][0], ticks[-1][1] - ticks[0][1]
    figures = run.as_json()
    return {
        "sessions": figures["sessions"],
        "turns": figures["turns"],
        "kB of the last request": round(files[0].stat().st_size / 1000),
        "start-up seconds": round(ticks[0][0] - started, 2),
        "turns per second": round((len(ticks) - 1) / seconds, 1),
        "turns per CPU second": round((len(ticks) - 1) / cpu_s, 1),
        "of these ours, mean ms": figures["milliseconds"]["mean_turn"],
        "slowest turn ms": figures["milliseconds"]["slowest_turn"],
        "saved %": figures["bill_usd"]["saved_percent"],
    }


def _pieces(size: int) -> Iterator[str]:
    """Tool results of so many characters, for ever: cuts of this repository's Python files, and listings of them as JSON."""
    files = sorted(ROOT.glob("[a-z]*/**/*.py"))
    texts = "\n".join(path.read_text("utf-8") for path in files)
    rows = [{"path": str(path.relative_to(ROOT)), "bytes": path.stat().st_size, "kind": "file"} for path in files]
    listings = (json.dumps(rows[start : start + size // 110], indent=2) for start in range(len(rows) // 2))
    cuts = (texts[start : start + size] for start in range(0, len(texts) - size, size))
    return cycle(piece for pair in zip(cuts, listings, strict=False) for piece in pair)


def _session(number: int, pieces: Iterator[str], options: argparse.Namespace) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"Session {number}: look at these files."}]
    if options.full_size:
        messages[0]["content"] += "".join(next(pieces) for _ in range(options.turns))
    for turn in range(options.turns - 1):
        call = f"call_{number}_{turn}"
        use = {"type": "tool_use", "id": call, "name": "Bash", "input": {"command": f"show --page {turn}"}}
        messages += [
            {"role": "assistant", "content": [{"type": "text", "text": "Next."}, use]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": next(pieces)}]},
        ]
    return {"model": "claude-sonnet-4-5", "messages": [*messages, {"role": "assistant", "content": "Done."}]}


if __name__ == "__main__":
    main()
