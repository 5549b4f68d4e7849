"""What a provider says a call used, under one set of names whoever said it.

Cached, written, audio and image tokens are counted *inside* `prompt`, reasoning tokens inside `completion`, as OpenAI
has them. Anthropic counts cached and written ones beside its input tokens: they are added here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

Counts = Mapping[str, Any]


@dataclass(frozen=True)
class Usage:
    """Tokens of one call; None where it is not known, which a detail (all but the first two) often is."""

    prompt: int | None = None
    completion: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_in: int | None = None
    audio_out: int | None = None
    audio_cached: int | None = None
    image_in: int | None = None
    image_out: int | None = None
    image_cached: int | None = None
    requests: int = 1

    def __bool__(self) -> bool:
        return self.prompt is not None or self.completion is not None

    def __add__(self, other: Usage) -> Usage:
        """Tokens of two calls together: a detail that one of them does not tell counts as none."""
        return Usage(
            **{
                field.name: _sum(getattr(self, field.name), getattr(other, field.name))
                for field in fields(self)
            }
        )


def _sum(one: int | None, other: int | None) -> Any:
    return one if other is None else other if one is None else one + other


def read(counts: object) -> Usage:
    """Usage as a provider or Weave reports it; what cannot be tokens counts as not told.

    >>> read({"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8}})
    Usage(prompt=12, completion=3, cached=8, cache_write=None, cache_write_1h=None, reasoning=None, \
audio_in=None, audio_out=None, audio_cached=None, image_in=None, image_out=None, image_cached=None, requests=1)
    """
    if not isinstance(counts, Mapping):
        return Usage()
    if "promptTokenCount" in counts or "prompt_token_count" in counts:
        return _google(counts)
    prompt, completion = _first(counts, "prompt_tokens", "input_tokens"), _completion(counts)
    if _is_anthropic(counts):
        return _anthropic(counts, prompt, completion)
    return _openai(counts, prompt, completion)


def _completion(counts: Counts) -> int | None:
    told = _first(counts, "completion_tokens", "output_tokens")
    if told is not None:
        return told
    # embeddings tell only the prompt and the total
    total, prompt = _first(counts, "total_tokens"), _first(counts, "prompt_tokens", "input_tokens")
    return total - prompt if total is not None and prompt is not None and total >= prompt else None


def _openai(counts: Counts, prompt: int | None, completion: int | None) -> Usage:
    inside = _under(counts, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    out = _under(
        counts, "completion_tokens_details", "output_tokens_details", "output_token_details"
    )
    cached = _under(inside, "cached_tokens_details")
    return Usage(
        prompt=prompt,
        completion=completion,
        cached=_first(inside, "cached_tokens"),
        cache_write=_first(inside, "cache_write_tokens", "cache_creation_tokens"),
        reasoning=_first(out, "reasoning_tokens"),
        audio_in=_first(inside, "audio_tokens"),
        audio_out=_first(out, "audio_tokens"),
        audio_cached=_first(cached, "audio_tokens"),
        image_in=_first(inside, "image_tokens"),
        image_out=_first(out, "image_tokens"),
        image_cached=_first(cached, "image_tokens"),
        requests=_first(counts, "requests") or 1,
    )


def _is_anthropic(counts: Counts) -> bool:
    """Weave adds the cache's names to what OpenAI says too; the details tell the two apart."""
    named = any(f"cache_{did}_input_tokens" in counts for did in ("read", "creation"))
    return named and "input_tokens" in counts and "input_tokens_details" not in counts


def _anthropic(counts: Counts, prompt: int | None, completion: int | None) -> Usage:
    read_ = _first(counts, "cache_read_input_tokens")
    written = _first(counts, "cache_creation_input_tokens")
    hour = _first(_under(counts, "cache_creation"), "ephemeral_1h_input_tokens")
    whole = None if prompt is None else prompt + (read_ or 0) + (written or 0)
    return Usage(
        prompt=whole,
        completion=completion,
        cached=read_,
        cache_write=written,
        cache_write_1h=hour,
        requests=_first(counts, "requests") or 1,
    )


def _google(counts: Counts) -> Usage:
    thoughts = _first(counts, "thoughtsTokenCount", "thoughts_token_count")
    answered = _first(counts, "candidatesTokenCount", "candidates_token_count")
    return Usage(
        prompt=_first(counts, "promptTokenCount", "prompt_token_count"),
        completion=None
        if answered is None and thoughts is None
        else (answered or 0) + (thoughts or 0),
        cached=_first(counts, "cachedContentTokenCount", "cached_content_token_count"),
        reasoning=thoughts,
    )


def _under(counts: Counts, *names: str) -> Counts:
    return next((counts[name] for name in names if isinstance(counts.get(name), Mapping)), {})


def _first(counts: Counts, *names: str) -> int | None:
    """The first of the names that is a count: a whole number from 0, which a bool is not."""
    for name in names:
        value = counts.get(name)
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is int and value >= 0:
            return value
    return None
