"""Texts that shrinkers meet: odd ones of any kind, and tables whose cells are known."""

from __future__ import annotations

from hypothesis import strategies as st

LINE = st.text(st.characters(blacklist_characters="\n"), max_size=60)
CELL = st.text("abcdefgh01234567./:-_", min_size=1, max_size=9)

ANY = st.one_of(
    st.text(max_size=400),
    st.lists(LINE, max_size=40).map("\n".join),
    st.lists(
        st.sampled_from(
            ["a: 1", "  b: 2", "- c", "x | y", "---|---", "a,b,c", "1,2,3", "", "├── x", "kind: Pod", "<p>"]
        ),
        max_size=60,
    ).map("\n".join),
)


@st.composite
def grids(draw: st.DrawFn, min_rows: int = 4, max_rows: int = 60) -> tuple[list[str], list[list[str]]]:
    """Draw column names and rows; some columns even, some nearly so, as in real tables."""
    width = draw(st.integers(3, 7))
    names = [f"NAME{'ABCDEFG'[index]}" for index in range(width)]
    count = draw(st.integers(min_rows, max_rows))
    columns = []
    for _ in range(width):
        few = draw(st.lists(CELL, min_size=1, max_size=4))
        columns.append(
            draw(
                st.one_of(
                    st.lists(st.sampled_from(few), min_size=count, max_size=count),
                    st.lists(CELL, min_size=count, max_size=count),
                )
            )
        )
    return names, [list(row) for row in zip(*columns, strict=True)]


def drawn(names: list[str], rows: list[list[str]]) -> str:
    """Return a table as `ps` would print it."""
    widths = [max(len(line[index]) for line in [names, *rows]) for index in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [names, *rows]
    )
