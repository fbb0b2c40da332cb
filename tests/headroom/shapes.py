"""Texts that tools print, drawn at random, and texts that were made to hurt."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from headroom import pipeline
from headroom.values import Policy, ToolCall

GOLDEN = Path(__file__).parent / "golden"

CALLS = st.sampled_from(
    [
        ToolCall(),
        ToolCall("Bash", '{"command": "pytest -q"}'),
        ToolCall("Bash", '{"command": "git diff HEAD~1"}'),
        ToolCall("Bash", '{"command": "rg -n needle src"}'),
        ToolCall("Bash", '{"command": "kubectl get pods -o json"}'),
        ToolCall("Bash", '{"command": ["cat", "/var/log/app.log"]}'),
        ToolCall("Read", '{"file_path": "/app/main.py"}'),
        ToolCall("WebFetch", '{"url": "https://example.com"}'),
        ToolCall("odd", "{not json"),
    ]
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=30),
    st.sampled_from(["connection refused", "https://example.com/a", "ok", "2024-01-02T03:04:05Z", "x" * 300]),
)
KEYS = st.sampled_from(["id", "name", "state", "url", "a.b", "", "message", "(key)", "é"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=8), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=60,
)


@st.composite
def records(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw alike objects: some fields even, some rare, some absent."""
    fields = draw(st.lists(KEYS, min_size=1, max_size=5, unique=True))
    pools = {name: draw(st.lists(VALUES, min_size=1, max_size=3)) for name in fields}
    rows = []
    for _ in range(draw(st.integers(1, 60))):
        present = [name for name in fields if draw(st.integers(0, 9)) > 0]
        rows.append({name: draw(st.sampled_from(pools[name])) for name in present})
    return rows


