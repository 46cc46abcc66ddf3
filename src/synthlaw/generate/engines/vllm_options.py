"""How vllm is run: its command, and options as they are given here and on its command line."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from synthlaw.common.errors import UsageError

Option = bool | int | float | str | list | dict
"""A flag, a value, several values, or what vLLM takes as JSON."""

_OURS = {
    "model": "is the engine's own setting 'model'",
    "served-model-name": "is the engine's own setting 'model'",
    "host": "is set here: the server is for this machine alone",
    "port": "is set here: a free one is found",
    "uds": "is set here: the server listens on a port",
    "api-key": "would be seen in the list of processes; set VLLM_API_KEY in the environment",
    "generation-config": "would replace the sampling that is recorded",
    "override-generation-config": "would replace the sampling that is recorded",
}


_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class OwnServer:
    """How vLLM is run. command: what runs it, words as a shell would part them; it is given
    `serve`, the model and options. options: of `vllm serve` by name. log: file for what it says.
    """

    command: str = "vllm"
    options: Mapping[str, Option] = field(default_factory=dict)
    log: Path = Path("vllm.log")

    def program(self) -> list[str]:
        """The command with its program's full path. Raises UsageError where there is none."""
        words = shlex.split(self.command)
        found = shutil.which(words[0]) if words else None
        if found is None:
            raise UsageError(
                f"vllm: found no command {self.command!r}. Install vLLM into an environment of "
                "its own (python -m venv vllm-env; vllm-env/bin/pip install vllm) and put its bin "
                "folder on PATH or name the command: --vllm-command vllm-env/bin/vllm (in a study "
                "generate.engine.command)"
            )
        return [str(Path(found).absolute()), *words[1:]]


def option_name(name: str) -> str:
    """`max-model-len` for `max_model_len` and `--max-model-len` too.

    Raises UsageError for a name that cannot be one, or that is set here.
    """
    plain = name.strip().lstrip("-").replace("_", "-")
    if not plain.replace("-", "").replace(".", "").isalnum():
        raise UsageError(f"vLLM option: found {name!r}; expected a name such as max-model-len")
    if plain in _OURS:
        raise UsageError(f"vLLM option: found {plain!r}, which {_OURS[plain]}")
    return plain


def parse_options(texts: Iterable[str]) -> dict[str, Option]:
    """Options from NAME=VALUE, or NAME alone for a flag. Raises UsageError, also for a repeat."""
    options: dict[str, Option] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = option_name(name)
        if name in options:
            raise UsageError(f"vLLM option: found {name!r} twice")
        options[name] = _FLAGS.get(value.lower(), value) if equals else True
    return options


def arguments(options: Mapping[str, Option]) -> list[str]:
    """The command line for `options`, in the order of their names. Raises UsageError."""
    named = {option_name(name): value for name, value in options.items()}
    if len(named) < len(options):
        raise UsageError(f"vLLM options: found one twice among {', '.join(options)}")
    line: list[str] = []
    for name, value in sorted(named.items()):
        if value is True:
            line.append(f"--{name}")
        elif value is False:
            line.append(f"--no-{name}")
        elif isinstance(value, list):
            line += [f"--{name}", *map(_text, value)]
        else:
            # One argument, so that a value may begin with a dash.
            line.append(f"--{name}={_text(value)}")
    return line


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
