"""Log-probabilities for the tokens of a reply, drawn around the confidence it was given."""

from __future__ import annotations

import math
from typing import Any

from .deterministic import draw

_ALTERNATIVES = (
    " the", " a", " to", " and", " is", " of", " in", " you", " it", " that", " for", " on", " not",
    " can", " with", " as", " this", " your", " or", " be", " from", " will",
)  # fmt: skip


def token_logprobs(
    pieces: list[str], *, confidence: float, top: int, seed: object
) -> list[dict[str, Any]]:
    """One entry a token, with its ``top`` most likely alternatives, itself first."""
    return [_entry(piece, confidence, top, (seed, index)) for index, piece in enumerate(pieces)]


def _entry(piece: str, confidence: float, top: int, seed: object) -> dict[str, Any]:
    probability = _probability(confidence, draw("logprob", seed, piece))
    likely = [_token(piece, probability), *_alternatives(piece, 1 - probability, top)]
    likely.sort(key=lambda entry: -entry["logprob"])
    return {**_token(piece, probability), "top_logprobs": likely[:top]}


def _probability(confidence: float, chance: float) -> float:
    """Mostly surer than the confidence, now and then much less so, as real models are."""
    sure = min(max(confidence, 1e-6), 1.0)
    return float(min(0.999999, sure ** (3 * chance**2)))


def _alternatives(piece: str, mass: float, top: int) -> list[dict[str, Any]]:
    others = [other for other in _ALTERNATIVES if other != piece][: max(top, 0)]
    return [_token(other, mass / 2 ** (rank + 1)) for rank, other in enumerate(others)]


def _token(piece: str, probability: float) -> dict[str, Any]:
    logprob = round(math.log(max(probability, 1e-9)), 6)
    return {"token": piece, "logprob": logprob, "bytes": list(piece.encode("utf-8", "replace"))}
