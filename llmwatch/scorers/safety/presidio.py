"""Microsoft Presidio beside our own patterns: more kinds of numbers, and names where spaCy has a model for them."""

from __future__ import annotations

import functools
from typing import Any

from llmwatch.errors import MissingExtra
from llmwatch.scorers.safety.findings import Span, masked

_NOBODYS = frozenset({"date_time", "url"})  # of themselves they name no person
LONGEST = 20_000  # characters of one text that are given to it: it takes milliseconds a thousand


class Presidio:
    """Presidio's analyzer, with an installed spaCy model when there is one, with patterns alone when not."""

    def __init__(self, language: str = "en") -> None:
        self.language = language
        self._analyzer = _analyzer(language)

    def find(self, text: str) -> list[Span]:
        """What Presidio finds, under its own names in lower case."""
        found = self._analyzer.analyze(text=text[:LONGEST], language=self.language)
        return [
            Span(
                "pii",
                kind,
                r.start,
                r.end,
                round(float(r.score), 4),
                masked(kind, text[r.start : r.end]),
            )
            for r in found
            for kind in [str(r.entity_type).lower()]
            if kind not in _NOBODYS
        ]


@functools.cache
def _analyzer(language: str) -> Any:
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import SpacyNlpEngine
    except ImportError as error:
        raise MissingExtra("presidio", "Safety(presidio=True)") from error
    names = [name for name in spacy.util.get_installed_models() if name.startswith(f"{language}_")]
    name = min(names, default="")
    model = spacy.load(name) if name else spacy.blank(language)
    engine = SpacyNlpEngine(models=[{"lang_code": language, "model_name": name or "blank"}])
    engine.nlp = {language: model}
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=[language])
    for name in ("EmailRecognizer", "UrlRecognizer"):
        # These ask the network for a list of domains. Our own patterns know mail addresses.
        analyzer.registry.remove_recognizer(name)
    return analyzer
