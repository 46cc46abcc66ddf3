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

Encode = Callable[[str], list[int]]

_SYSTEM, _USER = "\ue000system\ue001", "\ue000user\ue001"
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
    """Turns (system, user) into ids by a model's chat template."""

    def __init__(
        self,
        encode: Encode,
        controls: dict[str, int],
        render: Callable[[list[dict[str, str]]], str],
    ) -> None:
        """encode: plain tokenizer, no special tokens added. render: the model's chat template.

        Raises SynthlawError when the template does not hold both turns once.
        """
        self._encode, self._controls = encode, controls
        words = sorted(controls, key=len, reverse=True)
        self._split = re.compile("|".join(map(re.escape, words))) if words else None
        with_system = [
            {"role": "system", "content": _SYSTEM},
            {"role": "user", "content": _USER},
        ]
        self._framed = self._pieces(render(with_system), (_SYSTEM, _USER))
        self._bare = self._pieces(render(with_system[1:]), (_USER,))

    @staticmethod
    def _pieces(rendered: str, turns: Sequence[str]) -> list[str]:
        if any(rendered.count(turn) != 1 for turn in turns):
            raise SynthlawError(
                "the model's chat template does not hold the system and the user turn once each; "
                "serve this model behind an OpenAI-compatible server instead"
            )
        return re.split(f"({'|'.join(map(re.escape, turns))})", rendered)

    def encode_chat(self, system: str, user: str) -> list[int]:
        """Ids of one system turn (left out when empty) and one user turn, ready to be answered."""
        values = {_SYSTEM: system, _USER: user}
        ids: list[int] = []
        pending: list[str] = []
        for piece in self._framed if system else self._bare:
            if piece in values:
                pending.extend(self._plain_parts(values[piece]))
                continue
            at = 0
            for match in self._split.finditer(piece) if self._split else ():
                pending.append(piece[at : match.start()])
                ids.extend(self._flush(pending))
                ids.append(self._controls[match[0]])
                at = match.end()
            pending.append(piece[at:])
        return ids + self._flush(pending)

    def encode_plain(self, text: str) -> list[int]:
        """Ids of `text` in which no control token can occur."""
        return self._flush(list(self._plain_parts(text)))

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
