"""How many tokens of a provider's one of ours is, learned from what it reports.

What a request adds to the one before is known on both sides: so many of our tokens in tool results, in what only the
provider can read (by its length) and in the rest, and so many of the provider's in all. From such differences follow
factors, by least squares. What they leave unexplained says how far to trust them: the more it is, the nearer they stay to
the factor of the first prompt, in which nobody has thought yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from operator import add

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
    """Sums of products of the four figures of what was added, each with itself and those behind it, weighted by size; and
    of how many."""

    products: tuple[float, ...] = (0.0,) * 10
    count: float = 0.0

    def with_one(self, added: Added) -> Seen:
        """One more difference."""
        size = added.size
        if not size or not MIN_FACTOR * size <= abs(added.billed) <= MAX_FACTOR * size:
            return self
        figures = (added.results, added.rest, added.sealed, added.billed)
        new = (one * other / size for one, other in combinations_with_replacement(figures, 2))
        return Seen(tuple(map(add, self.products, new)), self.count + 1)

    def inherited(self) -> Seen:
        """The same, with no more weight than is due to others' figures."""
        weight = self.products[0] + self.products[4]
        share = min(1.0, MAX_INHERITED / weight) if weight else 1.0
        return Seen(tuple(product * share for product in self.products), self.count * share)

    def factor(self, whole: float) -> float:
        """Tokens of the provider for one of ours in tool results. `whole` is the factor of the first prompt."""
        unexplained, results = USUAL_UNEXPLAINED, whole
        rr, rt, rs, rb, tt, ts, tb, ss, sb, bb = self.products
        for _ in range(ROUNDS):
            results, rest, sealed = self._fitted(whole, unexplained / SPREAD**2, unexplained / SEALED_SPREAD**2)
            left = (
                bb
                + results * (results * rr + 2 * (rest * rt + sealed * rs - rb))
                + rest * (rest * tt + 2 * (sealed * ts - tb))
                + sealed * (sealed * ss - 2 * sb)
            )
            unexplained = (USUAL_UNEXPLAINED * USUAL_COUNT + max(0.0, left)) / (USUAL_COUNT + self.count)
        return results if MIN_FACTOR <= results <= MAX_FACTOR else whole

    def _fitted(self, whole: float, weight: float, sealed_weight: float) -> tuple[float, float, float]:
        """The factors of results, of the rest and of what is sealed, which such weights hold to that of the first prompt,
        the first two to each other as well: three linear equations, solved from the first to the last."""
        rr, rt, rs, rb, tt, ts, tb, ss, sb, _ = self.products
        rr, tt, ss, rt = rr + 2 * weight, tt + 2 * weight, ss + sealed_weight, rt - weight
        rb, tb, sb = rb + weight * whole, tb + weight * whole, sb + sealed_weight * whole
        tt, ts, tb = tt - rt * rt / rr, ts - rt * rs / rr, tb - rt * rb / rr
        ss, sb = ss - rs * rs / rr - ts * ts / tt, sb - rs * rb / rr - ts * tb / tt
        sealed = sb / ss
        rest = (tb - ts * sealed) / tt
        return (rb - rt * rest - rs * sealed) / rr, rest, sealed
