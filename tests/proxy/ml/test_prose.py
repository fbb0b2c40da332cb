"""Prose through a trained model: what goes, what never goes, and what happens when the model is not usable."""

from __future__ import annotations

from pathlib import Path

import pytest

from headroom import Policy, ToolCall, pipeline
from headroom.values import Source
from proxy.ml import model, prose
from proxy.ml.model import Scored
from tests.proxy.ml.fixtures import make_folder

FETCH = ToolCall("WebFetch", '{"url": "http://example.com"}')
READ = ToolCall("Read", '{"file_path": "/repo/guide.md"}')
NOUNS = [
    "pump",
    "lamp",
    "river",
    "engine",
    "garden",
    "letter",
    "window",
    "bottle",
    "paper",
    "ladder",
    "kettle",
    "mirror",
    "stone",
]
VERBS = [
    "turns",
    "waits",
    "opens",
    "rises",
    "falls",
    "moves",
    "sleeps",
    "burns",
    "shines",
    "breaks",
    "grows",
    "rests",
    "sings",
]
ENDS = ["morning", "winter", "evening", "spring", "summer", "night", "dawn", "noon", "dusk", "autumn", "rain"]
SENTENCE = "The pump really waits in quite a cold morning with very little to do"
TEXT = "\n".join(
    f"The {NOUNS[at % 13]} really very quite {VERBS[at * 5 % 13]} beside the {NOUNS[at * 3 % 13 - at // 13]} in quite a"
    f" {ENDS[at % 11]} while somebody {VERBS[at * 7 % 13 - at // 13]} with {NOUNS[at % 13 - 4]} and {NOUNS[at * 9 % 13]}"
    f" near very old {ENDS[at * 4 % 11]} things"
    for at in range(39)
)
DISPENSABLE = frozenset(["really", "quite", "very"])


def lookup(text: str) -> list[Scored]:
    """A scorer that knows the same words as the stand-in model."""
    found, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        found.append(Scored(at, at + len(word), 0.1 if word in DISPENSABLE else 0.9))
        at += len(word)
    return found


def shortened(text: str, call: ToolCall = FETCH, **policy: object) -> str:
    source = Source(text, call, Policy(**policy))  # type: ignore[arg-type]
    return next((form.text for form in prose.forms(source, lookup)), text)


def test_dispensable_words_go_and_lines_stay_where_they_were() -> None:
    shown = shortened(TEXT)
    assert shown.split("\n") == [
        " ".join(word for word in line.split(" ") if word not in DISPENSABLE) for line in TEXT.split("\n")
    ]


@pytest.mark.parametrize(
    "word",
    [
        "4.7",
        "not",
        "must",
        "don't",
        "NASA",
        "--force",
        "-v",
        "/etc/hosts",
        "user_id",
        "HttpRequest",
        "foo.py",
        "`x`",
        "unless",
        "note:",
    ],
)
def test_what_changes_the_meaning_is_kept_whatever_the_score(word: str) -> None:
    text = TEXT.replace("things", word)
    source = Source(text, FETCH, Policy())
    (form,) = prose.forms(source, lambda part: [Scored(0, len(part), 0.0)])
    assert form.text.split().count(word) == text.split().count(word)


def test_lines_that_are_no_sentences_stay_whole() -> None:
    odd = "# A really very long heading of quite many words here\n| a | really | quite | very | wide | row |\n    really = quite(very, well, indent, ed)\nERROR: the pump is really quite broken and very hot"
    assert shortened(f"{odd}\n{TEXT}").startswith(odd + "\n")


def test_files_that_an_edit_may_quote_wait_until_they_are_old() -> None:
    assert shortened(TEXT, READ) == TEXT
    assert shortened(TEXT, READ, level="deep") != TEXT
    assert shortened(TEXT, level="lossless") == TEXT


def test_short_long_and_other_texts_are_left_alone() -> None:
    assert shortened(SENTENCE) == SENTENCE
    assert shortened(TEXT * 20) == TEXT * 20
    assert shortened("\n".join(["x = really(quite, very)"] * 40)).count("really") == 40


def test_a_text_too_long_for_one_look_is_scored_in_parts() -> None:
    asked: list[int] = []

    def narrow(text: str) -> list[Scored] | None:
        asked.append(len(text.split()))
        return lookup(text) if len(text.split()) <= 70 else None

    (form,) = prose.forms(Source(TEXT, FETCH, Policy()), narrow)
    assert form.text == shortened(TEXT) and max(asked) <= prose.CHUNK_WORDS
    assert not list(prose.forms(Source(TEXT, FETCH, Policy()), lambda text: None))


def test_a_model_that_is_not_there_costs_only_its_form(tmp_path: Path) -> None:
    outcome = pipeline.shrink(TEXT, call=FETCH, policy=Policy(), extra=prose.extra(str(tmp_path / "none")))
    assert "prose raised BadModel" in {attempt.name for attempt in outcome.attempts}
    assert prose.extra("") == {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in model.LIBRARIES:
        pytest.importorskip(name, reason=f"the [ml] extra is not installed: no {name}")
    return make_folder(tmp_path_factory.mktemp("model"))


def test_the_model_of_a_folder_competes_with_the_other_forms(folder: Path) -> None:
    outcome = pipeline.shrink(TEXT, call=FETCH, policy=Policy(), extra=prose.extra(str(folder)))
    assert outcome.form == "ml_words" and outcome.text.startswith(shortened(TEXT) + "\n[headroom left out 195 of ")
    again = pipeline.shrink(TEXT, call=FETCH, policy=Policy(), extra=prose.extra(str(folder)))
    assert again == outcome


def test_scores_come_with_their_places_and_long_texts_get_none(folder: Path) -> None:
    loaded = model.load(folder)
    scored = loaded.scores("a very  long day")
    assert scored is not None
    assert [(token.start, token.end, round(token.score, 1)) for token in scored] == [
        (0, 1, 0.9),
        (2, 6, 0.1),
        (8, 12, 0.9),
        (13, 16, 0.9),
    ]
    assert loaded.scores("word " * 600) is None


def test_a_folder_is_checked_before_it_is_used(folder: Path, tmp_path: Path) -> None:
    spoilt = make_folder(tmp_path / "spoilt")
    with (spoilt / model.TOKENIZER).open("a") as opened:
        opened.write(" ")
    with pytest.raises(model.BadModel, match="is not the file whose hash is in SHA256SUMS"):
        model.check(spoilt)
    (spoilt / model.SUMS).write_text("")
    with pytest.raises(model.BadModel, match="does not name model.onnx"):
        model.load(spoilt)
    with pytest.raises(model.BadModel, match="cannot be read"):
        model.check(tmp_path / "nowhere")
    (spoilt / model.MODEL).write_bytes(b"no model")
    model.write_sums(spoilt)
    with pytest.raises(model.BadModel, match="holds no usable model"):
        model.load(spoilt)