@st.composite
def json_texts(draw: st.DrawFn) -> str:
    """Draw JSON as tools print it: compact, laid out, one object per line, cut off, behind a heading."""
    value = draw(st.one_of(records(), VALUES, st.dictionaries(KEYS, records(), max_size=3)))
    text = json.dumps(value, indent=draw(st.sampled_from([None, 2])), ensure_ascii=draw(st.booleans()))
    style = draw(st.sampled_from(["whole", "cut", "headed", "lines"]))
    if style == "cut":
        return text[: len(text) * draw(st.integers(50, 99)) // 100]
    if style == "headed":
        return f"HTTP/1.1 200 OK\n\n{text}\n-- done --"
    if style == "lines" and isinstance(value, list):
        return "\n".join(json.dumps(row) for row in value)
    return text


@st.composite
def logs(draw: st.DrawFn) -> str:
    """Draw a log of a few templates, with the odd stack trace."""
    templates = draw(st.lists(st.sampled_from(_TEMPLATES), min_size=1, max_size=4))
    lines = []
    for at in range(draw(st.integers(1, 80))):
        lines.append(
            f"2024-01-02T03:04:{at % 60:02}Z " + draw(st.sampled_from(templates)).format(draw(st.integers(0, 999)))
        )
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


_TEMPLATES = [
    "INFO request {} took 3 ms",
    "DEBUG cache hit for key {}",
    "WARN slow query {}",
    "ERROR connection {} refused\n  at pool.open(pool.js:9)\n  at main(main.js:1)",
    "",
    "progress {}%\r",
]

LINES = st.lists(
    st.sampled_from(
        [
            "a: 1",
            "  b: 2",
            "- c",
            "x | y",
            "---|---",
            "a,b,c",
            "1,2,3",
            "",
            "src/a.py:12:def f():",
            "src/a.py",
            "diff --git a/x b/x",
            "@@ -1,2 +1,2 @@",
            "+new",
            "-old",
            " same",
            "PASSED tests/test_a.py::test_b",
            "FAILED tests/test_a.py::test_c - assert 1 == 2",
            "E   assert 1 == 2",
            "commit 0123456789abcdef0123456789abcdef01234567",
            "def f(x):",
            "    return x",
            "<p>text</p>",
            "\x1b[31mred\x1b[0m",
            "a word and another one, said twice.",
            "[headroom left out 3 lines; kept as x]",
            "\x00\x01",
            "\ud800",
            "漢字かな交じり文",
        ]
    ),
    max_size=120,
).map("\n".join)

ANY = st.one_of(st.text(max_size=500), LINES, json_texts(), logs())

_SIZE = 60_000

HOSTILE: dict[str, Callable[[int], str]] = {
    "one line of one letter": lambda times: "a" * _SIZE * times,
    "blanks": lambda times: " " * _SIZE * times,
    "line ends": lambda times: "\n" * _SIZE * times,
    "carriage returns": lambda times: "a\r" * (_SIZE // 2) * times,
    "NUL bytes": lambda times: "\x00" * _SIZE * times,
    "lone surrogates": lambda times: "\ud800 " * (_SIZE // 2) * times,
    "escape codes": lambda times: "\x1b[" * (_SIZE // 2) * times,
    "open brackets": lambda times: "[" * _SIZE * times,
    "open objects": lambda times: '{"a":' * (_SIZE // 5) * times,
    "nested two hundred deep": lambda times: ('{"a":' * 200 + "1" + "}" * 200 + "\n") * (times * 50),
    "quotes": lambda times: '"' * _SIZE * times,
    "escaped quotes": lambda times: '["' + '\\"' * (_SIZE // 2) * times,
    "cut JSON": lambda times: json.dumps([{"id": at, "t": 'a"b'} for at in range(2_000 * times)])[:-20],
    "colons": lambda times: "a:" * (_SIZE // 2) * times,
    "slashes": lambda times: "/" * _SIZE * times,
    "dashes": lambda times: "-" * _SIZE * times,
    "angle brackets": lambda times: "<a " * (_SIZE // 3) * times,
    "commas": lambda times: "," * _SIZE * times,
    "bars": lambda times: "|" * _SIZE * times,
    "digits": lambda times: "1" * _SIZE * times,
    "numbered lines": lambda times: "\n".join(f"{at}\tx" for at in range(_SIZE // 8 * times)),
    "every line another": lambda times: "\n".join(
        hashlib.sha1(str(at).encode()).hexdigest() for at in range(_SIZE // 40 * times)
    ),
    "dotted leaders": lambda times: ("x" + " ." * 200 + "\n") * (_SIZE // 400) * times,
    "equals": lambda times: "a=" * (_SIZE // 2) * times,
    "long words": lambda times: "\n".join(
        "2024-01-02 03:04:05 INFO " + "w" * 2_000 for _ in range(_SIZE // 2_000 * times)
    ),
}
"""Texts made to hurt, in a size that grows with the argument."""


def cpu_s(work: Callable[[], object]) -> float:
    """Return the processor time of one call in seconds: other processes do not count."""
    started = time.process_time()
    work()
    return time.process_time() - started


def grows_by_less_than(times: float, small: Callable[[], object], large: Callable[[], object]) -> bool:
    """Whether ``large`` takes less than so many times the processor time of ``small``, in one of five tries.

    One try may have met the collector of garbage or a cold cache; work that really grows with the square is slow in
    every one of them. Times too short to tell apart count as a twentieth of a second.
    """
    return any(cpu_s(large) < times * max(0.05, cpu_s(small)) for _ in range(5))


def digest_of_golden_files() -> str:
    """Return a digest of what becomes of every golden input at every level."""
    found = hashlib.sha256()
    for path in sorted(GOLDEN.glob("*/*.in")):
        for level in ("lossless", "balanced", "deep"):
            outcome = pipeline.shrink(path.read_text(), call=ToolCall("Bash", "{}"), policy=Policy(level=level))  # type: ignore[arg-type]
            found.update(outcome.text.encode("utf-8", "surrogatepass"))
    return found.hexdigest()
