"""What was left out of a JSON value, and how much is still shown whole."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.values import Level


@dataclass(frozen=True, slots=True)
class Limits:
    """What is still shown whole, in characters; about three make a token."""

    table_chars: int
    rows: int
    list_chars: int
    string_chars: int
    cell_chars: int


LIMITS: dict[Level, Limits] = {
    "balanced": Limits(table_chars=4500, rows=24, list_chars=3000, string_chars=2000, cell_chars=600),
    "deep": Limits(table_chars=1800, rows=12, list_chars=600, string_chars=400, cell_chars=200),
}


@dataclass(slots=True)
class Tally:
    """Counts of what was left out of one document so far, and of the objects in it that kept their spelling (`quoted`)."""

    rows: int = 0
    rows_total: int = 0
    values: int = 0
    chars: int = 0
    links: int = 0
    quoted: int = 0

    @property
    def lost(self) -> int:
        """A number that grows whenever something is left out that the rest does not say."""
        return self.rows + self.values + self.chars

    def go_back_to(self, earlier: Tally) -> None:
        """Forget what was counted since a copy was made."""
        for name in self.__slots__:
            setattr(self, name, getattr(earlier, name))

    def words(self) -> str:
        """Return in words what was not written, "" when everything was."""
        parts = []
        if self.rows:
            parts.append(f"{self.rows:,} of {self.rows_total:,} objects of long lists (or parts of them)")
        if self.values:
            parts.append(f"{self.values:,} values of long lists")
        if self.chars:
            parts.append(f"{self.chars:,} characters of long strings")
        if self.links:
            parts.append(f"{self.links:,} links that only add to the url beside them")
        return ", ".join(parts)
