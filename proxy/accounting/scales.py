"""How many tokens of a provider's one of ours is, learned from what it reports.

What a request adds to the one before is known on both sides: so many of our tokens in tool results, in what only the
provider can read (by its length) and in the rest, and so many of the provider's in all. From such differences follow
factors, by least squares. What they leave unexplained says how far to trust them: the more it is, the nearer they stay to
the factor of the first prompt, in which nobody has thought yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SPREAD = 0.1
"""How far the factors of results and of the rest usually are from that of a first prompt, and from each other."""
SEALED_SPREAD = 1.0
"""The same of what only the provider can read: its length says little."""
USUAL_UNEXPLAINED, USUAL_COUNT = 5.0, 3.0
"""What so many differences would leave unexplained that were seen before the first: squared tokens per token."""
ROUNDS = 3
"""Of finding the factors by what is unexplained, and that by the factors."""
MAX_INHERITED = 3000.0
"""What other conversations with a model have shown counts for no more than so many tokens of one's own."""
MIN_FACTOR, MAX_FACTOR = 0.3, 4.0
"""Further out, we have not understood the prompt."""


@dataclass(frozen=True, slots=True)
class Added:
    """What one request added to the last: our tokens in results, in the rest and sealed, and the provider's."""

    results: int
    rest: int
    sealed: int
    billed: int

    @property
    def size(self) -> int:
        return abs(self.results) + abs(self.rest) + abs(self.sealed)


@dataclass(frozen=True, slots=True)
class Seen:
    """Sums of products of the four figures of what was added, row by row, each weighted by its size; and how many."""

    products: tuple[float, ...] = (0.0,) * 16
    count: float = 0.0

    def with_one(self, added: Added) -> Seen:
        """One more difference."""
        size = added.size
        if not size or not MIN_FACTOR * size <= abs(added.billed) <= MAX_FACTOR * size:
            return self
        figures = (added.results, added.rest, added.sealed, added.billed)
        new = (one * other / size for one in figures for other in figures)
        return Seen(tuple(map(sum, zip(self.products, new, strict=True))), self.count + 1)

    def inherited(self) -> Seen:
        """The same, with no more weight than is due to others' figures."""
        weight = self.products[0] + self.products[5]
        share = min(1.0, MAX_INHERITED / weight) if weight else 1.0
        return Seen(tuple(product * share for product in self.products), self.count * share)

    def factor(self, whole: float) -> float:
        """Tokens of the provider for one of ours in tool results. `whole` is the factor of the first prompt."""
        unexplained, found = USUAL_UNEXPLAINED, [whole] * 3
        for _ in range(ROUNDS):
            found = self._fitted(whole, unexplained / SPREAD**2, unexplained / SEALED_SPREAD**2)
            signs = (*(-factor for factor in found), 1.0)
            left = sum(a * b * product for (a, b), product in zip(_pairs(signs), self.products, strict=True))
            unexplained = (USUAL_UNEXPLAINED * USUAL_COUNT + max(0.0, left)) / (USUAL_COUNT + self.count)
        return found[0] if MIN_FACTOR <= found[0] <= MAX_FACTOR else whole

    def _fitted(self, whole: float, weight: float, sealed_weight: float) -> list[float]:
        """The factors of results, of the rest and of what is sealed, which such weights hold to that of the first prompt."""
        rows = [list(self.products[4 * n : 4 * n + 4]) for n in range(3)]
        for n, own in enumerate((weight, weight, sealed_weight)):
            rows[n][n] += own
            rows[n][3] += own * whole
        for n, other in ((0, 1), (1, 0)):
            rows[n][n] += weight
            rows[n][other] -= weight
        return _solved(rows)


def _pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    return [(one, other) for one in values for other in values]


def _solved(rows: list[list[float]]) -> list[float]:
    """The unknowns of linear equations whose matrix is positive definite, the right side last in each row."""
    for n, pivot in enumerate(rows):
        for row in rows[n + 1 :]:
            share = row[n] / pivot[n]
            row[n:] = [value - share * above for value, above in zip(row[n:], pivot[n:], strict=True)]
    found: list[float] = []
    for n, row in reversed(list(enumerate(rows))):
        known = sum(value * factor for value, factor in zip(row[n + 1 : -1], found, strict=True))
        found.insert(0, (row[-1] - known) / row[n])
    return found
