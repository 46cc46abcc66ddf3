"""Chat prompts as token ids, with the document's text always plain text.

A model's chat template frames the turns with control tokens such as `<|im_end|>`. Tokenizing the
filled template as one string would let a document that holds those words end its own turn. Here
only the template's own control tokens become control ids; the same words inside a turn are cut in
two before they are tokenized, so they become ordinary tokens that spell the same characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from synthlaw.common.errors import SynthlawError
from synthlaw.generate.engines.base import Message

Encode = Callable[[str], list[int]]

_TURN = re.compile("\ue000(\\d+)\ue001")
"""Stands for a turn's text while the template is rendered; private-use characters."""

_LOOKS_LIKE_CONTROL = re.compile(r"<[^<>\s]{1,40}>|\[[A-Z_/]{2,20}\]")

REMOTE_CONTROL_WORDS = re.compile(
    r"<\|[A-Za-z0-9_\-▁｜ ]{1,40}\|>|<｜[^<>]{1,40}｜>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|"
    r"TOOL_CALLS|TOOL_RESULTS|IMG)\]|<</?SYS>>|</?s>|<(?:bos|eos|pad|unk|mask)>|"
    r"<(?:start_of_turn|end_of_turn|start_of_image|end_of_text|begin_of_text)>"
)
"""Control words of the chat templates in common use, for servers that tokenize by themselves."""


def defuse(text: str) -> str:
    """`text` with a space inside every control word of a known chat template.

    For engines that are sent text, not ids: `<|im_end|>` becomes `< |im_end|>`, which no tokenizer
    reads as a control token. All other text is returned as it is.
    """
    if "<" not in text and "[" not in text:
        return text  # most text: a hundredth of the pattern's time
    return REMOTE_CONTROL_WORDS.sub(lambda match: match[0][0] + " " + match[0][1:], text)


def control_words(vocabulary: Iterable[bytes | str], encode: Encode) -> dict[str, int]:
    """Words of the vocabulary that its tokenizer takes for one control token, with their ids."""
    found: dict[str, int] = {}
    for entry in vocabulary:
        word = entry.decode("utf-8", "replace") if isinstance(entry, bytes) else entry
        if _LOOKS_LIKE_CONTROL.fullmatch(word):
            ids = encode(word)
            if len(ids) == 1:
                found[word] = ids[0]
    return found


class ChatEncoder:
    """Turns a conversation into ids by a model's chat template."""

    def __init__(
        self,
        encode: Encode,
        controls: dict[str, int],
        render: Callable[[list[Message]], str],
    ) -> None:
        """encode: plain tokenizer, no special tokens added. render: the model's chat template."""
        self._encode, self._controls, self._render = encode, controls, render
        words = sorted(controls, key=len, reverse=True)
        self._split = re.compile("|".join(map(re.escape, words))) if words else None
        self._frames: dict[tuple[str, ...], list[str]] = {}

    def _frame(self, roles: tuple[str, ...]) -> list[str]:
        """The template's text before, between and after the turns.

        Raises SynthlawError when the template does not hold every turn once and in order.
        """
        if roles not in self._frames:
            turns = [{"role": r, "content": f"\ue000{n}\ue001"} for n, r in enumerate(roles)]
            try:
                pieces = _TURN.split(self._render(turns))
            except RuntimeError as error:
                raise SynthlawError(
                    f"the model's chat template refuses the turns {', '.join(roles)}: {error}"
                ) from error
            if pieces[1::2] != [str(n) for n in range(len(roles))]:
                raise SynthlawError(
                    f"the model's chat template does not hold the turns {', '.join(roles)} once "
                    "each; serve this model behind an OpenAI-compatible server instead"
                )
            self._frames[roles] = pieces[0::2]
        return self._frames[roles]

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Ids of the turns, ready to be answered. Only the template's own words are control."""
        frame = self._frame(tuple(message["role"] for message in messages))
        ids: list[int] = []
        pending: list[str] = []
        for place, piece in enumerate(frame):
            at = 0
            for match in self._split.finditer(piece) if self._split else ():
                pending.append(piece[at : match.start()])
                ids.extend(self._flush(pending))
                ids.append(self._controls[match[0]])
                at = match.end()
            pending.append(piece[at:])
            if place < len(messages):
                pending.extend(self._plain_parts(messages[place]["content"]))
        return ids + self._flush(pending)

    def encode_plain(self, text: str) -> list[int]:
        """Ids of `text` in which no control token can occur."""
        return self._flush(list(self._plain_parts(text)))

    def longest_prefix(self, text: str, tokens: int, decode: Callable[[list[int]], str]) -> str:
        """The longest prefix of `text` of at most `tokens` tokens, between two characters.

        Only as much of a long text is tokenized as is needed.
        """
        characters = 8 * tokens
        while True:
            head = text[:characters]
            ids = self.encode_plain(head)
            if len(ids) > tokens:
                break
            if len(head) == len(text):
                return text
            characters *= 2
        # Bytes of a character that was cut in two decode to a replacement mark.
        kept = decode(ids[:tokens]).rstrip("\ufffd")
        if text.startswith(kept):
            return kept
        # A tokenizer whose decoding does not give the text back: by bisection.
        low, high = 0, len(head)
        while low < high:
            middle = (low + high + 1) // 2
            if len(self.encode_plain(head[:middle])) <= tokens:
                low = middle
            else:
                high = middle - 1
        return head[:low]

    def _plain_parts(self, text: str) -> Iterable[str]:
        """`text` with a cut after the first character of each control word in it."""
        if self._split is None:
            return [text]
        parts: list[str] = []
        at = 0
        for match in self._split.finditer(text):
            cut = match.start() + 1
            parts.extend((text[at:cut], _CUT))
            at = cut
        parts.append(text[at:])
        return parts

    def _flush(self, pending: list[str]) -> list[int]:
        """Encode what was gathered, each run between cuts as one string, and empty the list."""
        ids: list[int] = []
        run: list[str] = []
        for part in [*pending, _CUT]:
            if part is _CUT:
                text = "".join(run)
                ids.extend(self._encode(text) if text else [])
                run.clear()
            else:
                run.append(part)
        pending.clear()
        return ids


class _Cut(str):
    """A mark between two runs of text that must not be tokenized together."""


_CUT = _Cut("cut")
