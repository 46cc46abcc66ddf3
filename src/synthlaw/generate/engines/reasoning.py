"""The answer alone: a model's reasoning and its template's control words are no text to train on.

Servers without the model's reasoning parser leave reasoning in the content, in the form that the
model was trained to write: between tags (`<think>`), before a lone closing tag, in channels
(`<|channel|>analysis`). What can be told apart is cut off. What cannot (reasoning without an end,
control words in the middle) is left as it is and given a `doubt`, for a rule to set it aside.

A text may speak *about* such words. So nothing in code (backticks) is taken for a mark, and a word
that the source document holds is one only where it stands as a model writes it: at the start, or
alone on its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from synthlaw.generate.engines.chatter import without_chatter

_NAMES = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad|inner_?monologue)"
_PREFIX = r"(?:[a-z]{1,12}[:_])?"
_OPEN = re.compile(
    rf"(?:<|&lt;)\|?(?!end_)(?:begin_of_|start_)?{_PREFIX}{_NAMES}(?:\s[^<>]{{0,200}})?\|?(?:>|&gt;)|"
    r"\[THINK\]|◁think▷|<unused94>thought|<\|channel>thought",
    re.IGNORECASE,
)
_CLOSE = re.compile(
    rf"(?:<|&lt;)/{_PREFIX}{_NAMES}(?:>|&gt;)|<\|?/?(?:end_of_|end_){_NAMES}\|?>|"
    r"\[/THINK\]|◁/think▷|<unused95>|<channel\|>",
    re.IGNORECASE,
)
_SOLUTION = re.compile(
    r"<\|(?:begin|end)_of_(?:solution|box)\|>|<\|(?:START|END)_RESPONSE\|>|</?answer>"
)
"""Marks around the answer itself, of models that also mark their reasoning."""

_FINAL = re.compile(
    r"<\|channel\|>\s*final[^<]{0,80}<\|message\|>|(?<=[.!?\s\"'’”)])assistantfinal(?=\S)"
)
_CHANNEL = re.compile(r"<\|(?:channel|message)\|>")
_BARE_CHANNEL = re.compile(r"analysis(?=[A-Z\"'“])")
"""A channel's name where the server took its control words out."""

_BEGIN = re.compile(
    r"\s*(?:<\|im_start\|>\s*(?:assistant)?|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|"
    r"<\|begin_of_box\|>|<start_of_turn>\s*model|<\|begin_of_text\|>|<\|assistant\|>|<\|start\|>\s*assistant|"
    r"<｜begin▁of▁sentence｜>|<｜Assistant｜>|\[/INST\]|<bos>|<s>)\s*"
)
_END = re.compile(
    r"<\|(?:im_end|im_start|im_sep|endoftext|eot_id|eom_id|end|return|call|end_of_text|"
    r"end_of_turn|end_of_turn_token|end_of_role|eos|eot|endofprompt|user|system|"
    r"start_header_id|END_OF_TURN_TOKEN|END_RESPONSE|end_of_solution|end_of_box)\|>|"
    r"<｜(?:end▁of▁sentence|User)｜>|<(?:end_of_turn|start_of_turn|eos|end_of_text|EOT|EOD)>|"
    r"</s>|\[INST\]|<<SYS>>"
)
"""The end of the model's turn; what follows is another turn that it made up."""

