"""A context window that is full: shorten old results further, then let the least important messages go.

It is done when the provider has just said that a prompt is too long, or when ours is clearly above a limit that we know;
never before, as agents have ways of their own to make room. What was taken out is stored, and taken out of every later
request of the conversation, so that no byte moves until the window is full again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from django.conf import settings
from django.db import DatabaseError

from headroom import pipeline
from headroom.values import Policy, ToolCall
from proxy import database, decisions, policies
from proxy.aging import deep_forms
from proxy.decisions import Batch, Decided, Kept
from proxy.learning import counts
from proxy.offload import Offload
from proxy.providers import bodies
from proxy.stores import Store
from proxy.values import Call, Cut, Plan, ToolResult
from proxy.window import importance, records, units
from proxy.window.importance import Way
from proxy.window.records import Record
from proxy.window.refusals import TooLong
from proxy.window.units import Unit

logger = logging.getLogger(__name__)

MIN_BODY_BYTES = 16_000
"""Smaller requests fill no context window, and are not looked for in the database."""
CLEARLY_ABOVE = 1.1
"""Our estimate may be off by this factor before anything is done about it."""
GOAL_SHARE = 0.8
"""How full the window is left, so that it is not full again at the next turn."""
BLIND_SHARE = 0.75
"""What of a prompt is kept when the provider says that it is too long, and not by how much."""
KEPT_TURNS = 2
FRESH_S = 300.0
"""How long it is believed that nobody else stored anything about a conversation."""
MAX_KNOWN = 20_000
CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Look:
    """One request, as the window looks at it. `limit` is the model's context window in tokens, `None` where unknown.

    `planned` plans it, given the keys of results that will not be seen in full: no other result may then refer to those.
    """

    call: Call
    owner: str
    policy: Policy
    planned: Callable[[frozenset[str]], Awaitable[Plan]]
    limit: int | None = None

    @property
    def key(self) -> str:
        return units.where(self.call)

    @property
    def messages(self) -> list[object]:
        return bodies.items((self.call.document or {}).get(self.key))


class Window:
    """What one worker knows of conversations whose context window was full."""

    def __init__(self, store: Store, offload: Offload) -> None:
        self._store, self._offload = store, offload
        self._known: OrderedDict[tuple[str, str], tuple[float, list[Record]]] = OrderedDict()

    async def fitted(self, look: Look) -> Plan:
        """The plan with what was taken out earlier, and with more where it is clearly above the model's limit."""
        if not _may_cut(look):
            return await look.planned(frozenset())
        record = _applicable(await self._records(look), look)
        plan = await look.planned(frozenset()) if record is None else await self._replayed(look, record)
        if look.limit is None or plan.tokens_after <= CLEARLY_ABOVE * look.limit:
            return plan
        return await self._reduced(look, plan, record, _goal(look, plan, TooLong(look.limit)), "estimate") or plan

    async def after_refusal(self, look: Look, sent: Plan, said: TooLong) -> Plan | None:
        """A shorter plan than the one that the provider found too long, `None` where there is none."""
        if not _may_cut(look):
            return None
        record = _applicable(await self._records(look, is_fresh=True), look)
        if record is not None and len(record.cuts) > len(sent.cuts):  # another worker had to do the same
            return await self._replayed(look, record)
        return await self._reduced(look, sent, record, _goal(look, sent, said), "refusal")

    async def _records(self, look: Look, *, is_fresh: bool = False) -> list[Record]:
        known = (look.owner, records.root(look.call))
        at, found = self._known.get(known, (0.0, None))
        if found is not None and not is_fresh and (settings.IS_EMBEDDED or time.monotonic() - at < FRESH_S):
            return found
        try:
            found = await database.run(records.load, *known, datetime.now(UTC))
        except (DatabaseError, TimeoutError):
            return found or []
        self._remember(known, found)
        return found

    def _remember(self, known: tuple[str, str], found: list[Record]) -> None:
        self._known[known] = (time.monotonic(), found)
        self._known.move_to_end(known)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    async def _replayed(self, look: Look, record: Record) -> Plan:
        plan = await look.planned(_hidden(look, record))
        named = [r for r in look.call.results if record.deepened and _key(look, r) in record.deepened]
        stored = await self._stored_forms(look, named) if named else {}
        plan = _shortened(look, plan, {r: stored[_key(look, r)] for r in named if _key(look, r) in stored})
        return _cut(look, plan, record.cuts)

    async def _stored_forms(self, look: Look, results: Sequence[ToolResult]) -> dict[str, Decided]:
        keys = {decisions.window_key(_key(look, result)): _key(look, result) for result in results}
        try:
            found = await self._store.load(list(keys))
        except (DatabaseError, TimeoutError):
            return {}
        return {keys[key]: made for key, made in found.items()}

    async def _reduced(self, look: Look, plan: Plan, record: Record | None, goal: int, trigger: str) -> Plan | None:
        before = plan.tokens_after
        deep: dict[ToolResult, Decided] = {}
        try:
            if settings.COMPRESS_FIRST:
                deep = await self._deepened(look, plan, goal)
            reduced = _shortened(look, plan, deep)
            learned = await database.run(counts.asked_shares, datetime.now(UTC)) if _way() == "content" else {}
            chosen = _chosen(look, reduced, goal, learned) if reduced.tokens_after > goal else []
            if not chosen and not deep:
                return None
            cuts, originals = _marked(look, chosen)
            reduced = _cut(look, reduced, cuts)
            made = _record(look, record, cuts, deep)
            figures = (trigger, before, reduced.tokens_after)
            root = records.root(look.call)
            held = await database.run(records.store, look.owner, root, made, originals, figures, datetime.now(UTC))
        except (DatabaseError, TimeoutError):
            logger.warning("the database is down; nothing is taken out of a full context window until it is back")
            return None
        self._remember((look.owner, root), [held, *self._known.get((look.owner, root), (0.0, []))[1]])
        plan = await self._replayed(look, held)
        return replace(plan, transforms=(*plan.transforms, f"window:{trigger}"))

    async def _deepened(self, look: Look, plan: Plan, goal: int) -> dict[ToolResult, Decided]:
        """Deep forms of old results, oldest first, stored, until the goal is reached; of those that gain by it."""
        pinned = policies.pinned(look.policy, plan.policy_version)
        policy = replace(pinned, level="deep", min_tokens=deep_forms.MIN_TOKENS)
        made: dict[ToolResult, Decided] = {}
        missing = plan.tokens_after - goal
        gone = {n for cut in plan.cuts for n in range(cut.start, cut.end)}
        for result in look.call.results:
            if missing <= 0 or result.age_turns < KEPT_TURNS or result.path[1] in gone:
                continue
            now = plan.replacements.get(result.path, result.text)
            call = ToolCall(result.tool, result.arguments)
            shrunk = await self._offload.shrink(result.text, call, policy)
            await asyncio.sleep(0)  # there may be a hundred of them, and others wait
            saved = (len(now) - len(shrunk.text)) // CHARS_PER_TOKEN
            if shrunk.is_changed and saved > 0:
                made[result] = Decided.from_shrunk(shrunk, policy)
                missing -= saved
        if not made:
            return {}
        keys = {decisions.window_key(_key(look, result)): result for result in made}
        of_keys = {key: made[result] for key, result in keys.items()}
        held = await self._store.save(Batch(look.owner, of_keys, keys, look.call.conversation))
        return {result: held[key] for key, result in keys.items() if key in held}


