"""From a tool result to its shortest honest form: every fitting shrinker proposes, measured tokens decide."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TypeVar

from headroom import detect, envelope, frame, reading, registry, scales, tokens, transcript
from headroom.shrinkers import blank, numbered
from headroom.values import Attempt, Form, Level, Policy, Shrunk, Source, ToolCall

T = TypeVar("T")
Shrinker = Callable[[Source], Iterable[Form]]
Extra = Mapping[str, Shrinker]

MARKER = "[headroom left out "
"""How the last line of every lossy form begins."""

BRIEF = "kept as "
"""How the name of an original is told to whoever knows the way to the others."""

LOSSY_SHARE = 0.10
"""A lossy form must be this much shorter than the best one without loss: what is whole needs no second look."""

_MARKED = re.compile(r"\[headroom left out [^\n]*\]\s*\Z")
_BRIEF = re.compile(rf"; {BRIEF}[0-9a-f]{{24}}\]\s*\Z")
_NOISE = bytes([*range(9), *range(0x0B, 0x20), 0x7F])
_MARKER_CHARS = 2_000
_HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])")
RETRIEVE_TOOL = "headroom_retrieve"
_ANY_HASH = "e3b0c44298fc1c149afbf4c8"
_MOST_HASH_TOKENS = len(_ANY_HASH) + 1
_NEAR = 1.3
_FAR = 2
"""Forms this much longer than the shortest of their sort are not counted: tokens follow characters that closely."""

_SLACK = 1.03
"""Weighing errs by less than this."""

_MAX_ROUNDS = 8
_DATA = frozenset(["json", "logs", "table", "test_events", "tuples"])
"""Kinds whose lines are records: in them a line's number tells little."""


MILDER: tuple[Level, ...] = ("deep", "balanced", "lossless")
"""Levels, each milder than the one before it."""


def shrink(text: str, *, call: ToolCall, policy: Policy, extra: Extra | None = None) -> Shrunk:
    """Return the shortest form that clears the policy's margin, or the text itself and the reason why not.

    `extra` are shrinkers beside the registered ones, by the kind of text that they are for.
    """
    before = tokens.estimate(text)
    level = _level(call, policy)
    if is_retrieval(call):
        return Shrunk(text, before, before, reason="retrieved", level=policy.level)
    if level is None:
        return Shrunk(text, before, before, reason="excluded", level=policy.level)
    if is_shrunk(text):
        return Shrunk(text, before, before, reason="already_shrunk", level=level)
    if before < policy.min_tokens:
        return Shrunk(text, before, before, reason="too_small", level=level)
    for milder in MILDER[MILDER.index(level) :]:
        work = _Work(call, replace(policy, level=milder), original_hash(text), before, extra or {})
        outcome = work.outcome(text)
        if not _is_unwanted(outcome, call, policy):
            return outcome
    return Shrunk(text, before, before, reason="wanted_whole", level=level)


def is_shrunk(text: str) -> bool:
    """Return whether a text ends in our marker."""
    return bool(_MARKED.search(text[-_MARKER_CHARS:]))


def is_retrieval(call: ToolCall) -> bool:
    """Return whether a call fetched an original back: what it brought is wanted in full."""
    asked = call.arguments[:_MARKER_CHARS]
    return call.name.endswith(RETRIEVE_TOOL) or ("/v1/retrieve" in asked and bool(_HASH.search(asked)))


def original_hash(text: str) -> str:
    """Return the name under which an original is kept: 24 hex digits of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def tells_way_back(text: str) -> bool:
    """Return whether a text ends in a marker that says how originals can be had, and not only what this one is called."""
    found = _MARKED.search(text[-_MARKER_CHARS:])
    return found is not None and not _BRIEF.search(found[0])


def marker(left_out: str, policy: Policy, digest: str) -> str:
    """Return the line that tells a reader what is missing and how it can be had. Of old news it says no more than that."""
    way_back = f"{BRIEF}{digest}" if policy.is_told else policy.retrieval.replace("{hash}", digest)
    assurance = "" if policy.level == "deep" or policy.is_told else "the file or command itself is intact"
    parts = [f"{MARKER}{' '.join(left_out.split())}", assurance, way_back]
    return "; ".join(part for part in parts if part) + "]"


def _level(call: ToolCall, policy: Policy) -> Level | None:
    """Return how far this tool's results may be shrunk, None for not at all."""
    name = call.name.lower()
    if any(fnmatchcase(name, pattern.lower()) for pattern in policy.excluded_tools):
        return None
    levels = (level for pattern, level in policy.tool_levels if fnmatchcase(name, pattern.lower()))
    return next(levels, policy.level)


