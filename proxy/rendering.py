"""The body to send: the client's own bytes with everything that was decided about them."""

from __future__ import annotations

from proxy import splice
from proxy.providers import bodies
from proxy.retrieval import tool, turns
from proxy.retrieval.offers import Offered
from proxy.splice import Edit
from proxy.values import Call, Plan, Provider
from proxy.window import cuts, units

CHARS_PER_TOKEN = 4


def render(call: Call, provider: Provider, plan: Plan, route: str, offer: Offered | None) -> bytes:
    """`call.body` itself when nothing is to be changed. `offer` is what is known of a conversation that has our tool.
    Raises splice.Unspliceable."""
    body = provider.render(call, plan)
    key = units.where(call)
    edits = [cuts.edit(cut, key) for cut in plan.cuts]
    if offer is not None and offer.turns and key:
        gone = frozenset(n for cut in plan.cuts for n in range(cut.start, cut.end))
        items = bodies.items(splice.loads_exactly(body).get(key))
        edits += turns.rejoined(items, route, offer.turns, gone)
    if edits:
        body = splice.replace_items(body, key, edits)
    if offer is not None and call.document is not None:
        declared = bodies.items(call.document.get("tools"))
        last = len(declared)
        body = splice.replace_items(body, "tools", [Edit(last, last, (tool.DECLARATIONS[route],))])
    return body


def with_more(body: bytes, call: Call, behind: list[object]) -> bytes:
    """A body that was sent, with messages behind its own. Raises splice.Unspliceable."""
    key = units.where(call)
    end = len(bodies.items(splice.loads(body).get(key)))
    return splice.replace_items(body, key, [Edit(end, end, tuple(behind))])


def round_plan(plan: Plan, behind: list[object]) -> Plan:
    """The account of a round of ours: without us there had been no such call."""
    added = sum(bodies.size(message) for message in behind) // CHARS_PER_TOKEN
    return Plan(tokens_before=0, tokens_after=plan.tokens_after + added, reason="retrieval")
