"""`python -m benchmarks.engine`: tokens saved, facts kept and speed by kind, in this process and uncached.

Without --corpus it measures files that this repository ships: real output of real commands. A folder of your own needs a
MANIFEST.jsonl with one JSON object a line: `path`, `category`, and where known `tool` and `arguments` of the call that
printed it, and the `facts` that must survive. Speed is processor time, the best of --repeat runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from pathlib import Path

from benchmarks.engine import corpus, figures
from headroom import tokens
from headroom.pipeline import shrink
from headroom.values import Policy


def main() -> None:
    """Measure the files asked for and print one row per category, then the mean over categories and the sum."""
    options = _options()
    policy = Policy(level=options.level)
    tokens.load()
    rows: dict[str, list[figures.Row]] = defaultdict(list)
    for file in corpus.files(Path(options.corpus), set(filter(None, options.cats.split(",")))):
        if options.grep and options.grep not in file.path:
            continue
        row, outcome = figures.measure(file, lambda text, call: shrink(text, call=call, policy=policy), options.repeat)
        rows[file.category].append(row)
        _tell(options, row, outcome)
    if options.json:
        json.dump({name: figures.summary(found) for name, found in sorted(rows.items())}, sys.stdout, indent=1)
        return
    print("\n".join(figures.table(rows)))


def _tell(options: argparse.Namespace, row: figures.Row, outcome: figures.Outcome) -> None:
    if options.list_lost:
        for fact in row.lost:
            print(f"lost {row.path} {fact[:140]!r}")
    if options.files:
        print(
            f"{100 * row.saved_share:6.1f}% {row.tokens_before:8} {row.facts_kept:4}/{row.facts:<4} {1000 * row.seconds:8.1f} ms"
            f"  {outcome.form or outcome.reason:30} {row.path}"
        )
    if options.show:
        for attempt in outcome.attempts:
            print(f"    {attempt.tokens or '-':>8} {'lossy' if attempt.is_lossy else 'whole'} {attempt.name}")
        print(outcome.text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.engine", description=__doc__)
    parser.add_argument("--corpus", default=str(corpus.SHIPPED), help="folder with a MANIFEST.jsonl")
    parser.add_argument(
        "--repeat", type=int, default=1, metavar="N", help="measure each file so often, keep the best time"
    )
    parser.add_argument("--cats", default="", help="only these categories, separated by commas")
    parser.add_argument("--grep", default="", help="only files whose path contains this")
    parser.add_argument("--level", default="balanced", choices=("lossless", "balanced", "deep"))
    parser.add_argument("--list-lost", action="store_true", help="print every fact that did not survive")
    parser.add_argument("--files", action="store_true", help="print one row per file")
    parser.add_argument("--show", action="store_true", help="print the forms tried and the outcome of every file")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        os._exit(0)
