"""Regular expressions that cannot run away: matched by sets of states, in time linear in the text whatever the pattern.

The standard library's engine backtracks, so a pattern sent by a stranger could keep a worker busy for ever. What a
search through tool output needs is small: literals, classes, groups, `|`, repetition and anchors. Case is ignored.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_PATTERN_CHARS = 200
# Counted repetition is written out, so that its cost is visible here: `(a{30}){30}` is refused.
_MAX_NODES = 300
# States are kept between lines and thrown away when a pattern makes too many of them.
_MAX_STATES = 400
# Steps that no remembered state answers: a few hundred for real patterns, one per character for hostile ones.
_MAX_NEW_STEPS = 50_000

_WORD = frozenset(string.ascii_letters + string.digits + "_")
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}


class Unsupported(ValueError):
    """The pattern is malformed, too large, too costly, or uses back-references or look-around."""


@dataclass(frozen=True, slots=True)
class _Chars:
    """Which characters one step accepts: `kinds` holds letters of d, w, s and their negations."""

    single: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()
    kinds: str = ""
    is_negated: bool = False

    def accepts(self, char: str) -> bool:
        found = char in self.single or any(low <= char <= high for low, high in self.ranges)
        found = found or any(_is_kind(kind, char) for kind in self.kinds)
        return found != self.is_negated


@dataclass(slots=True)
class _Node:
    """One place in the pattern: it accepts a character, checks an edge, or just leads on."""

    chars: _Chars | None = None
    edge: str = ""
    leads_to: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _State:
    """A set of places reached so far, with what is known about the next character."""

    places: frozenset[int]
    after_word: bool
    at_start: bool = False
    is_match: bool = False
    next: dict[str, _State] = field(default_factory=dict)


def matcher(pattern: str) -> Callable[[str], bool]:
    r"""Return a function that says whether a line contains the pattern; raise Unsupported for what is not understood.

    The function raises Unsupported too, when the pattern turns out to cost too much on this text.

    >>> has_error = matcher(r"^E\s+assert \d+ ==")
    >>> has_error("E   assert 12 == 13"), has_error("no assert 12 == 13")
    (True, False)
    """
    if len(pattern) > MAX_PATTERN_CHARS:
        raise Unsupported(f"longer than {MAX_PATTERN_CHARS} characters")
    machine = _Machine(_Parser(pattern).parsed())
    return machine.is_in


def _is_kind(kind: str, char: str) -> bool:
    if kind in "dD":
        return char.isdigit() == (kind == "d")
    if kind in "wW":
        return _is_word(char) == (kind == "w")
    return char.isspace() == (kind == "s")


def _is_word(char: str) -> bool:
    return char in _WORD or char.isalnum()


class _Parser:
    """Turns a pattern into nodes; node 0 is the entry, the last one the match."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._nodes: list[_Node] = []

    def parsed(self) -> list[_Node]:
        entry = self._new(_Node())
        first, last = self._choice(depth=0)
        if self._at < len(self._pattern):
            raise Unsupported("unbalanced parenthesis")
        self._nodes[entry].leads_to.append(first)
        self._nodes[last].leads_to.append(self._new(_Node()))
        return self._nodes

    def _new(self, node: _Node) -> int:
        if len(self._nodes) >= _MAX_NODES:
            raise Unsupported("too many repetitions")
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _peek(self) -> str:
        return self._pattern[self._at] if self._at < len(self._pattern) else ""

    def _take(self) -> str:
        char = self._peek()
        self._at += 1
        return char

    def _choice(self, depth: int) -> tuple[int, int]:
        if depth > 20:
            raise Unsupported("nested too deeply")
        first, last = self._new(_Node()), self._new(_Node())
        while True:
            head, tail = self._sequence(depth)
            self._nodes[first].leads_to.append(head)
            self._nodes[tail].leads_to.append(last)
            if self._peek() != "|":
                return first, last
            self._take()

    def _sequence(self, depth: int) -> tuple[int, int]:
        first = last = self._new(_Node())
        while self._peek() not in ("", "|", ")"):
            head, tail = self._repeated(depth)
            self._nodes[last].leads_to.append(head)
            last = tail
        return first, last

    def _repeated(self, depth: int) -> tuple[int, int]:
        start = self._at
        head, tail = self._atom(depth)
        end = self._at
        low, high = self._quantifier()
        if (low, high) == (1, 1):
            return head, tail
        first = last = self._new(_Node())
        for number in range(max(low, 1) if high is None else high):
            if number:
                self._at = start
                head, tail = self._atom(depth)
            self._nodes[last].leads_to.append(head)
            if number >= low:
                self._nodes[last].leads_to.append(self._after(tail))
            last = self._after(tail)
        if high is None:
            self._nodes[last].leads_to.append(head)
            if low == 0:
                self._nodes[first].leads_to.append(last)
        self._at = end
        self._quantifier()
        return first, last

    def _after(self, tail: int) -> int:
        """Return the empty node behind `tail`, made once."""
        leads = self._nodes[tail].leads_to
        if not leads:
            leads.append(self._new(_Node()))
        return leads[0]

    def _quantifier(self) -> tuple[int, int | None]:
        bounds: tuple[int, int | None] = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self._peek(), (1, 1))
        if bounds != (1, 1):
            self._take()
        elif self._peek() == "{":
            bounds = self._counted()
        if bounds != (1, 1) and self._peek() in ("?", "+"):
            self._take()  # lazy and possessive spellings find the same lines
        return bounds

    def _counted(self) -> tuple[int, int | None]:
        close = self._pattern.find("}", self._at)
        low, comma, high = self._pattern[self._at + 1 : close].partition(",")
        numbers = [number for number in (low, high) if number]
        if close < 0 or not all(number.isascii() and number.isdigit() and len(number) < 4 for number in numbers):
            return 1, 1  # a brace that only looks like a count is a plain character
        if not numbers:
            return 1, 1
        self._at = close + 1
        bounds = (int(low or 0), (int(high) if high else None) if comma else int(low))
        if bounds[1] is not None and bounds[1] < max(bounds[0], 1):
            raise Unsupported("empty repetition")
        return bounds

    def _atom(self, depth: int) -> tuple[int, int]:
        char = self._take()
        if char == "(":
            return self._group(depth)
        if char in "^$":
            return self._single(_Node(edge=char))
        if char in "*+?":
            raise Unsupported("nothing to repeat")
        if char == ".":
            return self._single(_Node(chars=_Chars(single=frozenset("\n"), is_negated=True)))
        if char == "[":
            return self._single(_Node(chars=self._class()))
        if char == "\\":
            if self._peek() in ("b", "B"):
                return self._single(_Node(edge=self._take()))
            return self._single(_Node(chars=self._escape()))
        return self._single(_Node(chars=_Chars(single=frozenset(char.lower()))))

    def _single(self, node: _Node) -> tuple[int, int]:
        place = self._new(node)
        return place, place

    def _group(self, depth: int) -> tuple[int, int]:
        if self._peek() == "?":
            self._take()
            if self._take() != ":":
                raise Unsupported("look-around and named groups are not understood")
        found = self._choice(depth + 1)
        if self._take() != ")":
            raise Unsupported("unbalanced parenthesis")
        return found

    def _escape(self) -> _Chars:
        char = self._take()
        if not char:
            raise Unsupported("ends in a backslash")
        if char in "dDwWsS":
            return _Chars(kinds=char)
        if char in _CONTROL:
            return _Chars(single=frozenset(_CONTROL[char]))
        if char.isalnum():
            raise Unsupported(f"\\{char} is not understood")
        return _Chars(single=frozenset(char))

    def _class(self) -> _Chars:
        is_negated = self._peek() == "^"
        self._at += is_negated
        single: set[str] = set()
        ranges: list[tuple[str, str]] = []
        kinds = ""
        is_first = True
        while is_first or self._peek() != "]":
            is_first = False
            char = self._take()
            if not char:
                raise Unsupported("unterminated character class")
            if char == "\\":
                escaped = self._escape()
                kinds += escaped.kinds
                single |= escaped.single
            elif self._peek() == "-" and self._pattern[self._at + 1 : self._at + 2] not in ("", "]", "\\"):
                self._take()
                ranges.append((char.lower(), self._take().lower()))
            else:
                single |= set(char.lower())
        self._take()
        return _Chars(frozenset(single), tuple(ranges), kinds, is_negated)


