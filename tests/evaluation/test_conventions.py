"""The conventions of others, against their own words."""

from __future__ import annotations

import pytest

from synthlaw.common.errors import UsageError
from synthlaw.evaluation.conventions import protocol_of, scored_text, word_counter


def test_windows_of_each_convention() -> None:
    ours = protocol_of("synthlaw", context=512)
    assert (ours.window, ours.stride, ours.prefix) == (512, 256, "bos")
    harness = protocol_of("lm-eval", context=512)
    assert (harness.window, harness.stride, harness.prefix) == (512, 512, "bos")
    paloma = protocol_of("paloma", context=4096)
    assert (paloma.window, paloma.stride, paloma.prefix) == (2048, 2048, "eos")
    assert protocol_of("paloma", context=512).window == 512
    own = protocol_of("lm-eval", context=512, window=100, stride=10, prefix="none")
    assert (own.window, own.stride, own.prefix) == (100, 10, "none")
    assert protocol_of("synthlaw", context=None).window == 4096
    with pytest.raises(UsageError, match="expected one of synthlaw, lm-eval, paloma"):
        protocol_of("gpt-2", context=None)


def test_words() -> None:
    text = " = Title = \n two words\n"
    assert word_counter("synthlaw")(text) == 5
    assert word_counter("lm-eval")(text) == 7  # an empty piece at either end
    assert word_counter("paloma")("") == 1


def test_only_wikitext_under_lm_eval_is_detokenized() -> None:
    text = "the sea @-@ birds , ( all ) of them \n"
    assert scored_text("lm-eval", "wikitext103", text) == "the sea-birds, (all) of them\n"
    assert scored_text("lm-eval", "news", text) == text
    assert scored_text("synthlaw", "wikitext103", text) == text
