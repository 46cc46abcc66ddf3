"""Data sets of the Hugging Face hub, streamed: nothing is downloaded whole.

    hub:NAME?config=…&split=train&column=text&revision=…

NAME is a data set's name, or a local folder in the hub's layout. The commit is looked up once and
is part of the content, so that what is resumed is what was begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthlaw.common.digest import digest_of, file_digest
from synthlaw.common.errors import MissingExtraError, UsageError
from synthlaw.corpus.readers.document import Document, document_from_row
from synthlaw.corpus.readers.input_file import (
    BadDocumentError,
    BrokenFileError,
    InputFile,
    ReadReport,
    check_options,
)
from synthlaw.corpus.readers.table import rows_of

_BATCH_ROWS = 256
OPTIONS = ("config", "split", "column", "revision")


def hub_pieces(name: str, options: dict[str, str]) -> list[InputFile]:
    """One piece for every file of the data set's split.

    Raises UsageError when it does not exist, MissingExtraError without `datasets`.
    """
    check_options(f"hub:{name}", options, OPTIONS)
    chosen = {"split": "train", "column": "text", **options}
    if Path(name).is_dir():
        files = [p for p in sorted(Path(name).rglob("*")) if p.is_file()]
        content = digest_of([[str(p.relative_to(name)), file_digest(p)] for p in files])
    else:
        content = chosen["revision"] = _commit(name, chosen.get("revision"))
    shards = max(1, _load(name, chosen).num_shards)
    own = Path(name).name if Path(name).is_dir() else name
    parts = [own, options.get("config"), *([] if chosen["split"] == "train" else [chosen["split"]])]
    label = "/".join(part for part in parts if part)
    return [
        InputFile("hub", name, content, {**chosen, "part": f"{part}/{shards}"}, label=label)
        for part in range(shards)
    ]


def _commit(name: str, revision: str | None) -> str:
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise MissingExtraError("datasets", "hub", f"hub:{name}") from None
    try:
        return str(HfApi().dataset_info(name, revision=revision).sha)
    except Exception as error:
        raise UsageError(
            f"hub:{name}: cannot be reached ({type(error).__name__}: {error})"
        ) from error


def _load(name: str, options: dict[str, str]) -> Any:
    try:
        from datasets import load_dataset
    except ImportError:
        raise MissingExtraError("datasets", "hub", f"hub:{name}") from None
    revision = None if Path(name).is_dir() else options.get("revision")
    try:
        return load_dataset(
            name,
            options.get("config"),
            split=options["split"],
            revision=revision,
            streaming=True,
        )
    except (ValueError, OSError, RuntimeError) as error:
        raise UsageError(f"hub:{name}: {error}") from error


def read_hub(piece: InputFile, report: ReadReport) -> Iterator[Document]:
    """Documents of one piece of a hub data set, in its order.

    Raises UsageError when it has no column of that name, BrokenFileError where its file cannot be
    read on.
    """
    number, _, shards = piece.options["part"].partition("/")
    column = piece.options["column"]
    part = _load(piece.path, piece.options).shard(num_shards=int(shards), index=int(number))
    for place, row in enumerate(_rows(part, column), start=1):
        if column not in row:
            raise UsageError(
                f"hub:{piece.path}: found columns {', '.join(row)}; expected '{column}' "
                "(name another with ?column=…)"
            )
        named = {"text" if key == column else key: value for key, value in row.items()}
        if column != "text":
            named["text"] = row[column]  # the one that was asked for
        try:
            document = document_from_row(named, f"{piece.label}:part {number}:row {place}")
        except BadDocumentError as error:
            report.bad_record("row", place, str(error))
            continue
        yield document


def _rows(part: Any, column: str) -> Iterator[dict[str, Any]]:
    """Rows of a streamed part; whatever its many readers raise on a broken file is one error.

    They come as Arrow tables: Python has no form for some values of columns that nobody needs.
    """
    try:
        for table in part.with_format("arrow").iter(batch_size=_BATCH_ROWS):
            for batch in table.to_batches():
                yield from rows_of(batch, [column])
    except (ImportError, GeneratorExit):
        raise
    except ConnectionError as error:
        raise UsageError(f"the hub cannot be reached ({error})") from error
    except Exception as error:
        why = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]
        raise BrokenFileError(f"cannot be read to its end ({why})") from error
