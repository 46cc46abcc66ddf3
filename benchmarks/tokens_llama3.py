"""Llama 3's ids against the reference implementation, document by document.

    python benchmarks/tokens_llama3.py TEXTS.jsonl.gz...

The reference is `llama_models.llama3.tokenizer.Tokenizer` of llama-models 0.3.0: pip fetches the
bare wheel, which is unpacked to a temporary folder and imported from there (it needs tiktoken and
nothing else for this). To the texts come some made to break chunking: 25,001 letters or spaces in a
row, 400,000 characters and more, and spelled special tokens. Prints one JSON document; the exit
status is 1 if any document differs.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthlaw.tokens.tokenizer import LLAMA3, Tokenizer

HOSTILE = [
    "a" * 25_001 + " b",
    "x y " * 9_000 + " " * 60_003 + "end",
    "word " * 90_000 + "z" * 30_000,
    "é" * 24_999 + "\u2003" * 25_002,
    "<|begin_of_text|> and <|eot_id|> are text<|end_of_text|>",
    "",
]


def reference(folder: Path) -> Any:
    """The reference tokenizer, from its wheel."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary"]
    command += [":all:", "--dest", str(folder), "llama-models==0.3.0"]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    sys.path.insert(0, str(folder))
    return importlib.import_module("llama_models.llama3.tokenizer").Tokenizer.get_instance()


def texts_of(files: list[Path]) -> Iterator[str]:
    """Texts of all files, then the hostile ones."""
    for path in files:
        with gzip.open(path) as stream:
            for line in stream:
                yield json.loads(line)["text"]
    yield from HOSTILE


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", type=Path, nargs="+")
    arguments = parser.parse_args()
    ours = Tokenizer(LLAMA3)
    counts = {"documents": 0, "tokens": 0, "equal": 0}
    with tempfile.TemporaryDirectory() as folder:
        theirs = reference(Path(folder))
        assert (ours.vocab, ours.bos, ours.eos) == (theirs.n_words, theirs.bos_id, theirs.eos_id)
        for text in texts_of(arguments.texts):
            wanted = theirs.encode(text, bos=True, eos=True)
            (ids,) = ours.encode([text])
            counts["documents"] += 1
            counts["tokens"] += len(wanted)
            counts["equal"] += [ours.bos, *ids.tolist(), ours.eos] == wanted
    print(json.dumps(counts | {"vocab": ours.vocab}, indent=2))
    raise SystemExit(counts["equal"] != counts["documents"])


if __name__ == "__main__":
    main()
