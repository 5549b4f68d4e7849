"""``/moderations``: categories scored by lists of words, which is enough to exercise a caller."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .deterministic import draw, identifier
from .errors import missing

if TYPE_CHECKING:
    from .request import Request

_PATTERNS = {
    "harassment": r"idiots?|stupid|morons?|losers?|pathetic|shut up",
    "harassment/threatening": r"i(?:'ll| will) (?:hurt|find|get|kill) you|watch your back",
    "hate": r"(?:hate|despise) (?:all )?(?:immigrants|foreigners|women|men|jews|muslims|christians)",
    "hate/threatening": r"(?:kill|wipe out|exterminate) (?:all )?(?:immigrants|foreigners|jews|muslims)",
    "illicit": r"(?:cook|make|buy|sell) (?:meth|cocaine|heroin|drugs)|launder money|fake passports?",
    "illicit/violent": r"(?:build|make) (?:a )?(?:pipe )?bombs?|untraceable guns?",
    "self-harm": r"suicide|self[- ]harm|cut myself|kill myself|end my life",
    "self-harm/intent": r"(?:i want to|i(?:'m| am) going to|i will) (?:kill|hurt|cut) myself|end my life",
    "self-harm/instructions": r"how (?:to|do i) (?:kill|hurt|cut) myself|painless suicide",
    "sexual": r"porn\w*|explicit sex|nudes?",
    "sexual/minors": r"child porn\w*",
    "violence": r"kill(?:ed|ing)?|murder\w*|stab(?:bed|bing)?|shoot (?:him|her|them|you)|bombs?",
    "violence/graphic": r"gore|dismember\w*|blood everywhere|decapitat\w*",
}
_COMPILED = {
    name: re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE) for name, pattern in _PATTERNS.items()
}
_FLAGGED = 0.5


def moderate(request: Request) -> dict[str, Any]:
    """Answer a moderation request: one result a text; parts of one message are one text."""
    given = request.body.get("input")
    if not given:
        raise missing("input")
    return {
        "id": identifier("modr-", request.fingerprint, request.occurrence),
        "model": request.model or "omni-moderation-latest",
        "results": [_result(text) for text in _texts(given)],
    }


def _texts(given: Any) -> list[str]:
    if isinstance(given, str):
        return [given]
    if all(isinstance(one, str) for one in given):
        return list(given)
    return ["\n".join(part.get("text", "") for part in given)]


def _result(text: str) -> dict[str, Any]:
    scores = {name: _score(name, pattern, text) for name, pattern in _COMPILED.items()}
    categories = {name: score > _FLAGGED for name, score in scores.items()}
    return {
        "flagged": any(categories.values()),
        "categories": categories,
        "category_scores": scores,
        "category_applied_input_types": {name: ["text"] for name in scores},
    }


def _score(name: str, pattern: re.Pattern[str], text: str) -> float:
    noise = draw("moderation", name, text)
    hits = len(pattern.findall(text))
    return round(1 - 0.3 ** (hits + 0.5) * (0.5 + noise / 2), 6) if hits else round(noise / 200, 6)
