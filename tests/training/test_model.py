"""The model against transformers' Llama, and its loss against the plain formula."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from transformers import LlamaConfig, LlamaForCausalLM

from synthlaw.training import loss as loss_module
from synthlaw.training.config import Precision
from synthlaw.training.device import autocast
from synthlaw.training.loss import summed_cross_entropy, token_cross_entropy
from synthlaw.training.model import Llama, attend, initialise, same_document
from synthlaw.training.presets import PAPER_PRESETS, ModelShape, preset


def oracle_of(model: Llama) -> LlamaForCausalLM:
    shape = model.shape
    config = LlamaConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.dim,
        intermediate_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        rms_norm_eps=shape.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        max_position_embeddings=256,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    oracle = LlamaForCausalLM(config)
    weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    report = oracle.load_state_dict(weights, strict=False)
    assert report.missing_keys == ["lm_head.weight"]
    assert not report.unexpected_keys
    return oracle


def shrunk(name: str) -> ModelShape:
    """The preset with its head count and SwiGLU proportion, few layers, heads of 8."""
    full = preset(name)
    dim = 8 * full.heads
    return ModelShape(
        dim=dim, layers=2, heads=full.heads, vocab=301, hidden=round(full.hidden * dim / full.dim)
    )


@pytest.mark.isa
@pytest.mark.parametrize("shape", [shrunk(name) for name in PAPER_PRESETS], ids=PAPER_PRESETS)
def test_loss_and_gradients_equal_transformers(shape: ModelShape) -> None:
    model = Llama(shape)
    initialise(model, 1)
    oracle = oracle_of(model)
    tokens = torch.randint(shape.vocab, (3, 65), generator=torch.Generator().manual_seed(2))

    loss = model(tokens[:, :-1], tokens[:, 1:]) / (3 * 64)
    loss.backward()
    expected = oracle(tokens, labels=tokens).loss
    expected.backward()

    assert abs(float(loss.detach()) / float(expected.detach()) - 1) <= 1e-6
    theirs = {name.removeprefix("model."): p.grad for name, p in oracle.named_parameters()}
    for name, parameter in model.named_parameters():
        gap = (parameter.grad - theirs[name]).norm() / theirs[name].norm()
        assert gap <= 1e-6, name


def test_logits_equal_transformers() -> None:
    model = Llama(preset("0.1M", vocab=300))
    initialise(model, 3)
    tokens = torch.randint(300, (2, 40), generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(model(tokens), oracle_of(model)(tokens).logits)


def test_later_tokens_do_not_change_earlier_losses() -> None:
    model = Llama(preset("0.1M", vocab=300))
    initialise(model, 3)
    tokens = torch.randint(300, (1, 33), generator=torch.Generator().manual_seed(2))
    changed = tokens.clone()
    changed[0, 20:] = 0
    everywhere = torch.ones(1, 32, dtype=torch.bool)
    before = model.token_losses(tokens[:, :-1], tokens[:, 1:], everywhere)
    after = model.token_losses(changed[:, :-1], changed[:, 1:], everywhere)
    torch.testing.assert_close(before[:19], after[:19])
    assert (before[19:] != after[19:]).all()


@pytest.mark.isa
@pytest.mark.parametrize("tokens", [1, 16, 17, 100])
def test_blocked_loss_equals_plain(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_module, "BLOCK_LOGITS", 16 * 50)
    monkeypatch.setattr(loss_module, "LEAST_ROWS", 16)
    generator = torch.Generator().manual_seed(tokens)
    hidden = torch.randn(tokens, 12, generator=generator, dtype=torch.float64).requires_grad_()
    head = torch.randn(50, 12, generator=generator, dtype=torch.float64).requires_grad_()
    targets = torch.randint(50, (tokens,), generator=generator)

    plain = F.cross_entropy(hidden @ head.T, targets, reduction="sum")
    wanted = torch.autograd.grad(plain * 0.3, (hidden, head))
    found = summed_cross_entropy(hidden, head, targets)
    grads = torch.autograd.grad(found * 0.3, (hidden, head))

    torch.testing.assert_close(found.double(), plain, rtol=1e-6, atol=0)
    for ours, theirs in zip(grads, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    each = token_cross_entropy(hidden, head, targets)
    torch.testing.assert_close(
        each.double(),
        F.cross_entropy(hidden @ head.T, targets, reduction="none"),
        rtol=1e-5,
        atol=1e-6,
    )


def test_initialisation_is_a_function_of_the_seed() -> None:
    shape = preset("0.3M", vocab=500)
    first, second, other = Llama(shape), Llama(shape), Llama(shape)
    initialise(first, 5)
    torch.rand(7)
    initialise(second, 5)
    initialise(other, 6)
    for (name, a), b, c in zip(
        first.named_parameters(), second.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b)
        if a.dim() == 1:
            assert torch.equal(a, torch.ones_like(a))
            continue
        assert not torch.equal(a, c)
        # A normal cut at three deviations keeps 0.9866 of its deviation.
        assert float(a.detach().std()) == pytest.approx(0.9866 / math.sqrt(a.shape[1]), rel=0.05), (
            name
        )


def test_untrained_loss_is_near_uniform() -> None:
    shape = preset("0.3M", vocab=1000)
    model = Llama(shape)
    initialise(model, 5)
    tokens = torch.randint(1000, (4, 65), generator=torch.Generator().manual_seed(2))
    loss = float(model(tokens[:, :-1], tokens[:, 1:]).detach()) / (4 * 64)
    assert math.log(1000) < loss < math.log(1000) + 0.8


@pytest.mark.isa
@pytest.mark.parametrize("context", [40, 128, 300, 520])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_in_blocks_equals_torchs_own(context: int, masked: bool) -> None:
    """In bf16 on a CPU attention is multiplied out in blocks; fp32 through torch is the oracle."""
    generator = torch.Generator().manual_seed(context)
    parts = torch.randn(3, 2, 2, context, 16, generator=generator)
    tokens = torch.randint(50, (2, context), generator=generator)
    same = same_document(tokens, 3) if masked else None
    exact = [part.clone().requires_grad_() for part in parts]
    rough = [part.bfloat16().requires_grad_() for part in parts]
    for tensors in (exact, rough):
        out = attend(*tensors, same)
        (out.float() * parts[0]).sum().backward()
    assert (attend(*rough, same) - attend(*exact, same)).norm() <= 0.01 * parts[2].norm()
    for ours, theirs in zip(rough, exact, strict=True):
        assert (ours.grad - theirs.grad).norm() <= 0.02 * theirs.grad.norm()


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_masked_documents_do_not_see_each_other(dtype: Precision) -> None:
    """A row of three documents gives each the losses that it has alone in a row of its own."""
    model = Llama(preset("0.1M", vocab=300))
    initialise(model, 3)
    generator = torch.Generator().manual_seed(2)
    lengths, bos = (17, 1, 30), 0
    tokens = torch.randint(1, 300, (1, sum(lengths)), generator=generator)
    starts = [0, 17, 18]
    tokens[0, starts] = bos
    with torch.no_grad(), autocast(torch.device("cpu"), dtype):
        together = model.states(tokens, bos)
        tolerance = 1e-5 if dtype == "fp32" else 0.05
        for start, length in zip(starts, lengths, strict=True):
            alone = model.states(tokens[:, start : start + length])
            part = together[:, start : start + length]
            # Rotary attention depends on distances alone, so the place in the row is no matter.
            torch.testing.assert_close(part, alone, rtol=tolerance, atol=tolerance)
        assert not torch.allclose(together[:, 17:], model.states(tokens)[:, 17:], atol=0.1)
