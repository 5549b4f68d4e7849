"""The arithmetic of money: what tokens cost at given rates, in decimals, and what could not be priced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from llmwatch.scorers.usage import Usage

MILLION = Decimal(1_000_000)
_FREE = Decimal(0)


@dataclass(frozen=True)
class Rate:
    """USD per million tokens; `above` are the rates for *all* tokens once the prompt is longer than that."""

    base: Decimal
    above: tuple[tuple[int, Decimal], ...] = ()

    def at(self, prompt: int) -> Decimal:
        return next((price for start, price in reversed(self.above) if prompt > start), self.base)


@dataclass(frozen=True)
class Rates:
    """What the tokens of a model cost at one time and tier, by kind of token.

    Kinds: `input`, `output`, `cached`, `cache_write`, `cache_write_1h`, `input_audio`, `output_audio`, `cached_audio`,
    `input_image`, `output_image`, `cached_image`, `reasoning`, and `request` (USD a request).
    """

    model: str
    priced_as: str
    provider: str | None
    tier: str
    source: str
    kinds: Mapping[str, Rate]

    def charge(self, usage: Usage) -> Charge:
        """What a usage costs; a total that is not known is None, never a part of it."""
        prompt = usage.prompt or 0
        sums = {"input": _FREE, "output": _FREE}
        unpriced = [f"{side} tokens" for side in _untold(usage)]
        for side, kind, tokens in _split(usage):
            if tokens == 0:
                continue
            rate = self._rate(kind)
            if rate is None:
                unpriced.append(kind)
            else:
                sums[side] += rate.at(prompt) * tokens / MILLION
        if (fee := self.kinds.get("request")) is not None:
            sums["input"] += fee.base * usage.requests
        return Charge(sums["input"], sums["output"], tuple(unpriced))

    def _rate(self, kind: str) -> Rate | None:
        return next((self.kinds[each] for each in _FALL_BACK[kind] if each in self.kinds), None)


@dataclass(frozen=True)
class Charge:
    """What one call costs. `unpriced` names the kinds of tokens that have no rate: then the total is not known."""

    input: Decimal
    output: Decimal
    unpriced: tuple[str, ...] = ()

    @property
    def at_least(self) -> Decimal:
        return self.input + self.output

    @property
    def total(self) -> Decimal | None:
        return None if self.unpriced else self.at_least


# A kind without a rate of its own is billed as the next: cached tokens as input where there is no discount, reasoning
# as output, images as text. Audio is not: it costs many times what text does, so without a rate it is not known.
_FALL_BACK = {
    "input": ("input",),
    "output": ("output",),
    "cached": ("cached", "input"),
    "cache_write": ("cache_write", "input"),
    "cache_write_1h": ("cache_write_1h", "cache_write", "input"),
    "reasoning": ("reasoning", "output"),
    "input_audio": ("input_audio",),
    "output_audio": ("output_audio",),
    "cached_audio": ("cached_audio", "input_audio"),
    "input_image": ("input_image", "input"),
    "output_image": ("output_image", "output"),
    "cached_image": ("cached_image", "input_image", "cached", "input"),
}
KINDS = frozenset(_FALL_BACK) | {"request"}


def _untold(usage: Usage) -> Iterator[str]:
    if usage.prompt is None:
        yield "input"
    if usage.completion is None:
        yield "output"


def _split(usage: Usage) -> Iterator[tuple[str, str, int]]:
    """(side, kind, tokens), each token once. A provider whose details do not add up never makes a cost negative."""
    cached = usage.cached or 0
    cached_audio, cached_image = usage.audio_cached or 0, usage.image_cached or 0
    audio, image = (usage.audio_in or 0) - cached_audio, (usage.image_in or 0) - cached_image
    written, hour = usage.cache_write or 0, usage.cache_write_1h or 0
    plain = (usage.prompt or 0) - cached - written - max(audio, 0) - max(image, 0)
    yield "input", "input", max(plain, 0)
    yield "input", "cached", max(cached - cached_audio - cached_image, 0)
    yield "input", "cached_audio", cached_audio
    yield "input", "cached_image", cached_image
    yield "input", "cache_write", max(written - hour, 0)
    yield "input", "cache_write_1h", hour
    yield "input", "input_audio", max(audio, 0)
    yield "input", "input_image", max(image, 0)
    said, shown, thought = usage.audio_out or 0, usage.image_out or 0, usage.reasoning or 0
    yield "output", "output", max((usage.completion or 0) - said - shown - thought, 0)
    yield "output", "output_audio", said
    yield "output", "output_image", shown
    yield "output", "reasoning", thought