def _may_cut(look: Look) -> bool:
    return look.policy.level != "lossless" and len(look.call.body) >= MIN_BODY_BYTES and bool(look.key)


def _way() -> Way:
    if not settings.INTELLIGENT_CONTEXT:
        return "oldest"
    return "content" if settings.INTELLIGENT_SCORING else "position"


def _key(look: Look, result: ToolResult) -> str:
    return decisions.key_of(look.owner, result)


def _applicable(found: Sequence[Record], look: Look) -> Record | None:
    """The newest record about the very messages that this request begins with."""
    messages = look.messages
    seen: dict[int, str] = {}
    for record in found:
        if record.length <= len(messages):
            if record.length not in seen:
                seen[record.length] = records.digest(messages[: record.length])
            if seen[record.length] == record.chain:
                return record
    return None


def _hidden(look: Look, record: Record) -> frozenset[str]:
    """The keys of results that are not seen in full with this record."""
    gone = {n for start, end, _ in record.cuts for n in range(start, end)}
    return record.deepened | {_key(look, result) for result in look.call.results if result.path[1] in gone}


def _goal(look: Look, plan: Plan, said: TooLong) -> int:
    """How long the prompt may be, in our own estimate's tokens."""
    limit = said.limit or look.limit
    if limit is None or (said.actual is None and plan.tokens_after <= limit):
        return int(BLIND_SHARE * plan.tokens_after)
    counts_more = max(1.0, (said.actual or 0) / max(1, plan.tokens_after))
    document = look.call.document or {}
    answer = next((n for key in _ANSWER_LIMITS if (n := bodies.count(document.get(key)))), 0)
    room = limit - answer if answer < limit // 2 else limit
    return int(min(GOAL_SHARE * limit, 0.95 * room) / counts_more)


