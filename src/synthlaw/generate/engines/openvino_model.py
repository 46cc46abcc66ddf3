"""A GGUF model in OpenVINO: its pipeline, tokenizer and chat template, as ids in and out.

Everything that speaks to `openvino_genai` is here, except for the steps of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthlaw.common.errors import MissingExtraError, SynthlawError, UsageError
from synthlaw.generate.engines.base import Completion, Message, Sampling
from synthlaw.generate.engines.chat import ChatEncoder, control_words
from synthlaw.generate.engines.openvino_job import CACHE_BLOCK, Job
from synthlaw.generate.engines.openvino_precision import Precision, plugin_settings

STEP_TOKENS = 8192
"""Most tokens processed in one step: the longest prompt and the whole batch fit in."""

TOKENIZER_LIMIT = 8192
"""OpenVINO's tokenizer cuts silently here; longer texts are never given to it whole."""

_PIECE = 4000
"""Characters of a long text that are counted at a time."""

_END_WORDS = ("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "</s>", "<eos>")


@dataclass(frozen=True)
class Sizes:
    """What the pipeline has room for. cache_tokens: fillers included. sequences: in one step."""

    cache_tokens: int
    sequences: int

    def scheduler(self) -> Any:
        """OpenVINO's settings: no prompt is cut, nothing is shared between requests."""
        import openvino_genai

        config = openvino_genai.SchedulerConfig()
        config.num_kv_blocks = self.cache_tokens // CACHE_BLOCK
        config.max_num_batched_tokens = STEP_TOKENS
        config.max_num_seqs = self.sequences
        config.enable_prefix_caching = False
        return config


class OpenVINOModel:
    """A loaded model: encodes chats, starts requests in the pipeline, reads answers from it."""

    def __init__(
        self, path: Path, sizes: Sizes, *, precision: Precision, threads: int | None
    ) -> None:
        """threads: CPU threads, None for every core.

        Raises MissingExtraError without OpenVINO, SynthlawError when it cannot load the file.
        """
        try:
            import openvino_genai
        except ImportError as error:
            raise MissingExtraError("openvino-genai", "embedded", "the embedded engine") from error
        settings = plugin_settings(precision)
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            self._tokenizer = openvino_genai.Tokenizer(str(path))
            self.pipeline = openvino_genai.ContinuousBatchingPipeline(
                str(path), self._tokenizer, sizes.scheduler(), "CPU", **settings
            )
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise SynthlawError(f"OpenVINO cannot load {path}: {last}") from error
        controls = control_words(self._tokenizer.get_vocab(), self.encode)
        self._ends = {controls[word] for word in _END_WORDS if word in controls}
        self._ends.add(self._tokenizer.get_eos_token_id())
        self.chat = ChatEncoder(self.encode, controls, self.render)
        self._next_id = 0

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, control words as such; at most TOKENIZER_LIMIT of them."""
        ids: list[int] = (
            self._tokenizer.encode(text, add_special_tokens=False).input_ids.data[0].tolist()
        )
        return ids

    def decode(self, ids: list[int]) -> str:
        """The text of `ids`, control words included."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))

    def render(self, turns: list[Message]) -> str:
        """The model's own chat template, filled, up to where the answer begins."""
        return str(self._tokenizer.apply_chat_template(turns, add_generation_prompt=True))

    def count(self, text: str) -> int:
        """Length in tokens; long texts are counted in pieces."""
        pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
        return sum(len(self.chat.encode_plain(piece)) for piece in pieces)

    def truncate(self, text: str, tokens: int) -> str:
        """The longest prefix of at most `tokens` tokens. Raises UsageError for too many."""
        if tokens >= TOKENIZER_LIMIT // 2:
            raise UsageError(
                f"input tokens: found {tokens}; the embedded engine takes fewer than "
                f"{TOKENIZER_LIMIT // 2}"
            )
        return self.chat.longest_prefix(text, tokens, self.decode)

    def start(self, ids: list[int], config: Any) -> Any:
        """Put a prompt into the pipeline; its handle."""
        import numpy as np
        from openvino import Tensor

        self._next_id += 1
        prompt = Tensor(np.array([ids], dtype=np.int64))
        return self.pipeline.add_request(self._next_id, prompt, config)

    def config(self, sampling: Sampling, seed: int) -> Any:
        """OpenVINO's settings for one request."""
        import openvino_genai

        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = sampling.max_tokens
        config.repetition_penalty = sampling.repetition_penalty
        config.frequency_penalty = sampling.frequency_penalty
        config.stop_token_ids = self._ends
        config.do_sample = sampling.temperature > 0
        if config.do_sample:
            config.temperature = sampling.temperature
            config.top_p = sampling.top_p
            config.rng_seed = seed
            if sampling.top_k:
                config.top_k = sampling.top_k
        return config

    def filler(self, tokens: int) -> Any:
        """Start a request of `tokens` tokens that nobody reads; its handle."""
        import openvino_genai

        config = openvino_genai.GenerationConfig()
        config.max_new_tokens, config.ignore_eos = tokens, True
        return self.start([0, 1, 2, 3], config)

    def completion(self, job: Job, handle: Any) -> Completion:
        """The answer of a finished request, without its end token."""
        from openvino_genai import GenerationFinishReason

        output = handle.read_all()[0]
        ids = list(output.generated_ids)
        stopped = output.finish_reason == GenerationFinishReason.STOP
        while ids and ids[-1] in self._ends:
            ids.pop()
        return Completion(
            text=str(self._tokenizer.decode(ids)),
            finish_reason="stop" if stopped else "length",
            prompt_tokens=len(job.ids),
            completion_tokens=len(ids),
        )


def is_running(handle: Any) -> bool:
    """Whether the pipeline still works on a request."""
    from openvino_genai import GenerationStatus

    return bool(handle.get_status() == GenerationStatus.RUNNING)
