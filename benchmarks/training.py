"""Training speed, threads and memory, measured in one process and interleaved.

    python benchmarks/training.py speed     # against transformers and litgpt, if installed;
                                            # held down: ONEDNN_MAX_CPU_ISA=AVX2
                                            # ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2
    python benchmarks/training.py parts     # where a compiled step's time goes
    python benchmarks/training.py threads   # two runs of one thread against one of two threads
    python benchmarks/training.py memory    # blocked against plain loss at 128,256 entries
    python benchmarks/training.py rows      # that loss by the least rows of a block

Each prints one JSON document. Contestants take turns step by step, so that whatever else the
machine does falls on all of them; the best step of each is reported beside the median.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812

from synthlaw.common.machine import processor_name
from synthlaw.training import loss as blocked
from synthlaw.training.config import TrainingConfig
from synthlaw.training.device import (
    autocast,
    bf16_instructions,
    choose_device,
    instruction_sets,
)
from synthlaw.training.loss import summed_cross_entropy
from synthlaw.training.model import Llama, attend, initialise
from synthlaw.training.optimizer import build_optimizer
from synthlaw.training.presets import LLAMA3_VOCAB, ModelShape, flops_per_token, preset

CPU = torch.device("cpu")


def transformers_model(shape: ModelShape, context: int) -> torch.nn.Module:
    """Hugging Face's Llama of the same shape, at its default attention."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=shape.vocab,
            hidden_size=shape.dim,
            intermediate_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            max_position_embeddings=context,
            rms_norm_eps=shape.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
            tie_word_embeddings=True,
            use_cache=False,
        )
    )


def litgpt_model(shape: ModelShape, context: int) -> torch.nn.Module:
    """litgpt's model of the same shape, head tied as here."""
    from litgpt import GPT, Config

    model = GPT(
        Config(
            name="llama",
            block_size=context,
            n_layer=shape.layers,
            n_embd=shape.dim,
            n_head=shape.heads,
            padded_vocab_size=shape.vocab,
            vocab_size=shape.vocab,
            rotary_percentage=1.0,
            parallel_residual=False,
            bias=False,
            norm_class_name="RMSNorm",
            norm_eps=shape.norm_eps,
            mlp_class_name="LLaMAMLP",
            intermediate_size=shape.hidden,
            rope_base=int(shape.rope_theta),
        )
    )
    model.lm_head.weight = model.transformer.wte.weight
    return model


