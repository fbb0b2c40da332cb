"""What a question about a kept original is answered with."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from headroom import retrieval, tokens

LOG = "\n".join(f"12:00:{i % 60:02d} INFO request {i} served in {i % 7} ms" for i in range(5_000))
TROUBLE = LOG.replace("INFO request 3210 served in 4 ms", "ERROR request 3210 lost its database connection")


def test_the_line_asked_for_is_found_among_thousands() -> None:
    excerpt = retrieval.answer(TROUBLE, query="why was the database connection lost?")
    assert excerpt.matches[0]["line"] == 3211
    assert "3211: 12:00:30 ERROR request 3210 lost its database connection" in excerpt.content
    assert "3210: " in excerpt.content, "a neighbour gives context"
    assert excerpt.total_lines == 5_000


def test_words_inside_identifiers_are_found() -> None:
    text = "\n".join(["x = 1"] * 50 + ["def close_connection_pool(self):"] + ["y = 2"] * 50)
    assert retrieval.answer(text, query="connection pool").matches[0]["line"] == 51


def test_a_pattern_is_matched_as_one() -> None:
    excerpt = retrieval.answer(TROUBLE, query=r"ERROR request \d+ lost")
    assert [match["line"] for match in excerpt.matches] == [3211]
    assert excerpt.content.startswith("1 of 5,000 lines match")


def test_a_pattern_that_matches_nothing_says_so_and_offers_its_words() -> None:
    content = retrieval.answer(TROUBLE, query=r"ERROR request \d+ found$").content
    assert content.startswith("no line matches the pattern; ") and "ERROR request 3210" in content
    assert "no line matches" not in retrieval.answer(TROUBLE, query="ERROR (a|b").content


def test_an_answer_keeps_to_its_tokens() -> None:
    for query in ("INFO request served", r"request \d+7 served"):
        assert 700 < tokens.count(retrieval.answer(LOG, query=query, max_tokens=1_000).content) <= 1_000
    assert tokens.count(retrieval.answer(LOG, max_tokens=1_000).content) <= 1_000


def test_commits_and_failures_make_the_contents_of_what_tools_print() -> None:
    commit = (
        "commit {0}0a1b2c3d4\nAuthor: Dev\nDate: today\n\n    Change part {0}\n\ndiff --git a/f{0}.py b/f{0}.py\n"
        + "+x = 1\n" * 300
    )
    outline = retrieval.answer("".join(commit.format(at) for at in range(1, 9))).content
    assert ": commit 30a1b2c3d4 Change part 3" in outline and ": diff --git a/f3.py b/f3.py" in outline
    run = "===== test session starts =====\n" + "".join(
        f"_____ test_{at} _____\n" + "E   assert 1 == 2\n" * 200 for at in range(20)
    )
    outline = retrieval.answer(run).content
    assert "===== test session starts =====" in outline and "_____ test_17 _____" in outline


def test_stretches_of_a_log_tell_where_the_trouble_is() -> None:
    outline = retrieval.answer(TROUBLE).content
    (line,) = [line for line in outline.split("\n") if "trouble in" in line]
    assert line.endswith("(trouble in 1 line, first in 3211)")


def test_records_are_named_by_their_first_fields() -> None:
    users = [{"id": at, "name": f"user{at}", "state": "open"} for at in range(900)]
    assert '"id": 0, "name": "user0", "state": "open"' in retrieval.answer(json.dumps(users, indent=1)).content


def test_a_hostile_pattern_is_answered_at_once() -> None:
    text = "\n".join(["a" * 900] * 200)
    assert retrieval.answer(text, query=r"(a+)+$b").total_lines == 200
    assert retrieval.answer(text, query=r"(a|aa)*(a|aa)*(a|aa)*c$").total_lines == 200


def test_lines_come_back_verbatim_and_inclusive() -> None:
    text = "\n".join(f"line {i}" for i in range(1, 101))
    assert retrieval.answer(text, start_line=3, end_line=5).content == "line 3\nline 4\nline 5"
    assert retrieval.answer(text, start_line=99).content == "line 99\nline 100"
    assert retrieval.answer(text, start_line=-4, end_line=1).content == "line 1"


def test_lines_beyond_the_end_say_how_many_there_are() -> None:
    assert "has 3" in retrieval.answer("a\nb\nc\n", start_line=9).content


def test_lines_of_a_numbered_read_are_asked_for_by_the_numbers_shown() -> None:
    text = "Here is the file:\n" + "\n".join(f"{number:>6}\tline {number}" for number in range(501, 601))
    assert retrieval.answer(text, start_line=510, end_line=511).content == "   510\tline 510\n   511\tline 511"


def test_a_range_too_long_says_where_to_go_on() -> None:
    excerpt = retrieval.answer(LOG, start_line=1, end_line=5_000, max_tokens=500)
    number = int(excerpt.content.rsplit(" ", 1)[1].rstrip("]"))
    assert retrieval.answer(LOG, start_line=number).content.startswith(LOG.split("\n")[number - 1])


def test_a_range_limits_the_search() -> None:
    assert not retrieval.answer(TROUBLE, query="ERROR", start_line=1, end_line=100).matches
    assert retrieval.answer(TROUBLE, query="ERROR", start_line=3000, end_line=4000).matches[0]["line"] == 3211


def test_a_short_text_needs_no_question() -> None:
    assert retrieval.answer("hello\nworld\n").content == "hello\nworld\n"


def test_headings_make_the_table_of_contents() -> None:
    text = "\n".join(f"## Part {i}\n" + "words and more words\n" * 200 for i in range(1, 20))
    outline = retrieval.answer(text).content
    assert "## Part 7" in outline and outline.startswith("3,8")
    line = next(row for row in outline.split("\n") if row.endswith("## Part 7"))
    first, last = line.split(":")[0].split("-")
    assert retrieval.answer(text, start_line=int(first), end_line=int(last)).content.startswith("## Part 7\n")


def test_outer_blocks_make_the_contents_of_nested_data() -> None:
    text = json.dumps({"users": [{"id": i, "tags": ["x"] * 3} for i in range(900)], "total": {"all": 900}}, indent=2)
    outline = retrieval.answer(text).content
    assert '"users": [' in outline and '"total": {' in outline


def test_a_record_is_shown_whole() -> None:
    users = [{"id": i, "name": f"user{i}", "state": "locked" if i == 77 else "open"} for i in range(300)]
    content = retrieval.answer(json.dumps(users, indent=1), query="locked").content
    assert '"id": 77' in content and '"name": "user77"' in content and '"id": 76' not in content


def test_a_table_row_comes_with_its_heading() -> None:
    text = "id,city,people\n" + "\n".join(f"{i},town{i},{i * 37}" for i in range(2_000))
    content = retrieval.answer(text, query="town1234").content
    assert "1: id,city,people" in content and "1236: 1234,town1234,45658" in content


def test_one_endless_line_is_searched_in_pieces() -> None:
    text = json.dumps([{"id": i, "state": "failed" if i == 4_000 else "ok"} for i in range(20_000)])
    excerpt = retrieval.answer(text, query="failed")
    assert excerpt.matches[0]["line"] == 1 and '"id": 4000, "state": "failed"' in excerpt.content
    assert len(excerpt.content) < 2_000
    assert excerpt.content.startswith("1 of 1,"), "pieces are counted where they are what is shown"
    assert "pieces of lines match" in excerpt.content


def test_nothing_found_says_so() -> None:
    assert "matches 'zebra'" in retrieval.answer(LOG, query="zebra").content


def test_scripts_without_spaces_are_searched() -> None:
    text = "\n".join(["普通の行です"] * 40 + ["接続エラーが発生しました"] + ["普通の行です"] * 40)
    assert retrieval.answer(text, query="接続エラー").matches[0]["line"] == 41


QUERIES = st.one_of(st.text(max_size=40), st.from_regex(r"[a-c.*+?|()\[\]^$\\d{},0-9-]{0,12}", fullmatch=True))
NUMBERS = st.one_of(st.none(), st.integers(-5, 60))


@given(st.text(max_size=600), QUERIES, NUMBERS, NUMBERS, st.integers(50, 400))
def test_answers_are_bounded_and_repeatable(
    text: str, query: str, start: int | None, end: int | None, cap: int
) -> None:
    first = retrieval.answer(text, query=query, start_line=start, end_line=end, max_tokens=cap)
    assert first == retrieval.answer(text, query=query, start_line=start, end_line=end, max_tokens=cap)
    assert tokens.count(first.content) <= cap * 3 + 200
    assert first.content or not text.strip("\n") or not query.strip()
