"""Sends a recording through the proxy's own conversations, turn by turn, and bills what would go out."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from benchmarks.sessions import bills, recordings
from benchmarks.sessions.bills import Bill
from benchmarks.sessions.recordings import Message, Recording
from headroom.values import Policy
from proxy.aging.epochs import Billing
from proxy.conversations import Conversations
from proxy.histories import Histories
from proxy.providers import anthropic, openai_chat
from proxy.values import Path, Plan

PROVIDERS = {"anthropic": anthropic, "openai": openai_chat}
SHARES = {"anthropic": Billing(0.1, 1.25, finds_any_prefix=False), "openai": Billing(0.5, 1.0, finds_any_prefix=True)}
SECONDS_A_TURN = 10.0
ROUND_OUTPUT_TOKENS = 60
ROUND_TOKENS = 1_500
"""What fetching a hidden text back costs at most, beyond reading the prompt once more."""


@dataclass(slots=True)
class Score:
    """What a session came to. `charged` has one round more for each hidden result that the agent used; dollars."""

    name: str
    turns: int = 0
    cost: float = 0.0
    charged: float = 0.0
    fresh: int = 0
    read: int = 0
    written: int = 0
    facts: int = 0
    hidden: list[tuple[int, int, str]] = field(default_factory=list)
    rounds: int = 0
    turn_ms: list[float] = field(default_factory=list)
    epochs: list[tuple[int, str]] = field(default_factory=list)
    transforms: Counter[str] = field(default_factory=Counter)

    def _pay(self, bill: Bill) -> None:
        self.turns += 1
        self.cost += bill.cost
        self.charged += bill.cost
        self.fresh += bill.fresh
        self.read += bill.read
        self.written += bill.written


def direct(recording: Recording, *, idle_s: float = 0.0) -> Score:
    """The bill without us."""
    provider, score = bills.Provider(recording.dialect), Score(recording.name)
    for at_s, answer in _timed(recording, idle_s):
        score._pay(provider.bill(recording.request(answer), at_s))
    return score


async def through(
    recording: Recording, road: Conversations, policy: Policy, *, mode: str = "token", idle_s: float = 0.0
) -> Score:
    """The bill with us."""
    provider, score, histories = bills.Provider(recording.dialect), Score(recording.name), Histories()
    needed: dict[int, list[recordings.Fact]] = {}
    for fact in recording.facts:
        needed.setdefault(fact.used_at, []).append(fact)
    edited: dict[tuple[int, Path, str], Any] = {}
    for at_s, answer in _timed(recording, idle_s):
        body = recording.request(answer)
        raw = orjson.dumps(body)
        started = time.process_time()
        module = PROVIDERS[recording.dialect]
        call = module.parse(raw, partial(histories.read, recording.name))
        plan = await road.plan(
            call,
            module,
            owner=recording.name,
            policy=policy,
            billing=SHARES[recording.dialect] if mode == "token" else None,
            at_s=at_s,
        )
        score.turn_ms.append(1000 * (time.process_time() - started))
        if plan.epoch:
            score.epochs.append((len(score.turn_ms), plan.epoch))
        sent = _sent(body, plan, edited)
        bill = provider.bill(sent, at_s)
        score._pay(bill)
        if needed.get(answer):
            _look_for(needed[answer], sent, recording, score, bill)
    return score


def _timed(recording: Recording, idle_s: float) -> list[tuple[float, int]]:
    pause_at = len(recording.answers) // 2
    return [
        (1e6 + SECONDS_A_TURN * n + (idle_s if n >= pause_at else 0.0), answer)
        for n, answer in enumerate(recording.answers)
    ]


def _sent(body: Message, plan: Plan, edited: dict[tuple[int, Path, str], Any]) -> Message:
    """The body with the planned texts and our mark in it; parts that were edited alike are the same objects again."""
    if not plan.replacements and plan.mark is None:
        return body
    messages = list(body["messages"])
    copied: set[int] = set()
    for path, text in plan.replacements.items():
        n = path[1]
        assert isinstance(n, int)
        if len(path) == 3:
            messages[n] = _kept(edited, messages[n], path[2:], text)
            continue
        if n not in copied:
            messages[n] = {**messages[n], "content": list(messages[n]["content"])}
            copied.add(n)
        k = path[3]
        messages[n]["content"][k] = _kept(edited, messages[n]["content"][k], path[4:], text)
    if plan.mark is not None:
        n, k = plan.mark[0][1], plan.mark[0][3]
        block = messages[n]["content"][k]
        if "cache_control" not in block:
            content = list(messages[n]["content"])
            content[k] = {**block, "cache_control": recordings.MARK}
            messages[n] = {**messages[n], "content": content}
    return {**body, "messages": messages}


def _kept(edited: dict[tuple[int, Path, str], Any], part: Any, path: Path, text: str) -> Any:
    key = (id(part), path, text)
    if key not in edited:
        edited[key] = (part, _replaced(part, path, text))
    return edited[key][1]


def _replaced(part: Any, path: Path, text: str) -> Any:
    if not path:
        return text
    copy = list(part) if isinstance(part, list) else dict(part)
    copy[path[0]] = _replaced(part[path[0]], path[1:], text)
    return copy


def _look_for(facts: list[recordings.Fact], sent: Message, recording: Recording, score: Score, bill: Bill) -> None:
    text = recordings.visible(sent)
    hidden = [fact for fact in facts if fact.text not in text]
    score.facts += len(facts)
    score.hidden += [(fact.said_at, fact.used_at, fact.text) for fact in hidden]
    _, for_written, for_read, for_output = bills.PRICES[recording.dialect]
    for said_at in {fact.said_at for fact in hidden}:
        score.rounds += 1
        fetched = min(len(recordings.visible(recording.messages[said_at])) / 4, ROUND_TOKENS)
        score.charged += (
            bill.prompt_tokens * for_read + fetched * for_written + ROUND_OUTPUT_TOKENS * for_output
        ) / 1e6
