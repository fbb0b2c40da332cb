"""The model gets back what was left out, inside the proxy: with both SDKs, against a provider that checks every rule."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.live import answers, models, proxies
from tests.live.models import Part
from tests.live.provider import Provider, Received
from tests.live.proxies import Proxy

NAME = "headroom_retrieve"
HASH = re.compile(NAME + r", hash ([0-9a-f]{24})")


def log(name: str) -> str:
    return "\n".join(f"12:00:{n % 60:02} INFO {name} run {n} took {n % 7} ms, nothing else to say" for n in range(800))


@pytest.fixture(scope="module")
def _offering(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    workspace = tmp_path_factory.mktemp("proxy") / "workspace"
    with proxies.running(workspace, _provider.url, env={"HEADROOM_RETRIEVE_TOOL": "on"}) as proxy:
        yield proxy


@pytest.fixture
def client_of(offering: Proxy) -> Iterator[Callable[..., Client]]:
    """Start an agent."""
    with ExitStack() as stack:

        def start(kind: type[Client], *, is_streaming: bool) -> Client:
            client = kind(offering, is_streaming=is_streaming)
            stack.callback(client.close)
            return client

        yield start


@pytest.fixture
def offering(_offering: Proxy, provider: Provider) -> Proxy:
    """A proxy that offers the tool whatever the size of the prompt."""
    return _offering


class Client:
    """An agent over one of the SDKs: it keeps its history as the SDK gives it, and runs one tool of its own."""

    path = ""

    def __init__(self, proxy: Proxy, *, is_streaming: bool) -> None:
        self.is_streaming = is_streaming
        self.history: list[Any] = []
        self.session = uuid.uuid4().hex
        usual: Any = {"max_retries": 0, "timeout": 60, "default_headers": {"x-headroom-session-id": self.session}}
        self.anthropic = anthropic.Anthropic(base_url=proxy.url, api_key="k", **usual)
        self.openai = openai.OpenAI(base_url=proxy.v1, api_key="k", **usual)

    def close(self) -> None:
        self.anthropic.close()
        self.openai.close()

    def ask(self, text: str) -> Any:
        self.history.append({"role": "user", "content": text})
        return self.send()

    def send(self) -> Any:
        raise NotImplementedError

    def give(self, **results: str) -> Any:
        """Answer calls by their ids, and send."""
        raise NotImplementedError


class Messages(Client):
    path = "/v1/messages"
    tools: Any = [{"name": "Bash", "description": "Run.", "input_schema": {"type": "object"}}]

    def send(self) -> Any:
        asked: Any = {"model": "m", "max_tokens": 99, "tools": self.tools, "messages": self.history}
        if self.is_streaming:
            with self.anthropic.messages.stream(**asked) as stream:
                answer = stream.get_final_message()
        else:
            answer = self.anthropic.messages.create(**asked)
        self.history.append({"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in answer.content]})
        return answer

    def give(self, **results: str) -> Any:
        blocks = [{"type": "tool_result", "tool_use_id": name, "content": text} for name, text in results.items()]
        self.history.append({"role": "user", "content": blocks})
        return self.send()


class Chat(Client):
    path = "/v1/chat/completions"
    tools: Any = [{"type": "function", "function": {"name": "Bash", "parameters": {"type": "object"}}}]

    def send(self) -> Any:
        asked: Any = {"model": "m", "tools": self.tools, "messages": self.history}
        if self.is_streaming:
            asked["stream_options"] = {"include_usage": True}
            with self.openai.chat.completions.stream(**asked) as stream:
                answer = stream.get_final_completion()
        else:
            answer = self.openai.chat.completions.create(**asked)
        self.history.append(answer.choices[0].message.to_dict())
        self.history[-1].pop("parsed", None)
        return answer

    def give(self, **results: str) -> Any:
        self.history += [{"role": "tool", "tool_call_id": name, "content": text} for name, text in results.items()]
        return self.send()


class Responses(Client):
    path = "/v1/responses"
    tools: Any = [{"type": "function", "name": "Bash", "parameters": {"type": "object"}, "strict": False}]

    def send(self) -> Any:
        asked: Any = {"model": "m", "store": False, "tools": self.tools, "input": self.history}
        if self.is_streaming:
            with self.openai.responses.stream(**asked) as stream:
                events = list(stream)
                answer = stream.get_final_response()
            assert [event.sequence_number for event in events] == list(range(len(events)))
            assert len({event.response.id for event in events if hasattr(event, "response")}) == 1
        else:
            answer = self.openai.responses.create(**asked)
        self.history += [item.to_dict() for item in answer.output]
        for item in self.history:
            for part in item.get("content") or () if isinstance(item.get("content"), list) else ():
                part.pop("parsed", None)
            item.pop("parsed_arguments", None)
        return answer

    def give(self, **results: str) -> Any:
        self.history += [
            {"type": "function_call_output", "call_id": name, "output": text} for name, text in results.items()
        ]
        return self.send()


def texts(client: Client, answer: Any) -> str:
    if client.path == "/v1/messages":
        return "".join(block.text for block in answer.content if block.type == "text")
    return str(answer.choices[0].message.content if client.path == "/v1/chat/completions" else answer.output_text)


def used(client: Client, answer: Any) -> tuple[int, int]:
    names = ("prompt_tokens", "completion_tokens") if "chat" in client.path else ("input_tokens", "output_tokens")
    return getattr(answer.usage, names[0]), getattr(answer.usage, names[1])


def hash_in(document: dict[str, Any]) -> str:
    return HASH.findall(json.dumps(document))[-1]


def own_results(document: dict[str, Any]) -> list[str]:
    """What was answered to calls of ours, in order; their ids begin with `own`."""
    found = []
    for item in document.get("messages", document.get("input")):
        blocks = item.get("content") if isinstance(item.get("content"), list) else []
        for part in (item, *blocks):
            if str(part.get("tool_use_id") or part.get("tool_call_id") or part.get("call_id")).startswith("own"):
                found += [part[name] for name in ("content", "output") if isinstance(part.get(name), str)]
    return found


def key_of(client: Client) -> str:
    return "input" if client.path == "/v1/responses" else "messages"


ALL = pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "streamed"])
EACH = pytest.mark.parametrize("kind", [Messages, Chat, Responses])


@ALL
@EACH
def test_the_answer_comes_as_if_nothing_had_been_left_out(
    offering: Proxy, provider: Provider, client_of: Callable[..., Client], kind: type[Client], is_streaming: bool
) -> None:
    client = client_of(kind, is_streaming=is_streaming)
    label = f"{client.path}{is_streaming}"

    def mind(document: dict[str, Any]) -> list[Part]:
        found = own_results(document)
        if "run it" in json.dumps(document) and "thanks" in json.dumps(document):
            return [("say", "Gladly.")]
        if found:
            return [("think", "there it is"), ("say", f"It took {found[-1].split('run 417 took ')[1][:4]}.")]
        if HASH.search(json.dumps(document)):
            call = ("call", "own1", NAME, {"hash": hash_in(document), "query": "run 417"})
            return [("think", "I need more"), ("say", "Let me look. "), call]
        return [("call", "c1", "Bash", {"command": "make"})]

    provider.script = models.script(mind)
    client.ask(f"run it {label}")
    answer = client.give(c1=log(label))
    assert texts(client, answer) == "Let me look. It took 4 ms."
    assert used(client, answer) == (200, 40)
    assert NAME not in json.dumps(client.history), "the client never hears of it"
    declared = [json.dumps(received.json["tools"]) for received in provider.requests]
    assert len(set(declared)) == 1, "the tool is there from the first request on"

    _, asked, again = provider.requests
    seen = again.json[key_of(client)]
    assert seen[: len(asked.json[key_of(client)])] == asked.json[key_of(client)]
    client.ask("thanks")
    sent = provider.last.body
    start, end = again.body.index(b"own1") - 300, again.body.rindex(b"run 417 took")
    assert again.body[start:end] in sent, "the provider sees again what it saw, byte for byte"
    assert provider.last.json[key_of(client)][: len(seen)] == seen
    rows = proxies.eventually(lambda: offering.rows("session = ?", client.session), lambda found: len(found) == 4)
    told = [(row["origin"], row["attempt"], row["status"], row["output_tokens"]) for row in rows]
    assert told == [("client", 0, "complete", 20)] * 2 + [
        ("retrieval", 1, "complete", 20),
        ("client", 0, "complete", 20),
    ]
    assert rows[2]["tokens_saved"] < 0, "without us there had been no such call"


@pytest.mark.parametrize(("is_streaming", "is_first"), [(True, False), (False, True)])
@EACH
def test_beside_a_call_of_the_clients_ours_is_answered_with_its_next_request(
    offering: Proxy,
    provider: Provider,
    client_of: Callable[..., Client],
    kind: type[Client],
    is_streaming: bool,
    is_first: bool,
) -> None:
    client = client_of(kind, is_streaming=is_streaming)
    label = f"mixed {client.path}{is_streaming}{is_first}"

    def mind(document: dict[str, Any]) -> list[Part]:
        spelled = json.dumps(document)
        if found := own_results(document):
            return [("say", f"It took {found[-1].split('run 417 took ')[1][:4]} and {'twice' in spelled}.")]
        if HASH.search(spelled):
            own = ("call", "own1", NAME, {"hash": hash_in(document), "query": "run 417"})
            theirs = ("call", "c2", "Bash", {"command": "date"})
            return [("think", "both"), ("say", "One moment. "), *((own, theirs) if is_first else (theirs, own))]
        return [("call", "c1", "Bash", {"command": "make"})]

    provider.script = models.script(mind)
    client.ask(label)
    mixed = client.give(c1=log(label))
    assert texts(client, mixed) == "One moment. "
    assert len(provider.requests) == 2, "the client has its call at once"
    assert NAME not in json.dumps(client.history)
    assert "c2" in json.dumps(client.history)
    answer = client.give(c2="twice")
    assert texts(client, answer) == "It took 4 ms and True."
    assert used(client, answer) == (100, 20)
    if client.path == "/v1/messages":
        results = provider.last.json["messages"][-1]["content"]
        assert [block["tool_use_id"] for block in results] == ["own1", "c2"], "one message with all results"


@pytest.mark.parametrize("looks_up", [0, 1], ids=["first", "second"])
@EACH
def test_an_answer_that_reads_like_one_with_a_lookup_stays_as_it_was(
    provider: Provider, client_of: Callable[..., Client], kind: type[Client], looks_up: int
) -> None:
    client = client_of(kind, is_streaming=bool(looks_up))

    def mind(document: dict[str, Any]) -> list[Part]:
        is_at = json.dumps(document).count("question") - 1 == looks_up
        own: list[Part] = [("call", "own1", NAME, {"hash": "0" * 24})]
        return own if is_at and not own_results(document) else [("say", "Done.")]

    provider.script = models.script(mind)
    for n in range(3):
        client.ask(f"question {client.path} {looks_up} {n}")
    assert len(provider.requests) == 4, "none was refused"
    *_, before, last = (received.json[key_of(client)] for received in provider.requests)
    assert last[: len(before)] == before
    assert len(own_results(provider.last.json)) == 1


def test_lookups_in_a_row_come_to_an_end_and_bad_hashes_are_explained(
    client_of: Callable[..., Client], provider: Provider
) -> None:
    client = client_of(Messages, is_streaming=True)
    asked: list[Any] = [
        {"hash": "0" * 24},
        {"query": "no hash"},
        {"hash": "f" * 24},
        {"hash": "a" * 24},
        {"hash": "b" * 24},
    ]

    def mind(document: dict[str, Any]) -> list[Part]:
        found = own_results(document)
        return (
            [("call", f"own{len(found)}", NAME, asked[len(found)])] if len(found) < len(asked) else [("say", "never")]
        )

    provider.script = models.script(mind)
    answer = client.ask("endless")
    assert answer.stop_reason == "end_turn"
    assert answer.content == []
    told = own_results(provider.last.json)
    assert "run the tool again" in told[0]
    assert "hash is missing" in told[1]
    assert "no more than 3 lookups" in told[3]
    assert [block["is_error"] for m in provider.last.json["messages"][2::2] for block in m["content"]] == [True] * 4
    assert len(provider.requests) == 5


ODD = [
    {"hash": "\ud800"},
    {"hash": "\0" * 24},
    {"hash": "0" * 24, "query": "\ud83d"},
    {"hash": "0" * 24, "start_line": 10**12, "end_line": -1},
]


@ALL
@EACH
def test_whatever_a_model_asks_for_is_answered_and_sent_back_as_it_was(
    client_of: Callable[..., Client], provider: Provider, kind: type[Client], is_streaming: bool
) -> None:
    client = client_of(kind, is_streaming=is_streaming)
    calls: list[Part] = [("call", f"own{n}", NAME, arguments) for n, arguments in enumerate(ODD)]
    provider.script = models.script(lambda document: [("say", "Done.")] if own_results(document) else calls)
    assert texts(client, client.ask(f"odd {client.path}{is_streaming}")) == "Done."
    assert all("run the tool again" in told for told in own_results(provider.last.json))
    seen = provider.last.json[key_of(client)]
    assert all(
        json.dumps(arguments)[1:-1] in json.dumps(seen).replace("\\\\", "\\").replace('\\"', '"') for arguments in ODD
    )
    client.ask("thanks")
    assert provider.last.json[key_of(client)][: len(seen)] == seen


@ALL
def test_a_round_that_cannot_be_spelled_ends_in_an_error(
    offering: Proxy, provider: Provider, http: httpx.Client, is_streaming: bool
) -> None:
    endless = models.script(lambda document: [("call", "own1", NAME, {"hash": "0" * 24, "start_line": 5e300})])
    provider.say(
        lambda received: [
            piece.replace(b"e+300", b"e+900") if isinstance(piece, bytes) else piece for piece in endless(received)
        ]
    )
    asked = {"model": "m", "max_tokens": 9, "stream": is_streaming, "tools": Messages.tools}
    asked["messages"] = [{"role": "user", "content": f"no end {is_streaming}"}]
    answer = http.post(f"{offering.v1}/messages", json=asked)
    assert answer.status_code == (200 if is_streaming else 500)
    assert "api_error" in answer.text
    assert NAME not in answer.text


@ALL
def test_a_round_that_fails_is_the_providers_error(
    offering: Proxy, provider: Provider, http: httpx.Client, is_streaming: bool
) -> None:
    refusal = answers.json_answer(answers.anthropic_error("invalid_request_error", "no"), 400)
    call = models.script(lambda document: [("say", "Well. "), ("call", "own1", NAME, {"hash": "0" * 24})])
    provider.say(call, refusal, refusal)
    asked = {"model": "m", "max_tokens": 9, "stream": is_streaming, "tools": Messages.tools}
    asked["messages"] = [{"role": "user", "content": f"fail {is_streaming}"}]
    answer = http.post(f"{offering.v1}/messages", json=asked)
    if is_streaming:
        assert answer.status_code == 200
        assert "Well" in answer.text or "We" in answer.text
        assert answer.text.endswith(
            'event: error\ndata: {"type":"error","error":{"type":"invalid_request_error","message":"no"}}\n\n'
        )
    else:
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "no")
    rows = offering.rows_of(answer.headers["x-headroom-request-id"], count=3)
    assert [(row["origin"], row["http_status"]) for row in rows] == [("client", 200), *[("retrieval", 400)] * 2]


@pytest.mark.parametrize("is_streaming", [True, False])
@EACH
def test_what_the_provider_does_not_take_back_is_gone_on_without(
    provider: Provider, client_of: Callable[..., Client], kind: type[Client], is_streaming: bool
) -> None:
    client = client_of(kind, is_streaming=is_streaming)
    label = f"too long {client.path}{is_streaming}"

    def mind(document: dict[str, Any]) -> list[Part]:
        if found := own_results(document):
            return [("say", "I go on." if "Go on without" in found[-1] else "never")]
        if HASH.search(json.dumps(document)):
            return [("say", "Let me look. "), ("call", "own1", NAME, {"hash": hash_in(document), "query": "run 417"})]
        return [("call", "c1", "Bash", {"command": "make"})]

    def narrow(received: Received) -> answers.Answer:
        if any("took" in found for found in own_results(received.json)):
            return answers.json_answer(answers.anthropic_error("invalid_request_error", "prompt is too long"), 400)
        return minded(received)

    minded, provider.script = models.script(mind), narrow
    client.ask(label)
    assert texts(client, client.give(c1=log(label))) == "Let me look. I go on."
    assert len(provider.requests) == 4
    seen = provider.last.json[key_of(client)]
    client.ask("thanks")
    assert provider.last.json[key_of(client)][: len(seen)] == seen


def test_text_is_passed_on_before_the_next_round_is_asked_for(
    offering: Proxy, provider: Provider, http: httpx.Client
) -> None:
    heard: list[str] = []
    first = models.spelled("/v1/messages", [("say", "Early"), ("call", "own1", NAME, {"hash": "0" * 24})], 1)
    cut = next(n for n, event in enumerate(first) if b"tool_use" in event)
    waiting = answers.Until(lambda: any("ly" in line for line in heard))
    provider.say(answers.chunked([*first[:cut], waiting, *first[cut:]]))
    provider.script = models.script(lambda document: [("say", "late")])
    asked = {"model": "m", "max_tokens": 9, "stream": True, "tools": Messages.tools}
    asked["messages"] = [{"role": "user", "content": "early"}]
    with http.stream("POST", f"{offering.v1}/messages", json=asked) as answer:
        heard.extend(answer.iter_lines())
    events = [json.loads(line[5:]) for line in heard if line.startswith("data:")]
    assert [e["index"] for e in events if e["type"] == "content_block_start"] == [0, 1]
    assert [e["type"] for e in events].count("message_start") == 1
    assert events[-2]["usage"]["output_tokens"] == 40
    assert events[-1] == {"type": "message_stop"}


PLAIN: dict[str, Any] = {"model": "m", "max_tokens": 9, "tools": Messages.tools}
OWN_TOOL = [{"name": "mcp__headroom__headroom_retrieve", "input_schema": {"type": "object"}}]
ANSWERED = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]


@pytest.mark.parametrize(
    "more",
    [
        {"tools": []},
        {"tools": OWN_TOOL},
        {"tool_choice": {"type": "any"}},
        {"tool_choice": {"type": "tool", "name": "Bash"}},
        {"messages": ANSWERED},
    ],
)
def test_who_is_not_offered_the_tool(offering: Proxy, provider: Provider, http: httpx.Client, more: Any) -> None:
    asked = (
        PLAIN
        | {
            "messages": [
                {"role": "user", "content": f"not {sorted(more)} {len(more['tools']) if 'tools' in more else ''}"}
            ]
        }
        | more
    )
    body = json.dumps(asked).encode()
    http.post(f"{offering.v1}/messages", content=body)
    assert provider.last.body == body


def test_marks_of_the_client_stay_and_the_tool_comes_last(
    offering: Proxy, provider: Provider, http: httpx.Client
) -> None:
    marked = [{**Messages.tools[0], "cache_control": {"type": "ephemeral"}}]
    asked = PLAIN | {"tools": marked, "messages": [{"role": "user", "content": "marked"}]}
    http.post(f"{offering.v1}/messages", json=asked)
    assert provider.last.json["tools"][0] == marked[0]
    assert provider.last.json["tools"][1]["name"] == NAME
    assert len(provider.last.json["tools"]) == 2
    forced = asked | {"messages": [*asked["messages"], *ANSWERED[1:]], "tool_choice": {"type": "any"}}
    http.post(f"{offering.v1}/messages", json=forced)
    assert len(provider.last.json["tools"]) == 2, "once offered, always offered"


def test_by_default_nothing_is_offered_on_loopback(proxy: Proxy, provider: Provider, http: httpx.Client) -> None:
    body = json.dumps(PLAIN | {"system": "x " * 60_000, "messages": [{"role": "user", "content": "big"}]}).encode()
    http.post(f"{proxy.v1}/messages", content=body)
    assert provider.last.body == body
