"""A tokenizer of ranks as the text of a Hugging Face `tokenizer.json`.

tiktoken merges, of all neighbours in a piece of text, the pair whose joined bytes have the lowest
rank. A `tokenizer.json` wants the pairs themselves: the last merge that makes an entry joins the
two parts that remain of its bytes when only entries of lower ranks may be used.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

_POSSESSIVE = re.compile(r"([+*?]|\{\d+(?:,\d*)?\})\+")


def ranks_as_json(ranks: Mapping[bytes, int], pattern: str, special: Mapping[str, int]) -> str:
    """The text of a tokenizer.json that gives the ids of these ranks.

    pattern: that splits text, as tiktoken takes it. special: id by name; a text that spells one of
    them is that token for its reader.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    letters = _letters_of_bytes()
    spelled = {entry: "".join(letters[byte] for byte in entry) for entry in ranks}
    merges = []
    for entry in sorted(ranks, key=lambda entry: ranks[entry]):
        if len(entry) > 1:
            parts = _last_parts(ranks, entry)
            if len(parts) == 2:
                merges.append((spelled[parts[0]], spelled[parts[1]]))
    made = Tokenizer(
        models.BPE(
            vocab={spelled[entry]: rank for entry, rank in ranks.items()},
            merges=merges,
            # As tiktoken: a piece that is an entry as a whole is that entry.
            ignore_merges=True,
        )
    )
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_for_oniguruma(pattern)), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    # Ids are given in order, so they must be added in the order of their ids.
    made.add_special_tokens(
        [
            AddedToken(name, normalized=False, special=True)
            for name in sorted(special, key=lambda name: special[name])
        ]
    )
    return str(made.to_str())


def _last_parts(ranks: Mapping[bytes, int], entry: bytes) -> list[bytes]:
    """What `entry` is merged from: its bytes, merged as far as lower ranks can."""
    parts = [bytes([byte]) for byte in entry]
    limit = ranks[entry]
    while len(parts) > 2:
        joined = [ranks.get(a + b, limit) for a, b in itertools.pairwise(parts)]
        lowest = min(joined)
        if lowest >= limit:
            break
        place = joined.index(lowest)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def _for_oniguruma(pattern: str) -> str:
    """The pattern in the dialect of `tokenizers`, where `}+` repeats and `$` ends a line.

    None of the published patterns needs its possessive signs: they only save backtracking.
    """
    return _POSSESSIVE.sub(r"\1", pattern).replace("$", r"\z")


def _letters_of_bytes() -> list[str]:
    """The printable letter that stands for each byte in a byte-level vocabulary (GPT-2's)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in letters]
    letters |= {byte: chr(256 + place) for place, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]
