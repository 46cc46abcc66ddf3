"""What counts as an answer: bodies of every shape, usage, reasoning, control words."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_server import TEXT, completion

from synthlaw.common.errors import SynthlawError
from synthlaw.generate.engines.address import ServerAddress
from synthlaw.generate.engines.answers import (
    Answer,
    BadAnswerError,
    clean,
    one_line,
    read_answer,
    said,
)
from synthlaw.generate.engines.base import Completion
from synthlaw.generate.engines.http import Response
from synthlaw.generate.engines.reasoning import answer_alone
from synthlaw.generate.engines.retries import (
    RefusedError,
    TryAgainError,
    answer_of,
    retry_after,
)
from synthlaw.generate.engines.usage import reported_completion
from synthlaw.generate.filters import Candidate, first_drop

PLACE = ServerAddress("http://x/v1", secrets=("sesame",))
THOUGHT = "Okay, the user wants a page rephrased. Let me think of the town."


def read(value: Any) -> Answer:
    return read_answer(value if isinstance(value, bytes) else json.dumps(value).encode())


PARTS = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": TEXT}]


@pytest.mark.parametrize(
    "value",
    [
        completion(),
        completion([{"type": "text", "text": TEXT}]),
        completion(PARTS),
        completion([TEXT[:30], {"type": "output_text", "text": TEXT[30:]}]),
        completion([{"type": "text", "text": {"value": TEXT}}]),
        completion({"type": "text", "text": TEXT}),
        {"choices": [{"text": TEXT, "finish_reason": "stop"}]},
        {"choices": [{"message": None, "text": TEXT, "finish_reason": "stop"}]},
        b"\xef\xbb\xbf" + json.dumps(completion()).encode(),
        b" \r\n" + json.dumps(completion(usage=None)).encode() + b"\n",
        b'{"x": NaN, ' + json.dumps(completion())[1:].encode(),
        json.dumps(completion()).encode("utf-16"),
        json.dumps(completion()).encode("utf-16-le"),
        {"choices": [{"index": 1, "message": {"content": ""}}, completion()["choices"][0]]},
    ],
)
def test_a_text_is_found_wherever_servers_put_it(value: Any) -> None:
    answer = read(value)
    assert (answer.text, answer.finish_reason, answer.aside) == (TEXT, "stop", "")


def test_an_event_stream_that_nobody_asked_for_is_put_together() -> None:
    def event(**delta: Any) -> str:
        return "data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": None}]})

    end = "data: " + json.dumps({"choices": [{"delta": {}, "finish_reason": "length"}]})
    use = "data: " + json.dumps({"choices": [], "usage": {"completion_tokens": 7}})
    pieces = [event(role="assistant"), event(reasoning_content="hm"), event(content="One ")]
    whole = "\n\n".join([": ping", *pieces, event(content="two."), end, use, "data: [DONE]\n\n"])
    answer = read_answer(whole.encode())
    assert (answer.text, answer.finish_reason, answer.reasoned) == ("One two.", "length", True)
    assert answer.usage == {"completion_tokens": 7}
    broken = read_answer("\n\n".join(pieces).encode())
    assert broken.finish_reason == "stream-ended"  # no word of an end: no whole answer
    for odd in ('{"choices": {"a": 1}}', '{"choices": "x"}', '{"choices": [7]}', "7", "[]", "{"):
        with pytest.raises(BadAnswerError):
            read_answer(f"data: {odd}\n\n".encode())
    with pytest.raises(BadAnswerError, match="out of memory"):
        read_answer(b'data: {"error": {"message": "out of memory"}}\n\n')


@pytest.mark.parametrize(
    ("message", "reason", "told"),
    [
        ({"reasoning_content": THOUGHT}, "length", "reasoning alone, finish_reason length"),
        ({"reasoning": THOUGHT, "tool_calls": []}, "stop", "reasoning alone"),
        ({"refusal": "I can't help."}, "stop", "a refusal (I can't help.)"),
        ({"tool_calls": [{"id": "1"}]}, "tool_calls", "a tool call"),
        ({}, "stop", "no text came but nothing"),
    ],
)
def test_an_answer_without_a_text_says_what_came_instead(
    message: dict[str, Any], reason: str, told: str
) -> None:
    for content in (None, "", " \n"):
        answer = read(completion(content, reason, **message))
        assert not answer.text.strip()
        assert told in answer.aside
        drop = first_drop(Candidate(Completion("", reason, 1, 0, answer.aside), "", ()), ["empty"])
        assert drop is not None
        assert told in drop.detail


def _failed_choice(code: int) -> dict[str, Any]:
    """A gateway's choice without a text, for which its upstream failed."""
    error = {"code": code, "message": "It died"}
    return {"choices": [{"message": {"content": ""}, "finish_reason": "error", "error": error}]}


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ({"error": {"message": "No such model", "code": 404}}, RefusedError, "No such model"),
        ({"object": "error", "code": 404, "message": "No"}, RefusedError, "No"),
        ({"error": {"message": "Provider failed", "code": 502}}, TryAgainError, "Provider failed"),
        ({"error": {"message": "slow", "code": "429"}}, TryAgainError, "slow"),
        ({"error": "it broke"}, TryAgainError, "it broke"),
        ({"detail": [{"loc": ["body", "x"], "msg": "wrong"}]}, TryAgainError, "body.x: wrong"),
        ({"choices": []}, TryAgainError, "without choices"),
        ({"choices": None}, TryAgainError, "no completion"),
        ({"choices": [7]}, TryAgainError, "no object"),
        (_failed_choice(502), TryAgainError, "It died"),
        (_failed_choice(403), RefusedError, "It died"),
        ([1, 2], TryAgainError, "[1, 2]"),
        (b"", TryAgainError, "empty body"),
        (b"<html><title>Sign in</title><script>x()</script><p>Please", TryAgainError, "Sign in"),
        (b"<!-- a --><!DOCTYPE html><body>Busy</body>", TryAgainError, "a web page: Busy"),
        (b'{"choices": [' + b"[" * 100_000, TryAgainError, "[[["),
        (b"\x00\xff\x1b[31mred", TryAgainError, "red"),
    ],
)
def test_what_is_no_answer_is_told_in_the_servers_words(
    body: Any, error: type[Exception], words: str
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(error) as caught:
        answer_of(Response(200, {}, data), PLACE)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("status", [400, 403, 405, 406, 413, 414, 415, 418, 422, 451, 501, 511])
def test_statuses_that_refuse(status: int) -> None:
    with pytest.raises(RefusedError, match=f"http-{status}: no"):
        answer_of(Response(status, {}, b'{"error": {"message": "no"}}'), PLACE)


@pytest.mark.parametrize(
    "status", [408, 409, 423, 424, 425, 429, 498, 500, 502, 503, 520, 524, 529]
)
def test_statuses_that_pass(status: int) -> None:
    with pytest.raises(TryAgainError) as caught:
        answer_of(Response(status, {"Retry-After": "7"}, b"<html>wait</html>"), PLACE)
    assert caught.value.wait == 7
    assert caught.value.busy == (status in (425, 429))
    assert "wait" in caught.value.said


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (402, {"message": "Insufficient credits."}),
        (429, {"message": "You exceeded it.", "code": "insufficient_quota"}),
        (429, {"message": "No more.", "type": "insufficient_quota"}),
        (403, {"message": "Unpaid.", "code": "billing_not_active"}),
        (200, {"message": "Empty.", "code": 402}),
    ],
)
def test_a_quota_that_is_used_up_is_told_at_once(status: int, error: dict[str, Any]) -> None:
    body = json.dumps({"error": error}).encode()
    with pytest.raises(Exception, match="used up") as caught:
        answer_of(Response(status, {}, body), PLACE)
    assert error["message"] in str(caught.value)


