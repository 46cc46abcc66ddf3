"""What a study cannot show, said from its own facts."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from synthlaw.common.numbers import format_count
from synthlaw.generate.engines.base import Sampling
from synthlaw.study.spec import Study

PAPER_SMALLEST_PARAMS = 27.9e6
"""Non-embedding parameters of the paper's 100M model (Table 1)."""

PAPER_SMALLEST_TOKENS = 1e9
"""Smallest data budget of the paper (section 4.1.3)."""

WEAK_GENERATOR = "SmolLM2-135M-Instruct"

NAMED = 10
"""Missing runs that a sentence names."""


def limits_of(study: Study, missing: Collection[str] = ()) -> list[str]:
    """Sentences for the page; the most important first. missing: runs that failed for good."""
    return _of_missing(missing) + [
        sentence
        for subject in (_of_scale, _of_texts, _of_the_grid, _of_generation)
        for sentence in subject(study)
    ]


def _of_missing(runs: Collection[str]) -> list[str]:
    """What is not there though it was asked for."""
    if not runs:
        return []
    names = sorted(runs)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    one = len(names) == 1
    return [
        f"{len(names)} run{' is' if one else 's are'} missing, since {'it' if one else 'they'} "
        f"failed ({', '.join(names[:NAMED])}{more}; failures.json says why): tables, laws and "
        "figures rest on the others. Runs that fail are seldom a random choice of all runs."
    ]


def _of_scale(study: Study) -> list[str]:
    """How far the largest run is from the paper's smallest."""
    found = []
    params = max(size.params for size in study.sizes.values())
    tokens = max(study.budgets)
    if params < PAPER_SMALLEST_PARAMS or tokens < PAPER_SMALLEST_TOKENS:
        found.append(
            f"The largest model here has {format_count(params)} non-embedding parameters and the "
            f"largest budget is {format_count(tokens)} tokens; the paper starts at 27.9M and 1B. "
            "The order of the mixtures changes with scale (the paper's own curves cross), so this "
            "answer holds at this scale and must not be carried to another."
        )
    return found


def _of_texts(study: Study) -> list[str]:
    """Who wrote the synthetic text, and what the natural text is."""
    found = []
    generators = study.generate.used_generators
    for name, one in generators.items():
        if one.kind != "embedded":
            continue
        model = Path(one.model).name if one.model else f"{WEAK_GENERATOR}, quantised to 4 bits"
        text = "The synthetic text" if len(generators) == 1 else f"The text of {name}"
        found.append(
            f"{text} was written by {model}. The paper "
            "wrote its text with a 7B model and found that a 3B generator is already worse than an "
            "8B one: a better generator may well reverse what is seen here."
        )
    embedded = [source.embedded for source in study.natural if source.embedded]
    if embedded:
        found.append(
            f"The natural text ({', '.join(embedded)}) is edited English from Python packages, not "
            "web text. Rephrasing helps web text partly because web text is unclean; that effect "
            "cannot appear here."
        )
    return found


def _of_the_grid(study: Study) -> list[str]:
    """What the runs are too few for."""
    found = []
    if len(study.seeds) == 1:
        found.append(
            "Every run was made with one seed. Intervals rest on the scatter of the runs about "
            "their laws; noise between seeds is not measured apart."
        )
    if len(study.sizes) < 4 or len(study.budgets) < 5:
        found.append(
            f"With {len(study.sizes)} sizes and {len(study.budgets)} budgets the "
            "exponents and floors of the laws are weakly determined: read the intervals, not the "
            "coefficients."
        )
    return found


def _of_generation(study: Study) -> list[str]:
    """Where generation departs from the paper's protocol."""
    found = []
    changed = [n for n, u in study.generate.recipes.items() if u.chapters not in (None, 10)]
    if changed:
        found.append(f"Textbooks ({', '.join(changed)}) have fewer chapters than the paper's ten.")
    for name, use in study.generate.recipes.items():
        if off := study.generate.generator_of(name).rules_off(use):
            found.append(
                f"The post-filter's rules {', '.join(off)} are off for {name}: "
                "what they would have dropped was trained on."
            )
    return found + _of_sampling(study)


def _of_sampling(study: Study) -> list[str]:
    """Generators that draw their text otherwise than the paper's."""
    found, paper = [], Sampling()
    generators = study.generate.used_generators
    for name, generator in generators.items():
        sampling = generator.sampling_with()
        penalty = sampling.frequency_penalty
        if (sampling.temperature, sampling.top_p, penalty) == (
            paper.temperature,
            paper.top_p,
            paper.frequency_penalty,
        ):
            continue
        text = "Synthetic text" if len(generators) == 1 else f"The text of {name}"
        extra = f" with a frequency penalty of {penalty:g}" if penalty else ""
        found.append(
            f"{text} was sampled at temperature {sampling.temperature:g} and top-p "
            f"{sampling.top_p:g}{extra}; the paper used {paper.temperature:g} and {paper.top_p:g}."
        )
    return found
