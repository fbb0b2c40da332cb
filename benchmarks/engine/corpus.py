"""A folder of recorded tool output with a manifest, and the calls that would have produced it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headroom.values import ToolCall

SHIPPED = Path(__file__).parent / "files"
"""Real output of real commands: see docs/gallery.md."""
CONVERSATIONS = ("transcripts", "wire_formats")
COMMANDS = {
    "diffs": "git diff HEAD~1",
    "search": "git grep -n TODO",
    "test_build": "make test",
    "k8s_ops": "kubectl get all -o yaml",
    "json_api": "curl -s https://api.example.com/{name}",
    "cmd_output": "{words}",
}
"""The shell command behind a category; `cat` for all others."""


@dataclass(frozen=True, slots=True)
class File:
    """One recorded tool result. `facts` are substrings that a reader needs."""

    path: str
    category: str
    text: str
    facts: tuple[str, ...]
    call: ToolCall


def files(folder: Path, categories: set[str]) -> Iterator[File]:
    """Yield the files of a corpus in the manifest's order, all categories when none is named."""
    for line in (folder / "MANIFEST.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["category"] in CONVERSATIONS or (categories and row["category"] not in categories):
            continue
        packed = (folder / row["path"]).read_bytes()
        text = (gzip.decompress(packed) if row.get("encoding") == "gzip" else packed).decode("utf-8", "replace")
        asked = row.get("queries") or [{"facts": row.get("facts") or []}]
        call = (
            ToolCall(row["tool"], json.dumps(row["arguments"]))
            if "tool" in row
            else call_for(row["category"], row["path"])
        )
        yield File(row["path"], row["category"], text, tuple(asked[0]["facts"]), call)


def call_for(category: str, path: str) -> ToolCall:
    """Return the tool call that would have printed such a file."""
    name = path.rpartition("/")[2].split("__")[-1]
    if category in ("code", "markdown"):
        return ToolCall("Read", json.dumps({"file_path": f"/repo/{name}"}))
    if category == "html":
        return ToolCall("WebFetch", json.dumps({"url": f"https://example.com/{name}"}))
    if category == "prose_qa":
        return ToolCall("search_docs", json.dumps({"query": "docs"}))
    words = name.split(".")[0].replace("_", " ").replace("-", " ")
    command = COMMANDS.get(category, "cat {name}").format(name=name, words=words)
    return ToolCall("Bash", json.dumps({"command": command}))
