r"""Several commands and what they printed, one below the other, as agents that type into a terminal see them.

Each line that was typed stands behind the shell's prompt. What a command printed is told by that command, not by the call,
which typed several; and a prompt that stands there again and again is worth saying once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MIN_PROMPTS = 2
MIN_PROMPT_CHARS = 8
MAX_CHARS = 400_000
SIGNS = ("$", "❯", "$>")
"""The first of these that no line begins with stands for the prompt that is there most often."""

_PROMPT = re.compile(
    r"(?:\([^()\n]{1,60}\) ?){0,3}"
    r"(?:\[?[\w.-]{1,64}@[\w.-]{1,80}[: ][^\n#$%>]{0,200}[^\n#$%> ] ?[#$]|(?:ba|z)?sh-\d[\d.]*[#$]|/[\w./-]{0,200} [#$])(?= |$)"
)
_GOES_ON = re.compile(r"> ?")
"""The shell's second prompt, before the next line of a command."""


@dataclass(frozen=True, slots=True)
class Part:
    """One command: the line that it was typed on, with its prompt, how far what was typed goes, and what it printed.

    `prompt` is "" for what stands before the first prompt.
    """

    prompt: str
    typed: tuple[str, ...]
    printed: str | None

    @property
    def command(self) -> str:
        """What was typed, without prompts."""
        first, *others = self.typed or ("",)
        return "\n".join([first.strip(), *(_GOES_ON.sub("", line, count=1) for line in others)])


def read(text: str) -> list[Part] | None:
    """Return the parts of a text in which a shell's prompt stands several times, None for other texts."""
    if len(text) > MAX_CHARS or ("#" not in text and "$" not in text):
        return None
    lines = text.split("\n")
    prompts = {n: found[0] for n, line in enumerate(lines) if (found := _PROMPT.match(line))}
    is_typed = any(lines[n][len(prompt) :].strip() for n, prompt in prompts.items())
    if not is_typed or _most(prompts.values())[1] < MIN_PROMPTS:
        return None
    starts = [*prompts, len(lines)]
    parts = [Part("", (), "\n".join(lines[: starts[0]]))] if starts[0] else []
    for start, end in zip(starts, starts[1:], strict=False):
        prompt = prompts[start]
        behind = start + 1
        while behind < end and lines[behind].startswith(">"):
            behind += 1
        typed = (lines[start][len(prompt) :], *lines[start + 1 : behind])
        parts.append(Part(prompt, typed, "\n".join(lines[behind:end]) if behind < end else None))
    return parts


def written(parts: Sequence[Part], printed: Iterable[str | None]) -> str:
    """Return the parts with what they printed written otherwise, and with the prompt that is there most often said once."""
    shown = list(printed)
    prompt, count = _most(part.prompt for part in parts)
    taken = [
        line for part, text in zip(parts, shown, strict=True) for line in (*part.typed[1:], *(text or "").split("\n"))
    ]
    sign = next((sign for sign in SIGNS if not any(line.startswith(sign) for line in taken)), None)
    if count < MIN_PROMPTS or sign is None:
        prompt, sign = "", ""
    out = [f"[prompts “{prompt}” are written “{sign}”]"] if prompt else []
    for part, text in zip(parts, shown, strict=True):
        if part.prompt:
            out += [f"{sign if part.prompt == prompt else part.prompt}{part.typed[0]}", *part.typed[1:]]
        if text is not None:
            out.append(text)
    return "\n".join(out)


def _most(prompts: Iterable[str]) -> tuple[str, int]:
    """Return the prompt worth saying once that is there most often, and how often."""
    counts = Counter(prompt for prompt in prompts if len(prompt) >= MIN_PROMPT_CHARS)
    return max(counts.items(), key=lambda pair: (pair[1], pair[0]), default=("", 0))
