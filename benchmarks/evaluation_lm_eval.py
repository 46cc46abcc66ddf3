"""Our rolling scores against lm-eval's own, on the same exported model and the same documents.

    python benchmarks/evaluation_lm_eval.py MODEL DOCUMENTS [--limit N]

MODEL is a folder that `synthlaw export` wrote, DOCUMENTS a JSONL file of WikiText articles with a
column `text`. lm-eval runs its own task 'wikitext' (its detokenizer, word counts and metrics); only
the place of the data is changed, by a task file beside a copy of the documents. Prints word
perplexity, byte perplexity and bits per byte of both, and the relative difference.
Needs the extra `tasks`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import islice
from pathlib import Path

import lm_eval

from synthlaw.corpus.documents import Document, read_documents
from synthlaw.evaluation.conventions import WIKITEXT, protocol_of
from synthlaw.evaluation.evaluate import Evaluator, prepare_domain
from synthlaw.evaluation.loading import load_any
from synthlaw.evaluation.scores import DomainScores
from synthlaw.evaluation.tasks import TaskSettings, run_tasks
from synthlaw.tokens.tokenizer import Tokenizer

METRICS = ("word_perplexity", "byte_perplexity", "bits_per_byte")
TASK = """\
include: {wikitext}
task: wikitext_local
dataset_path: json
dataset_name: null
dataset_kwargs:
  data_files: {{test: {data}}}
training_split: null
validation_split: null
"""


def harness(model: Path, documents: list[Document]) -> dict[str, float]:
    """lm-eval's figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "test.jsonl"
        data.write_text("".join(json.dumps({"page": d.text}) + "\n" for d in documents))
        wikitext = Path(lm_eval.__file__).parent / "tasks" / "wikitext" / "wikitext.yaml"
        task = folder / "wikitext_local.yaml"
        task.write_text(TASK.format(wikitext=wikitext, data=data))
        rows = run_tasks(model, TaskSettings((str(task),)))
    return {row.metric: row.value for row in rows}


def ours(model: Path, documents: list[Document]) -> DomainScores:
    """Our figures by the convention 'lm-eval', in fp32."""
    loaded = load_any(model)
    assert loaded.tokenizer is not None
    protocol = protocol_of("lm-eval", context=loaded.context, dtype="fp32")
    evaluator = Evaluator(loaded, Tokenizer(loaded.tokenizer), protocol)
    ready = prepare_domain(WIKITEXT, documents, evaluator.tokenizer, protocol)
    with tempfile.TemporaryDirectory() as name:
        return evaluator.score(ready, Path(name) / WIKITEXT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    documents = list(islice(read_documents(options.documents), options.limit))
    mine, theirs = ours(options.model, documents), harness(options.model, documents)
    print(f"{len(documents)} documents, {mine.tokens:,} tokens")
    for metric in METRICS:
        value = mine.value(metric)
        off = abs(value - theirs[metric]) / theirs[metric]
        print(f"{metric:16} ours {value:.8g}  lm-eval {theirs[metric]:.8g}  relative {off:.1e}")


if __name__ == "__main__":
    main()