class _Machine:
    """Walks a line once; sets of places already seen are remembered between lines."""

    def __init__(self, nodes: list[_Node]) -> None:
        self._nodes = nodes
        self._match = len(nodes) - 1
        self._known: dict[tuple[frozenset[int], bool], _State] = {}
        self._start = _State(frozenset([0]), after_word=False, at_start=True)
        self._new_steps = 0

    def is_in(self, line: str) -> bool:
        state = self._start
        for char in line.lower():
            following = state.next.get(char)
            state = self._step(state, char) if following is None else following
            if state.is_match:
                return True
        return self._match in self._closed(state, "")

    def _step(self, state: _State, char: str) -> _State:
        self._new_steps += 1
        if self._new_steps > _MAX_NEW_STEPS:
            raise Unsupported("too costly on this text")
        places = self._closed(state, char)
        if self._match in places:
            following = _State(places, after_word=False, is_match=True)
        else:
            moved = {0}
            for place in places:
                chars = self._nodes[place].chars
                if chars is not None and chars.accepts(char):
                    moved.update(self._nodes[place].leads_to)
            following = self._state(frozenset(moved), after_word=_is_word(char))
        state.next[char] = following
        return following

    def _state(self, places: frozenset[int], *, after_word: bool) -> _State:
        if len(self._known) > _MAX_STATES:
            self._known.clear()
            self._start.next.clear()
        return self._known.setdefault((places, after_word), _State(places, after_word))

    def _closed(self, state: _State, char: str) -> frozenset[int]:
        """Follow what needs no character: `char` is the one to come, "" at the end of the line."""
        is_between = state.after_word != (bool(char) and _is_word(char))
        holds = {"^": state.at_start, "$": not char, "b": is_between, "B": not is_between}
        todo, seen = list(state.places), set(state.places)
        while todo:
            node = self._nodes[todo.pop()]
            if node.chars is not None or (node.edge and not holds[node.edge]):
                continue
            fresh = [place for place in node.leads_to if place not in seen]
            seen.update(fresh)
            todo.extend(fresh)
        return frozenset(seen)
