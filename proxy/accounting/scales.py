"""How many tokens of a provider's one of ours is, learned from what it reports.

What a request adds to the one before is known on both sides: so many of our tokens in tool results, in the rest, and
in what only the provider can read (two kinds, told by their length), and so many of the provider's in all. From such differences follow
factors, by least squares. What they leave unexplained says how far to trust them: the more it is, the nearer they stay to
the factor of the first prompt, in which nobody has thought yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from operator import add

SPREAD = 0.1
"""How far the factors of results and of the rest usually are from that of a first prompt, and from each other."""
SEALED_SPREAD = 2.0
"""The same of what only the provider can read: its length says little."""
SEALED_UNSURE_TOKENS = 10.0
"""Nor is it always as little: a difference with much of it among what was added shows nothing about the rest. From about so
many tokens on that outweighs what is off in what can be counted."""
USUAL_UNEXPLAINED, USUAL_COUNT = 5.0, 3.0
"""What so many differences would leave unexplained that were seen before the first: squared tokens per token."""
ROUNDS = 3
"""Of finding the factors by what is unexplained, and that by the factors."""
MAX_INHERITED = 3000.0
"""What other conversations with a model have shown counts for no more than so many tokens of one's own."""
MIN_FACTOR, MAX_FACTOR = 0.3, 4.0
"""Further out, we have not understood the prompt."""
FIGURES = 5
LEGIBLE = 2
"""The first two of them can be counted here."""
_PLACES = {pair: n for n, pair in enumerate(combinations_with_replacement(range(FIGURES), 2))}


@dataclass(frozen=True, slots=True)
class Added:
    """What one request added to the last: our tokens in results and in the rest, those of what was thought and what was
    found that only the provider can read, and the provider's."""

    results: int
    rest: int
    thought: int
    found: int
    billed: int

    @property
    def figures(self) -> tuple[int, ...]:
        return self.results, self.rest, self.thought, self.found, self.billed

    @property
    def sealed(self) -> int:
        return abs(self.thought) + abs(self.found)

    @property
    def size(self) -> int:
        return sum(map(abs, self.figures[:-1]))


@dataclass(frozen=True, slots=True)
class Factors:
    """Tokens of the provider for one of ours, by what it is in."""

    results: float
    rest: float
    thought: float
    found: float


@dataclass(frozen=True, slots=True)
class Seen:
    """Sums of products of the five figures of what was added, each with itself and those behind it, weighted by how sure
    they are; and of how many."""

    products: tuple[float, ...] = (0.0,) * len(_PLACES)
    count: float = 0.0

    def with_one(self, added: Added) -> Seen:
        """One more difference."""
        size = added.size
        if not size or not MIN_FACTOR * (size - added.sealed) <= abs(added.billed) <= MAX_FACTOR * size:
            return self
        unsure = size + added.sealed**2 / SEALED_UNSURE_TOKENS
        new = (one * other / unsure for one, other in combinations_with_replacement(added.figures, 2))
        return Seen(tuple(map(add, self.products, new)), self.count + 1)

    def inherited(self) -> Seen:
        """The same, with no more weight than is due to others' figures."""
        weight = self._product(0, 0) + self._product(1, 1)
        share = min(1.0, MAX_INHERITED / weight) if weight else 1.0
        return Seen(tuple(product * share for product in self.products), self.count * share)

    def factors(self, whole: float) -> Factors:
        """The factors of a conversation. `whole` is that of the first prompt."""
        unexplained, fitted = USUAL_UNEXPLAINED, [whole] * (FIGURES - 1)
        for _ in range(ROUNDS):
            fitted = self._fitted(whole, unexplained / SPREAD**2, unexplained / SEALED_SPREAD**2)
            left = self._left(fitted)
            unexplained = (USUAL_UNEXPLAINED * USUAL_COUNT + max(0.0, left)) / (USUAL_COUNT + self.count)
        results, rest, thought, found = fitted
        if not (MIN_FACTOR <= results <= MAX_FACTOR and MIN_FACTOR <= rest <= MAX_FACTOR):
            results = rest = whole
        return Factors(results, rest, max(0.0, thought), max(0.0, found))

    def _product(self, one: int, other: int) -> float:
        return self.products[_PLACES[min(one, other), max(one, other)]]

    def _left(self, fitted: list[float]) -> float:
        """What factors leave unexplained: the squares of the provider's tokens less ours by their factors."""
        signed = (*fitted, -1.0)
        return sum(
            signed[one] * signed[other] * self.products[place] * (1 if one == other else 2)
            for (one, other), place in _PLACES.items()
        )

    def _fitted(self, whole: float, weight: float, sealed_weight: float) -> list[float]:
        """The factors which such weights hold to that of the first prompt, those of results and of the rest to each other as
        well: linear equations, solved from the first to the last."""
        last = FIGURES - 1
        held = (*[weight] * LEGIBLE, *[sealed_weight] * (last - LEGIBLE))
        # Most prompts hold nothing sealed; what was never there stays with the first prompt's factor.
        there = [n for n in range(last) if n < LEGIBLE or self._product(n, n)]
        rows = [[*(self._product(n, m) for m in there), self._product(n, last) + whole * held[n]] for n in there]
        for place, n in enumerate(there):
            rows[place][place] += held[n] + (weight if n < LEGIBLE else 0.0)
        rows[0][1] -= weight
        rows[1][0] -= weight
        for n, pivot in enumerate(rows):
            for row in rows[n + 1 :]:
                share = row[n] / pivot[n]
                row[n:] = [left - share * right for left, right in zip(row[n:], pivot[n:], strict=True)]
        fitted = [whole] * last
        for place in reversed(range(len(there))):
            known = sum(rows[place][k] * fitted[there[k]] for k in range(place + 1, len(there)))
            fitted[there[place]] = (rows[place][-1] - known) / rows[place][place]
        return fitted
