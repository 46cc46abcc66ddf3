"""What a server's body says: an answer, or an error in whatever form.

Servers differ in where they put the text (`message.content` as text or as parts, `text`, pieces of
an event stream), in how they report an error (also with status 200), and in what they leave out.
Everything here takes any bytes: what cannot be read is a `BadAnswerError` with the server's words.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from synthlaw.common.quick_json import from_json

_SHOWN = 300
_PAGE = re.compile(
    r"^\s*(?:<!--(?:(?!-->).)*-->\s*)*<(?:!doctype|html|head|body|\?xml)", re.I | re.S
)
_NOT_SHOWN = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|$)", re.I | re.S)
_TAG = re.compile(r"<[^<>]{0,2000}>")
_WIDE_STARTS = (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{")
"""First bytes of JSON in UTF-16."""
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_TEXT_PARTS = frozenset({"text", "output_text", "answer", ""})
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")


class BadAnswerError(Exception):
    """A body that is no answer. status: the one that an error object names, 0 without. said: the
    server's words. code: its short name of the error. reason: a name for counting."""

    def __init__(self, reason: str, said: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(f"{reason}: {said}")
        self.reason, self.said, self.status, self.code = reason, said, status, code


@dataclass(frozen=True)
class Answer:
    """text: what the model answered. finish_reason: the server's word, `stop` where it says none.

    usage: as sent. aside: what came beside or instead of the text. reasoned: whether reasoning did.
    """

    text: str
    finish_reason: str
    usage: dict[str, Any] = field(default_factory=dict)
    aside: str = ""
    reasoned: bool = False


def clean(text: str) -> str:
    """Text that every file can hold: no control characters, U+FFFD for half a surrogate pair."""
    if not text.isprintable():
        text = _UNPRINTABLE.sub("", text)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def read_answer(body: bytes) -> Answer:
    """The answer in a body with status 200. Raises BadAnswerError."""
    if not body.strip():
        raise BadAnswerError("empty-body", "an empty body")
    wide = body[:2] in _WIDE_STARTS
    text = body.decode(json.detect_encoding(body) if wide else "utf-8-sig", "replace")
    value = _stream(text) if _is_stream(text) else _json(text)
    if not isinstance(value, dict):
        raise BadAnswerError("not-json", said(text))
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices:
        _raise_error(value)
        shown = "without choices" if choices is not None else "that is no completion"
        raise BadAnswerError("no-choices", f"an answer {shown}: {one_line(text)}")
    # The first of several, also where they come in another order.
    choice = min(choices, key=_index)
    if not isinstance(choice, dict):
        raise BadAnswerError("no-choices", f"a choice that is no object: {one_line(text)}")
    usage = value.get("usage")
    return _of_choice(choice, usage if isinstance(usage, dict) else {})


def _of_choice(choice: dict[str, Any], usage: dict[str, Any]) -> Answer:
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    content = message.get("content")
    text = _joined(content)
    if text is None:
        text = _joined(choice.get("text"))
    reasoned = any(message.get(name) for name in _REASONING_FIELDS) or _has_reasoning(content)
    reason = choice.get("finish_reason")
    finish = one_line(reason)[:40] if isinstance(reason, str) and reason.strip() else "stop"
    error = choice.get("error")
    aside = f"the server reports {said_of(error)}" if error else ""
    if not (text or "").strip():
        if error:
            _raise_error(choice)
        aside = aside or _instead(message, finish, reasoned)
    elif error:
        finish = "error"
    return Answer(clean(text or ""), finish, usage, aside, reasoned)


def _index(choice: Any) -> int:
    index = choice.get("index") if isinstance(choice, dict) else None
    return index if isinstance(index, int) else 0


def _instead(message: dict[str, Any], finish: str, reasoned: bool) -> str:
    """What came in place of a text."""
    came = []
    if isinstance(message.get("refusal"), str):
        came.append(f"a refusal ({one_line(message['refusal'])})")
    if message.get("tool_calls") or message.get("function_call"):
        came.append("a tool call")
    if reasoned:
        came.append("reasoning alone")
    return f"no text came but {' and '.join(came) or 'nothing'}, finish_reason {finish}"


def _joined(content: Any) -> str | None:
    """The text of a content, whole or in parts; None where it holds none."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return None
    return "".join(_texts(content)) or None


def _texts(parts: list[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) and str(part.get("type") or "") in _TEXT_PARTS:
            text = part.get("text")
            text = text.get("value") if isinstance(text, dict) else text
            if isinstance(text, str):
                yield text


def _has_reasoning(content: Any) -> bool:
    if not isinstance(content, list):
        return False
    kinds = {str(part.get("type") or "") for part in content if isinstance(part, dict)}
    return bool(kinds - _TEXT_PARTS)


def _json(text: str) -> Any:
    try:
        return from_json(text)
    except (ValueError, RecursionError):
        name = "web-page" if _PAGE.match(text[:4000]) else "not-json"
        raise BadAnswerError(name, said(text)) from None


def _is_stream(text: str) -> bool:
    return text[:200].lstrip().startswith(("data:", "event:", "id:", "retry:", ":"))


def _stream(text: str) -> dict[str, Any]:
    """An event stream, which was not asked for, as the one answer that its pieces make."""
    content: list[str] = []
    usage: dict[str, Any] = {}
    finish, reasoned, seen = None, False, False
    for line in text.splitlines():
        if not line.startswith("data:") or not (data := line[5:].strip()) or data == "[DONE]":
            continue
        piece = _json(data)
        if not isinstance(piece, dict):
            raise BadAnswerError("not-json", said(data))
        choices = piece.get("choices")
        if not isinstance(choices, list):
            _raise_error(piece)
            choices = []
        usage = piece["usage"] if isinstance(piece.get("usage"), dict) else usage
        for choice in choices[:1]:
            if not isinstance(choice, dict):
                continue
            seen = True
            delta = choice.get("delta") or choice.get("message")
            delta = delta if isinstance(delta, dict) else {}
            content.append(_joined(delta.get("content")) or _joined(choice.get("text")) or "")
            reasoned = reasoned or any(delta.get(name) for name in _REASONING_FIELDS)
            finish = choice.get("finish_reason") or finish
    if not seen:
        return {"choices": None}
    # A stream that breaks off says no reason: what came of it is no whole answer.
    message = {"content": "".join(content), "reasoning": reasoned}
    choice = {"message": message, "finish_reason": finish or "stream-ended"}
    return {"choices": [choice], "usage": usage}


def _raise_error(value: dict[str, Any]) -> None:
    """Raises BadAnswerError when an object without choices reports an error."""
    error = value.get("error")
    if not error and not (value.get("object") == "error" or {"code", "message"} <= set(value)):
        if not (detail := value.get("detail")):
            return
        raise BadAnswerError("error-answer", said_of(detail))
    status, code = _codes(value)
    raise BadAnswerError(
        f"http-{status}" if status else "error-answer", said_of(value), status=status, code=code
    )


def _codes(value: Any) -> tuple[int, str]:
    """An error object's status and short name."""
    if isinstance(value, list) and value:
        value = value[0]
    inner = value.get("error") if isinstance(value, dict) else None
    found = inner if isinstance(inner, dict) else value if isinstance(value, dict) else {}
    status, names = 0, []
    for name in ("code", "status", "status_code", "type"):
        given = found.get(name)
        text = str(given) if isinstance(given, int | str) else ""
        if re.fullmatch(r"[1-5]\d\d", text):
            status = status or int(text)
        elif isinstance(given, str):
            names.append(given)
    return status, " ".join(names)[:200]


def error_code(body: bytes) -> str:
    """The short names of the error in a body, empty where it holds none."""
    try:
        return _codes(json.loads(body[:100_000]))[1]
    except (ValueError, RecursionError, AttributeError):
        return ""


def said(text: str) -> str:
    """The words for people in a body of any kind, on one line."""
    head = text[:100_000]
    if _PAGE.match(head[:4000]):
        plain = _TAG.sub(" ", _NOT_SHOWN.sub(" ", head[:20_000]))
        return f"a web page: {one_line(html.unescape(plain)) or 'without words'}"
    try:
        return said_of(json.loads(head))
    except (ValueError, RecursionError):
        return one_line(head) or "nothing"


def said_of(value: Any) -> str:
    """The words for people in an error object."""
    for _ in range(6):
        if isinstance(value, list) and value and isinstance(value[0], dict | str):
            value = value[0]
        elif isinstance(value, dict):
            for name in ("error", "message", "detail", "msg", "errors", "title", "reason"):
                if value.get(name):
                    value = value[name] if name != "msg" else _placed(value)
                    break
            else:
                break
        else:
            break
    if isinstance(value, str):
        return one_line(value) or "nothing"
    try:
        return one_line(json.dumps(value)[:2000])
    except (ValueError, RecursionError):
        return "nothing"


def _placed(detail: dict[str, Any]) -> str:
    """A validation error with the place that it names."""
    place = detail.get("loc")
    named = ".".join(map(str, place)) + ": " if isinstance(place, list) else ""
    return f"{named}{detail['msg']}"


def one_line(text: str) -> str:
    """The start of a text without line breaks and control characters."""
    shown = "".join(c if c.isprintable() else " " for c in clean(text[:4000]))
    shown = " ".join(shown.split())
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
