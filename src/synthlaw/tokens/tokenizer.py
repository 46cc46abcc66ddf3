"""Tokenizers: a byte-level BPE trained on the natural text, or any `tokenizer.json`.

Special tokens in a document are text: the only special ids in a token set are the BOS and EOS
that we put around each document (paper, Table 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.files import write_text

BOS, EOS = "<|begin_of_text|>", "<|end_of_text|>"
_KNOWN_BOS = (BOS, "<s>", "<bos>", "[CLS]", "<|endoftext|>", "<|im_start|>")
_KNOWN_EOS = (EOS, "</s>", "<eos>", "[SEP]", "<|endoftext|>", "<|im_end|>")


class Tokenizer:
    """A Hugging Face tokenizer with its BOS and EOS; ids are below `vocab`."""

    def __init__(self, path: Path) -> None:
        import tokenizers

        try:
            self._inner = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception for bad files
            raise UsageError(f"{path}: not a tokenizer.json ({error})") from error
        # A document that spells a special token must not become one.
        self._inner.encode_special_tokens = True
        self.path = path
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
        raise UsageError(f"{self.path}: has no {what} token; expected one of {', '.join(names)}")

    @property
    def digest(self) -> str:
        """SHA-256 of the tokenizer file, the tokenizer's identity."""
        return file_digest(self.path)

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids of each text (int64 arrays, without BOS and EOS)."""
        encodings = self._inner.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids; special ids are left out."""
        return str(self._inner.decode([int(i) for i in ids], skip_special_tokens=True))


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