def test_a_rate_limit_that_speaks_of_a_quota_is_waited_for() -> None:
    body = json.dumps([{"error": {"code": 429, "message": "Quota exceeded per minute"}}]).encode()
    with pytest.raises(TryAgainError, match="Quota exceeded"):
        answer_of(Response(429, {}, body), PLACE)


def test_secrets_are_taken_out_of_what_a_server_says() -> None:
    with pytest.raises(RefusedError) as caught:
        answer_of(Response(401, {}, b'{"error": "wrong key sesame"}'), PLACE)
    assert "sesame" not in str(caught.value) + caught.value.body


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3), ("0.5", 0.5), ("inf", float("inf")), ("nan", 0), ("-4", 0), ("soon", 0), ("", 0)],
)
def test_retry_after_of_every_kind(value: str, seconds: float) -> None:
    assert retry_after({"Retry-After": value}) == seconds
    assert retry_after({"Retry-After-Ms": "1500"}) == 1.5


def test_retry_after_as_a_date_with_and_without_a_zone() -> None:
    for date in ("Wed, 25 Nov 2099 10:00:00 GMT", "Wed, 25 Nov 2099 10:00:00"):
        assert retry_after({"Retry-After": date}) > 1e9
    assert retry_after({"Retry-After": "Wed, 25 Nov 2020 10:00:00"}) == 0