_ANSWER_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def _shortened(look: Look, plan: Plan, deep: Mapping[ToolResult, Decided]) -> Plan:
    """The plan with deep forms in place of what it had, where those are shorter."""
    forms: dict[tuple[str | int, ...], str] = {}
    saved = 0
    for result, made in deep.items():
        now = plan.replacements.get(result.path, result.text)
        if made.form is not None and len(made.form) < len(now):
            forms[result.path] = made.form
            saved += (len(now) - len(made.form)) // CHARS_PER_TOKEN
    if not forms:
        return plan
    return replace(
        plan,
        replacements={**plan.replacements, **forms},
        tokens_after=max(0, plan.tokens_after - saved),
        transforms=tuple(dict.fromkeys((*plan.transforms, "window:deep"))),
        reason="",
    )


def _found(look: Look, plan: Plan) -> list[Unit]:
    shown: Counter[int] = Counter()
    for result in look.call.results:
        if result.path in plan.replacements:
            shown[int(result.path[1])] += len(result.text) - len(plan.replacements[result.path])
    return units.find(look.call, shown)


def _chosen(look: Look, plan: Plan, goal: int, learned: Mapping[str, float]) -> list[Unit]:
    """The units to let go, in the order of the conversation."""
    found = _found(look, plan)
    persons = [unit.start for unit in found if unit.is_persons]
    gone = {n for cut in plan.cuts for n in range(cut.start, cut.end)}
    free = [
        unit
        for unit in found
        if unit.age >= KEPT_TURNS and unit.start not in gone and unit.start not in (persons[:1] + persons[-1:])
    ]
    missing = plan.tokens_after - goal
    chosen: list[Unit] = []
    for unit in importance.ascending(free, units.question(look.call), _way(), learned):
        if missing <= 0:
            break
        chosen.append(unit)
        missing -= unit.chars // CHARS_PER_TOKEN
    return sorted(chosen, key=lambda unit: unit.start)


def _marked(look: Look, chosen: Sequence[Unit]) -> tuple[list[tuple[int, int, str]], list[Kept]]:
    """One cut and one original for each run of neighbouring units."""
    runs: list[list[Unit]] = []
    for unit in chosen:
        if runs and runs[-1][-1].end == unit.start:
            runs[-1].append(unit)
        else:
            runs.append([unit])
    cuts, originals = [], []
    for run in runs:
        text = "\n\n".join(unit.text for unit in run)
        hash = pipeline.original_hash(text)
        tools = Counter(tool for unit in run for tool in unit.tools if tool)
        called = ", ".join(f"{tool} ×{n}" if n > 1 else tool for tool, n in tools.most_common(6))
        count = run[-1].end - run[0].start
        what = f"{count} earlier messages of this conversation" if count > 1 else "an earlier message"
        about = f", with calls of {called}" if called else ""
        way_back = look.policy.retrieval.replace("{hash}", hash)
        marker = f"{pipeline.MARKER}{what}{about}, to make room; {way_back}]"
        cuts.append((run[0].start, run[-1].end, marker))
        originals.append(
            Kept(hash, text, " ".join(sorted(tools)), len(text) // CHARS_PER_TOKEN, len(marker) // CHARS_PER_TOKEN, 1)
        )
    return cuts, originals


def _record(
    look: Look, earlier: Record | None, cuts: Sequence[tuple[int, int, str]], deep: Mapping[ToolResult, Decided]
) -> Record:
    all_cuts = tuple(sorted((*(earlier.cuts if earlier else ()), *cuts)))
    deepened = (earlier.deepened if earlier else frozenset()) | {_key(look, result) for result in deep}
    ends = [end for _, end, _ in all_cuts] + [int(result.path[1]) + 1 for result in deep]
    length = max([*ends, earlier.length if earlier else 0])
    return Record(records.digest(look.messages[:length]), length, all_cuts, deepened)


def _cut(look: Look, plan: Plan, cuts: Sequence[tuple[int, int, str]]) -> Plan:
    if not cuts:
        return plan
    placed = _placed(look, cuts)
    gone = {n for cut in placed for n in range(cut.start, cut.end)}
    sizes = [unit for unit in _found(look, plan) if unit.start in gone]
    saved = sum(unit.chars for unit in sizes) - sum(len(marker) for _, _, marker in cuts)
    return replace(
        plan,
        cuts=(*plan.cuts, *placed),
        mark=None if plan.mark and plan.mark[0][1] in gone else plan.mark,
        tokens_after=max(0, plan.tokens_after - saved // CHARS_PER_TOKEN),
        transforms=tuple(dict.fromkeys((*plan.transforms, "window:dropped"))),
        reason="",
    )


def _placed(look: Look, cuts: Sequence[tuple[int, int, str]]) -> tuple[Cut, ...]:
    """Cuts as they are made in this request, with what a person wrote beside the results that go."""
    kept = {unit.start: unit.kept for unit in units.find(look.call, {})}
    return tuple(
        Cut(start, end, marker, tuple(part for n in range(start, end) for part in kept.get(n, ())))
        for start, end, marker in sorted(cuts)
    )
