"""Signals agree with RedPajama-v2's definitions written out plainly; conditions are no code."""

from __future__ import annotations

import math
import re
import string
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.corpus.conditions import Condition
from synthlaw.corpus.language import language_of
from synthlaw.corpus.signals import COUNTS, DUPE_SIZES, NAMES, TOP_SIZES, signals_of

WORDS = st.sampled_from(["the", "The", "river", "#", "IT", "won't", "…", "{x}", "12", "a-b", "é"])
TEXT = st.lists(st.lists(WORDS, max_size=30).map(" ".join), max_size=5).map("\n".join)


def plain_signals(text: str) -> dict[str, float]:
    """RedPajama-v2's document signals, by its definitions, in its own slow way."""
    words = text.translate(str.maketrans("", "", string.punctuation)).lower().split()
    raw = re.findall(r"\w+|[^\w\s]+", text)
    chars = sum(map(len, words))
    lines = re.findall(r"([^\n]*\n|[^\n]+$)", text)
    found: dict[str, float] = {
        "rps_doc_word_count": len(words),
        "rps_doc_num_sentences": len(re.findall(r"\b[^.!?]+[.!?]*", text)),
    }
    if words:
        uses = Counter(words)
        found["rps_doc_mean_word_length"] = chars / len(words)
        found["rps_doc_frac_unique_words"] = len(uses) / len(words)
        shares = [n / len(words) for n in uses.values()]
        found["rps_doc_unigram_entropy"] = sum(-p * math.log(p) for p in shares)
    if raw:
        symbols = sum(text.count(sign) for sign in ("#", "...", "…"))
        found["rps_doc_symbol_to_word_ratio"] = symbols / len(raw)
        found["rps_doc_frac_no_alph_words"] = sum(
            not re.search("[a-zA-Z]", word) for word in raw
        ) / len(raw)
        found["rps_doc_frac_all_caps_words"] = sum(word.isupper() for word in raw) / len(raw)
    if lines:
        found["rps_doc_frac_lines_end_with_ellipsis"] = sum(
            line.rstrip().endswith(("...", "…")) for line in lines
        ) / len(lines)
    for n in TOP_SIZES:
        grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        top, count = grams.most_common(1)[0] if grams else ((), 0)
        share = sum(map(len, top)) * count / chars if count > 1 else 0.0
        found[f"rps_doc_frac_chars_top_{n}gram"] = share
    for n in DUPE_SIZES:
        grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        inside: set[int] = set()
        for i in range(len(words) - n + 1):
            if grams[tuple(words[i : i + n])] > 1:
                inside |= set(range(i, i + n))
        share = sum(len(words[i]) for i in inside) / chars if chars else 0.0
        found[f"rps_doc_frac_chars_dupe_{n}grams"] = share
    return found


@given(TEXT)
@settings(max_examples=150, deadline=None)
def test_signals_are_redpajamas(text: str) -> None:
    found = signals_of(text)
    for name, value in plain_signals(text).items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


@given(TEXT)
def test_every_signal_has_a_column_and_a_kind(text: str) -> None:
    found = signals_of(text, ["river"])
    assert set(found) == set(NAMES)
    assert {name for name, value in found.items() if type(value) is int} >= set(COUNTS)


def test_rules_of_gopher_and_c4() -> None:
    found = signals_of("• one\n• one\nIt ends here.\nEnable JavaScript…\nthe river and the sea")
    assert found["gopher_frac_lines_bullet"] == 2 / 5
    assert found["gopher_frac_dupe_lines"] == pytest.approx(1 / 5)
    assert found["c4_frac_lines_terminal_punctuation"] == 1 / 5
    assert found["c4_lines_javascript"] == 1
    assert found["gopher_stop_words"] == 2


def test_the_blocklist_counts_words_and_phrases() -> None:
    text = "Bad things happen. Very bad, very very bad! badly"
    assert signals_of(text, ["bad", "very bad"])["blocklist_words"] == 5
    assert "blocklist_words" not in signals_of(text)


def test_languages_are_told_apart_offline() -> None:
    texts = {
        "en": "The river runs past the old bridge and on to the sea.",
        "de": "Der Fluss fließt an der alten Brücke vorbei und weiter ins Meer.",
        "fr": "La rivière passe devant le vieux pont et continue vers la mer.",
    }
    for language, text in texts.items():
        found, score = language_of(text + "\n" + text)
        assert found == language and 0.5 < score <= 1
    assert language_of("1234 --- 5678") == ("und", 0.0)


ROW = {"language": "en", "score": 0.9, "words": 120, "url": None, "ok": True, "bad name": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("language == 'en' and words >= 100", True),
        ("language in ['de', 'fr'] or not ok", False),
        ("50 <= words < 100", False),
        ("words * 2 - 40 > 1 / 2 and score > -1", True),
        ("url == 'x' or url != 'x'", False),
        ("not (url == 'x')", True),
        ("words / 0 > 1", False),
    ],
)
def test_conditions_mean_what_they_say(text: str, expected: bool) -> None:
    assert Condition(text)(ROW) is expected


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "language.upper() == 'EN'",
        "[x for x in words]",
        "words if ok else 1",
        "(lambda: 1)()",
        "words ** 9999999",
        "f'{words}'",
        "words[0]",
        "words = 3",
        "",
        "(" * 500 + "1" + ")" * 500,
    ],
)
def test_nothing_else_is_a_condition(text: str) -> None:
    with pytest.raises(UsageError, match="condition"):
        Condition(text)


def test_wrong_columns_and_kinds_are_named() -> None:
    with pytest.raises(
        UsageError, match=r"'wrods', which no document has; expected one of .*words"
    ):
        Condition("wrods > 3").check(set(ROW))
    with pytest.raises(UsageError, match=r"'>' not supported.*found \{'language': 'en'\}"):
        Condition("language > 3")(ROW)
