"""Which programs a shell call runs: through pipes, wrappers, `sh -c` and runners, without running a shell."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from headroom.values import ToolCall

MAX_CHARS = 1_500
MAX_SCRIPT_CHARS = 20_000
_MAX_DEPTH = 3

_WRAPPERS = frozenset(
    [
        "sudo",
        "doas",
        "env",
        "time",
        "timeout",
        "nohup",
        "nice",
        "ionice",
        "stdbuf",
        "xargs",
        "exec",
        "command",
        "then",
        "do",
        "else",
        "builtin",
        "chronic",
        "unbuffer",
    ]
)
_LINE_KEYS = ("command", "cmd", "script", "CommandLine", "keystrokes")
_LIST_KEY = "commands"
_SHELLS = frozenset(["sh", "bash", "zsh", "dash", "ksh"])
_RUNNERS = frozenset(
    [
        "npx",
        "bunx",
        "uvx",
        "pipx",
        "poetry",
        "pipenv",
        "uv",
        "hatch",
        "pdm",
        "rye",
        "bundle",
        "pnpm",
        "yarn",
        "npm",
        "bun",
        "conda",
        "mise",
    ]
)
_RUNNER_WORDS = frozenset(["run", "exec", "x", "dlx", "tool"])
# What follows their `run` is a name in a settings file, not a program.
_SCRIPT_RUNNERS = frozenset(["npm", "yarn", "pnpm", "bun"])
_PYTHONS = re.compile(r"(?:python|pypy)[\d.]*(?:\.exe)?|py")
_ASSIGNMENT = re.compile(r"\w+=")
# A flag of git, kubectl or docker before the subcommand that takes a value of its own.
_VALUED = frozenset(
    [
        "-C",
        "-c",
        "-n",
        "--namespace",
        "--context",
        "--kubeconfig",
        "-H",
        "--host",
        "--git-dir",
        "--work-tree",
        "-s",
        "-k",
        "-u",
        "-I",
        "-L",
        "-P",
    ]
)
_IN_SHELL = re.compile(r"(?:/\S{0,100}/)?(?:sh|bash|zsh|dash|ksh) -\w*c ")
_RUN_BY_SCRIPT = re.compile(
    r"\b(?:exec_command|shell_command|shell|bash)\(\s*\{[^{}]{0,300}?\b[\"']?(?:cmd|command)[\"']?\s*:\s*"
    r"(\"(?:[^\"\\\n]|\\.)*+\"|'(?:[^'\\\n]|\\.)*+'|`(?:[^`\\]|\\.)*+`)",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_BREAKS = frozenset(["&&", "||", ";", "|", "|&", "&", "(", ")", "{", "}", "!"])


class Program(NamedTuple):
    """A program and the first word behind it that is no flag, "" when there is none."""

    name: str
    subcommand: str


def programs(call: ToolCall) -> tuple[Program, ...]:
    """Return what a call runs, in order, nothing when it is no shell call.

    >>> programs(ToolCall("Bash", '{"command": "cd app && sudo git -C x log | head"}'))
    (Program(name='cd', subcommand='app'), Program(name='git', subcommand='log'), Program(name='head', subcommand=''))
    """
    return tuple(_programs(line(call), _MAX_DEPTH))


def line(call: ToolCall) -> str:
    """Return the command line of a call, "" when it runs none; arguments that nobody can read count as one."""
    found = given(call)
    return call.arguments[:MAX_CHARS] if found is None else found


def given(call: ToolCall) -> str | None:
    """Return the command line that the arguments of a call name, "" when they name none, None when they are no JSON.

    Of `bash -lc …` it is what the shell is given to run, of a script that runs commands (Codex) these, one a line, and so
    of a list of them (Terminus types keystrokes).

    >>> given(ToolCall("shell", '{"command": ["bash", "-lc", "cat a.py"]}'))
    'cat a.py'
    >>> given(ToolCall("terminal", '{"commands": [{"keystrokes": "cd app\\\\n"}, {"keystrokes": "ls -l\\\\n"}]}')).split("\\n")
    ['cd app', 'ls -l']
    >>> given(ToolCall("exec", "text((await tools.exec_command({cmd: 'cat a.py'})).output);"))
    'cat a.py'
    """
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        run = [_spelled(found[1]) for found in _RUN_BY_SCRIPT.finditer(call.arguments[:MAX_SCRIPT_CHARS])]
        return "\n".join(run)[:MAX_CHARS] if run else None
    if not isinstance(arguments, dict):
        return ""
    command = _first(arguments) or _listed(arguments.get(_LIST_KEY))
    if isinstance(command, list):
        words = [part for part in command if isinstance(part, str)]
        script = _script(words)
        command = shlex.join(words) if script is None else script
    elif isinstance(command, str) and _IN_SHELL.match(command):
        with contextlib.suppress(ValueError):
            command = _script(shlex.split(command)) or command
    return command[:MAX_CHARS] if isinstance(command, str) else ""


def _first(arguments: dict[str, Any]) -> Any:
    return next((arguments[key] for key in _LINE_KEYS if arguments.get(key)), "")


def _listed(commands: Any) -> str:
    """Return the command lines of a list, one below the other: each a text or an object that names one."""
    if not isinstance(commands, list):
        return ""
    found = [_first(one) if isinstance(one, dict) else one for one in commands]
    return "\n".join(line.rstrip("\n") for line in found if isinstance(line, str) and line.strip())


def _spelled(literal: str) -> str:
    """Return the text of a string as scripts write it."""
    quote, text = literal[0], literal[1:-1]
    if quote == '"':
        with contextlib.suppress(ValueError):
            return str(json.loads(literal))
    return _ESCAPED.sub(lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)


def _programs(text: str, depth: int) -> list[Program]:
    found: list[Program] = []
    for one in simple(words(text)):
        found += _program(one, depth)
    return found


def simple(found: Iterable[str]) -> Iterator[list[str]]:
    """Yield the words of each simple command: what stands between operators."""
    one: list[str] = []
    for word in [*found, ";"]:
        if word not in _BREAKS:
            one.append(word)
            continue
        if one:
            yield one
        one = []


def words(text: str) -> list[str]:
    """Return the words of a command line, operators among them; those before an open quote where there is one."""
    lexer = shlex.shlex(text.replace("\n", " ; "), posix=True, punctuation_chars="();|&")
    lexer.whitespace_split = True
    lexer.commenters = ""
    found: list[str] = []
    with contextlib.suppress(ValueError):  # an open quote: what was read so far is still good
        found.extend(lexer)
    return found


def _program(words: list[str], depth: int) -> list[Program]:
    at = 0
    while at < len(words) and (_ASSIGNMENT.match(words[at]) or _base(words[at]) in _WRAPPERS or _is_filler(words, at)):
        at += 1
    if at == len(words):
        return []
    name, rest = _base(words[at]), words[at + 1 :]
    inner = _inner(name, rest)
    if inner and depth:
        return _programs(inner, depth - 1) or [Program(name, "")]
    return [Program(name, _subcommand(rest))]


def _is_filler(words: list[str], at: int) -> bool:
    """Say whether a word belongs to the wrapper before it: a flag, or the seconds of `timeout`."""
    behind_wrapper = any(_base(word) in _WRAPPERS for word in words[:at])
    return behind_wrapper and (words[at].startswith("-") or bool(re.fullmatch(r"\d+[smh]?", words[at])))


def _inner(name: str, rest: list[str]) -> str:
    """Return the command line that a shell or a runner starts, "" for other programs."""
    if name in _SHELLS:
        return _script([name, *rest]) or ""
    if _PYTHONS.fullmatch(name):
        return shlex.join(rest[rest.index("-m") + 1 :]) if "-m" in rest[:4] else ""
    if name in _RUNNERS:
        words = _behind_flags(rest)
        if name.endswith("x"):
            return shlex.join(words)
        is_runner = words and words[0] in _RUNNER_WORDS and name not in _SCRIPT_RUNNERS
        return shlex.join(_behind_flags(words[1:])) if is_runner else ""
    return ""


def _script(words: list[str]) -> str | None:
    """Return what a shell is started with to run, None where these words start none with `-c`."""
    flag = next((at for at, word in enumerate(words) if at and re.fullmatch(r"-\w*c", word)), None)
    if not words or _base(words[0]) not in _SHELLS or flag is None or flag + 1 >= len(words):
        return None
    return words[flag + 1]


def _behind_flags(words: list[str]) -> list[str]:
    return words[next((at for at, word in enumerate(words) if not word.startswith("-")), len(words)) :]


def _subcommand(rest: list[str]) -> str:
    is_value = False
    for word in rest:
        if is_value:
            is_value = False
        elif word.startswith("-"):
            is_value = word in _VALUED
        else:
            return word
    return ""


def _base(word: str) -> str:
    return word.rpartition("/")[2].removesuffix(".exe")
