"""The accounts of the conversations of one worker: what each request was on both sides, and what that is worth.

Sizes are counted once, when a block is new: a turn costs what it adds. All of it happens while the provider is at work,
and none of it is needed for the answer: whatever fails here costs a figure, and nothing else.
"""

from __future__ import annotations

import logging
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.accounting import counterfactual, sizing
from proxy.accounting.counterfactual import Account, Memory, Reckoning, Side
from proxy.accounting.scales import Seen
from proxy.accounting.sizing import Layout
from proxy.providers import anthropic, bodies
from proxy.values import Call, Dialect, Path, Plan, Sizes
from savings.receipts import Usage

logger = logging.getLogger(__name__)

MAX_BOOKS = 10_000
MAX_MODELS = 200
MAX_USUAL_FACTOR = 1.5
"""So many tokens of a provider's is one of ours at most, usually."""
NO_CHANGE = 1 << 31
"""More units than any prompt has."""
BYPASS = "bypass"
"""The reason of a plan where the client asked for no shortening."""
UNKNOWN_KEPT = "unknown-kept"
"""The provider keeps the conversation and bills what it keeps, which we never see."""
UNKNOWN_CUT = "unknown-cut"
"""Messages had to go for the prompt to fit: nobody knows what the client had done without us."""
UNKNOWN_EDITED = "unknown-edited"
"""The provider was asked to clear old results, to sum up or to drop items, from some length on, which had been reached earlier
without us."""
CLEARS_FROM_TOKENS = {"clear_tool_uses": 100_000, "compact": 150_000}
"""From when on edits of these kinds are made where the client does not say (Anthropic's and OpenAI's documentation)."""


@dataclass(slots=True)
class Book:
    """One conversation: what tells its units apart and their sizes, the forms of its results, and both caches.

    `rest` are tokens of each unit without results, `thought` and `found` those that only the provider can read; `results`
    (what tells them apart), `before` and `forms` are of each result, in order. `is_bypassed`: the last request went out as
    it came because the client said so.
    """

    model: str = ""
    is_bypassed: bool = False
    layout: Layout | None = None
    rest: array[int] = field(default_factory=lambda: array("L"))
    thought: array[int] = field(default_factory=lambda: array("I"))
    found: array[int] = field(default_factory=lambda: array("I"))
    results: array[int] = field(default_factory=lambda: array("q"))
    before: array[int] = field(default_factory=lambda: array("L"))
    forms: array[int] = field(default_factory=lambda: array("q"))
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: `sizes` and `forms` are empty where the client's own bytes go out. With `is_observed` they always do,
    and the plan is what would have been sent. `window_tokens` is the model's context window, `None` where unknown."""

    call: Call
    dialect: Dialect
    plan: Plan
    at_s: float
    is_edited: bool
    is_observed: bool = False
    window_tokens: int | None = None


class Books:
    """The books of the conversations that were active last."""

    def __init__(self, max_books: int = MAX_BOOKS) -> None:
        self._books: OrderedDict[str, Book] = OrderedDict()
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        self._max_books = max_books

    def open(self, conversation: str, request: Request) -> Entry | None:
        """The entry of a request that is about to be sent, `None` for what is no conversation and for what has no other
        side (`unknown` says why)."""
        if not conversation or request.call.document is None or unknown(request):
            return None
        return Entry(self, conversation, request)

    def learn(self, model: str, seen: Seen) -> None:
        """Keep what a conversation showed of how a model's provider counts, for those that begin later."""
        self._seen[model] = seen
        self._seen.move_to_end(model)
        if len(self._seen) > MAX_MODELS:
            self._seen.popitem(last=False)

    def book(self, conversation: str, model: str) -> Book:
        """The book of a conversation, a new one if there is none."""
        book = self._books.get(conversation)
        if book is None:
            inherited = self._seen[model].inherited() if model in self._seen else Seen()
            book = self._books[conversation] = Book(memory=Memory(seen=inherited))
            if len(self._books) > self._max_books:
                self._books.popitem(last=False)
        else:
            self._books.move_to_end(conversation)
        return book


def unknown(request: Request) -> str:
    """Why nobody can know what a request would have cost without us, "" where that may be known."""
    if request.call.is_continued:
        return UNKNOWN_KEPT
    if request.plan.cuts:
        return UNKNOWN_CUT
    return UNKNOWN_EDITED if _may_be_edited(request) else ""


def _may_be_edited(request: Request) -> bool:
    """Whether the client's prompt may be so long that the provider edits it, as it was asked to (`context_management`,
    `truncation`)."""
    document = request.call.document or {}
    asked = document.get("context_management")
    most_tokens = MAX_USUAL_FACTOR * request.plan.tokens_before
    if document.get("truncation") == "auto" and most_tokens >= (request.window_tokens or 0):
        return True
    for edit in bodies.items(asked.get("edits") if isinstance(asked, dict) else asked):
        kind = bodies.text(edit.get("type")) if isinstance(edit, dict) else ""
        for name, usual in CLEARS_FROM_TOKENS.items():
            if kind.startswith(name):
                trigger = edit.get("trigger")
                given = trigger.get("value") if isinstance(trigger, dict) else edit.get("compact_threshold")
                counts_uses = isinstance(trigger, dict) and trigger.get("type") == "tool_uses"
                size = len(request.call.results) if counts_uses else most_tokens
                if size >= (given if isinstance(given, int) else usual):
                    return True
    return False