_CONTROL = re.compile(r"<\|[A-Za-z][A-Za-z0-9_▁-]{1,40}\|>|<｜[^<>｜]{1,40}｜>|\[/INST\]|<</SYS>>")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,200}`", re.DOTALL)
_ALOUD = re.compile(
    r"\s*(?:okay|ok|alright|all right|hmm+|well|so|first|now|let me|let's|we|i)\b[^\n]{0,80}?"
    r"\bthe user (?:wants|want|asks|asked|is asking|has asked|needs|gave|provided|has provided|"
    r"has given|said|says|request)|\s*the user (?:wants|asks|asked|is asking|has asked) ",
    re.IGNORECASE,
)
_SUSPECT = "<&◁["
_MOST_ROUNDS = 20


@dataclass(frozen=True)
class Parted:
    """text: the answer, or all of it where there is a doubt. cut: what was taken off.

    doubt: why the answer cannot be told from what surrounds it; empty when it can.
    """

    text: str
    cut: str = ""
    doubt: str = ""


def answer_alone(text: str, source: str = "") -> Parted:
    """Part an answer from reasoning and control words. source: the document it was made from."""
    parted = Parted(text)
    if any(mark in text for mark in _SUSPECT) or text.startswith("analysis"):
        parted = _without_channels(text)
        if not parted.doubt:
            parted = _without_reasoning(parted, source)
        if not parted.doubt:
            parted = _without_control(parted, source)
        if parted.doubt:
            return Parted(text, "", parted.doubt)
    lower = source.lower()
    if _ALOUD.match(parted.text[:400]) and "the user" not in lower:
        found = parted.text.strip().partition("\n")[0][:80]
        return Parted(text, "", f"reasons aloud: {found!r}")
    left, cut, doubt = without_chatter(parted.text, lower)
    if doubt:
        return Parted(text, "", doubt)
    return Parted(left, ", ".join(filter(None, (parted.cut, cut))))


def _without_channels(text: str) -> Parted:
    """What the last channel `final` holds."""
    bare = bool(_BARE_CHANNEL.match(text))
    shown = _without_code(text)
    marked = _CHANNEL.search(shown)
    if not marked and not bare:
        return Parted(text)
    finals = list(_FINAL.finditer(shown))
    if finals:
        return Parted(text[finals[-1].end() :].lstrip(), "channels")
    return Parted(text, "", "channel marks without a final channel")


def _without_reasoning(before: Parted, source: str) -> Parted:
    """The text without what stands between reasoning tags, or before a lone closing one."""
    text, cut, source = before.text, before.cut, source.lower()
    for _ in range(_MOST_ROUNDS):
        shown = _without_code(text)
        opening = _first(_OPEN, shown, 0, source)
        closing = _first(_CLOSE, shown, 0, source)
        if opening is None and closing is None:
            break
        cut = "reasoning"
        if opening is None or (closing is not None and closing.start() < opening.start()):
            assert closing is not None
            text = text[closing.end() :].lstrip()
            continue
        after = _first(_CLOSE, shown, opening.end(), source)
        if after is None:
            return Parted(text, "", f"reasoning without an end: {opening[0]!r}")
        text = (text[: opening.start()].rstrip() + "\n\n" + text[after.end() :].lstrip()).strip()
    else:
        return Parted(text, "", f"more than {_MOST_ROUNDS} pieces of reasoning")
    if cut == "reasoning":
        text = _SOLUTION.sub("", text).strip()
    return Parted(text, cut)


def _first(pattern: re.Pattern[str], text: str, start: int, source: str) -> re.Match[str] | None:
    """The first match that is a mark and no word of the text. source: in lower case."""
    for match in pattern.finditer(text, start):
        if _quoted(match, text):
            continue
        if match[0].lower() not in source or _stands_alone(match, text):
            return match
    return None


def _quoted(match: re.Match[str], text: str) -> bool:
    before, after = text[max(0, match.start() - 1) : match.start()], text[match.end() :][:1]
    return bool(before) and before in "\"'“‘(" and bool(after) and after in "\"'”’),"


def _stands_alone(match: re.Match[str], text: str) -> bool:
    """At the very start, or alone on its line."""
    began = text.rfind("\n", 0, match.start()) + 1
    ends = text.find("\n", match.end())
    before, after = text[began : match.start()], text[match.end() : ends if ends >= 0 else None]
    return not before.strip() and (match.start() < 40 or not after.strip())


def _without_control(before: Parted, source: str) -> Parted:
    """The text up to the end of the turn, without the words that begin it."""
    text, cut = before.text, before.cut
    start = _start(text)
    if start:
        text, cut = text[start:], cut or "control words"
    end = _end(text, source)
    if end is not None:
        text, cut = text[:end].rstrip(), cut or "control words"
    shown = _without_code(text)
    for match in _CONTROL.finditer(shown):
        if not _quoted(match, shown) and not _mentions(source, match):
            return Parted(text, "", f"a control word: {match[0]!r}")
    return Parted(text, cut)


def _start(text: str) -> int:
    """Where the text begins after the words that begin a turn."""
    at = 0
    # `<s>` with an end within the text strikes it out.
    struck = bool(text.partition("</s>")[2].strip())
    while (match := _BEGIN.match(text, at)) and not (struck and "<s>" in match[0]):
        at = match.end()
    return at


def _end(text: str, source: str) -> int | None:
    """Where the first word that ends the turn begins."""
    shown = _without_code(text)
    struck = shown.find("<s>")
    last = _last_words(shown)
    for match in _END.finditer(shown):
        if match.start() >= last:
            return match.start()
        if match[0] == "</s>" and 0 <= struck < match.start():
            continue
        if not _quoted(match, shown) and not _mentions(source, match):
            return match.start()
    return None


def _last_words(text: str) -> int:
    """Where the control words begin that stand at the end, one after another."""
    start = len(text)
    for match in reversed(list(_END.finditer(text))):
        if text[match.end() : start].strip():
            break
        start = match.start()
    return start


def _mentions(source: str, match: re.Match[str]) -> bool:
    """Whether the source holds the word, also as it is sent: with a space inside."""
    word = match[0]
    return word in source or f"{word[0]} {word[1:]}" in source


def _without_code(text: str) -> str:
    """The text with blanks for what stands between backticks, so that places stay the same."""
    return _CODE.sub(lambda match: " " * len(match[0]), text) if "`" in text else text
