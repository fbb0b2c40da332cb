"""Made-up agent sessions: files are read and edited, commands run, and some are looked at again."""

from __future__ import annotations

import json
from typing import Any

import orjson

from proxy.providers import anthropic, openai_chat
from proxy.values import Call, Plan, Provider

Step = tuple[str, dict[str, Any], str]
"""A tool, its input, and what it answered."""

TASK = "Make the reports faster. " + "Take care of every caller. " * 250
PROVIDERS: dict[str, Provider] = {"anthropic": anthropic, "openai": openai_chat}


def module(name: str, functions: int = 40) -> str:
    """Source code, different for every name."""
    body = "\n\n".join(
        f"def {name}_{n}(rows, limit={n}):\n    total = sum(row.{name}_size for row in rows[:{n}])\n"
        f"    return {name}_report(total, limit) if total > {n * 7} else None"
        for n in range(functions)
    )
    return f"import json\n\n{body}\n"


def log(seed: int, lines: int = 120) -> str:
    """What a command printed; every seed prints something else."""
    return "\n".join(
        f"step {seed}.{n}: handled batch-{seed * 977 + n * 31} in {n * seed % 13} ms" for n in range(lines)
    )


def read(path: str, text: str) -> Step:
    return ("Read", {"file_path": path}, text)


def run(command: str, text: str) -> Step:
    return ("Bash", {"command": command}, text)


def edit(path: str) -> Step:
    return ("Edit", {"file_path": path, "old_string": "a", "new_string": "b"}, "The file was updated.")


def long_session(turns: int = 30) -> list[Step]:
    """Reads at the beginning, commands later, one file read twice."""
    first = [read(f"src/{name}.py", module(name)) for name in ("alpha", "beta", "gamma")]
    rest = [run(f"make step-{n}", log(n)) for n in range(1, turns - 3)]
    rest[4] = read("src/alpha.py", module("alpha"))
    return [*first, *rest]


def bodies(steps: list[Step], dialect: str, task: str = TASK) -> list[bytes]:
    """The request before each answer of the model, in order."""
    build = _anthropic if dialect == "anthropic" else _openai
    return [orjson.dumps(build(steps[:turn], task)) for turn in range(len(steps) + 1)]


def _anthropic(steps: list[Step], task: str) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": task}]}]
    for n, (tool, given, text) in enumerate(steps):
        use = {"type": "tool_use", "id": f"t{n}", "name": tool, "input": given}
        result = {"type": "tool_result", "tool_use_id": f"t{n}", "content": text}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    mark = {"cache_control": {"type": "ephemeral"}}
    messages[-1] = {"role": "user", "content": [{**messages[-1]["content"][0], **mark}]}
    system = [{"type": "text", "text": "You are a coding agent.", **mark}]
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("Read", "Bash", "Edit")]
    return {"model": "claude-sonnet-4-5", "max_tokens": 99, "tools": tools, "system": system, "messages": messages}


def _openai(steps: list[Step], task: str) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": task}]
    for n, (tool, given, text) in enumerate(steps):
        call = {"id": f"t{n}", "type": "function", "function": {"name": tool, "arguments": json.dumps(given)}}
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"t{n}", "content": text},
        ]
    return {"model": "gpt-4o", "messages": messages}


def sent(body: bytes, plan: Plan, dialect: str) -> list[Any]:
    """The messages that would go out, without cache marks."""
    provider = PROVIDERS[dialect]
    messages = orjson.loads(provider.render(provider.parse(body), plan))["messages"]
    for message in messages:
        for block in message["content"] if isinstance(message["content"], list) else ():
            block.pop("cache_control", None)
    return list(messages)


def call(body: bytes, dialect: str) -> Call:
    return PROVIDERS[dialect].parse(body)
