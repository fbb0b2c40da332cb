"""How many tokens of a provider's one of ours is, learned from what it reports: for tool results, and for everything else.

What a request adds to the one before is known on both sides: so many of our tokens in results and in the rest, so many of
the provider's in all. From a few such differences follow two factors, by least squares. At first, and where the figures
cannot tell the two apart, they are taken to be one.
"""

from __future__ import annotations

from dataclasses import dataclass

ALIKE_WEIGHT = 200.0
"""How strongly, in tokens seen, the two factors are taken to be one."""
WHOLE_WEIGHT = 50.0
"""How strongly the factor of the whole prompt counts."""
MAX_INHERITED = 3000.0
"""What other conversations with a model have shown counts for no more than so many tokens of one's own."""
MIN_FACTOR, MAX_FACTOR = 0.3, 4.0
"""Further out, we have not understood the prompt."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Sums over differences, each weighted by its size: of squares and products of our tokens, and of the provider's."""

    results_results: float = 0.0
    results_rest: float = 0.0
    rest_rest: float = 0.0
    results_billed: float = 0.0
    rest_billed: float = 0.0

    def with_one(self, results: int, rest: int, billed: int) -> Seen:
        """One more difference: our tokens in results and in the rest, and the provider's in all."""
        size = abs(results) + abs(rest)
        if not size or not MIN_FACTOR * size <= abs(billed) <= MAX_FACTOR * size:
            return self
        return Seen(
            self.results_results + results * results / size,
            self.results_rest + results * rest / size,
            self.rest_rest + rest * rest / size,
            self.results_billed + results * billed / size,
            self.rest_billed + rest * billed / size,
        )

    def inherited(self) -> Seen:
        """The same, with no more weight than is due to others' figures."""
        weight = self.results_results + self.rest_rest
        share = min(1.0, MAX_INHERITED / weight) if weight else 1.0
        return Seen(
            self.results_results * share,
            self.results_rest * share,
            self.rest_rest * share,
            self.results_billed * share,
            self.rest_billed * share,
        )

    def factor(self, whole: float) -> float:
        """Tokens of the provider for one of ours in tool results. `whole` is the factor of the whole prompt at hand."""
        a = self.results_results + ALIKE_WEIGHT + WHOLE_WEIGHT
        b = self.results_rest - ALIKE_WEIGHT
        d = self.rest_rest + ALIKE_WEIGHT + WHOLE_WEIGHT
        results, rest = self.results_billed + WHOLE_WEIGHT * whole, self.rest_billed + WHOLE_WEIGHT * whole
        found = (results * d - b * rest) / (a * d - b * b)
        return found if MIN_FACTOR <= found <= MAX_FACTOR else whole
