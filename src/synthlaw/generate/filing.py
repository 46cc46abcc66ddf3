"""Where texts go: through the post-filter into documents, dropped or aside, or into failed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from synthlaw.common.errors import SynthlawError
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.base import Engine, Request, RequestFailedError
from synthlaw.generate.filters import Candidate, Drop, first_drop
from synthlaw.generate.generated import Generated
from synthlaw.generate.requests import Progress, Rollout
from synthlaw.generate.settings import Settings

RULE_ERRORS_ALLOWED = 0.01
"""Share of completions on which a rule may itself fail before the run is stopped."""


class Filing:
    """Files every text of a run with its provenance, and counts rules that break."""

    def __init__(self, settings: Settings, engine: Engine, progress: Progress) -> None:
        self._recipe, self._label = settings.recipe, engine.label
        self._sampling, self._sampling_json = settings.sampling, settings.sampling.as_json()
        self._progress = progress
        self._rule_errors: Counter[str] = Counter()
        self._judged = 0

    def provenance(self, rollout: Rollout, name: str, request: Request) -> dict[str, Any]:
        """Fields of everything that the request `name` leads to."""
        usual = request.sampling is self._sampling
        return {
            "source_id": rollout.document.id,
            "recipe": self._recipe.name,
            "recipe_version": self._recipe.version,
            "generator": self._label,
            "sampling": self._sampling_json if usual else request.sampling.as_json(),
            "seed": request.seed,
            "step": name,
            "rollout": rollout.number,
            "prompt": request.prompt,
        }

    def empty(self, document: Document, number: int, whole: Generated) -> None:
        """Set a source document aside that holds nothing to ask about."""
        fields = {"source_id": document.id, "recipe": self._recipe.name}
        fields |= {"step": "", "reason": "empty-source", "detail": "no letter or digit"}
        whole.dropped.append(Document(f"{document.id}/{number}", document.text, fields))

    def fail(
        self,
        identity: str,
        fields: dict[str, Any],
        source: Document,
        request: Request | None,
        error: RequestFailedError,
        whole: Generated,
    ) -> None:
        """Set a source document aside that the engine would not answer for."""
        fields = fields | {"reason": error.reason, "response": error.response}
        fields["request"] = request.record() if request else None
        whole.failed.append(Document(identity, source.text, fields))
        self._progress.failed += 1

    def file(
        self,
        identity: str,
        fields: dict[str, Any],
        candidate: Candidate,
        rules: Sequence[str],
        kept: list[Document],
        dropped: list[Document],
    ) -> bool:
        """Put a text into `kept`, or `dropped` when a rule says so; whether it passed."""
        completion = candidate.completion
        fields = fields | {
            "finish_reason": completion.finish_reason,
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
        }
        if completion.aside:
            fields["aside"] = completion.aside
        if completion.unsent:
            sent = json.loads(fields["sampling"]) | {"unsent": completion.unsent.split()}
            fields["sampling"] = json.dumps(sent, sort_keys=True)
        drop = self._judge(rules, candidate)
        if drop is None:
            kept.append(Document(identity, completion.text, fields))
            return True
        fields |= {"reason": drop.rule, "detail": drop.detail}
        dropped.append(Document(identity, completion.text, fields))
        return False

    def _judge(self, rules: Sequence[str], candidate: Candidate) -> Drop | None:
        self._judged += 1
        try:
            return first_drop(candidate, rules)
        except Exception as error:
            # A rule that breaks on a text must not end the run; see check_rules.
            self._rule_errors[f"{type(error).__name__}: {error}"] += 1
            return Drop("rule-error", f"{type(error).__name__}: {error}")

    def check_rules(self) -> None:
        """Raises SynthlawError when rules broke on more completions than is tolerable."""
        broken = sum(self._rule_errors.values())
        if broken > max(1, RULE_ERRORS_ALLOWED * self._judged):
            worst, times = self._rule_errors.most_common(1)[0]
            raise SynthlawError(
                f"post-filter: rules failed on {broken} of {self._judged} completions; "
                f"most often ({times} times) {worst}"
            )
