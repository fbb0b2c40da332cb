"""Lines with words in common: the law is that the words said once and the rest give back the text, but for its blanks."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from headroom import pipeline
from headroom.shrinkers import shared_words
from headroom.values import Policy, Source, ToolCall
from tests.examples import examples
from tests.headroom.shrinkers import laws, texts

CALL = ToolCall("Bash", '{"command": "kubectl logs web-7 --tail=12"}')
LEVELS = ("INFO ", "DEBUG", "TRACE")
LOG = "\n".join(
    f"2026-03-01 12:{n:02}:07.{n * 89 % 997:03} {LEVELS[n % 3]} [http-worker-{n % 4 + 9}] c.a.Orders - order {n * 911} took  {n} ms"
    for n in range(12)
)


def shown(text: str) -> str:
    return laws.forms(shared_words.forms, text, call=CALL)["shared_words"].text


def restored(form: str) -> str:
    head, _, body = form.partition("\n")
    found = re.match(r"\[Lines like “(.*)”; below is only what stands at the stars\.", head)
    assert found is not None
    *pattern, _ = found[1].split(" ")
    lines = []
    for line in body.split("\n"):
        if not line or line.startswith("| "):
            lines.append(line[2:])
            continue
        parts = line.split(" ", sum("*" in word for word in pattern))
        words = [word.replace("*", parts.pop(0)) if "*" in word else word for word in pattern]
        lines.append(" ".join([*words, " ".join(parts)]))
    return "\n".join(lines)


def single_blanks(text: str) -> str:
    return re.sub(" +", " ", text)


def test_what_the_lines_of_a_log_share_is_said_once() -> None:
    head, first, *_ = shown(LOG).split("\n")
    assert head == (
        "[Lines like “2026-03-01 * * [http-worker-*] c.a.Orders - *”; below is only what stands at the stars.]"
    )
    assert first == "12:00:07.000 INFO 9 order 0 took  0 ms"
    assert single_blanks(restored(shown(LOG))) == single_blanks(LOG)
    outcome = pipeline.shrink(LOG, call=CALL, policy=Policy(level="lossless"))
    assert outcome.form == "shared_words" and not outcome.is_lossy
    assert pipeline.shrink(outcome.text, call=CALL, policy=Policy(level="lossless")).text == outcome.text


def test_lines_that_report_trouble_can_be_searched_for_literally() -> None:
    lines = LOG.split("\n")
    lines[5] = lines[5].replace("TRACE", "ERROR").replace("took", "failed in")
    form = shown("\n".join(lines))
    assert f"\n| {lines[5]}\n" in form
    assert single_blanks(restored(form)) == single_blanks("\n".join(lines))


def test_names_stay_in_one_piece() -> None:
    text = "\n".join(f"12:00:{n:02} web sshd[{n + 7}]: GET /items/{n * 7} from 10.0.0.{n} id={n}" for n in range(12))
    head, first, *_ = shown(text).split("\n")
    assert head.startswith("[Lines like “* web sshd[*]: GET *”")
    assert first == "12:00:00 7 /items/0 from 10.0.0.0 id=0"


def test_what_is_written_so_is_not_written_so_once_more() -> None:
    text = "\n".join(f"{line}, and nothing else to say about {n}" for n, line in enumerate(LOG.split("\n")))
    assert laws.forms(shared_words.forms, shown(text), call=CALL) == {}
    assert pipeline.shrink(text, call=CALL, policy=Policy()).text.count("[Lines like") == 1


def test_lines_may_begin_with_a_bracket() -> None:
    text = "\n".join(f"[{line[:19]}] {line[24:]}" for line in LOG.split("\n"))
    assert shown(text).startswith("[Lines like “[2026-03-01 * * [http-worker-*] c.a.Orders - *”")


def test_other_lines_stay_whole() -> None:
    trace = "java.lang.IllegalStateException: closed\n    at c.a.Orders.close(Orders.java:17)"
    form = shown(f"{LOG}\n{trace}\n\n{LOG}")
    assert "Whole lines begin with “|”." in form.split("\n")[0]
    assert "\n| java.lang.IllegalStateException: closed\n|     at c.a.Orders.close(Orders.java:17)\n\n12:00" in form


def test_short_lines_do_not_spoil_what_the_others_share() -> None:
    form = shown(LOG + "\n2026-03-01 12:59:00.000")
    assert "c.a.Orders - *”" in form and form.endswith("\n| 2026-03-01 12:59:00.000")


def test_files_json_and_lines_without_common_words_stay_as_they_are() -> None:
    strangers = "\n".join(f"{n * 7919 % 977:x} goes from {n} to {n * n}" for n in range(12))
    for text, call in [
        (LOG, ToolCall("Bash", '{"command": "cat app.py"}')),
        (LOG, ToolCall("Read", '{"file_path": "notes.md"}')),
        ("\n".join(['{"level": "info", "n": 1}'] * 9), CALL),
        (strangers.replace(" goes from", "").replace(" to", ""), CALL),
        (f"| {LOG}", CALL),
    ]:
        assert not list(shared_words.forms(Source(text, call)))


WORDS = st.sampled_from(
    ["INFO", "WARN", "[worker-1]", "[worker-22]", "app:", "|", "*", "a”b", "7", "12", "done", "x=1", "  "]
)


@examples(100)
@given(
    st.lists(st.lists(WORDS, max_size=7), min_size=4, max_size=30), st.sampled_from(["", "2026-03-01 12:00 host-7 "])
)
def test_nothing_is_lost(rows: list[list[str]], start: str) -> None:
    text = "\n".join(start + " ".join(row) for row in rows)
    for form in laws.forms(shared_words.forms, text, call=CALL).values():
        assert single_blanks(restored(form.text)) == single_blanks(text)


@given(texts.ANY, laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(shared_words.forms, text, level)
