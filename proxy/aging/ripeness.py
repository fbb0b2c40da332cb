"""Which results of a request are old news: old enough, not in use, not what the user pointed at, not referred to."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache

from headroom import commands, detect, reading
from headroom.shrinkers import numbered
from headroom.values import ToolCall
from proxy import files, mentions
from proxy.aging.epochs import Tuning
from proxy.files import Touch
from proxy.values import Call, ToolResult

MAX_WINDOW_CHARS = 20_000
"""Where lines of a file are shown with numbers, the first ones have them."""
WINDOW_LINES = 110
"""So many lines of a file are more than a look around: editors show a hundred at a time."""
LAST_LAGS = 4
"""Edits that are looked at: an agent that begins with one thing may go on with another."""

_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[-.: ]")
_LISTS = re.compile(r"(?:find|search|list|grep)_(?:in_)?(?:files?|paths?|dir|folder|code)")
_SHELL = re.compile(r"(?:^|_)(?:bash|(?:power)?shell|stdin)")
_HOLDER = re.compile(
    r"(?:(?:get|read|view|check|capture|poll|list|last|send|write|run|execute|start|launch|stop|kill|wait|interact|to|in|from|with)_)*"
    r"(?:terminal|process)(?:_(?:read|write|output|logs?|input|text|contents?|buffer|screen|selection|command|status|session))*"
)
_HANDLE = re.compile(r"(?:^|_)(?:p?id|session|input|text|chars|command|timeout|wait|lines?|selected)(?:_|$)")
"""Tools that say more of what a command printed have no command line. `BashOutput` and `write_stdin` are told by a word of
their names; `read-process` and `get_terminal_output` by the whole of it and, as airports have terminals and what a service
processes, a refund or an order, is data, by an argument that such tools take."""


class Files:
    """What a conversation did to its files: when each was last touched, and when last shown or written as a whole."""

    def __init__(self, results: Sequence[ToolResult]) -> None:
        self._touched: dict[str, int] = {}
        self._renewed: dict[str, int] = {}
        self._changed: set[str] = set()
        self._lags: list[int] = []
        for result in results:
            for touch in files.touches(result.tool, result.arguments):
                self._note_lag(touch, result.age_turns)
                self._touched[touch.path] = result.age_turns
                if touch.act != "read":
                    self._changed.add(touch.path)
                if touch.act == "write" or (
                    touch.act == "read" and touch.is_whole and _shows(result.tool, result.arguments)
                ):
                    self._renewed[touch.path] = result.age_turns

    def _note_lag(self, touch: Touch, age_turns: int) -> None:
        """Note after how many turns a file that was read is edited for the first time."""
        read_at = [self._touched[name] for name in touch.names if name in self._touched]
        if touch.act == "change" and read_at and not self.was_changed([touch]):
            self._lags.append(min(read_at) - age_turns)

    def read_age_turns(self, tuning: Tuning, *, is_window: bool) -> int:
        """For how many turns files stay that nobody touches: twice what the last edits of this agent took to come.

        Some read a file right before they edit it, others read all of them first: whole ones, as a rule.
        """
        if not self._lags:
            return tuning.min_read_age_turns if is_window else tuning.min_unedited_age_turns
        longest = max(self._lags[-LAST_LAGS:])
        return min(tuning.min_read_age_turns + 2 * max(0, longest - 1), tuning.max_read_age_turns)

    def idle_turns(self, touches: Sequence[Touch], age_turns: int) -> int:
        """How long nobody has touched any of these files."""
        names = (name for touch in touches for name in touch.names)
        return min((self._touched[name] for name in names if name in self._touched), default=age_turns)

    def was_changed(self, touches: Sequence[Touch]) -> bool:
        """Whether a file was edited: what was edited once is often edited again, from the copy that was read then."""
        return any(not self._changed.isdisjoint(touch.names) for touch in touches)

    def are_stale(self, touches: Sequence[Touch], age_turns: int) -> bool:
        """Whether newer copies of all of these files follow."""
        return bool(touches) and all(self._renewed.get(touch.path, age_turns) < age_turns for touch in touches)


class Ripeness:
    """Judges the results of one request. With a cold cache, changes are free and no edit is under way."""

    def __init__(self, call: Call, tuning: Tuning) -> None:
        self._call, self._tuning = call, tuning
        self._files = Files(call.results)
        self._asked: list[str] | None = None

    def is_ripe(self, result: ToolResult) -> bool:
        age_turns, tuning = result.age_turns, self._tuning
        if age_turns < min(tuning.min_stale_age_turns, tuning.min_age_turns):
            return False
        touches = files.touches(result.tool, result.arguments)
        if age_turns >= tuning.min_stale_age_turns and self._files.are_stale(touches, age_turns):
            return True
        if not is_read(result):
            return age_turns >= (tuning.min_age_turns if can_be_had_again(result) else tuning.min_data_age_turns)
        idle_turns = self._files.idle_turns(touches, age_turns)
        is_part = not any(touch.is_whole for touch in touches)
        is_window = is_part and result.text.count("\n") < WINDOW_LINES
        if idle_turns < self._files.read_age_turns(tuning, is_window=is_window):
            return False
        if idle_turns < tuning.min_edited_age_turns and self._files.was_changed(touches):
            return False
        return age_turns >= tuning.min_named_age_turns or not self._were_asked_for(touches)

    def is_buried(self, result: ToolResult) -> bool:
        """Whether a result that is ripe is so old that one line of it will do."""
        idle_turns = self._files.idle_turns(files.touches(result.tool, result.arguments), result.age_turns)
        return min(result.age_turns, idle_turns) >= self._tuning.min_buried_age_turns

    def _were_asked_for(self, touches: Sequence[Touch]) -> bool:
        """Whether the user named a document, which may be carried out step by step, or a file that was edited since: the
        work is about that one."""
        names = [touch.name for touch in touches if files.is_document(touch) or self._files.was_changed([touch])]
        if names and self._asked is None:
            self._asked = mentions.asked(self._call)
        return any(name in text for text in self._asked or () for name in names)


def is_read(result: ToolResult) -> bool:
    """Whether a result shows a file, as its call says or, of a command, the numbers of its lines: it can be read again, and
    edits quote it."""
    return _is_read(result.tool, result.arguments) or (
        _is_command(result.tool, result.arguments) and bool(_numbers(result))
    )


def _numbers(result: ToolResult) -> str:
    """ "numbered" if lines of a result are numbered one by one, as editors that work by commands show a file."""
    if _numbers not in result.known:
        is_numbered = numbered.find(result.text[:MAX_WINDOW_CHARS].split("\n"), is_loose=True) is not None
        result.known[_numbers] = "numbered" if is_numbered else ""
    return result.known[_numbers]


def can_be_had_again(result: ToolResult) -> bool:
    """Whether a result shows a file or what a command printed. What a service answered is data: it may be asked for late."""
    return is_read(result) or _is_command(result.tool, result.arguments)


def risk(result: ToolResult, tuning: Tuning) -> float:
    """How many times as likely as others a result is to be asked for once it is shortened."""
    is_young_list = result.age_turns < tuning.list_age_turns and _is_list(result.tool, result.arguments)
    return tuning.list_risk if is_young_list else 1.0


@lru_cache(maxsize=8192)
def _is_list(tool: str, arguments: str) -> bool:
    """Whether a result tells where things are: files in folders, or what was found in them."""
    return detect.tells_places(ToolCall(tool, arguments)) or bool(_LISTS.match(_in_words(tool.rpartition("__")[2])))


@lru_cache(maxsize=8192)
def _is_command(tool: str, arguments: str) -> bool:
    return _is_about_process(tool, arguments) or bool(commands.line(ToolCall(tool, arguments)))


def _is_about_process(tool: str, arguments: str) -> bool:
    """Whether a tool says by its name, and where that could be another thing's by its arguments, that it looks after what
    runs in a shell."""
    if _SHELL.search(_in_words(tool)):
        return True
    if not _HOLDER.fullmatch(_in_words(tool.rpartition("__")[2])):
        return False
    try:
        given = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return False
    return not given or (isinstance(given, dict) and any(_HANDLE.search(_in_words(key)) for key in given))


def _in_words(name: str) -> str:
    """A name in small letters, its words joined by `_`: agents say `BashOutput`, `read-process` and `get_terminal_output`."""
    return _WORD_STARTS.sub("_", name).lower()


@lru_cache(maxsize=8192)
def _shows(tool: str, arguments: str) -> bool:
    """Whether a result is a copy of a file: what was found in it, or a list of what is in a folder, is none."""
    call = ToolCall(tool, arguments)
    return reading.is_read(call) or reading.is_file(call)


@lru_cache(maxsize=8192)
def _is_read(tool: str, arguments: str) -> bool:
    touch = files.touched(tool, arguments)
    return (touch is not None and touch.act == "read") or reading.is_file(ToolCall(tool, arguments))