def training_step(
    model: torch.nn.Module, config: TrainingConfig, loss_of: Callable[[torch.Tensor], torch.Tensor]
) -> Callable[[], None]:
    """One optimizer step on random tokens, everything that a run's step does."""
    optimizer = build_optimizer(model, config)
    generator = torch.Generator().manual_seed(0)
    device = choose_device(config.device)
    size = (config.rows, config.context + 1)

    def step() -> None:
        rows = torch.randint(config.shape.vocab, size, generator=generator).to(device)
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, config.dtype):
            loss = loss_of(rows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        loss.item()

    return step


def our_step(config: TrainingConfig, compiled: bool) -> Callable[[], None]:
    """A step of our model."""
    model = Llama(config.shape)
    initialise(model, 0)
    model.to(choose_device(config.device))
    if compiled:
        for block in model.layers:
            block.compile()
    return training_step(
        model, config, lambda rows: model(rows[:, :-1], rows[:, 1:]) / config.batch_tokens
    )


def their_step(config: TrainingConfig, compiled: bool) -> Callable[[], None]:
    """A step of transformers' model, whose loss shifts the labels inside: one target less a row."""
    model = transformers_model(config.shape, config.context).to(choose_device(config.device))
    call = torch.compile(model) if compiled else model
    return training_step(model, config, lambda rows: call(rows[:, :-1], labels=rows[:, :-1]).loss)


def litgpt_step(config: TrainingConfig, compiled: bool) -> Callable[[], None]:
    """A step of litgpt's model with its own chunked loss."""
    from litgpt.utils import chunked_cross_entropy

    model = litgpt_model(config.shape, config.context)
    call = torch.compile(model) if compiled else model
    return training_step(
        model, config, lambda rows: chunked_cross_entropy(call(rows[:, :-1]), rows[:, 1:])
    )


def step_clock() -> Callable[[], float]:
    """CPU seconds where one thread works, else wall time."""
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def interleaved(steps: dict[str, Callable[[], None]], seconds: float) -> dict[str, list[float]]:
    """Seconds of each step of each contestant, taking turns, after one step of warm-up.

    On one thread they are CPU seconds, which other work on the machine does not stretch.
    """
    clock = step_clock()
    for step in steps.values():
        step()
    taken: dict[str, list[float]] = {name: [] for name in steps}
    until = time.monotonic() + seconds
    while time.monotonic() < until or not all(taken.values()):
        for name, step in steps.items():
            started = clock()
            step()
            taken[name].append(clock() - started)
    return taken


def matmul_peak(dtype: torch.dtype, size: int = 1024, seconds: float = 1.0) -> float:
    """Best measured FLOP/s of one square product, the peak that a step is held against."""
    a, b = torch.randn(2, size, size).to(dtype)
    best, clock = float("inf"), step_clock()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        started = clock()
        a @ b
        best = min(best, clock() - started)
    return 2 * size**3 / best


def speed(arguments: argparse.Namespace) -> dict[str, object]:
    """Tokens per second of every model, all eager or (with --compile) all compiled."""
    config = config_of(arguments)
    makers = {"synthlaw": our_step, "transformers": their_step, "litgpt": litgpt_step}
    for package in ("transformers", "litgpt"):
        if importlib.util.find_spec(package) is None:
            del makers[package]
    steps = {name: make(config, arguments.compile) for name, make in makers.items()}
    taken = interleaved(steps, arguments.seconds)
    per_token = flops_per_token(config.shape, config.context)
    peak = matmul_peak(torch.bfloat16 if config.dtype == "bf16" else torch.float32)
    table = {}
    for name, times in taken.items():
        rate = config.batch_tokens / min(times)
        table[name] = {
            "tokens_per_second": round(rate),
            "median": round(config.batch_tokens / statistics.median(times)),
            "steps": len(times),
            "share_of_peak": round(rate * per_token / peak, 3),
        }
    best = {name: figures["tokens_per_second"] for name, figures in table.items()}
    others = [rate for name, rate in best.items() if name != "synthlaw"]
    return {
        "dtype": config.dtype,
        "processor": processor_name(),
        "instruction_sets": instruction_sets(),
        "compiled": arguments.compile,
        "flops_per_token": per_token,
        "peak_flops": peak,
        "models": table,
        "ratio_to_the_faster": round(best["synthlaw"] / max(others), 3) if others else None,
    }


def parts(arguments: argparse.Namespace) -> dict[str, object]:
    """Seconds of a compiled step by part: each part alone, forward and backward, and the rest.

    The rest is norms, rotation, gates, residuals, embedding and Python, by difference. `ideal` is
    what the part's FLOPs take at the measured peak.
    """
    config = config_of(arguments)
    shape, tokens = config.shape, config.batch_tokens
    inputs = torch.randn(tokens, shape.dim).bfloat16().requires_grad_()
    inner = torch.randn(tokens, shape.hidden).bfloat16().requires_grad_()
    square = torch.randn(shape.dim, shape.dim).bfloat16().requires_grad_()
    wide = torch.randn(shape.hidden, shape.dim).bfloat16().requires_grad_()
    narrow = torch.randn(shape.dim, shape.hidden).bfloat16().requires_grad_()
    heads = (config.rows, shape.heads, config.context, shape.head_dim)
    query, key, value = (torch.randn(heads).bfloat16().requires_grad_() for _ in range(3))
    head = torch.randn(shape.vocab, shape.dim).requires_grad_()
    targets = torch.randint(shape.vocab, (tokens,))
    attention = torch.compile(attend)

    def projections() -> None:
        for weight, count in ((square, 4), (wide, 2)):
            for _ in range(count):
                F.linear(inputs, weight).backward(torch.empty(tokens, len(weight)).bfloat16())
        F.linear(inner, narrow).backward(torch.empty(tokens, shape.dim).bfloat16())

    def mixing() -> None:
        attention(query, key, value).backward(query.detach())

    def head_and_loss() -> None:
        with autocast(CPU, config.dtype):
            total = summed_cross_entropy(inputs, head, targets)
        total.backward()

    model = Llama(shape)
    initialise(model, 0)
    optimizer = build_optimizer(model, config)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()

    work = {
        "step": our_step(config, True),
        "projections": projections,
        "attention": mixing,
        "head_and_loss": head_and_loss,
        "optimizer": update,
    }
    best = {name: min(times) for name, times in interleaved(work, arguments.seconds).items()}
    peak = matmul_peak(torch.bfloat16)
    flops = {
        "step": flops_per_token(shape, config.context) * tokens,
        "projections": 6.0 * (shape.params - shape.dim) * tokens,
        "attention": 6.0 * shape.layers * shape.dim * (config.context + 1) * tokens,
        "head_and_loss": 6.0 * shape.vocab * shape.dim * tokens,
    }
    for name in ("projections", "attention"):
        best[name] *= shape.layers
    counted = sum(seconds for name, seconds in best.items() if name != "step")
    best["rest"] = best["step"] - counted
    return {
        "peak_flops": peak,
        "parts": {
            name: {
                "seconds": round(seconds, 4),
                "share": round(seconds / best["step"], 3),
                "ideal": round(flops[name] / peak, 4) if name in flops else None,
            }
            for name, seconds in best.items()
        },
    }


def native_dtype() -> str:
    """bf16 where this processor multiplies it by instructions of its own."""
    return "bf16" if bf16_instructions(CPU) else "fp32"


def config_of(arguments: argparse.Namespace) -> TrainingConfig:
    """The run that the arguments describe: a preset, or width, layers and heads."""
    if "x" in arguments.shape:
        dim, layers, heads = map(int, arguments.shape.split("x"))
        shape = ModelShape(dim=dim, layers=layers, heads=heads, vocab=arguments.vocab)
    else:
        shape = preset(arguments.shape, arguments.vocab)
    return TrainingConfig(
        shape=shape,
        context=arguments.context,
        batch_tokens=arguments.rows * arguments.context,
        budget=arguments.rows * arguments.context,
        dtype=arguments.dtype,
        device="cpu",
    )


def threads(arguments: argparse.Namespace) -> dict[str, object]:
    """Tokens per second of two one-thread processes at once and of one two-thread process."""
    command = [sys.executable, __file__, "worker", "--shape", arguments.shape]
    command += ["--context", str(arguments.context), "--rows", str(arguments.rows)]
    command += ["--seconds", str(arguments.seconds), "--dtype", arguments.dtype]

    def total(count: int, each: int) -> float:
        running = [
            subprocess.Popen([*command, "--threads", str(each)], stdout=subprocess.PIPE, text=True)
            for _ in range(count)
        ]
        answers = [json.loads(process.communicate()[0]) for process in running]
        return sum(answer["tokens_per_second"] for answer in answers)

    pairs = [(total(2, 1), total(1, 2)) for _ in range(arguments.repeats)]
    best = [max(column) for column in zip(*pairs, strict=True)]
    return {"two_of_one": best[0], "one_of_two": best[1], "ratio": best[0] / best[1]}


def worker(arguments: argparse.Namespace) -> dict[str, object]:
    """One of the processes of `threads`: mean tokens per second over its time."""
    config = config_of(arguments)
    times = interleaved({"run": our_step(config, False)}, arguments.seconds)["run"]
    return {"tokens_per_second": config.batch_tokens * len(times) / sum(times)}


def memory(arguments: argparse.Namespace) -> dict[str, object]:
    """Peak memory that a loss and its gradients add, blocked and plain, each in its own process."""
    command = [sys.executable, __file__, "loss", "--tokens", str(arguments.tokens)]
    command += ["--dtype", arguments.dtype]
    found = {}
    for kind in ("blocked", "plain"):
        done = subprocess.run([*command, "--kind", kind], capture_output=True, check=True)
        found[kind] = json.loads(done.stdout)
    ratio = found["plain"]["added_bytes"] / found["blocked"]["added_bytes"]
    return {**found, "ratio": round(ratio, 2)}


def loss(arguments: argparse.Namespace) -> dict[str, object]:
    """Peak memory of one loss with gradients over 128,256 entries at width 576."""
    hidden = torch.randn(arguments.tokens, 576, requires_grad=True)
    head = torch.randn(LLAMA3_VOCAB, 576).mul_(576**-0.5).requires_grad_()
    targets = torch.randint(LLAMA3_VOCAB, (arguments.tokens,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    with autocast(CPU, arguments.dtype):
        if arguments.kind == "blocked":
            total = summed_cross_entropy(hidden, head, targets)
        else:
            total = F.cross_entropy((hidden @ head.T).float(), targets, reduction="sum")
    total.backward()
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"added_bytes": (after - before) * 1024, "seconds": round(seconds, 2)}


def rows(arguments: argparse.Namespace) -> dict[str, object]:
    """Seconds of one loss with gradients over 128,256 entries: by least rows of a block, plain."""
    hidden = torch.randn(arguments.tokens, 576, requires_grad=True)
    head = torch.randn(LLAMA3_VOCAB, 576).mul_(576**-0.5).requires_grad_()
    targets = torch.randint(LLAMA3_VOCAB, (arguments.tokens,))

    def step(least: int) -> None:
        blocked.LEAST_ROWS = least
        hidden.grad = head.grad = None
        with autocast(CPU, arguments.dtype):
            total = summed_cross_entropy(hidden, head, targets)
        total.backward()

    def plain() -> None:
        hidden.grad = head.grad = None
        with autocast(CPU, arguments.dtype):
            total = F.cross_entropy((hidden @ head.T).float(), targets, reduction="sum")
        total.backward()

    work = {str(least): functools.partial(step, least) for least in (16, 32, 64, 128, 256)}
    work["plain"] = plain
    taken = interleaved(work, arguments.seconds)
    return {
        least: {
            "best": round(min(times), 3),
            "median": round(statistics.median(times), 3),
            "steps": len(times),
        }
        for least, times in taken.items()
    }


def main() -> None:
    """Run the benchmark named on the command line and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = {
        "speed": speed,
        "parts": parts,
        "threads": threads,
        "memory": memory,
        "worker": worker,
        "loss": loss,
        "rows": rows,
    }
    parser.add_argument("what", choices=kinds)
    parser.add_argument("--shape", default="256x4x4", help="preset, or WIDTHxLAYERSxHEADS")
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--dtype", choices=["bf16", "fp32"], default=native_dtype())
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--kind", choices=["blocked", "plain"], default="blocked")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(json.dumps(kinds[arguments.what](arguments), indent=2))


if __name__ == "__main__":
    main()
