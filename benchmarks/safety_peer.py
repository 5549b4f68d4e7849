"""The peers of `safety.py`, in an environment of their own: it says what each finds in given texts, and how long it took.

python benchmarks/safety_peer.py JOB.json ANSWER.json
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_kept: list[Any] = []
Found = list[tuple[str, int, int]]
Finder = Callable[[str], Found]

PRESIDIO = {
    "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "credit_card", "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip_address", "US_SSN": "us_ssn", "US_ITIN": "us_itin", "UK_NHS": "uk_nhs", "UK_NINO": "uk_nino",
    "ES_NIF": "es_id", "ES_NIE": "es_id", "IT_FISCAL_CODE": "it_fiscal_code", "PERSON": "name", "LOCATION": "place",
}  # fmt: skip
DATAFOG = {"EMAIL": "email", "PHONE": "phone", "CREDIT_CARD": "credit_card", "SSN": "us_ssn", "IP_ADDRESS": "ip_address", "IBAN": "iban", "DE_TAX_ID": "de_tax_id"}  # fmt: skip
SCRUBADUB = {"email": "email", "phone": "phone", "credit_card": "credit_card", "social_security_number": "us_ssn", "name": "name"}  # fmt: skip


def presidio() -> Finder:
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    # no network here: what it would fetch comes with the package
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.nlp = {"en": spacy.blank("en")}
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])

    def find(text: str) -> Found:
        results = analyzer.analyze(text=text, language="en", score_threshold=0.4)
        return [
            (PRESIDIO[r.entity_type], r.start, r.end) for r in results if r.entity_type in PRESIDIO
        ]

    return find


def datafog() -> Finder:
    import datafog as package

    return lambda text: [
        (DATAFOG[e.type], e.start, e.end) for e in package.scan(text).entities if e.type in DATAFOG
    ]


def scrubadub() -> Finder:
    import scrubadub as package

    scrubber = package.Scrubber()
    return lambda text: [
        (SCRUBADUB[f.type], f.beg, f.end) for f in scrubber.iter_filth(text) if f.type in SCRUBADUB
    ]


def detect_secrets(*, sound: bool) -> Finder:
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings, get_settings

    context = default_settings()
    context.__enter__()
    _kept.append(context)  # collected, it would end
    if sound:
        get_settings().disable_plugins(
            "Base64HighEntropyString", "HexHighEntropyString", "KeywordDetector", "IPPublicDetector"
        )

    def find(text: str) -> Found:
        return [("secret", 0, 0) for line in text.splitlines() for _ in scan_line(line)]

    return find


def classifinder() -> Finder:
    import classifinder_engine as package

    return lambda text: [
        ("injection" if f.type.startswith("pi_") else "secret", f.span_start, f.span_end)
        for f in package.scan(text)
    ]


def better_profanity() -> Finder:
    from better_profanity import profanity

    return lambda text: [("coarse", 0, len(text))] if profanity.contains_profanity(text) else []


def alt_profanity_check() -> Finder:
    import profanity_check

    return lambda text: [("coarse", 0, len(text))] if profanity_check.predict([text])[0] else []


PEERS: dict[str, Callable[[], Finder]] = {
    "presidio, no NLP model": presidio,
    "datafog": datafog,
    "scrubadub": scrubadub,
    "detect-secrets, all": lambda: detect_secrets(sound=False),
    "detect-secrets, no entropy or keywords": lambda: detect_secrets(sound=True),
    "classifinder-engine": classifinder,
    "better-profanity": better_profanity,
    "alt-profanity-check": alt_profanity_check,
}


def main() -> int:
    logging.disable(logging.CRITICAL)
    job: dict[str, dict[str, Any]] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    answers = {}
    for name, texts in job.items():
        find = PEERS[name]()
        find("warm up: a@example.com")
        answers[name] = {
            "found": {
                key: [find(text) for text in group]
                for key, group in texts.items()
                if key != "timed"
            },
            "ms": milliseconds(find, texts["timed"]),
        }
    Path(sys.argv[2]).write_text(json.dumps(answers), "utf-8")
    return 0


def milliseconds(find: Finder, texts: list[str]) -> float:
    """CPU a text."""
    begun = time.process_time()
    for text in texts:
        find(text)
    return (time.process_time() - begun) / len(texts) * 1000


if __name__ == "__main__":
    raise SystemExit(main())
