"""Tokenizers by one name: Llama 3's, a `tokenizer.json`, a tiktoken encoding.

    llama3               Llama 3's 128,256 entries, from the PyPI wheel that carries them
    path/tokenizer.json  any Hugging Face tokenizer; `train_bpe` writes one
    path/*.tiktoken      a tiktoken encoding by its file of ranks, named as OpenAI names it
    path/*.model         Meta's file of ranks for Llama 3
    tiktoken:NAME        a tiktoken encoding by name, which tiktoken fetches from the network

Special tokens in a document are text: the only special ids in a token set are the BOS and EOS
that we put around each document (paper, Table 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.files import write_text

LLAMA3 = "llama3"
BY_NAME = "tiktoken:"
RANKS_ENDINGS = (".tiktoken", ".model")

BOS, EOS = "<|begin_of_text|>", "<|end_of_text|>"
_KNOWN_BOS = (BOS, "<s>", "<bos>", "[CLS]", "<|endoftext|>", "<|im_start|>")
_KNOWN_EOS = (EOS, "</s>", "<eos>", "[SEP]", "<|endoftext|>", "<|im_end|>")


class Coder(Protocol):
    """What does the work behind a `Tokenizer`. digest: of all that determines the ids."""

    vocab: int
    bos: int
    eos: int

    @property
    def digest(self) -> str: ...

    def encode(self, texts: Sequence[str], dtype: DTypeLike) -> list[np.ndarray]: ...

    def decode(self, ids: list[int]) -> str: ...

    def as_json(self) -> str: ...


class Tokenizer:
    """A tokenizer with its BOS and EOS; ids are below `vocab`.

    place: see the module. Raises UsageError when it is none of these or cannot be read, and
    MissingExtraError when it needs tiktoken and that is not installed.
    """

    def __init__(self, place: Path | str) -> None:
        self.place = str(place)
        self._coder = _coder_of(self.place)
        self.vocab, self.bos, self.eos = self._coder.vocab, self._coder.bos, self._coder.eos
        self.dtype = "uint16" if self.vocab <= 1 << 16 else "uint32"

    @property
    def path(self) -> Path:
        """The file that was named, for tokenizers that are files."""
        return Path(self.place)

    @property
    def name(self) -> str:
        """What people call it: its name, or its file's."""
        return self.place if is_named(self.place) else self.path.name

    @property
    def digest(self) -> str:
        """The tokenizer's identity; of a `tokenizer.json`, the SHA-256 of the file."""
        return self._coder.digest

    @property
    def anywhere(self) -> str:
        """Its place, as another process in another folder can name it."""
        return self.place if is_named(self.place) else str(self.path.resolve())

    def as_json(self) -> str:
        """The text of a Hugging Face tokenizer.json that gives the same ids."""
        return self._coder.as_json()

    def encode(self, texts: Sequence[str], dtype: DTypeLike = np.int64) -> list[np.ndarray]:
        """Ids of each text (arrays of `dtype`, without BOS and EOS)."""
        return self._coder.encode(texts, dtype)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids; special ids are left out."""
        return self._coder.decode([int(i) for i in ids])


def is_named(place: str) -> bool:
    """Whether `place` is a tokenizer's name and not a file's."""
    return place == LLAMA3 or place.startswith(BY_NAME)


_VOCABULARIES = {
    "cl100k_base": 100_277,
    "gpt2": 50_257,
    LLAMA3: 128_256,
    "o200k_base": 200_019,
    "o200k_harmony": 201_088,
    "p50k_base": 50_281,
    "p50k_edit": 50_284,
    "r50k_base": 50_257,
}
"""Entries of named tokenizers (tiktoken's as of 0.14), special tokens included."""


def known_vocab(name: str) -> int | None:
    """Entries of a named tokenizer without fetching it; None for an encoding not listed here."""
    return _VOCABULARIES.get(name.removeprefix(BY_NAME))


def _coder_of(place: str) -> Coder:
    if is_named(place) or place.lower().endswith(RANKS_ENDINGS):
        from synthlaw.tokens import ranks

        if place == LLAMA3:
            return ranks.llama3()
        if place.startswith(BY_NAME):
            return ranks.by_name(place.removeprefix(BY_NAME))
        return ranks.by_file(Path(place))
    return _HuggingFace(Path(place))


class _HuggingFace:
    """A `tokenizer.json`."""

    def __init__(self, path: Path) -> None:
        import tokenizers

        try:
            self._inner = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception for bad files
            raise UsageError(
                f"{path}: not a tokenizer.json ({error}); expected one, a file ending in "
                f"{' or '.join(RANKS_ENDINGS)}, {LLAMA3!r} or '{BY_NAME}NAME'"
            ) from error
        # A document that spells a special token must not become one.
        self._inner.encode_special_tokens = True
        self._path = path
        # Published files may carry these; a token set holds whole documents and nothing else.
        self._inner.no_truncation()
        self._inner.no_padding()
        # Ids may have gaps: the count of entries is not enough.
        self.vocab = max(self._inner.get_vocab(with_added_tokens=True).values()) + 1
        self.bos = self._special(_KNOWN_BOS, "BOS")
        self.eos = self._special(_KNOWN_EOS, "EOS")

    def _special(self, names: Sequence[str], what: str) -> int:
        for name in names:
            found = self._inner.token_to_id(name)
            if found is not None:
                return int(found)
        raise UsageError(f"{self._path}: has no {what} token; expected one of {', '.join(names)}")

    @property
    def digest(self) -> str:
        return file_digest(self._path)

    def encode(self, texts: Sequence[str], dtype: DTypeLike) -> list[np.ndarray]:
        encodings = self._inner.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=dtype) for encoding in encodings]

    def as_json(self) -> str:
        return self._path.read_text(encoding="utf-8")

    def decode(self, ids: list[int]) -> str:
        return str(self._inner.decode(ids, skip_special_tokens=True))


BPE_BYTES = 1 << 26
"""Text that a BPE is trained on, at most; see docs/tokens.md for what more would change."""


@dataclass
class Sample:
    """What a tokenizer was trained on, counted as it goes by."""

    documents: int = 0
    bytes: int = 0

    def counted(self, texts: Iterable[str]) -> Iterator[str]:
        """The texts, counted."""
        for text in texts:
            self.documents += 1
            self.bytes += len(text.encode())
            yield text

    def record(self) -> dict[str, int]:
        """The counts, and the limit there was."""
        return {"documents": self.documents, "bytes": self.bytes, "most_bytes": BPE_BYTES}


def train_bpe(texts: Iterable[str], vocab: int, path: Path) -> None:
    """Train a byte-level BPE of `vocab` entries (with BOS and EOS) and write it atomically.

    Same texts in the same order give the same file. Raises UsageError for a vocabulary that
    cannot hold the 256 bytes and two special tokens.
    """
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    if vocab < 260:
        raise UsageError(f"tokenizer vocabulary: found {vocab}; expected at least 260")
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    write_text(path, tokenizer.to_str())
