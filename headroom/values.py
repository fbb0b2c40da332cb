"""The engine's vocabulary: what travels between detection, shrinkers, the pipeline and callers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ENGINE_VERSION = 12
"""Raised whenever the same input may give other bytes; stored with every decision, so old conversations keep theirs."""

Level = Literal["lossless", "balanced", "deep"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The call whose result is being shrunk: `arguments` is the JSON text the model wrote, "" when unknown."""

    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """How far a shrinker may go.

    `level`: "lossless" keeps every fact in a shorter spelling, "balanced" is for a result the model sees for the first
    time, "deep" is for results that are several turns old. `retrieval` words how the original can be had; `{hash}` in
    it is replaced. `excluded_tools` and `tool_levels` name tools in any case, with `*` for any characters; the first level
    that names a tool is its level, whatever else is asked for. `code_aware` folds the bodies of functions in old source
    files. `target_ratio` asks for the mildest form that is at most this share of the text. `version` names the whole set
    of rules: stored forms of another version are never mixed with it. `keep_words` are names that the conversation speaks
    of: lines, rows and definitions with one of them stay, word for word, as long as few lines have it. They are part of
    what decides the bytes, their order is not. `deep_share`: at level "deep", forms that keep about this share of any
    kind of text may win, too, and at 0 none but the beginning of one line. `unwanted_forms` are (tool, form, level) that
    readers came back from too often: where such a form would win, the best one of the next milder level does, and below
    lossless the text itself. `is_told`: the reader has seen how originals can be had, so that a marker need not say more
    than what this one is called.
    """

    level: Level = "balanced"
    version: int = 1
    min_tokens: int = 60
    margin_share: float = 0.05
    code_aware: bool = True
    target_ratio: float | None = None
    excluded_tools: frozenset[str] = frozenset()
    tool_levels: tuple[tuple[str, Level], ...] = ()
    retrieval: str = "original kept as {hash}"
    keep_words: tuple[str, ...] = ()
    deep_share: float | None = None
    unwanted_forms: frozenset[tuple[str, str, Level]] = frozenset()
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """One tool result on its way through a shrinker."""

    text: str
    call: ToolCall = field(default_factory=ToolCall)
    policy: Policy = field(default_factory=Policy)

    @property
    def wanted(self) -> str:
        """Text whose words name what must stay: names that the conversation speaks of, and the call's arguments."""
        words = " ".join(f'"{word}"' for word in sorted(self.policy.keep_words))
        return f"{words} {self.call.arguments}" if words else self.call.arguments


@dataclass(frozen=True, slots=True)
class Form:
    """One shorter way to write a source.

    `name` is the label in reports ("json_table"); `left_out` says in plain words what a lossy form dropped ("1,940 of
    2,000 lines"), and is empty exactly when the form is lossless. The pipeline, not the shrinker, adds the marker.
    """

    text: str
    name: str
    left_out: str = ""

    @property
    def is_lossy(self) -> bool:
        return bool(self.left_out)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One form that was tried: for `explain`.

    `tokens` is `None` where the form was plainly longer than another one and was not counted. `round` counts from 0: each
    form that is kept may open the way for another round. `verdict` says in words why it was kept or not, "" until asked.
    """

    name: str
    tokens: int | None
    is_lossy: bool
    kind: str = ""
    round: int = 0
    is_kept: bool = False
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The outcome for one tool result. `text` is the original itself when nothing was gained, and then `reason` says why.

    Reasons: `too_small`, `already_shrunk`, `excluded`, `retrieved`, `no_gain`, `wanted_whole`, `not_text`,
    `failed:<shrinker>`.
    `original_hash` is 24 hex digits of the original's SHA-256 for lossy forms, else "". `detected` are the kinds that the
    text may be of, likeliest first, and `level` how far its forms were allowed to go.
    """

    text: str
    tokens_before: int
    tokens_after: int
    kind: str = ""
    form: str = ""
    left_out: str = ""
    original_hash: str = ""
    reason: str = ""
    attempts: tuple[Attempt, ...] = ()
    detected: tuple[str, ...] = ()
    level: Level = "balanced"

    @property
    def is_changed(self) -> bool:
        return not self.reason

    @property
    def is_lossy(self) -> bool:
        return bool(self.left_out)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which messages may be touched. Tool results always may, unless they stand in the frozen beginning or the end.

    `settled` are outcomes of an earlier call that hold, by the place of their text among all that may be touched.
    """

    user_text: bool = False
    system_text: bool = False
    frozen_messages: int = 0
    recent_messages: int = 0
    settled: Mapping[int, Shrunk] = field(default_factory=dict)
