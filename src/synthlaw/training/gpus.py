"""GPUs as their makers describe them, and what a study is planned with. Runs measure.

Figures are the makers' data sheets', without sparsity: NVIDIA's for A100 80GB SXM, H100 SXM, H200
SXM, B200 (HGX), L40S; AMD's for MI300X.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator

from synthlaw.common.settings import Count, Name, Settings


@dataclass(frozen=True)
class Gpu:
    """peak_flops: bf16 multiply-adds as 2 FLOP, per second. memory: bytes."""

    peak_flops: float
    memory: float


GPUS = {
    "a100": Gpu(312e12, 80e9),
    "h100": Gpu(989e12, 80e9),
    "h200": Gpu(989e12, 141e9),
    "b200": Gpu(2250e12, 180e9),
    "l40s": Gpu(362e12, 48e9),
    "mi300x": Gpu(1307e12, 192e9),
}


class GeneratorSettings(Settings):
    """What the generator does on one GPU, and what its tokens cost where they are bought."""

    tokens_per_second: Count | None = Field(
        None, description="tokens written per second and GPU; of a server's own figures"
    )
    price: float | None = Field(None, ge=0, description="money per million tokens written")


class PlanSettings(Settings):
    """The GPUs that `synthlaw plan` reckons with. Nothing here changes a run."""

    gpu: str | None = Field(None, description=f"the kind: {', '.join(GPUS)}")
    gpus: int = Field(1, gt=0, description="how many work at once")
    mfu: float = Field(
        0.4, gt=0, le=1, description="share of the GPU's dense bf16 peak that training reaches"
    )
    price: float | None = Field(None, ge=0, description="money per GPU and hour")
    generator: GeneratorSettings = Field(default_factory=GeneratorSettings)
    generators: dict[Name, GeneratorSettings] = Field(
        default_factory=dict, description="of generate.generators by name; default: plan.generator"
    )

    def of_generator(self, name: str) -> GeneratorSettings:
        """Speed and price of a generator by its name in the study."""
        own = self.generators.get(name, self.generator).model_dump(exclude_none=True)
        return GeneratorSettings(**{**self.generator.model_dump(), **own})

    @field_validator("gpu")
    @classmethod
    def _known(cls, value: str | None) -> Any:
        if value is not None and value.lower() not in GPUS:
            raise ValueError(f"found {value!r}; expected one of {', '.join(GPUS)}")
        return value and value.lower()
