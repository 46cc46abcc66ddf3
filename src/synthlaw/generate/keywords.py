"""Keywords to seed textbooks with, in place of a document's text.

The paper seeds its books with "keywords randomly sampled from CommonCrawl" (arXiv:2510.01631,
section 3.2), or "keywords or themes extracted from input CC documents" (A.1.2), and does not say
how. Here a document's key phrases are the runs of one to three content words, between stop words
and punctuation, whose occurrences cover the most words of the text. A corpus's keywords are one
key phrase from each of many sampled documents; phrases that many of these share, such as a
menu's, are left out. It takes no model and no statistics of the corpus beyond the sample.
"""

from __future__ import annotations

import heapq
import random
import re
from collections import Counter
from collections.abc import Iterable

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.seeds import derive_seed
from synthlaw.corpus.documents import Document
from synthlaw.generate.filters import STOP_WORDS, words_of

POOL_DOCUMENTS = 10_000
"""Documents that keywords are sampled from, at most: memory stays flat at any size of corpus."""

MOST_WORDS = 3
SHORTEST_LETTERS = 4
COMMON_SHARE = 0.005
"""A phrase that this share of the pool's documents holds among its first is no topic."""

_PHRASES_KEPT = 5
_CHARACTERS_READ = 8_000
_PIECE = re.compile(r"[^\s\w'’-]+|\n+")
_CONTENT = re.compile(r"[^\W\d_][\w'’-]*")
_OTHER_STOP_WORDS = frozenset(
    words_of(
        "again almost already always am another anything around away back because before being "
        "best better between both came can't come day did didn't does doing don't down during each "
        "early end enough even ever every far few find first found four full get getting give go "
        "going gone good got great had having here high however i'm i've important including "
        "instead isn't it's just keep kind know large last later least left less let let's level "
        "life like likely line little long look lot made main make makes making many may maybe "
        "mean means might mine month months more most much must my need needs never new next "
        "nothing now number off often old once open part people place please point put quite "
        "rather really right said same say says second see seem seen set several should show since "
        "six small someone something soon still such sure take taken tell ten than that's there's "
        "thing things think those though thought three through time times today together told too "
        "took toward try trying turn twice two under until us use used uses using very want wanted "
        "wants way ways week weeks well went where whether while why within without won't work "
        "works year years yes yet you're "
        "click comment comments contact cookies copyright email facebook follow home instagram "
        "login menu page policy posted previous privacy read reply reserved rights search share "
        "sign site subscribe terms twitter website"
    )
)
_NO_TOPICS = STOP_WORDS | _OTHER_STOP_WORDS


def key_phrases(text: str, most: int = _PHRASES_KEPT) -> list[str]:
    """Phrases of at most MOST_WORDS words that cover most of the text's start, lower case."""
    phrases: Counter[tuple[str, ...]] = Counter()
    for piece in _PIECE.split(text[:_CHARACTERS_READ].lower()):
        run: list[str] = []
        for word in [*piece.replace("’", "'").split(), ""]:
            if (
                _CONTENT.fullmatch(word)
                and word not in STOP_WORDS
                and word not in _OTHER_STOP_WORDS
            ):
                run.append(word)
            else:
                if 0 < len(run) <= MOST_WORDS and max(map(len, run)) >= SHORTEST_LETTERS:
                    phrases[tuple(run)] += 1
                run = []
    covered = {phrase: times * len(phrase) for phrase, times in phrases.items()}
    ranked = sorted(covered, key=lambda phrase: (-covered[phrase], phrase))
    return [" ".join(phrase) for phrase in ranked[:most]]


class KeywordPool:
    """Key phrases of a sample of a corpus's documents; the sample does not depend on their order.

    digest: of everything in it. Raises UsageError when no document has a key phrase.
    """

    def __init__(self, documents: Iterable[Document], seed: int) -> None:
        """documents: of the whole corpus, read once; the POOL_DOCUMENTS with the smallest draws
        are kept."""
        kept: list[tuple[int, str, list[str]]] = []
        for document in documents:
            rank = (-derive_seed(seed, "keyword-pool", document.id), document.id)
            if len(kept) < POOL_DOCUMENTS:
                heapq.heappush(kept, (*rank, key_phrases(document.text)))
            elif rank > kept[0][:2]:
                heapq.heapreplace(kept, (*rank, key_phrases(document.text)))
        holders = Counter(phrase for _, _, phrases in kept for phrase in phrases)
        most = max(2, COMMON_SHARE * len(kept))
        own = [[p for p in phrases if holders[p] <= most] for _, _, phrases in sorted(kept)]
        self._phrases = [phrases for phrases in own if phrases]
        self._seed = seed
        if not self._phrases:
            raise UsageError("keywords: found no key phrase in the input; expected natural text")
        self.digest = digest_of(self._phrases)

    def __len__(self) -> int:
        """Documents that have key phrases."""
        return len(self._phrases)

    def draw(self, document_id: str, rollout: int, count: int) -> list[str]:
        """Up to `count` different keywords, each from a document drawn at random.

        They depend on the pool, the seed and these names alone.
        """
        draw = random.Random(derive_seed(self._seed, "keywords", document_id, rollout))
        places = draw.sample(range(len(self._phrases)), min(count, len(self._phrases)))
        return list(dict.fromkeys(draw.choice(self._phrases[place]) for place in places))
