r"""What agents write around the output of a command: how long it took, how it ended, where the shell stands now.

Codex begins with `Wall time: …` and `Output:`, Gemini CLI with `Command: …`, Terminus with `New Terminal Output:`, others say `OBSERVATION:` or `<output>`; OpenHands
and SWE-agent end in notes in brackets, Claude Code in `Shell cwd was reset to …` or a `<system-reminder>`. Such lines stay as
they are. The output between them is what a shrinker has to see, as it could not tell a table or a list with them in it.
"""

from __future__ import annotations

import re

MIN_SHARE = 0.5
"""Of the text: less between the notes is no output with a frame."""
_LONGEST_HEAD = 2_000
_LONGEST_TAIL = 4_000
_MOST_TAIL_LINES = 12

_NOTE = r"(?:[A-Z][A-Za-z ]{1,30}: [^\n]{0,300}|Process exited with code -?\d+|Script (?:completed|failed)|Wall time [\d.]+ seconds|<(\w[\w-]{0,20})>[^<>\n]{0,80}</\1>)\n"
_CALLED = r"(?:(?:New |Current )?[Tt]erminal (?:[Oo]utput|[Ss]creen)|[Oo]utput|OUTPUT|[Ss]tdout|STDOUT|[Oo]bservation|OBSERVATION|[Rr]esult|RESULT)"
_TOLD = r"<(warning|error|exception)>\n?[^<]{0,1000}</\2>\n?"
"""What mini-swe-agent says of output that it cut, or of a command that failed."""
_CUT = r"Warning: truncated output[^\n]*\n(?:Total output lines: \d+\n)?\n?"
_HEAD = re.compile(
    rf"(?:{_NOTE}){{0,12}}+(?:{_TOLD})?(?:{_CALLED}:\n(?:{_CUT}|\n)?|<(?:output|stdout|result|output_head)>\n)|{_CUT}|(?:{_NOTE}){{1,12}}?{_CALLED}: (?=\S)"
    r"|Here(?:'s| is| are) [^\n]{0,200}:\n"
)
_TAIL_LINE = re.compile(
    r"\[(?:(?:The )?[Cc]ommand|Current working directory|Working directory|Python interpreter|Exit code)\b[^\]\n]{0,300}\]"
    r"|<[^<>\n]{0,40}\bexit(?:ed)?\b[^<>\n]{0,60}>|</(?:output|stdout|result|output_tail)>|<returncode>-?\d+</returncode>"
    r"|Shell cwd was reset to [^\n]{1,300}"
    r"|[(\[]?(?:[Pp]rocess |[Cc]ommand )?(?:[Ff]inished |[Ee]xited |[Cc]ompleted )?(?:with )?(?:[Ee]xit )?(?:code|status|Code):? -?\d+[)\]]?\.?"
    r"|(?:Error|Exit Code|Signal|Background PIDs|Process Group PGID): [^\n]{0,100}"
    r"|\((?:Open file|Current directory): [^\n]{0,300}\)|bash-\$|"
)
_REMINDER = re.compile(
    r"\n{0,2}<(system-reminder|system_reminder|environment_details)>(?:(?!<\1>).)*</\1>\s*\Z", re.DOTALL
)


def split(text: str) -> tuple[str, str, str]:
    r"""Return what stands before an output, the output itself and what stands behind it: together the whole text.

    >>> split("Exit code: 0\nOutput:\nsrc/app/models.py\nsrc/app/views.py\n")
    ('Exit code: 0\nOutput:\n', 'src/app/models.py\nsrc/app/views.py\n', '')
    >>> split("src/app/models.py\nsrc/app/views.py\n<exited with exit code 0>")
    ('', 'src/app/models.py\nsrc/app/views.py', '\n<exited with exit code 0>')
    """
    start = 0
    while start < _LONGEST_HEAD and (found := _HEAD.match(text, start, start + _LONGEST_HEAD)):
        start = found.end()
    end = _end(text, start)
    if end - start < MIN_SHARE * len(text) or not text[start:end].strip():
        return "", text, ""
    return text[:start], text[start:end], text[end:]


def _end(text: str, start: int) -> int:
    """Return where the notes at the end begin, each with the line break before it."""
    is_tagged = text[-_LONGEST_TAIL:].rstrip().endswith(">")
    reminder = _REMINDER.search(text, max(start, len(text) - _LONGEST_TAIL)) if is_tagged else None
    end = kept = reminder.start() if reminder else len(text)
    for _ in range(_MOST_TAIL_LINES):
        before = text.rfind("\n", start, end)
        if before < 0 or not _TAIL_LINE.fullmatch(text, before + 1, end):
            break
        end = before
        if text[before + 1 : kept].strip():
            kept = before
    return kept
