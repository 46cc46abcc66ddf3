"""The post-filter: named rules, each of which sees one completion and may say why to drop it.

The paper (appendix B.3) drops outputs that are far too short or far too long for their type. The
other rules catch what small or confused generators write. Which rules apply to a step is said in
its recipe; every drop is counted under the rule's name and the text is set aside for reading.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from synthlaw.generate.engines.base import Completion

FILTERS_VERSION = 4
"""Raised when a rule judges differently: part of a run's key."""

SHORTEST_TOKENS = 50
"""Fewer tokens than this are dropped: the paper's example, appendix B.3."""

LONGEST_OVER_TARGET = 3.0
"""Times the target length beyond which a text is dropped; the paper gives no figure."""

_FINISHED_WORDS = (
    "stop stopped eos eos_token end end_turn end_of_turn stop_sequence stop_string stop_str "
    "complete completed done finish finished normal"
)
FINISHED = frozenset(_FINISHED_WORDS.split())
"""Finish reasons, in lower case, by which servers say that the model ended its answer itself."""

LOOP_WORDS, LOOP_TIMES = 8, 4
ECHO_WORDS = 8
LATIN_SHARE = 0.8
STOP_WORD_SHARE = 0.1

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
STOP_WORDS = frozenset(
    _WORD.findall(
        "the of and to in a is that for it as was with be by on not he his but at are this "
        "have from or had an they which one you were her all she there would their we him "
        "been has when who will more no if out so what up said about into than them can only "
        "other new some could these may do then its also any how our your my i"
    )
)
"""Common English words, lower case."""

