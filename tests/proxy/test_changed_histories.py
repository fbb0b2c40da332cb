"""Whatever clients do to their histories: what they left as it was goes out as it did, but for epochs, and nobody says otherwise."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headroom.values import Policy
from proxy.accounting.books import Books, Request
from proxy.conversations import Conversations
from proxy.replay import billing
from proxy.replay.billing import Block, Cache
from proxy.replay.prompts import Prompts
from proxy.stores import DatabaseStore, NoStore
from savings.receipts import CacheOutcome
from tests.examples import examples
from tests.proxy import sessions
from tests.proxy.changed_histories import CHANGES, Messages
from tests.proxy.conversing import BILLINGS, NOON_S
from tests.proxy.sessions import PROVIDERS, Step, edit, log, module, read, run

TURNS = 20
STEPS: list[Step] = [
    *(read(f"src/{name}.py", module(name, 25)) for name in ("alpha", "beta", "gamma")),
    read("src/delta.py", module("delta", 2)),
    edit("src/delta.py"),
    *(run(f"make step-{n}", log(n % 6 + 1, 70)) for n in range(2, 6)),
    edit("src/alpha.py"),
    read("src/alpha.py", module("alpha", 25)),
    *(run(f"make step-{n}", log(n % 6 + 1, 70)) for n in range(6, TURNS - 5)),
]
"""Some of it is output again, so that it is sent by reference."""


@dataclass
class Session:
    """A client, us (workers, each with books of its own), and a provider that says what it read from its cache."""

    dialect: str
    mode: str
    workers: list[tuple[Conversations, Books]] = field(default_factory=lambda: [(Conversations(NoStore()), Books())])
    owner: str = "local"
    prompts: Prompts = field(default_factory=Prompts)
    cache: Cache = field(default_factory=dict)
    earlier: list[tuple[list[Block], list[Block]]] = field(default_factory=list)
    """What the client sent, and we, at each request."""
    epochs: list[int] = field(default_factory=list)
    seen: dict[int, int] = field(default_factory=dict)
    """The last request at each worker."""
    outcomes: list[CacheOutcome] = field(default_factory=list)

    async def send(self, document: dict[str, Any], at_s: float, worker: int = 0) -> None:
        road, books = self.workers[worker]
        provider, body = PROVIDERS[self.dialect], orjson.dumps(document)
        call = replace(provider.parse(body), conversation="one")
        cached = BILLINGS[self.dialect] if self.mode == "token" else None
        plan = await road.plan(call, provider, owner=self.owner, policy=Policy(), billing=cached, at_s=at_s)
        sent = provider.render(call, plan)
        theirs, ours = (self.prompts.blocks(orjson.loads(one), self.dialect) for one in (body, sent))  # type: ignore[arg-type]
        billed = billing.biller(self.dialect, bills_writes=False)(ours, self.cache, at_s=at_s)  # type: ignore[arg-type]
        self.cache = billed.cache
        entry = books.open("one", Request(call, self.dialect, plan, at_s, sent is not body))  # type: ignore[arg-type]
        reckoning = entry.settle(replace(billed.usage, output=20)) if entry is not None else None
        assert reckoning is not None
        if plan.epoch:
            self.epochs.append(len(self.earlier))
        else:
            # Each worker has books of its own: what another one began is news to them.
            is_news = any(n > self.seen.get(worker, -1) for n in self.epochs) and len(self.workers) > 1
            assert is_news or reckoning.cache_outcome != "own_change"
            # Of those that share most with it, the provider has the last one; but what began since holds for all.
            most, nearest = max(((common(one, theirs), n) for n, (one, _) in enumerate(self.earlier)), default=(0, -1))
            held = {nearest, len(self.earlier) - 1} if self.epochs and self.epochs[-1] > nearest else {nearest}
            assert not most or any(self._goes_on(n, theirs, ours) for n in held), "we changed what the client had left"
        self.seen[worker] = len(self.earlier)
        self.earlier.append((theirs, ours))
        self.outcomes.append(reckoning.cache_outcome)

    def _goes_on(self, n: int, theirs: list[Block], ours: list[Block]) -> bool:
        """Whether all that the client left as it was in a request went out as it did then."""
        return common(self.earlier[n][1], ours) >= common(self.earlier[n][0], theirs)


def common(before: list[Block], after: list[Block]) -> int:
    same = [then.digest == now.digest for then, now in zip(before, after, strict=False)]
    return same.index(False) if False in same else len(same)


def requests(dialect: str, changes: list[tuple[int, str, int, bool]]) -> list[dict[str, Any]]:
    """The bodies of a session in which from some turn on, or in that turn alone, something is changed at a place (a share)."""
    documents = [orjson.loads(body) for body in sessions.bodies(STEPS, dialect)]
    for turn, document in enumerate(documents):
        lead: Messages = document["messages"]
        made = [change for change in changes if change[0] == turn or (change[0] < turn and change[3])]
        for at, kind, share, _ in made:
            until = 2 * at + 1  # what is behind came later, and as it was
            head, tail = document["messages"][:until], document["messages"][until:]
            place = 1 + share * (len(head) - 2) // 100
            if len(head) > 2:
                document["messages"] = [*CHANGES[kind](head, place), *tail]
        if dialect == "anthropic" and document["messages"] is not lead:
            document["messages"] = _marked(document["messages"])
    return documents


def _marked(messages: Messages) -> Messages:
    """The client's mark on the last block, and on no other."""
    bare = [{**message, "content": _blocks(message["content"])} for message in messages]
    bare[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
    return bare


def _blocks(content: Any) -> list[dict[str, Any]]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [{key: value for key, value in block.items() if key != "cache_control"} for block in blocks]


CHANGE = st.tuples(st.integers(3, TURNS - 1), st.sampled_from(sorted(CHANGES)), st.integers(0, 100), st.booleans())


@examples(25)
@given(
    dialect=st.sampled_from(["anthropic", "openai"]),
    mode=st.sampled_from(["token", "cache"]),
    changes=st.lists(CHANGE, max_size=5),
)
@example("anthropic", "token", [])
@example("anthropic", "cache", [(14, "repeat", 50, False)])
@example("openai", "token", [(17, "shrink", 60, False)])
@example("anthropic", "token", [(17, "drop", 60, False)])
@example("anthropic", "token", [(9, "drop", 38, False)])
@example("anthropic", "token", [(8, "shrink", 7, False)])
@example("openai", "token", [(17, "lose a result", 60, True)])
@example("anthropic", "token", [(3, "answer before the call", 0, True), (5, "fork", 14, False)])
def test_what_the_client_leaves_as_it_was_goes_out_as_it_did(
    dialect: str, mode: str, changes: list[tuple[int, str, int, bool]]
) -> None:
    async def play() -> Session:
        session = Session(dialect, mode)
        for turn, document in enumerate(requests(dialect, changes)):
            await session.send(document, NOON_S + 10 * turn)
        return session

    session = asyncio.run(play())
    if not changes:
        assert set(session.outcomes) <= {"cold_start", "hit", "own_change"}
        assert bool(session.epochs) is (mode == "token")


WORKERS = st.lists(st.integers(0, 1), min_size=TURNS, max_size=TURNS)
IN_TURNS = [turn % 2 for turn in range(TURNS)]


@pytest.mark.parametrize("database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_two_workers_send_it_as_either_of_them_did(store: DatabaseStore) -> None:
    @examples(5)
    @given(dialect=st.sampled_from(["anthropic", "openai"]), changes=st.lists(CHANGE, max_size=5), workers=WORKERS)
    @example("anthropic", [(8, "shrink", 7, False)], [0] * 7 + [1] + [0] * 12)
    @example("openai", [(6, "reverse", 57, True), (9, "repeat", 80, True)], IN_TURNS)
    @example(
        "anthropic", [(14, "fork", 17, True), (3, "lose a result", 64, True), (4, "show again", 48, True)], IN_TURNS
    )
    def sends_it_as_it_was(dialect: str, changes: list[tuple[int, str, int, bool]], workers: list[int]) -> None:
        async def play() -> None:
            two = [(Conversations(store), Books()) for _ in range(2)]
            session = Session(dialect, "token", two, owner=f"local {next(OWNERS)}")
            for turn, (document, worker) in enumerate(zip(requests(dialect, changes), workers, strict=False)):
                await session.send(document, NOON_S + 10 * turn, worker)

        asyncio.run(play())

    sends_it_as_it_was()


OWNERS = count()
