"""JSON: rows, references, what is kept of long lists, spellings that survive, and reading it back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.shrinkers import json_rows, json_text, json_values
from headroom.values import ToolCall
from tests.headroom import shapes
from tests.headroom.shrinkers import golden, laws

ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": st.integers(), "state": st.sampled_from(["up", "down"])},
        optional={"note": st.text(max_size=8), "size": st.floats(allow_nan=False, allow_infinity=False)},
    ),
    min_size=3,
    max_size=40,
)


def shortest(text: str, level: str = "balanced", call: ToolCall = laws.NO_CALL) -> str:
    found = laws.forms(json_values.forms, text, level=level, call=call)
    return min((form.text for form in found.values()), key=len)


def read_table(text: str) -> list[dict[str, Any]]:
    """Read rows back as a person would: the names above them, what all share, what is usual, what a row says itself."""
    head, *lines = text.split("\n")
    names = json.loads(_part(head, r" as (\[.*?\])(?:;|$)"))
    same = json.loads(_part(head, r"the same in all: (\{.*?\})(?:; |$)") or "{}")
    usual = json.loads(_part(head, r"in its own: (\{.*?\})(?:; |$)") or "{}")
    rows = []
    for line in lines:
        cells = json.loads(re.sub(r"(?<=[\[,:])-(?=[,\]}])", '"ABSENT"', line))
        own = cells.pop() if len(cells) > len(names) else {}
        row = {**same, **usual, **dict(zip(names, cells, strict=True)), **own}
        rows.append({name: value for name, value in row.items() if value != "ABSENT"})
    return rows


def _part(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""


@pytest.mark.parametrize("name", golden.names("json"))
def test_real_json_is_written_as_reviewed(name: str) -> None:
    assert golden.written("json", name) == golden.expected("json", name)


@settings(deadline=None)
@given(ROWS, st.lists(st.integers(1, 4), min_size=2, max_size=40))
def test_lists_of_rows_can_be_read_back(rows: list[dict[str, Any]], sizes: list[int]) -> None:
    rows = [dict(row, name=f"the {row['state']} one of them") for row in rows]
    lists: list[list[dict[str, Any]]] = []
    for size in sizes:
        lists += [rows[:size]] if rows[:size] else []
        rows = rows[size:] + lists[-1][:1]
    found = laws.forms(json_values.forms, json.dumps(lists), level="lossless")["json"].text
    if " lists of rows as " not in found:
        return
    _, head, *lines, _ = found.split("\n")
    assert head.startswith(f"{len(lists)} lists of rows as ")
    flat: list[list[str]] = []
    for line in lines:
        parts = re.findall(r'<same as \[\d+\]\[\d+\]>|\[(?:"(?:[^"\\]|\\.)*"|[^"\[\]])*\]', line[1:-1])
        flat.append([])
        for part in parts:
            n = re.match(r"<same as \[(\d+)\]\[(\d+)\]>", part)
            flat[-1].append(flat[int(n[1])][int(n[2])] if n else part)
    again = iter(read_table("\n".join([head, *(part for parts in flat for part in parts)])))
    assert [[next(again) for _ in parts] for parts in flat] == lists


def test_lists_of_alike_objects_say_their_names_once() -> None:
    def leg(number: int, start: str, end: str) -> dict[str, Any]:
        return {
            "number": f"FL{number:03}",
            "from": start,
            "to": end,
            "seats": {"low": number % 7, "high": 3},
            "date": "2026-05-01",
        }

    routes = [[leg(n, "VIE", "FRA"), leg(90, "FRA", "OSL")] for n in range(4)]
    text = shortest(json.dumps(routes))
    assert text.split("\n")[1:4] == [
        '4 lists of rows as ["number","from","to","seats.low"]; the same in all: {"seats.high":3,"date":"2026-05-01"}',
        '[["FL000","VIE","FRA",0],["FL090","FRA","OSL",6]]',
        '[["FL001","VIE","FRA",1],["FL090","FRA","OSL",6]]',
    ]
    far = [
        [leg(n, "Vienna International Airport", "FRA"), leg(90, "Frankfurt am Main", "Oslo Gardermoen")]
        for n in range(4)
    ]
    assert shortest(json.dumps(far)).count("<same as [0][1]>") == 3


@settings(deadline=None)
@given(ROWS)
def test_rows_can_be_read_back(rows: list[dict[str, Any]]) -> None:
    columns = json_rows.columns(rows)
    assert columns is not None
    layout = json_rows.arrange(columns)
    told = "rows as " + layout.head(json_text.compact)
    lines = [layout.row(index, json_text.compact) for index in range(len(rows))]
    if layout.twins or layout.derived or any('"ABSENT"' in line or "; " in line for line in lines):
        return
    assert read_table("\n".join([told, *lines])) == rows


@settings(deadline=None)
@given(shapes.VALUES, st.sampled_from([None, 1, 2]), st.booleans())
def test_every_value_survives_reading_and_writing(value: Any, indent: int | None, escaped: bool) -> None:
    document = json_text.read(json.dumps({"it": value}, indent=indent, ensure_ascii=escaped))
    assert document is not None
    assert json.loads(json_text.finished(json_text.compact(document.value))) == {"it": value}


@pytest.mark.parametrize(("field", "fine", "bad"), [("level", 30, 50), ("status_code", 200, 503)])
def test_records_with_a_number_for_an_error_stay(field: str, fine: int, bad: int) -> None:
    rows = [
        {field: fine, "time": 1_700_000_000_000 + at, "order": at * 7919, "msg": "order handled"} for at in range(800)
    ]
    for at in range(100, 700, 20):
        rows[at][field] = bad
    told = shortest("\n".join(json.dumps(row) for row in rows))
    assert all(str(at * 7919) in told for at in range(100, 700, 20))


@pytest.mark.parametrize(
    "number", ["1.10", "1e5", "-0", "1E-2", "0.1000000000000000055", "123456789012345678901234567890"]
)
def test_numbers_keep_their_spelling(number: str) -> None:
    text = json.dumps([{"id": index, "size": "N"} for index in range(4)], indent=2).replace('"N"', number)
    assert shortest(text).count(number) >= 1
    assert json_text.finished(json_text.compact(json_text.read(text).value)).count(number) == 4  # type: ignore[union-attr]


def test_a_key_that_comes_twice_is_left_alone() -> None:
    assert laws.forms(json_values.forms, '[{"a": 1, "a": 2}, {"a": 3}, {"a": 4}]') == {}


def test_what_all_rows_share_is_said_once() -> None:
    text = json.dumps([{"id": index, "kind": "Deployment", "zone": "eu-central-1"} for index in range(30)])
    assert shortest(text, "lossless").count("eu-central-1") == 1


def test_links_that_follow_from_a_field_are_said_once() -> None:
    rows = [
        {"name": f"repo-{index * 7}", "link": f"https://example.com/orgs/acme/repo-{index * 7}/tree"}
        for index in range(30)
    ]
    told = shortest(json.dumps(rows), "lossless")
    assert '"link" is "https://example.com/orgs/acme/" + "name" + "/tree"' in told
    assert told.count("https://") == 1


def test_the_odd_row_and_the_extremes_stay_in_a_long_list() -> None:
    rows = [{"id": f"pod-{index}", "phase": "Running", "restarts": index % 3} for index in range(800)]
    rows[411]["phase"] = "ImagePullBackOff"
    rows[612]["restarts"] = 977
    told = shortest(json.dumps(rows))
    assert "pod-411" in told and "ImagePullBackOff" in told
    assert "pod-612" in told and "977" in told
    assert "800 rows" in told
    assert len(told) < 4_000


def test_a_row_that_the_call_names_stays() -> None:
    rows = [{"id": f"pod-{index}-x", "value": (index * 37) % 1000} for index in range(800)]
    call = ToolCall("Bash", '{"command": "kubectl get pod pod-555-x -o json"}')
    assert '"pod-555-x"' in shortest(json.dumps(rows), call=call)


def test_a_row_that_the_document_points_to_stays() -> None:
    versions = {f"1.{index}.0": {"size": index * 31 % 997, "sum": f"{index:040x}"} for index in range(300)}
    text = json.dumps({"latest": "1.217.0", "versions": versions})
    assert '["1.217.0",' in shortest(text)


def test_trouble_keeps_its_spelling() -> None:
    rules = [{"name": f"rule-{index}", "note": f"all is well {index}"} for index in range(200)]
    rules[120]["note"] = "Reloading the configuration has failed."
    assert '"note": "Reloading the configuration has failed."' in shortest(json.dumps(rules, indent=2))


def test_a_part_that_comes_again_points_to_the_first() -> None:
    owner = {
        "login": "octo-org",
        "id": 31898100,
        "avatar": "https://avatars.example.com/u/31898100?v=4",
        "type": "Team",
    }
    text = json.dumps({"first": {"owner": owner, "id": 1}, "second": {"by": [1, 2], "owner": owner}}, indent=2)
    told = shortest(text, "lossless")
    assert told.count("octo-org") == 1
    assert "<same as first.owner>" in told


def test_a_cut_off_document_is_read_to_its_end() -> None:
    text = json.dumps([{"id": index, "state": "running"} for index in range(200)], indent=1)[:-30]
    told = laws.forms(json_values.forms, text, level="lossless")["json"].text
    assert "the text is cut off here" in told
    assert told.endswith(text.rsplit(",\n {", 1)[1].split("\n")[-1])


def test_lines_that_are_no_json_stay() -> None:
    lines = [json.dumps({"level": "info", "n": index}) for index in range(40)]
    lines.insert(20, "panic: the pool is gone")
    told = shortest("\n".join(lines))
    assert "panic: the pool is gone" in told


def test_settings_that_were_read_stay_as_they_are() -> None:
    text = json.dumps({"name": "app", "scripts": {str(index): "run" for index in range(60)}}, indent=2)
    assert laws.forms(json_values.forms, text, call=ToolCall("Read", '{"file_path": "/app/package.json"}')) == {}


def test_long_values_of_lists_are_said_once() -> None:
    scopes = "admin:org, admin:repo_hook, delete_repo, gist, notifications, repo, user, workflow, read:packages"
    answers = [{"status": 200 + n, "headers": ["Scopes", scopes, "Age", str(n)], "body": [n]} for n in range(3)]
    told = shortest(json.dumps({"first": answers[0], "others": answers[1:]}, indent=1))
    assert told.count(scopes) == 1
    assert told.count("<same as first.headers[1]>") == 2
    spelled = json.dumps({"first": answers[0], "text": json.dumps(answers[0], separators=(",", ":"))})
    assert "same as" not in shortest(spelled), "a text is not the object that it spells"


def test_a_file_of_many_alike_records_is_data_and_keeps_every_row() -> None:
    records = [{"site": f"field {index}", "yield": index * 1.5, "year": 1931} for index in range(40)]
    call = ToolCall("Bash", '{"command": "cat barley.json"}')
    told = laws.forms(json_values.forms, json.dumps(records, indent=2), call=call)
    assert list(told) == ["json"]
    assert all(f'"field {index}",{index * 1.5}' in told["json"].text for index in range(40))
    menu = [{**record, "children": [record]} for record in records]
    assert laws.forms(json_values.forms, json.dumps(menu), call=call) == {}
    assert laws.forms(json_values.forms, json.dumps(records[:10], indent=2), call=call) == {}


@settings(deadline=None)
@given(shapes.json_texts(), laws.LEVELS)
def test_any_json_keeps_the_laws(text: str, level: str) -> None:
    found = laws.forms(json_values.forms, text, level=level)
    assert found == laws.forms(json_values.forms, text, level=level)
    assert all(form.text.strip() for form in found.values())
