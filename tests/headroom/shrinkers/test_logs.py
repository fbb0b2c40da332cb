"""Logs: templates counted, trouble and rare lines whole, never empty."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given, settings

from headroom import pipeline
from headroom.shrinkers import logs
from headroom.values import Policy, ToolCall
from tests.headroom import shapes
from tests.headroom.shrinkers import golden, laws


def ticks(count: int) -> list[str]:
    return [
        f"2024-01-02 03:{at // 60 % 60:02}:{at % 60:02} INFO [pool-{at % 8}] served /items/{at * 7} in {at % 90} ms"
        for at in range(count)
    ]


def folded(lines: list[str], level: str = "balanced", call: ToolCall = laws.NO_CALL) -> str:
    return laws.forms(logs.forms, "\n".join(lines), level=level, call=call)["log_templates"].text


@pytest.mark.parametrize("name", golden.names("logs"))
def test_real_logs_are_written_as_reviewed(name: str) -> None:
    assert golden.written("logs", name) == golden.expected("logs", name)


@pytest.mark.parametrize("level", ["balanced", "deep"])
def test_one_error_among_thousands_stays_with_its_surroundings(level: str) -> None:
    lines = ticks(5_000)
    lines[3_210] = "2024-01-02 03:53:30 ERROR [ledger] writer killed: out of memory, ref INC-48213"
    told = folded(lines, level)
    assert lines[3_210] in told
    assert lines[3_209] in told and lines[3_211] in told
    assert len(told) < 3_000


def test_a_rare_line_stays_although_it_reports_nothing() -> None:
    lines = ticks(3_000)
    lines[1_500] = "2024-01-02 03:25:00 INFO [config] reloaded from s3://bucket/prod.yaml revision 8f2c"
    assert lines[1_500] in folded(lines)


def test_a_stack_trace_stays_whole() -> None:
    trace = [
        "2024-01-02 03:25:00 ERROR [web] request failed",
        "java.lang.IllegalStateException: pool closed",
        *[f"    at com.acme.Pool.take{at}(Pool.java:{at})" for at in range(12)],
        "Caused by: java.io.IOException: reset",
    ]
    told = folded([*ticks(500), *trace, *ticks(500)])
    assert all(line in told for line in trace)


def test_a_healthy_log_keeps_its_shape() -> None:
    told = folded(ticks(2_000))
    lines = told.split("\n")
    assert lines[0] == ticks(1)[0]
    assert lines[-1] == ticks(2_000)[-1]
    hidden = sum(int(number.replace(",", "")) for number in re.findall(r"\[([\d,]+) more like it", told))
    assert hidden + len(lines) == 2_000


def test_verdicts_are_never_merged() -> None:
    lines = [f"2024-01-02 03:04:05 INFO - TEST-PASS | css/test-{at}.html | took {at}ms" for at in range(800)]
    lines[333] = "2024-01-02 03:04:05 INFO - TEST-UNEXPECTED-TIMEOUT | css/test-333.html | took 9000ms"
    assert lines[333] in folded(lines)


def test_the_few_values_of_a_field_are_named() -> None:
    lines = [
        f"2024-01-02 03:04:{at % 60:02} INFO worker took job {at} from queue {['mail', 'billing', 'search'][at % 3]} now"
        for at in range(600)
    ]
    assert "billing" in folded(lines) and "search" in folded(lines)


def test_text_that_is_no_log_is_left_alone() -> None:
    prose = ["It is not an error to have failed once, said the warden."] * 3 + [
        f"Chapter {at} begins at dawn." for at in range(60)
    ]
    assert "log_templates" not in laws.forms(logs.forms, "\n".join(prose))


def test_lines_that_repeat_are_counted_without_loss() -> None:
    found = laws.forms(
        logs.forms,
        "\n".join(["start", *["waiting for the database to come up"] * 50, *"abcdefghijk"]),
        level="lossless",
    )
    assert "[the same line 49 more times]" in found["log_runs"].text


@settings(deadline=None)
@given(shapes.logs(), laws.LEVELS)
def test_any_log_keeps_the_laws(text: str, level: str) -> None:
    laws.assert_kept(logs.forms, text, level)
    for form in laws.forms(logs.forms, text, level=level).values():
        assert form.text.strip()
        assert all(line in form.text for line in text.split("\n")[:2])


def test_a_number_far_above_all_others_stays() -> None:
    lines = [f"2024-01-02 03:04:{at % 60:02} INFO served /items/{at} in {20 + at % 37} ms" for at in range(900)]
    lines[431] = "2024-01-02 03:04:11 INFO served /items/431 in 48213 ms"
    assert lines[431] in folded(lines)


def test_a_value_that_is_rare_where_few_occur_stays() -> None:
    lines = [f"2024-01-02 03:04:{at % 60:02} INFO GET /health answered {200 + at % 2} soon" for at in range(900)]
    lines[777] = "2024-01-02 03:04:57 INFO GET /health answered 503 soon"
    assert lines[777] in folded(lines)


@pytest.mark.parametrize(
    "line",
    [
        "081109 2036{0:02} 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_38865049064139{0} terminating",
        "[10.30 16:49:{0:02}] chrome.exe - proxy.example.org:5070 close, {0} bytes sent, 9{0} bytes received, lifetime 00:01",
        "20171223-22:15:{0}:{0}|Step_LSC|30002312|onStandStepChanged {0}",
        "nova-api.log.1.2017-05-16_13:53:{0:02} 2017-05-16 00:00:{0:02}.008 257{0} INFO nova.server [req-{0}] GET /v2/servers status: 200",
        "- 1117838570 2005.06.03 R02-M1-N0-C:J{0}-U11 2005-06-03-15.42.{0:02}.675 R02-M1 RAS KERNEL INFO cache parity error corrected",
        "03-17 16:13:{0:02}.811  1702  {0} D WindowManager: printFreezingDisplayLogs opening app wtoken = Token{{{0}}}",
        "[Sun Dec 04 04:47:{0:02} 2005] [notice] jk2_init() Found child {0} in scoreboard slot 6",
    ],
)
def test_clocks_of_many_systems_make_a_log(line: str) -> None:
    text = "\n".join(line.format(at % 60) for at in range(600))
    outcome = pipeline.shrink(text, call=ToolCall("Bash", '{"command": "cat x"}'), policy=Policy())
    assert outcome.form.endswith("log_templates") and "[headroom left out" in outcome.text


def test_addresses_and_ids_do_not_make_lines_of_one_sort_differ() -> None:
    ids = [hashlib.sha256(str(at).encode()).hexdigest() for at in range(300)]
    lines = [
        f"2024-01-02 03:{at // 60:02}:{at % 60:02} DEBUG bar: vis={one[:8]} mask={one[8:16]} new=0x{one[16:24]} was={one[24:32]}"
        for at, one in enumerate(ids)
    ]
    assert len(folded(lines).split("\n")) < 30


def test_a_log_that_counts_seconds_is_one_where_a_log_was_asked_for() -> None:
    lines = [
        f"{at * 7919} node-{at % 9} unix.hw net.niff.up {1145552216 + at} 1 NIFF: connection up" for at in range(300)
    ]
    call = ToolCall("Bash", '{"command": "cat cluster.log"}')
    assert pipeline.shrink("\n".join(lines), call=call, policy=Policy()).form == "log_templates"


def test_seconds_that_never_go_back_make_a_log_of_sentences_and_not_of_figures() -> None:
    at = [1_145_552_216 + 7 * n for n in range(300)]
    said = [f"{n * 7919} node-{n % 9} net.niff.up {one} 1 NIFF: the connection is up" for n, one in enumerate(at)]
    call = ToolCall("Bash", '{"command": "tail -300 /srv/cluster/out"}')
    assert pipeline.shrink("\n".join(said), call=call, policy=Policy()).form == "log_templates"
    for lines in (said[::-1], [f"servers.web-{n % 9}.cpu {n * 37 % 100} {one}" for n, one in enumerate(at)]):
        assert not logs.counts_seconds(lines)


def test_of_an_old_log_the_only_line_of_its_sort_is_shown_to_its_end() -> None:
    odd = f"2024-01-02 03:10:00 INFO range {'x' * 300} was mapped for host-17"
    lines = [*ticks(400)[:200], odd, *ticks(400)[200:]]
    assert odd in folded(lines, level="deep").split("\n")


def refused(at: int, host: str) -> str:
    return f"2024-01-02 03:{at // 60 % 60:02}:{at % 60:02} ERROR [pool-{at % 8}] connection to {host}:5432 refused, attempt {at}"


def test_the_one_host_that_fails_among_many_failures_of_another_stays() -> None:
    lines = [refused(at, "10.0.0.4") for at in range(400)]
    lines[250] = refused(250, "10.0.0.9")
    told = folded([*ticks(600), *lines, *ticks(600)])
    assert lines[250] in told
    assert told.count("10.0.0.4:5432 refused") < 120


def test_what_fails_for_many_takes_no_more_than_its_share() -> None:
    lines = [refused(at, f"10.0.{at // 200}.{at % 200}") for at in range(4_000)]
    text = "\n".join([*ticks(200), *lines])
    told = folded([*ticks(200), *lines])
    assert 60 < told.count("refused") < 800
    assert len(told) < 0.25 * len(text)


def test_every_host_that_fails_stays_while_a_fifth_of_the_log_has_room_for_them() -> None:
    lines = ticks(3_000)
    hosts = [f"10.0.{at % 250}.{at // 250 + 7}" for at in range(300)]
    lines[1_000:1_300] = [refused(at, host) for at, host in enumerate(hosts)]
    told = folded(lines)
    assert all(host in told for host in hosts)
    assert len(told) < 0.25 * len("\n".join(lines))


def test_errors_that_differ_in_a_number_alone_are_shown_from_all_over_the_log() -> None:
    lines = ticks(2_000)
    lines[::10] = [f"2024-01-02 03:{at // 60:02}:{at % 60:02} ERROR order {at} was declined" for at in range(200)]
    told = folded(lines)
    assert sum(line in told for line in lines[::10]) > 60
    assert sum(line in told for line in lines[1_000::10]) > 20


@pytest.mark.parametrize(
    ("fine", "bad"),
    [
        ('10.0.0.{0} - - [13/Mar/2024:10:38:{0:02}] "GET /items/{0} HTTP/1.1" 200 {0}', 'HTTP/1.1" 502'),
        ("I0318 10:47:{0:02}.542846       1 server.go:117] Declined order={0}", "E0318"),
        ("<134>1 2024-03-18T10:47:{0:02}Z host orders 402 ID1 - declined order={0}", "<131>1"),
        ('web-1  | {{"level":30,"time":"2024-03-18T10:47:{0:02}","order":{0},"msg":"declined"}}', '"level":50'),
    ],
)
def test_a_level_that_is_a_letter_or_a_number_is_one(fine: str, bad: str) -> None:
    code = re.compile(r'HTTP/1.1" 200|I0318|<134>1|"level":30')
    lines = [fine.format(at % 60) for at in range(900)]
    for at in range(100, 800, 50):
        lines[at] = code.sub(bad, fine.format(at))
    told = folded(lines)
    assert all(lines[at] in told for at in range(100, 800, 50))


def test_who_asked_how_often_is_told_where_lines_begin_with_an_address() -> None:
    lines = [
        f'10.0.0.{at % 3 + 7} - - [13/Mar/2024:10:38:{at % 60:02} +0000] "GET /items/{at} HTTP/1.1" 200 {at * 7919}'
        for at in range(900)
    ]
    assert "300× 10.0.0.7, 300× 10.0.0.8, 300× 10.0.0.9" in folded(lines)


@pytest.mark.parametrize(
    "said", ["+ mkdir $WORKSPACE/build", "copied W E $WORKSPACE/build", "read [x] NEWEST/0318 10:"]
)
def test_a_name_that_ends_in_the_letter_of_a_level_is_no_level(said: str) -> None:
    lines = ticks(400)
    lines[100:300:2] = [f"[task 2024-01-02T03:04:{at % 60:02}Z] {said}" for at in range(100)]
    assert sum(said in line for line in folded(lines).split("\n")) < 12


def test_a_number_far_above_the_others_stays_behind_the_name_of_its_field() -> None:
    lines = [
        f"2024-01-02 03:00:{at % 60:02} info request served ms={at % 40}.{at % 10} id={at * 7919}" for at in range(900)
    ]
    lines[477] = "2024-01-02 03:00:57 info request served ms=28431.7 id=3777363"
    assert lines[477] in folded(lines).split("\n")


def test_errors_that_take_more_than_their_room_leave_none_for_warnings() -> None:
    stamp = "2024-01-02 03:00:00"
    lines = [f"{stamp} ERROR host-{at} refused {'x' * (380 if at % 3 == 0 else 3)}" for at in range(400)]
    told = folded([*lines, *[f"{stamp} WARN disk is nearly full"] * 60, *ticks(100)])
    assert len(told) < 0.5 * len("\n".join(lines))


def test_errors_that_say_the_same_word_for_word_make_room_for_others() -> None:
    lines = [refused(at // 40, "db") for at in range(800)]
    told = folded([*lines, *ticks(100)])
    assert all(line in told for line in list(dict.fromkeys(lines))[:20])


def test_hosts_named_in_many_lines_are_all_told_with_their_counts() -> None:
    lines = [
        f"2024-01-02 03:04:{at % 60:02} INFO closed by 10.1.0.{at % 19}:{40_000 + at} after hello" for at in range(570)
    ]
    told = folded(lines)
    assert all(f"30× 10.1.0.{host}" in told for host in range(19))


def test_long_values_that_begin_alike_are_told_from_where_they_differ() -> None:
    lines = [
        f"2024-01-02 03:04:{at % 60:02} INFO state is ready=true,policy=strict,awake=yes,summary=x{at % 3}, so go on"
        for at in range(600)
    ]
    assert "200× …summary=x1" in folded(lines)


def test_names_of_machines_in_capitals_are_no_verdicts() -> None:
    lines = [
        f"2024-01-02 03:04:{at % 60:02} R0{at % 7}-M1-N{at % 16:X}-C:J12-U11 RAS KERNEL INFO core.{at} made"
        for at in range(800)
    ]
    assert len(folded(lines).split("\n")) < 30


@pytest.mark.parametrize(
    "line",
    [
        "03-17 16:13:40.241  2626  {0} {level} Radio: cell {0} is not heard",
        "{level}/Radio( 2626): cell {0} is not heard at 16:13:40",
    ],
)
def test_a_level_of_one_letter_is_a_level(line: str) -> None:
    calm = [line.format(at, level="D") for at in range(400)]
    lines = [*calm, *(line.format(at, level="E") for at in range(400, 420)), *calm]
    told = folded(lines)
    assert all(one in told for one in lines[400:420])


def test_whom_hidden_errors_speak_of_is_said_where_each_speaks_of_somebody_else() -> None:
    nodes = [f"rack-{n % 7}-{n * 7919 % 99991:05x}" for n in range(250)]
    told = folded(
        [
            f"- {1117838570 + n * 31} 2005.06.03 {node} FATAL data cache error interrupt on core"
            for n, node in enumerate(nodes)
        ]
    )
    assert told.count("FATAL") < 200
    assert all(node in told for node in nodes)


def test_ports_of_hidden_failures_are_said_and_times_and_processes_are_not() -> None:
    lines = [
        f"Dec 10 06:{n // 60:02}:{n % 60:02} lab sshd[{20000 + n * 7}]: Failed password for root from 10.0.0.9 port {30000 + n * 77} ssh2"
        for n in range(300)
    ]
    told = folded(lines)
    assert all(f"{30000 + n * 77}" in told for n in range(300))
    assert sum(f"sshd[{20000 + n * 7}]" in told for n in range(300)) < 100
    assert len(told) < 0.5 * len("\n".join(lines))


def test_what_is_said_of_hidden_errors_takes_a_small_part_of_a_log() -> None:
    lines = [
        f"2024-01-02 03:04:05 ERROR no route to {hashlib.sha256(str(n).encode()).hexdigest()[:24]}"
        for n in range(2_000)
    ]
    text = "\n".join(lines)
    notes = re.findall(r"\[[\d,]+ more like it: ([^]]*) and [\d,]+ others", folded(lines))
    assert notes and 0.05 * len(text) < sum(map(len, notes)) <= 0.15 * len(text)


def test_paths_and_hosts_of_hidden_warnings_are_said() -> None:
    words = [
        one + other
        for one in ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove")
        for other in "abcdefghijklm"
    ]
    told = folded(
        [f"2024-01-02 03:04:05 ERROR folder '/srv/{word}/data' of {word}.example.org is gone" for word in words]
    )
    assert all(f"/srv/{word}/data" in told for word in words)
    assert sum(f"{word}.example.org" in told for word in words) > 40
    assert "more like it: /srv/" in told
