"""Configuration and what kubectl prints."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import config, kubernetes, outline
from headroom.values import Form, Policy, Source, ToolCall
from tests.headroom.shrinkers import golden, texts

NO_CALL = ToolCall()


def forms(text: str, *, level: str = "balanced", call: ToolCall = NO_CALL) -> list[Form]:
    return list(config.forms(Source(text, call, Policy(level=level))))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", golden.names("config"))
def test_real_output_is_written_as_reviewed(name: str) -> None:
    assert golden.written("config", name) == golden.expected("config", name)


@given(texts.ANY, st.sampled_from(["lossless", "balanced", "deep"]))
def test_no_text_makes_it_fail_or_waver(text: str, level: str) -> None:
    assert forms(text, level=level) == forms(text, level=level)


def test_the_odd_pod_is_still_there() -> None:
    text = golden.shortest("config", "pods").text
    for fact in (
        "web-7d9c8b6f5-cx2k",
        "nginx:1.25-typo",
        "ImagePullBackOff",
        "ContainersNotReady",
        "restartCount: 7",
        "podIP: 10.244.0.23",
    ):
        assert fact in text


def test_bookkeeping_of_the_server_is_gone() -> None:
    text = golden.shortest("config", "pods").text
    for noise in ("managedFields", "uid:", "resourceVersion", "kube-api-access", "terminationMessagePath", "sha256"):
        assert noise not in text


def test_kept_objects_are_still_yaml() -> None:
    items = yaml.safe_load("\n".join(kubernetes._objects(golden.source("config", "pods").text.split("\n"))))["items"]
    assert [item["metadata"]["name"] for item in items] == [
        f"web-7d9c8b6f5-{tail}" for tail in ("ax0k", "bx1k", "cx2k", "dx3k")
    ]
    assert items[2]["spec"]["containers"][0]["image"] == "nginx:1.25-typo"
    assert items[2]["status"]["conditions"][0]["reason"] == "ContainersNotReady"
    assert items[0]["spec"]["containers"][0]["resources"]["limits"] == {"memory": "256Mi"}


def test_a_described_pod_keeps_trouble_word_for_word() -> None:
    text = golden.shortest("config", "describe").text
    source = golden.source("config", "describe").text
    for line in source.split("\n"):
        if "Warning" in line or "ImagePullBackOff" in line:
            assert line in text.split("\n")
    assert "Ready: False" in text and "Node: node-a/10.0.0.4" in text


def test_a_pod_without_a_node_says_so() -> None:
    text = "Name:    a\nNamespace:  b\nLabels:  <none>\nNode:    <none>\nStatus:  Pending\nEvents:  <none>\n"
    (form,) = forms(text)
    assert "Node: <none>" in form.text and "Events: <none>" in form.text
    assert "Labels" not in form.text


@given(
    st.lists(
        st.sampled_from(
            ["a:", "  b:", "    c: 1", "    d: 22222222222222222222", "  - e: 333333333333333333333", "    f: 4", ""]
        ),
        max_size=60,
    )
)
def test_folded_blocks_are_the_blocks_they_stand_for(lines: list[str]) -> None:
    kept, saved = outline.fold_repeats(lines)
    told = sum(int(line.split("(the ")[1].split()[0]) for line in kept if "(the " in line)
    assert told == saved == len(lines) - len(kept)
    assert {line for line in lines if line.strip()} <= {line.split("  (the ")[0] for line in kept} | {""}


def test_a_file_of_settings_that_was_read_stays_as_it_is() -> None:
    block = "".join(
        f"{name}:\n  image: registry.example.com/{'x' * 40}\n  ports:\n  - 80\n  restart: always\n"
        for name in ("web", "web")
    )
    assert forms(block, call=ToolCall("Read", '{"file_path": "compose.yaml"}')) == []
    assert forms(block, call=ToolCall("Bash", '{"command": "helm template ."}')) != []


def test_old_settings_lose_comments_only() -> None:
    text = "# why\n[server]\nport = 80 # inline\n\n; note\nhost = a\n"
    (form,) = forms(text, level="deep")
    assert form.text == "[server]\nport = 80 # inline\nhost = a"
    assert form.left_out == "4 of 7 lines: comments and blank lines"


@pytest.mark.parametrize(
    "text", ["a:\n" * 20_000, " " * 500_000, "- " * 200_000, "\n".join(" " * depth + "a:" for depth in range(3000))]
)
def test_odd_depths_are_read_in_linear_time(text: str) -> None:
    forms(text, level="deep")
