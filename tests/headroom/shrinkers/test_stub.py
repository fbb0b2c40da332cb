from __future__ import annotations

from headroom import pipeline
from headroom.values import Policy, Shrunk, ToolCall

CALL = ToolCall("Read", '{"file_path": "src/reports.py"}')
SOURCE = "\n".join(
    f"def report_{n}(rows):\n    checked = [row for row in rows if row.size > {n}]\n    return render_{n}(checked)\n"
    for n in range(80)
)


def old(text: str, share: float | None = 0.1, *words: str) -> Shrunk:
    return pipeline.shrink(text, call=CALL, policy=Policy(level="deep", deep_share=share, keep_words=words))


def test_about_the_share_that_was_asked_for_is_left() -> None:
    assert old(SOURCE).tokens_after < 0.2 * old(SOURCE).tokens_before < old(SOURCE, None).tokens_after


def test_what_was_spoken_of_is_left_word_for_word() -> None:
    assert "    return render_37(checked)" in old(SOURCE, 0.1, "render_37").text
    assert "render_37" not in old(SOURCE).text


def test_one_long_line_keeps_its_ends() -> None:
    shrunk = old("begin " + "Wxyz0123 " * 900 + "end")
    assert shrunk.text.startswith("begin ")
    assert " end\n" in shrunk.text
    assert shrunk.tokens_after < 0.2 * shrunk.tokens_before


def test_with_a_share_of_nothing_the_beginning_of_one_line_is_left() -> None:
    digest = pipeline.original_hash(SOURCE)
    left_out = f"{len(SOURCE) - 19:,} characters"
    shown = f"def report_0(rows):\n[headroom left out {left_out}; original kept as {digest}]"
    assert old(SOURCE, 0.0, "render_37").text == shown
    line = old("\n\n" + "Wxyz0123 " * 900, 0.0).text
    assert line.startswith("Wxyz0123 " * 8 + "…\n[headroom left out ")
    assert old("x=1;" * 3_000, 0.0).text.startswith("x=1;" * 20 + " …\n[headroom left out ")


def test_old_news_spends_few_words_on_what_is_missing() -> None:
    text, digest = old(SOURCE).text, pipeline.original_hash(SOURCE)
    lines = text.split("\n")
    assert (
        lines[-1]
        == f"[headroom left out {320 - sum(line in SOURCE for line in lines[:-1]):,} of 320 lines; original kept as {digest}]"
    )
    assert {line for line in lines[:-1] if line not in SOURCE} == {"…"}


def test_no_share_no_stub() -> None:
    assert "stub" not in old(SOURCE, None).form


def test_of_a_short_result_the_ends_stay_only_as_far_as_there_is_room() -> None:
    rows = [f"src/module_{n:02}.py:{n * 37}: total_{n:02} = checked({n})" for n in range(20)]
    text = old("\n".join(rows)).text
    assert text.startswith(f"{rows[0]}\n…\n{rows[-1]}\n[headroom left out 18 of 20 lines"), text


def test_of_a_few_lines_the_ends_stay() -> None:
    rows = [
        f"src/reports/module_{n}.py:{n * 37}:    total_{n} = checked(rows, limit={n}, since={n * 5077})"
        for n in range(7)
    ]
    text = old("\n".join(rows)).text
    assert all(line in text for line in (*rows[:3], *rows[-3:]))


def test_a_result_that_reports_trouble_keeps_its_ends() -> None:
    rows = [f"src/module_{n:02}.py:{n * 37}: total_{n:02} = checked({n})" for n in range(20)]
    rows[8] = "ERROR: no such report"
    text = old("\n".join(rows)).text
    assert all(line in text for line in (*rows[:3], rows[8], *rows[-3:]))