LONG = Answer(TEXT, "stop")  # 190 tokens or so


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"completion_tokens": 190}, 190),
        ({"output_tokens": 190}, 190),
        ({"completion_tokens": "190"}, 190),
        ({"completion_tokens": 190.0}, 190),
        ({"completion_tokens": 1190, "completion_tokens_details": {"reasoning_tokens": 1000}}, 190),
        ({"output_tokens": 1190, "output_tokens_details": {"reasoning_tokens": 1000}}, 190),
        ({"completion_tokens": 1190, "reasoning_tokens": 1000}, 190),
        ({"completion_tokens": 0}, None),
        ({"completion_tokens": None}, None),
        ({"completion_tokens": -3}, None),
        ({"completion_tokens": True}, None),
        ({"completion_tokens": [190]}, None),
        ({"completion_tokens": 1.5}, None),
        ({"completion_tokens": 2}, None),
        ({"completion_tokens": 9000}, None),  # hidden reasoning: more tokens than bytes
        ({"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 9}}, None),
        ({}, None),
    ],
)
def test_usage_is_taken_where_it_can_be_of_this_text(
    usage: dict[str, Any], tokens: int | None
) -> None:
    answer = read(completion(usage=usage))
    assert reported_completion(answer) == tokens
    assert reported_completion(Answer("", "stop", usage)) is None
    beside = read(completion(usage=usage, reasoning_content=THOUGHT))
    named = any("reasoning_tokens" in str(value) for value in usage.items())
    assert reported_completion(beside) == (tokens if named else None)


@pytest.mark.parametrize("usage", ["unavailable", [{"completion_tokens": 3}], None, 7])
def test_usage_that_is_no_object_is_none(usage: Any) -> None:
    assert read(completion(usage=usage)).usage == {}


TAGS = [
    ("<think>", "</think>"),
    ("<THINKING>\n", "\n</THINKING>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
]


@pytest.mark.parametrize(("opening", "closing"), TAGS)
def test_reasoning_in_any_vendors_tags_is_cut_off(opening: str, closing: str) -> None:
    for text in (
        f"{opening}{THOUGHT}{closing}\n\n{TEXT}",
        f"\n {opening}{closing}{TEXT}",
        f"{THOUGHT}\n{closing}\n{TEXT}",
        f"{opening}a{closing}\n{opening}b{closing}{TEXT}",
    ):
        parted = answer_alone(text)
        assert (parted.text, parted.doubt) == (TEXT, "")
        assert parted.cut == "reasoning"
    cut = answer_alone(f"{opening}{THOUGHT} {TEXT}")
    assert "without an end" in cut.doubt
    drop = first_drop(Candidate(Completion(cut.text, "stop", 1, 99, doubt=cut.doubt), "", ()), [])
    assert drop is not None
    assert drop.rule == "reasoning"


@pytest.mark.parametrize(
    "text",
    [
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final"
        f"<|message|>{TEXT}<|return|>",
        f"analysis{THOUGHT}assistantfinal{TEXT}",
        f"{TEXT}<|im_end|>\n<|endoftext|>",
        f"{TEXT}</s>",
        f"<s> {TEXT}</s>",
        f" [/INST] {TEXT}",
        f"{TEXT} [INST] And now?",
        f"{TEXT}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nAnd now?",
        f"<|im_start|>assistant\n{TEXT}<|im_end|>",
        f"{TEXT}<end_of_turn>\n<start_of_turn>user\nAnd now?",
        f"{TEXT}<｜end▁of▁sentence｜>",
        f"<think>{THOUGHT}</think><answer>{TEXT}</answer>",
        f"<|START_THINKING|>{THOUGHT}<|END_THINKING|><|START_RESPONSE|>{TEXT}<|END_RESPONSE|>",
        f"<think>ok</think><|begin_of_box|>{TEXT}<|end_of_box|>",
        f"<|begin_of_box|>{TEXT}<|end_of_box|>",
    ],
)
def test_channels_and_control_words_are_no_text(text: str) -> None:
    parted = answer_alone(text)
    assert (parted.text, parted.doubt) == (TEXT, "")
    assert parted.cut


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        (f"<analysis>\n{THOUGHT}\n</analysis>\n{TEXT}", "reasoning"),
        (f"<Plan steps=3>1. Read.</Plan>{TEXT}", "reasoning"),
        (f'<think budget="9">{THOUGHT}</think>{TEXT}', "reasoning"),
        (
            f'<details type="reasoning" done="true"><summary>4 s</summary>\n> {THOUGHT}\n'
            f"</details>\n{TEXT}",
            "reasoning",
        ),
        (f'<tool_call>\n{{"name": "write"}}\n</tool_call>\n{TEXT}', "reasoning"),
        (f"Sure! Here is the rephrased version:\n\n{TEXT}", "a preamble"),
        (f"Here's a paraphrased version of the text in good English:\n{TEXT}", "a preamble"),
        (f"Certainly. I have rewritten the article below:\n\n{TEXT}", "a preamble"),
        (f"**Here are the question-answer pairs:**\n\n{TEXT}", "a preamble"),
        (f"Here are the question-answer pairs:\n\n{TEXT}", "a preamble"),
        (f"{TEXT}\n\nLet me know if you need anything else!", "closing words"),
        (f"{TEXT}\n\nI hope this helps. Would you like more?", "closing words"),
        (f"{TEXT}\n\nUser: Another one.\nAssistant: Sure. {TEXT}", "a conversation"),
        (f"{TEXT}\n### Instruction: Go on.\n### Response: {TEXT}", "a conversation"),
        (
            f"Okay, here's the rewritten text:\n\n{TEXT}\n\nFeel free to ask for more.",
            "a preamble, closing words",
        ),
    ],
)
def test_an_assistants_words_around_the_answer_are_no_text(text: str, cut: str) -> None:
    parted = answer_alone(text)
    assert (parted.text, parted.cut, parted.doubt) == (TEXT if cut else text, cut, "")
    # What the source holds too is the text's own.
    whole = answer_alone(text, text)
    assert (whole.text, whole.cut) == (text, "") or "think" in text