class Entry:
    """One request in a book. `note` sizes it up, at any time before `settle`; the first call of each counts."""

    def __init__(self, books: Books, conversation: str, request: Request) -> None:
        self._books, self._conversation, self._model = books, conversation, request.call.model
        self._request: Request | None = request
        self._account: Account | None = None

    def note(self) -> None:
        """Size the request up, and let go of its body."""
        request, self._request = self._request, None
        if request is None:
            return
        try:
            self._account = _noted(self._books.book(self._conversation, self._model), request)
        except Exception:
            logger.exception("a request could not be sized up; its saving is not known")

    def settle(self, usage: Usage) -> Reckoning | None:
        """What the other side would have been billed; `None` where that is not known."""
        self.note()
        account, self._account = self._account, None
        if account is None:
            return None
        book = self._books.book(self._conversation, self._model)
        try:
            reckoning = counterfactual.reckon(account, book.memory, usage)
        except Exception:
            logger.exception("a call could not be reckoned; its saving is not known")
            return None
        book.memory = reckoning.memory
        self._books.learn(self._model, book.memory.seen)
        return reckoning


def _noted(book: Book, request: Request) -> Account:
    marked = anthropic.marks(request.call) if request.dialect == "anthropic" else []
    is_bypassed = request.plan.reason == BYPASS
    is_clients_wish, book.is_bypassed = is_bypassed or book.is_bypassed, is_bypassed
    is_first, last_units, last_results = book.layout is None, len(book.rest), len(book.results)
    known = _note_results(book, request)
    # Where the client changed something in the midst, or its model, every message is looked at.
    goes_on = known == last_results and book.model == request.call.model
    layout = sizing.layout(request.call, request.dialect, book.layout if goes_on else None, len(marked))
    units_of = layout.units_of(result.path for result in request.call.results)
    common = min([_common_units(book, layout, request.call.model), *units_of[known : len(book.before)]])
    _extend(book, layout, request, common, units_of)
    own_common = _size_results(book, request, units_of, min(known, bisect_left(units_of, common)))
    client, ours = list(book.rest), list(book.rest)
    sizes = request.plan.sizes
    is_planned = request.is_edited or request.is_observed
    for result, unit, before in zip(request.call.results, units_of, book.before, strict=True):
        size = sizes.get(result.path) if is_planned else None
        client[unit] += before if size is None else size[0]
        ours[unit] += before if size is None else size[1]
    added = request.plan.added_tokens if is_planned and ours else 0
    if added:
        ours[0] += added  # tools are the first units of a prompt
    marks, rest = layout.marks, sum(book.rest)
    client_side = Side(counterfactual.cumulated(client), sum(client) - rest, marks, common)
    our_side = Side(
        counterfactual.cumulated(ours),
        sum(ours) - rest - added,
        _with_ours(marks, request, layout) if is_planned else marks,
        min(common, own_common),
    )
    is_ours_sent = not request.is_observed
    return Account(
        at_s=request.at_s,
        finds_any_prefix=not layout.is_blockwise,
        is_first=is_first,
        sent=our_side if is_ours_sent else client_side,
        other=client_side if is_ours_sent else our_side,
        turn_ends=layout.turn_ends,
        client_common_units=common,
        last_units=last_units,
        is_clients_wish=is_clients_wish,
        thought=counterfactual.cumulated(book.thought),
        found=counterfactual.cumulated(book.found),
    )


def _common_units(book: Book, layout: Layout, model: str) -> int:
    """How many first units the client left as they were."""
    if book.layout is None or book.model != model:
        return 0
    then, now = book.layout.prints, layout.prints
    length = min(len(then), len(now))
    if then[:length] == now[:length]:
        return length
    return next(n for n in range(length) if then[n] != now[n])


def _note_results(book: Book, request: Request) -> int:
    """How many first results the client left as they were: looked at one by one, so that what it changed among them is not
    taken for another form of ours."""
    now = array("q", (hash((r.call_id, r.tool, r.arguments, r.text)) for r in request.call.results))
    then, book.results = book.results, now
    return next(
        (n for n, (old, new) in enumerate(zip(then, now, strict=False)) if old != new), min(len(then), len(now))
    )


def _extend(book: Book, layout: Layout, request: Request, common: int, units_of: list[int]) -> None:
    """Size up the units that are new."""
    with_results = set(units_of)
    book.model, book.layout = request.call.model, layout.shape()
    del book.rest[common:], book.thought[common:], book.found[common:]
    for unit, value in enumerate(layout.values(common), common):
        thought, found = sizing.sealed(value)
        book.thought.append(thought)
        book.found.append(found)
        book.rest.append(sizing.legible(value, is_schema=unit < layout.schemas, is_result=unit in with_results))


def _size_results(book: Book, request: Request, units_of: list[int], known: int) -> int:
    """Bring sizes and forms of results up to date; returns how many first units hold no result in another form than in
    the last request."""
    is_planned = request.is_edited or request.is_observed
    replacements: Mapping[Path, str] = request.plan.replacements if is_planned else {}
    sizes: Sizes = request.plan.sizes
    del book.before[known:]
    own_common = NO_CHANGE
    for n, result in enumerate(request.call.results):
        text = replacements.get(result.path)
        form = 0 if text is None else hash(text)
        if n >= known:
            size = sizes.get(result.path)
            book.before.append(size[0] if size is not None else sizing.sampled(result.text))
        elif n < len(book.forms) and form != book.forms[n]:
            own_common = min(own_common, units_of[n])
        if n < len(book.forms):
            book.forms[n] = form
        else:
            book.forms.append(form)
    del book.forms[len(request.call.results) :]
    return own_common


def _with_ours(marks: list[tuple[int, str]], request: Request, layout: Layout) -> list[tuple[int, str]]:
    """The client's marks and the one of ours, in order."""
    if request.plan.mark is None:
        return marks
    path, ttl = request.plan.mark
    place = layout.unit_of(path) + 1
    return (
        marks if any(units == place for units, _ in marks) else sorted([*marks, (place, "1h" if ttl == "1h" else "5m")])
    )
