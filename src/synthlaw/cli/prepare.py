"""The command `prepare`: natural text to a deduplicated, annotated corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthlaw.cli.options import out_option, seed_option
from synthlaw.cli.output import answer, json_option
from synthlaw.common.errors import UsageError

if TYPE_CHECKING:
    from synthlaw.common.ngrams import NgramIndex


@click.command()
@click.option(
    "--input",
    "inputs",
    required=True,
    multiple=True,
    help="File, folder, pattern or URL; hub:NAME; redpajama:ROOT; embedded:NAME. Repeatable.",
)
@out_option
@click.option(
    "--dedup",
    default="paragraphs,exact,fuzzy",
    show_default=True,
    help="Which duplicates to remove, or 'none'.",
)
@click.option(
    "--similarity",
    default=0.8,
    show_default=True,
    help="Jaccard similarity of word 5-grams from which on documents are near-duplicates.",
)
@click.option("--language", help="Keep this language only, such as en.")
@click.option(
    "--language-score", default=0.5, show_default=True, help="Least score of that language."
)
@click.option("--keep", help="Keep documents whose columns fulfil this condition.")
@click.option("--signals/--no-signals", default=True, help="Quality signals as columns.")
@click.option(
    "--blocklist",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Words and phrases, one a line; counted in the column blocklist_words.",
)
@click.option(
    "--extractor",
    type=click.Choice(["resiliparse", "trafilatura"]),
    default="resiliparse",
    show_default=True,
    help="What extracts text from the pages of WARC files.",
)
@click.option(
    "--decontaminate",
    multiple=True,
    metavar="[NAME=]PLACE",
    help="An evaluation set to look for in the text. Repeatable.",
)
@click.option(
    "--ngram", default=13, show_default=True, help="Shared words that make a contamination."
)
@click.option("--remove-contaminated", is_flag=True, help="Leave such documents out.")
@click.option(
    "--max-words",
    type=click.IntRange(min=0),
    default=0,
    help="Cut longer documents to pieces; 0 keeps them whole.",
)
@click.option("--held-out", default=0.0, help="Share of documents set aside.")
@click.option(
    "--strict",
    is_flag=True,
    help="End at the first record or file that cannot be read, instead of counting it.",
)
@seed_option
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes; default: one for each core."
)
@json_option
def prepare(
    inputs: tuple[str, ...],
    out: Path,
    dedup: str,
    blocklist: Path | None,
    decontaminate: tuple[str, ...],
    remove_contaminated: bool,
    workers: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Natural text to OUT/documents and OUT/held_out: deduplicated, with signals as columns.

    Reads WARC and WET (.gz, .zst), JSONL, Parquet and plain text, local or in an object store.
    Stop it whenever you like; the same command goes on where it stopped.

    \b
    Examples:
      synthlaw prepare --input 'crawl/*.warc.gz' --language en --out corpus
      synthlaw prepare --input s3://bucket/wet/ --dedup paragraphs,exact --out corpus
      synthlaw prepare --input 'redpajama:/data/rpv2?language=en&bucket=head,middle' --out corpus \\
        --keep 'not is_duplicate and rps_doc_word_count >= 50'
      synthlaw prepare --input 'hub:HuggingFaceFW/fineweb?config=sample-10BT' --out corpus \\
        --decontaminate wiki=wikitext.jsonl --remove-contaminated
    """
    from synthlaw.corpus.pipeline import Source, make_corpus
    from synthlaw.corpus.readers.sources import find_input_files, told_apart
    from synthlaw.corpus.settings import Settings
    from synthlaw.execute.base import ExecutorSettings
    from synthlaw.execute.registry import make_executor

    if remove_contaminated and not decontaminate:
        raise UsageError("--remove-contaminated needs --decontaminate PLACE")
    settings = Settings(
        dedup=() if dedup == "none" else tuple(part.strip() for part in dedup.split(",")),
        blocklist=_phrases(blocklist) if blocklist else (),
        contaminated="remove" if remove_contaminated else "report",
        **options,
    )
    found = told_apart([find_input_files(place, Path.cwd()) for place in inputs])
    sources = [Source(pieces) for pieces in found]
    index, evaluation = _index(decontaminate, settings.ngram) if decontaminate else (None, None)
    with make_executor("local", ExecutorSettings(workers=workers)) as executor:
        counts = make_corpus(sources, settings, out, executor, index=index, evaluation=evaluation)
    answer(counts, _lines(counts, out), as_json)


def _phrases(path: Path) -> tuple[str, ...]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(sorted({" ".join(line.lower().split()) for line in lines if line.strip()}))


def _index(places: tuple[str, ...], n: int) -> tuple[NgramIndex, Any]:
    """The n-grams of all evaluation sets, and what determines them."""
    from synthlaw.corpus.decontamination import index_of
    from synthlaw.corpus.readers.read import read_pieces
    from synthlaw.corpus.readers.sources import find_input_files

    sets = {}
    for item in places:
        name, sign, place = item.partition("=")
        if not sign or "/" in name or ":" in name:
            name, place = Path(item.partition("?")[0]).name.partition(".")[0], item
        if name in sets:
            raise UsageError(
                f"--decontaminate: two sets are called {name!r}; name them: NAME=PLACE"
            )
        sets[name] = find_input_files(place, Path.cwd())
    keys = {name: [piece.key() for piece in pieces] for name, pieces in sets.items()}
    documents = {name: read_pieces(pieces) for name, pieces in sets.items()}
    return index_of(documents, n), keys


def _lines(counts: dict[str, Any], out: Path) -> Iterator[str]:
    from synthlaw.corpus.readers.faults import fault_lines

    yield (
        f"{counts['documents']:,} documents ({counts['words']:,} words), "
        f"{counts['held_out']:,} held out, of {counts['read']:,} read, in {out}"
    )
    if counts["cut_paragraphs"]:
        cut, paragraphs = counts["cut_paragraphs"], counts["paragraphs"]
        yield f"cut out: {cut:,} duplicate paragraphs of {paragraphs:,}"
    for reason, count in counts["left_out"].items():
        yield f"left out: {count:,} with {reason}"
    for reason, count in counts["skipped"].items():
        yield f"skipped: {count:,} records with {reason}"
    if counts["bad_records"] or counts["broken_files"]:
        yield from fault_lines(counts)
        yield f"each is named in {out / 'bad_records.jsonl'}"
    for found in counts.get("contamination", {}).get("sets", ()):
        yield (
            f"contamination: {found['contaminated_documents']:,} documents share an n-gram with "
            f"{found['evaluation_documents_found']:,} of {found['evaluation_documents']:,} of "
            f"{found['set']}"
        )