@pytest.mark.parametrize(
    "text",
    [
        f"<|channel|>analysis<|message|>{THOUGHT}",
        f"**Thinking Process:**\n\n1. Read the page.\n\n**Final Answer:**\n{TEXT}",
        f"# Reasoning\n\nIt is about a town.\n\n{TEXT}",
        f"Okay, let me rephrase the page. It is about a town. {TEXT}",
        f"We need to rewrite this in good English. {TEXT}",
        f"<analysis>\n{THOUGHT}\n{TEXT}",
        f"<plan>{TEXT}</plan>",
        f"analysis{THOUGHT}",
        f"{THOUGHT} {TEXT}",
        f"The user wants me to write. {TEXT}",
        f"{TEXT}\n<think>\n{THOUGHT}",
        f"{TEXT} <|python_tag|>print(1) {TEXT}",
    ],
)
def test_what_cannot_be_told_apart_is_in_doubt_and_whole(text: str) -> None:
    parted = answer_alone(text)
    assert parted.doubt
    assert parted.text == text


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("A model writes `<think>` before and `</think>` after its reasoning.", ""),
        ('The tags "<think>" and "</think>" frame the reasoning.', ""),
        ("Reasoning stands before the </think> tag, and the answer after.", "about </think> tags"),
        ("```\n<|im_start|>user\nHello<|im_end|>\n```\nis the form ChatML.", ""),
        ("ChatML ends a turn with <|im_end|> and begins the next.", "With < |im_end|> it ends."),
        ("In HTML <s>old</s> is struck out, and <b>new</b> is bold.", ""),
        ("In F# one writes x <| f or f |> x; a list is [INSTANT].", ""),
        ("if a < b and c > d then [1] holds.", ""),
        ("analysis of rivers is old.", ""),
        ("Well, the user interface wants to be simple.", ""),
        ("Here is what the town did next:\n\nit built a mill.", ""),
        ("Below is the river. This is the mill:\na house of stone.", ""),
        ("Reasoning is old.\n\nIt began with speech.", ""),
        ("Thinking Process\n\nThoughts follow each other.", "On the thinking process of apes."),
        ("<article>The town.</article>\nIt is old.", ""),
        ("Sure of himself, he wrote the article:\n\nit was read.", ""),
        ("The form asks for\nUser: your name\nand nothing else.", ""),
        ("We need to read the law. Let me know the town, he said.", ""),
    ],
)
def test_a_text_about_such_words_stays_as_it_is(text: str, source: str) -> None:
    parted = answer_alone(text, source)
    assert (parted.text, parted.cut, parted.doubt) == (text, "", "")


