"""Sources that the study names rather than makes: synthetic or other text from elsewhere."""

from __future__ import annotations

from synthlaw.common.errors import UsageError
from synthlaw.study.data.natural import inputs_of, make_tokens, read_source
from synthlaw.study.store import Artifact
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.tokenizer import Tokenizer


def make_given(space: Workspace, name: str, tokenizer: Tokenizer) -> Artifact:
    """The token set of the source `name`: its documents as they are.

    Raises UsageError when a file holds what is no document, or no text at all.
    """
    source = space.study.sources[name]
    texts = (document.text for document in read_source(space, source))
    try:
        made = make_tokens(space, name, texts, inputs_of(space, source), tokenizer)
    except UsageError as error:
        raise UsageError(f"sources.{name}: {error}") from None
    return made
