"""Pages as Playwright's tools show them: the law is that the form without loss gives back every element with its reference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom import pipeline
from headroom.shrinkers import page_tree
from headroom.values import Policy, Source, ToolCall
from tests.headroom import shapes
from tests.headroom.shrinkers import laws, texts

CALL = ToolCall("browser_navigate", '{"url": "https://shop.example/account"}')


def item(number: int, name: str) -> list[str]:
    return [
        f"      - listitem [ref=e{number}]:",
        f'        - link "{name}" [ref=e{number + 1}] [cursor=pointer]:',
        f"          - /url: https://shop.example/{name.lower()}",
    ]


PAGE = "\n".join(
    [
        "- Page URL: https://shop.example/account",
        "```yaml",
        "- generic [active] [ref=e1]:",
        "  - navigation [ref=e2]:",
        "    - list [ref=e3]:",
        *item(10, "Desktops"),
        *item(20, "Tablets"),
        *item(30, "Phones"),
        *item(50, "Cameras"),
        *item(60, "Players"),
        *item(70, "Software"),
        "  - main [ref=e40]:",
        '    - heading "Order 4711" [level=2] [ref=e41]',
        "    - paragraph [ref=e42]: Sent on 3 May with DHL",
        '    - checkbox "Tell me" [checked] [ref=e43]',
        '    - button "Send back" [ref=e44] [cursor=pointer]',
        "```",
    ]
)


def read(form: str) -> str:
    """Undo the form without loss."""
    note, *lines = form.split("\n")
    out: list[str] = []
    for line in lines:
        first, *others = line.split(page_tree.JOINED)
        width = len(first) - len(first.lstrip(" "))
        parts = [first, *(f"{' ' * (width + 2 * n)}- {other}" for n, other in enumerate(others, 1))]
        out += [f"{part}:" for part in parts[:-1]] + parts[-1:]
    if "every link" not in note:
        return "\n".join(out)
    return "\n".join(_pointed(line) if line.lstrip(" -").startswith(("link", "button")) else line for line in out)


def _pointed(line: str) -> str:
    body = line.removesuffix(":")
    return f"{body} [cursor=pointer]{line[len(body) :]}"


def test_a_page_keeps_every_element_at_first_sight() -> None:
    (form,) = laws.forms(page_tree.forms, PAGE).values()
    assert not form.is_lossy and read(form.text) == PAGE
    assert '      - listitem [ref=e10] > link "Desktops" [ref=e11] > /url: https://shop.example/desktops' in form.text
    assert pipeline.shrink(PAGE, call=CALL, policy=Policy()).form == "page_tree"


def test_of_an_old_page_stays_what_it_said() -> None:
    form = laws.forms(page_tree.forms, PAGE, level="deep")["page_text"]
    assert form.is_lossy and form.text.split("\n")[2:-1] == [
        'link "Desktops", "Tablets", "Phones", "Cameras", "Players", "Software"',
        'heading [level=2] "Order 4711"',
        "paragraph Sent on 3 May with DHL",
        'checkbox [checked] "Tell me"',
        'button "Send back"',
    ]


def test_what_the_conversation_speaks_of_stays_with_its_reference() -> None:
    policy = Policy(level="deep", keep_words=("Tablets",))
    found = {form.name: form for form in page_tree.forms(Source(PAGE, CALL, policy))}
    assert 'link "Tablets" [ref=e21] [cursor=pointer]:' in found["page_text"].text


def _tree(shape: Any, width: int = 0) -> list[str]:
    lines: list[str] = []
    for n, (role, inner) in enumerate(shape):
        shown = f"{' ' * width}- {role} [ref=e{width}{n}]"
        lines += [f"{shown}:", *_tree(inner, width + 2)] if inner else [shown]
    return lines


ROLES = st.sampled_from(["generic", 'link "A: b" ', "list", 'button "x"', "/url: https://a.example/b"])
SHAPES: Any = st.recursive(
    st.just([]), lambda inner: st.lists(st.tuples(ROLES, inner), min_size=1, max_size=4), max_leaves=40
)


@given(SHAPES)
def test_every_tree_can_be_read_back(shape: Any) -> None:
    text = "\n".join(_tree(shape))
    for form in laws.forms(page_tree.forms, text, level="lossless").values():
        assert read(form.text) == text


@given(st.one_of(SHAPES.map(lambda shape: "\n".join(_tree(shape))), texts.ANY), laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(page_tree.forms, text, level)


@pytest.mark.parametrize("text", ["- [ ] todo\n" * 30, "- a: b\n- c [ref=1]\n" * 4, ""])
def test_other_lists_are_no_pages(text: str) -> None:
    assert laws.forms(page_tree.forms, text) == {}


def test_it_takes_linear_time() -> None:
    def deep(n: int) -> str:
        return "\n".join(f"{' ' * (2 * k % 400)}- generic [ref=e{k}]:" for k in range(n))

    small, large = deep(2_000), deep(8_000)
    assert shapes.grows_by_less_than(
        8, lambda: laws.forms(page_tree.forms, small), lambda: laws.forms(page_tree.forms, large)
    )