MARKS = [mark for pair in TAGS for mark in pair]
MARKS += [
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "<|im_end|>",
    "<|channel|>final<|message|>",
    "`",
    "```",
]


@given(st.lists(st.sampled_from([*MARKS, "word", "\n", ' "', "the user wants "]), max_size=40))
def test_parting_is_idempotent_and_never_adds(pieces: list[str]) -> None:
    text = "".join(pieces)
    parted = answer_alone(text)
    if parted.doubt:
        assert parted.text == text
    else:
        letters = [c for c in parted.text if not c.isspace()]
        rest = iter(text)
        assert all(letter in rest for letter in letters)  # in order, none made up


@pytest.mark.parametrize("mark", [*MARKS, "`<think>` ", "<s>a</s> ", "<|ab|>", "analysis", "<"])
def test_parting_takes_linear_time(mark: str) -> None:
    began = time.process_time()
    answer_alone(mark * (400_000 // len(mark)), mark)
    assert time.process_time() - began < 5  # quadratic would take minutes


CUT = "length abort error content_filter content-filter max_tokens MAX_TOKENS model_length SAFETY"
OTHER = "tool_calls recitation cancelled st\ufffdop unheard-of"


@pytest.mark.parametrize("reason", f"{CUT} {OTHER}".split())
def test_every_other_end_than_the_models_own_is_unfinished(reason: str) -> None:
    drop = first_drop(Candidate(Completion(TEXT, reason, 1, 190), "", ()), ["unfinished"])
    assert drop is not None
    assert reason == "length" or repr(reason) in drop.detail


@pytest.mark.parametrize("reason", ["stop", "STOP", "eos_token", "end_turn", "stop_sequence"])
def test_the_models_own_ends(reason: str) -> None:
    assert first_drop(Candidate(Completion(TEXT, reason, 1, 190), "", ()), ["unfinished"]) is None


@given(st.text(st.characters(categories=None), max_size=60))
def test_cleaned_text_can_be_written(text: str) -> None:
    cleaned = clean(text)
    assert not set(map(chr, [*range(9), *range(14, 32), 127])) & set(cleaned)
    assert clean(cleaned.encode().decode()) == cleaned
    assert one_line(text).isprintable()
    if text.isprintable():
        assert cleaned == text


def test_half_a_surrogate_costs_that_character_alone() -> None:
    body = b'{"choices": [{"message": {"content": "a \\ud83d b \\ud83d\\ude00"}}]}'
    assert read_answer(body).text == "a \ufffd b 😀"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
NAMES = ["choices", "message", "content", "text", "delta", "error", "code", "type", "detail"]
NAMES += ["usage", "completion_tokens", "finish_reason"]
SHAPED = st.recursive(
    JUNK | st.just(TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=20,
)


@given(
    SHAPED.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
    | SHAPED.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\ndata: [DONE]"),
    st.sampled_from([200, 201, 204, 304, 400, 402, 404, 429, 500, 501, 599]),
    st.dictionaries(st.sampled_from(["Retry-After", "Retry-After-Ms"]), st.text(max_size=12)),
)
def test_any_answer_of_a_server_is_read_or_told(
    body: bytes, status: int, headers: dict[str, str]
) -> None:
    try:
        answer = answer_of(Response(status, headers, body), PLACE)
    except (TryAgainError, RefusedError, SynthlawError) as error:
        assert str(error).isprintable()
        return
    assert status < 300
    assert isinstance(answer.finish_reason, str)
    (answer.text + answer.finish_reason + answer.aside).encode()
    tokens = reported_completion(answer)
    assert tokens is None or 0 < tokens <= len(answer.text.encode()) + 2
    answer_alone(answer.text)


def test_words_of_bodies_of_every_kind() -> None:
    assert said('{"error": {"message": "a\\nb\\u001b[31m"}}') == "a b[31m"
    assert said('{"errors": [{"title": "gone"}]}') == "gone"
    assert said("") == "nothing"
    assert len(said("x" * 10_000)) < 400
