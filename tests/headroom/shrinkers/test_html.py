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


def test_an_empty_cell_keeps_its_place_and_a_wide_one_says_how_wide_it_is() -> None:
    text = read(
        "<table><tr><th colspan=2>who</th><th>state</th></tr><tr><td rowspan='2'>eth0</td><td>a</td><td>UP</td></tr>"
        "<tr><td></td><td>DOWN</td></tr><tr><td></td><td> </td></tr></table>"
    )
    assert "who [2 columns] | state\neth0 [2 rows] | a | UP\n| DOWN" in text
    assert not any(line in ("|", "| |") for line in text.split("\n"))


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
        "<nav>" + "".join(f"<a href='/{number}'>Part {number}</a>" for number in range(70)) + "</nav><p>Body</p>"
    )
    assert "var x" not in text and "p {" not in text
    assert "Navigation: Part 0 (/0), Part 1 (/1)" in text and "and 10 more" in text


def test_a_menu_that_comes_again_is_told_once() -> None:
    menu = "<nav><a href='/docs'>Docs</a><a href='/api'>API</a></nav>"
    text = read(f"{menu}<p>Body</p>{menu}<nav><a href='/docs'>Docs</a><a href='#top'>Top</a></nav>")
    assert text.count("Docs (/docs)") == 1
    assert "Navigation: Top" in text


def test_what_stands_in_a_navigation_beside_its_links_stays() -> None:
    words = "Portions of this content are by contributors. " * 12
    assert words.strip() in read(f"<nav><a href='/terms'>Terms</a><p>{words}</p></nav>")


def test_what_a_page_says_of_itself_stands_above_when_it_is_not_said_again() -> None:
    head = (
        "<meta name=description content='How to  prune roses'><meta property=article:published_time content=2021-10-25>"
    )
    text = read(head + "<meta name=author content='Ada'><meta name=viewport content=wide><h1>Roses</h1><p>By Ada</p>")
    assert "[description: How to prune roses]\n[published_time: 2021-10-25]" in text
    assert "author" not in text and "wide" not in text


def test_a_link_without_words_is_called_by_its_label() -> None:
    text = read(
        "<p><a href='/next' aria-label='Next page'><i class=icon></i></a> <a href='/x' title='Help'>Why?</a></p>"
    )
    assert "Next page (/next)" in text
    assert "Why? (/x)" in text and "Help" not in text


def test_a_time_that_tells_no_year_is_told_in_full() -> None:
    text = read(
        "<p>Posted <time datetime='2024-03-05T10:00Z'>3 days ago</time>, on <time datetime='x'>5 March 2024</time></p>"
    )
    assert "3 days ago [2024-03-05T10:00Z]" in text and "5 March 2024" in text and "[x]" not in text


def test_deep_nesting_is_no_trouble() -> None:
    assert "core" in read("<div>" * 5000 + "core" + "</div>" * 5000)


def test_a_template_file_that_was_read_stays_as_it_is() -> None:
    assert list(html.forms(Source(page("<p>x</p>"), ToolCall("Read", '{"file_path": "index.html"}')))) == []


@pytest.mark.parametrize("text", ["a < b and c > d", "<xml><item/></xml>", "def f() -> None:\n    return '<p>'"])
def test_what_is_no_page_is_left_alone(text: str) -> None:
    assert list(html.forms(Source(text, FETCH))) == []


def test_nothing_is_lost_without_leave() -> None:
    assert list(html.forms(Source(page("x"), FETCH, Policy(level="lossless")))) == []