def _is_unwanted(outcome: Shrunk, call: ToolCall, policy: Policy) -> bool:
    """Return whether experience with this tool speaks against such a form."""
    return outcome.is_changed and (call.name, outcome.form, form_level(outcome)) in policy.unwanted_forms


def form_level(outcome: Shrunk) -> Level:
    """Return how far the form itself goes: one that leaves nothing out is lossless at every level."""
    return outcome.level if outcome.is_lossy else "lossless"


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A form with its marker, measured."""

    text: str
    tokens: int
    kind: str
    name: str
    left_out: str
    place: int
    """Where it stands among the attempts."""


@dataclass(slots=True)
class _Work:
    """One text on its way: what was tried so far and what went wrong."""

    call: ToolCall
    policy: Policy
    digest: str
    before: int
    extra: Extra
    attempts: list[Attempt] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    detected: dict[str, None] = field(default_factory=dict)
    round: int = 0

    def outcome(self, text: str) -> Shrunk:
        """Shrink until nothing more is gained: a form without loss may open the way for another one."""
        taken: list[_Candidate] = []
        current, cost = text, self.before
        for _ in range(_MAX_ROUNDS):
            best = self._best(current, cost)
            if best is None:
                break
            taken.append(best)
            self.attempts[best.place] = replace(self.attempts[best.place], tokens=best.tokens, is_kept=True)
            self.round += 1
            current, cost = best.text, best.tokens
            if best.left_out or cost < self.policy.min_tokens or self._is_enough(cost):
                break
        if not taken:
            reason = f"failed:{self.failed[0]}" if self.failed else "no_gain"
            return replace(self._told(text, self.before), reason=reason)
        return replace(
            self._told(current, cost),
            kind=taken[0].kind,
            form="+".join(dict.fromkeys(step.name for step in taken)),
            left_out=taken[-1].left_out,
            original_hash=self.digest if taken[-1].left_out else "",
        )

    def _told(self, text: str, cost: int) -> Shrunk:
        """Return a text with what explains it."""
        attempts, detected = tuple(self.attempts), tuple(self.detected)
        return Shrunk(text, self.before, cost, attempts=attempts, detected=detected, level=self.policy.level)

    def _is_enough(self, cost: int) -> bool:
        return self.policy.target_ratio is not None and cost <= self.policy.target_ratio * self.before

    def _best(self, text: str, cost: int) -> _Candidate | None:
        """Return the form to take next, its tokens counted. Until then forms are weighed, near enough to choose by."""
        enough = cost * (1 - self.policy.margin_share)
        found = [one for one in self._found(text, cost) if one.tokens <= enough * _SLACK]
        while found:
            best = self._chosen(found, cost)
            if best is None:
                break
            counted = replace(best, tokens=tokens.estimate(best.text))
            if counted.tokens < cost and self._is_worth_it(counted, enough):
                return counted
            found.remove(best)
        return None

    def _is_worth_it(self, one: _Candidate, enough: float) -> bool:
        """Return whether a form costs little enough, with a hash that is always the same: its loss is no matter of luck."""
        most_luck = _MOST_HASH_TOKENS * (1 + len(one.text) // tokens.EXACT_CHARS)
        if not one.left_out or one.tokens + most_luck <= enough:
            return one.tokens <= enough
        return tokens.estimate(one.text.replace(self.digest, _ANY_HASH)) <= enough

    def _found(self, text: str, cost: int) -> list[_Candidate]:
        """Return what may be sent instead of a text; deeper forms, too, when the target is not met without them."""
        found = list(self._candidates(text, cost, self.policy))
        target = self.policy.target_ratio
        if (
            target is None
            or self.policy.level != "balanced"
            or any(one.tokens <= target * self.before for one in found)
        ):
            return found
        return found + list(self._candidates(text, cost, replace(self.policy, level="deep")))

    def _chosen(self, found: list[_Candidate], cost: int) -> _Candidate | None:
        """Return the best form: without loss where that nearly does, as mild as the target allows."""
        if self.policy.target_ratio is None:
            return _shortest(found, cost)
        fitting = [one for one in found if one.tokens <= self.policy.target_ratio * self.before]
        mildest = max(fitting, key=lambda one: (not one.left_out, one.tokens), default=None)
        return mildest or min(found, key=lambda one: one.tokens, default=None)

    def _candidates(self, text: str, cost: int, policy: Policy) -> Iterator[_Candidate]:
        """Measure the forms that may win: of those with and those without loss, the ones near the shortest."""
        found = [(kind, form) for kind, form in self._proposed(text, policy) if form.text.strip()]
        whole = min((len(form.text) for _, form in found if not form.is_lossy), default=len(text))
        lossy = min((len(form.text) for _, form in found if form.is_lossy), default=len(text))
        has_target = policy.target_ratio is not None
        near = {
            id(form)
            for _, form in found
            # Who finds our marker at the end of a whole text would take it for ours.
            if len(form.text) <= len(text) and (form.is_lossy or not is_shrunk(form.text))
            if has_target or len(form.text) <= _NEAR * (lossy if form.is_lossy else min(whole, _FAR * lossy))
        }
        weigh = scales.Scale(text, cost).weigh if len(near) > 1 else tokens.estimate
        for kind, form in found:
            if id(form) in near:
                yield self._measured(kind, form, weigh)
            else:
                self.attempts.append(Attempt(form.name, None, form.is_lossy, kind, self.round))

    def _proposed(self, text: str, policy: Policy) -> Iterator[tuple[str, Form]]:
        """Yield every form that a shrinker offers; of a wrapped text, those of what is inside, with the wrapping."""
        if policy.level == "deep" and policy.deep_share == 0:
            yield from self._forms(("stub",), text, policy)
            return
        opened = self._tried("envelope", lambda: envelope.opened(text), None)
        if opened is None:
            yield from self._of_plain(text, policy)
            yield from self._of_transcript(text, policy)
            return
        wrapping, inner = opened
        yield "envelope", Form(f"{wrapping}\n{inner}", "unwrapped")
        for kind, form in self._of_plain(inner, policy):
            yield kind, replace(form, text=f"{wrapping}\n{form.text}")

    def _of_plain(self, text: str, policy: Policy) -> Iterator[tuple[str, Form]]:
        shown = text
        if _is_noisy(text):
            shown = next((form.text for _, form in self._forms(("terminal",), text, policy)), text)
            if shown != text:
                yield "terminal", Form(shown, "terminal")
        dense = blank.collapse(shown)
        if dense != shown:
            shown = dense
            yield "blank", Form(shown, "blank_lines")
        yield from self._forms(("chatter", "echo"), shown, policy)
        is_cut = False
        head, inner, tail = self._tried("frame", lambda: frame.split(shown), ("", shown, ""))
        kinds: tuple[str, ...] = self._tried("detection", lambda: detect.kinds(inner, self.call), ())
        self.detected |= dict.fromkeys(kinds)
        for kind, form in self._forms((*kinds, "shared_start", "shared_words"), inner, policy):
            if kind != "terminal":
                is_cut = is_cut or form.is_lossy
                yield kind, replace(form, text=f"{head}{form.text}{tail}") if head or tail else form
        for kind, form in self._of_numbered(inner, policy):
            is_cut = is_cut or form.is_lossy
            yield kind, replace(form, text=f"{head}{form.text}{tail}")
        if policy.level == "deep" and not is_cut and not reading.is_read(self.call):
            # Nobody who knows this kind of text can cut it, and it is old: its most telling lines are worth more than none.
            yield from self._forms(("gist",), shown, policy)
        yield from self._forms(("stub",), shown, policy)

    def _of_numbered(self, text: str, policy: Policy) -> Iterator[tuple[str, Form]]:
        """Yield the forms of data that a tool for reading files numbered line by line: those that it has without numbers."""
        if reading.language(self.call) or reading.is_document(self.call):
            return
        bared = self._tried("numbered", lambda: numbered.bared(text), None)
        if bared is None:
            return
        note, bare = bared
        kinds: tuple[str, ...] = self._tried("detection", lambda: detect.kinds(bare, self.call), ())
        for kind, form in self._forms(tuple(kind for kind in kinds if kind in _DATA), bare, policy):
            yield kind, replace(form, text=f"{note}\n{form.text}")

    def _of_transcript(self, text: str, policy: Policy) -> Iterator[tuple[str, Form]]:
        """Yield a terminal's contents with what each command printed written as it would be alone."""
        parts = self._tried("transcript", lambda: transcript.read(text), None)
        if parts is None:
            return
        found = [self._alone(part, policy) for part in parts]
        left_out = "; ".join(one.left_out for one in found if one is not None and one.left_out)
        if left_out:
            yield "transcript", Form(transcript.written(parts, map(_text, found)), "transcript", left_out)
            mild = replace(policy, level="lossless")
            found = [
                self._alone(part, mild) if one is not None and one.left_out else one
                for part, one in zip(parts, found, strict=True)
            ]
        yield "transcript", Form(transcript.written(parts, map(_text, found)), "transcript")

    def _alone(self, part: transcript.Part, policy: Policy) -> Shrunk | None:
        """Return the outcome for what one command printed, None where it printed nothing: without a marker, as the whole
        has one."""
        if part.printed is None:
            return None
        before = tokens.estimate(part.printed)
        call = ToolCall("bash", json.dumps({"command": part.command})) if part.prompt else self.call
        if before < policy.min_tokens or transcript.read(part.printed):
            return Shrunk(part.printed, before, before)
        work = _Work(call, policy, self.digest, before, self.extra)
        outcome = work.outcome(part.printed)
        self.failed += work.failed
        return replace(outcome, text=outcome.text.rpartition("\n")[0]) if outcome.left_out else outcome

    def _tried(self, name: str, work: Callable[[], T], otherwise: T) -> T:
        try:
            return work()
        except Exception as error:  # noqa: BLE001
            self._note(name, error)
            return otherwise

    def _forms(self, kinds: tuple[str, ...], text: str, policy: Policy) -> Iterator[tuple[str, Form]]:
        """Run the shrinkers; one that raises is skipped and named: the text is worth more than the form."""
        source = Source(text, self.call, policy)
        for kind, shrinker in self._shrinkers(kinds):
            try:
                for form in shrinker(source):
                    yield kind, form
            except Exception as error:  # noqa: BLE001
                self._note(kind, error)

    def _shrinkers(self, kinds: tuple[str, ...]) -> Iterator[tuple[str, Shrinker]]:
        for kind in kinds:
            for shrinkers in (registry.SHRINKERS, self.extra):
                if kind in shrinkers:
                    yield kind, shrinkers[kind]

    def _note(self, kind: str, error: Exception) -> None:
        self.failed.append(kind)
        self.attempts.append(
            Attempt(f"{kind} raised {type(error).__name__}", None, is_lossy=False, kind=kind, round=self.round)
        )

    def _measured(self, kind: str, form: Form, weigh: Callable[[str], int]) -> _Candidate:
        text = form.text
        if form.is_lossy:
            text = "\n".join([text.rstrip("\n"), marker(form.left_out, self.policy, self.digest)])
        found = _Candidate(text, weigh(text), kind, form.name, form.left_out, len(self.attempts))
        self.attempts.append(Attempt(form.name, found.tokens, form.is_lossy, kind, self.round))
        return found


def _text(outcome: Shrunk | None) -> str | None:
    return None if outcome is None else outcome.text


def _is_noisy(text: str) -> bool:
    """Return whether a text has characters that steer a terminal. Asked of bytes, as that is faster than an expression."""
    there = text.encode("utf-8", "surrogatepass")
    return len(there.translate(None, _NOISE)) < len(there)


def _shortest(found: list[_Candidate], cost: int) -> _Candidate | None:
    whole = min((one for one in found if not one.left_out), key=lambda one: one.tokens, default=None)
    lossy = min((one for one in found if one.left_out), key=lambda one: one.tokens, default=None)
    limit = whole.tokens * (1 - LOSSY_SHARE) if whole else cost
    return lossy if lossy is not None and lossy.tokens <= limit else whole
