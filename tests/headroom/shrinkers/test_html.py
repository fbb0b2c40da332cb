"""Web pages as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import html
from headroom.values import Form, Policy, Source, ToolCall
from tests.headroom.shrinkers import golden, texts

FETCH = ToolCall("WebFetch", '{"url": "https://example.com/"}')


def page(body: str) -> str:
    return f"<!doctype html><html><head><title>T</title><style>p {{}}</style></head><body>{body}<script>var x = 1;</script></body></html>"


def read(body: str) -> str:
    return next(iter(html.forms(Source(page(body), FETCH)))).text


@pytest.mark.parametrize("name", golden.names("html"))
def test_real_pages_are_written_as_reviewed(name: str) -> None:
    assert golden.written("html", name) == golden.expected("html", name)


@given(st.one_of(texts.ANY, texts.ANY.map(page)))
def test_no_text_makes_it_fail_or_waver(text: str) -> None:
    def written() -> list[Form]:
        return list(html.forms(Source(text, FETCH)))

    assert written() == written()


@given(st.lists(st.text("abc xyz", min_size=1, max_size=20).filter(str.strip), min_size=1, max_size=12))
def test_every_word_of_the_body_is_kept_in_order(paragraphs: list[str]) -> None:
    text = read("".join(f"<p>{paragraph}</p>" for paragraph in paragraphs))
    assert text.split()[1:] == " ".join(paragraphs).split()


def test_structure_is_kept() -> None:
    text = read("<h2>Prices</h2><ul><li>one</li><li>two <a href='/b'>more</a></li></ul><pre>a\n  b</pre>")
    assert "## Prices" in text
    assert "- one\n- two more (/b)" in text
    assert "a\n  b" in text


def test_rows_of_a_table_stay_in_rows() -> None:
    assert "eth0 | DOWN" in read(
        "<table><tr><th>name</th><th>state</th></tr><tr><td><div>eth0</div></td><td><p>DOWN</p></td></tr></table>"
    )


def test_forms_tell_their_fields() -> None:
    text = read(
        "<form action='/go' method='post'><input type='text' name='q' value='7'><select name='s'><option selected>b</option></select></form>"
    )
    assert (
        "[form action=/go method=post]" in text
        and "[input type=text name=q value=7]" in text
        and "(selected) b" in text
    )


def test_scripts_and_styles_are_gone_and_navigation_is_one_line() -> None:
    text = read(
        "<nav>" + "".join(f"<a href='/{number}'>Part {number}</a>" for number in range(40)) + "</nav><p>Body</p>"
    )
    assert "var x" not in text and "p {" not in text
    assert "Navigation: Part 0, Part 1" in text and "and 10 more" in text


def test_deep_nesting_is_no_trouble() -> None:
    assert "core" in read("<div>" * 5000 + "core" + "</div>" * 5000)


def test_a_template_file_that_was_read_stays_as_it_is() -> None:
    assert list(html.forms(Source(page("<p>x</p>"), ToolCall("Read", '{"file_path": "index.html"}')))) == []


@pytest.mark.parametrize("text", ["a < b and c > d", "<xml><item/></xml>", "def f() -> None:\n    return '<p>'"])
def test_what_is_no_page_is_left_alone(text: str) -> None:
    assert list(html.forms(Source(text, FETCH))) == []


def test_nothing_is_lost_without_leave() -> None:
    assert list(html.forms(Source(page("x"), FETCH, Policy(level="lossless")))) == []