_FREQUENT_RUN = re.compile(rb"\x01{%d,}" % LOOP_WORDS)
_REFUSAL = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|\bi(?:['’]m| am) sorry,? but\b"
    r"|\bi(?:['’]m| am) (?:unable|not able) to\b"
    r"|\bi (?:cannot|can not|can['’]t) (?:assist|help|provide|fulfil|complete|comply|rephrase|"
    r"write|create|generate|access|continue)\b",
    re.IGNORECASE,
)
_REFUSAL_WITHIN_CHARACTERS = 300
_REFUSALS_HOLD = ("as a", "i'm ", "i am ", "i can")
"""Each refusal in ASCII holds one of these: looked for first, since the pattern costs more."""
_WORDS_AFTER = (
    r"\W{0,3}\d*\W*:\W*+(?=\w)"
    r"(?!(?:\d{1,3}[.)][ \t*]*)?(?:question|answer|q|a)\W{0,3}\d*\W*:)"
)
"""After a tag: its number, a colon, then a word that is not the next tag, numbered or not."""
_QUESTION = re.compile(rf"^[\W\d_]*(?:question|q){_WORDS_AFTER}", re.I | re.M)
_ANSWER = re.compile(rf"^[\W\d_]*(?:answer|a){_WORDS_AFTER}", re.I | re.M)
_TABLE = re.compile(r"^\s*\|.+\|\s*\n\s*\|[\s:|-]*-[\s:|-]*\|\s*\n\s*\|.*\w.*\|", re.M)
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_CHAPTER = re.compile(rf"\bchapter\W{{1,3}}(\d{{1,4}}|{'|'.join(_NUMBERS)})\b", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """A completion with what a rule may compare it to.

    source: the document as the prompt held it. template: the fixed pieces of the prompt, in order.
    target_tokens: length hoped for, None when the recipe names none. chapters: how many the recipe
    asks for, 0 when it has none.
    """

    completion: Completion
    source: str
    template: tuple[str, ...]
    target_tokens: int | None = None
    chapters: int = 0

    @property
    def text(self) -> str:
        """What the model wrote."""
        return self.completion.text

    @cached_property
    def words(self) -> list[str]:
        """Words of the text, found once for all rules."""
        return words_of(self.completion.text)

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each word is in the text."""
        return Counter(self.words)


Rule = Callable[[Candidate], str | None]

# Bytes of ASCII text by what they are for words: letters and digits stay, the rest separates.
_SEPARATE = bytes(c if chr(c).isalnum() or c == ord("'") else ord(" ") for c in range(128))
_SEPARATE += bytes(128)


def words_of(text: str) -> list[str]:
    """Lower-case words: letters and digits with inner apostrophes."""
    if not text.isascii():
        return _WORD.findall(text.lower())
    # The same by a table: a third of the time, and every answer's words are looked for.
    flat = text.encode().lower().translate(_SEPARATE).decode()
    if "'" in flat:
        flat = f" {flat} ".replace("''", "  ").replace("' ", "  ").replace(" '", "  ")
    return flat.split()


def _empty(candidate: Candidate) -> str | None:
    if any(map(str.isalnum, candidate.text)):
        return None
    return candidate.completion.aside or "no letter or digit"


def _short(candidate: Candidate) -> str | None:
    found = candidate.completion.completion_tokens
    return f"{found} tokens, fewer than {SHORTEST_TOKENS}" if found < SHORTEST_TOKENS else None


def _long(candidate: Candidate) -> str | None:
    if candidate.target_tokens is None:
        return None
    found = candidate.completion.completion_tokens
    limit = LONGEST_OVER_TARGET * candidate.target_tokens
    return f"{found} tokens, more than {limit:.0f}" if found > limit else None


def _echo(candidate: Candidate) -> str | None:
    """Eight words in a row of the prompt's own sentences, which the document does not hold."""
    # Eight words in a row hold one of the fours whole; few texts have even its words.
    has, fours = candidate.counts.__contains__, _phrases(candidate.template, 4, 4)
    suspected = [four for four in fours if all(map(has, four.split()))]
    if not suspected:
        return None
    written = " ".join(candidate.words)
    if not any(four in written for four in suspected):
        return None
    for phrase in _phrases(candidate.template, ECHO_WORDS, 1):
        if phrase in written and phrase not in " ".join(words_of(candidate.source)):
            return f"repeats the prompt: {phrase!r}"
    return None


@lru_cache(maxsize=256)
def _phrases(template: tuple[str, ...], length: int, step: int) -> tuple[str, ...]:
    """Runs of `length` words of the template's pieces, one beginning every `step` words."""
    pieces = [words_of(piece) for piece in template]
    return tuple(
        " ".join(words[start : start + length])
        for words in pieces
        for start in range(0, len(words) - length + 1, step)
    )


def _refusal(candidate: Candidate) -> str | None:
    head = candidate.text[:_REFUSAL_WITHIN_CHARACTERS]
    lower = head.lower()
    if head.isascii() and not any(map(lower.__contains__, _REFUSALS_HOLD)):
        return None
    found = _REFUSAL.search(head)
    if found is None or found[0].lower() in candidate.source.lower():
        return None
    return f"refuses: {found[0]!r}"


def _loop(candidate: Candidate) -> str | None:
    words, counts = candidate.words, candidate.counts
    if candidate.text and len(words) * 40 < len(candidate.text):
        # Text without spaces: characters in eights stand for words.
        words = [candidate.text[at : at + 8] for at in range(0, len(candidate.text) - 7, 8)]
        counts = Counter(words)
    # What is repeated so often consists of words that are: few texts have so many in a row.
    often = {word for word, count in counts.items() if count >= LOOP_TIMES}
    frequent = bytes(map(often.__contains__, words))
    if bytes([True] * LOOP_WORDS) not in frequent:
        return None
    grams: Counter[tuple[str, ...]] = Counter()
    for run in _FREQUENT_RUN.finditer(frequent):
        within = words[run.start() : run.end()]
        grams.update(zip(*(within[shift:] for shift in range(LOOP_WORDS)), strict=False))
    gram, times = grams.most_common(1)[0]
    return f"{times} times: {' '.join(gram)!r}" if times >= LOOP_TIMES else None


def _unfinished(candidate: Candidate) -> str | None:
    """Anything but an end of the model's own: limits, filters, errors, whatever the word."""
    reason = candidate.completion.finish_reason
    word = reason.lower().replace("-", "_").removeprefix("finish_reason_")
    if word in FINISHED:
        return None
    said = "" if word == "length" else f" (finish_reason {reason!r})"
    return f"cut off at {candidate.completion.completion_tokens} tokens{said}"


def _language(candidate: Candidate) -> str | None:
    if not candidate.text.isascii():
        letters = [letter for letter in candidate.text if letter.isalpha()]
        share = sum(map(str.isascii, letters)) / max(len(letters), 1)
        if share < LATIN_SHARE:
            return f"{share:.0%} of the letters are ASCII"
    words = candidate.words
    if len(words) < 30:
        return None
    counts = candidate.counts
    common = sum(map(counts.__getitem__, counts.keys() & STOP_WORDS)) / len(words)
    return f"{common:.0%} of the words are common English" if common < STOP_WORD_SHARE else None


def _pairs(candidate: Candidate) -> str | None:
    """At least one question tag with words after it, and later an answer tag with words."""
    question = _QUESTION.search(candidate.text)
    if question is None:
        return "no 'Question:' followed by words"
    if _ANSWER.search(candidate.text, question.end()) is None:
        return "no 'Answer:' followed by words after a question"
    return None


def chapters_named(text: str, chapters: int) -> set[int]:
    """Which of the chapters 1 to `chapters` an outline names (`Chapter 3`, `Chapter Three`)."""
    found = (match[1].lower() for match in _CHAPTER.finditer(text))
    numbers = {_NUMBERS.index(word) + 1 if word in _NUMBERS else int(word) for word in found}
    return {number for number in numbers if 1 <= number <= chapters}


def _chapters(candidate: Candidate) -> str | None:
    named = len(chapters_named(candidate.text, candidate.chapters))
    if 2 * named >= candidate.chapters:
        return None
    return f"{named} of {candidate.chapters} chapters are named"


def _table(candidate: Candidate) -> str | None:
    """A Markdown table: a row of dashes between bars, with a row on either side."""
    found = _TABLE.search(candidate.text)
    return None if found else "no Markdown table with a heading and a row"


def _solution(candidate: Candidate) -> str | None:
    """A problem, then its solution, then the final answer, each with something after its tag."""
    at = 0
    for tag in ("problem", "solution", "final answer"):
        found = re.compile(rf"^\W*{tag}\W*:\W*\w", re.I | re.M).search(candidate.text, at)
        # The prompt ends with the words "Problem and solution:", so the first tag may be missing.
        if found is None and tag != "problem":
            return f"no {tag!r} with something after it"
        at = found.end() if found else at
    return None


RULES: dict[str, Rule] = {
    "empty": _empty,
    "short": _short,
    "long": _long,
    "echo": _echo,
    "refusal": _refusal,
    "loop": _loop,
    "unfinished": _unfinished,
    "language": _language,
    "pairs": _pairs,
    "chapters": _chapters,
    "table": _table,
    "solution": _solution,
}
"""Every rule by name: returns why to drop, or None."""


@dataclass(frozen=True)
class Drop:
    """Why a completion is set aside: the rule's name, and what it saw."""

    rule: str
    detail: str


def first_drop(candidate: Candidate, rules: Sequence[str]) -> Drop | None:
    """The first rule, in the order given, that drops the candidate; None when all let it pass.

    Whatever the recipe's rules are, what cannot be told from the model's reasoning is dropped.
    """
    if candidate.completion.doubt:
        return Drop("reasoning", candidate.completion.doubt)
    for name in rules:
        detail = RULES[name](candidate)
        if detail is not None:
            return Drop(name, detail)
    return None
