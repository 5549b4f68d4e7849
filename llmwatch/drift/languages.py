"""A guess at the language of a prompt: by its script, and in Latin script by the small words that each language has.

It is meant to notice that prompts come in another language than they did, not to label each one rightly: a text that
is too short or has no telling word is `unknown`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

UNKNOWN = "unknown"
_LOOKED_AT = 600
_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS = {
    "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "CJK": "zh", "CYRILLIC": "ru", "GREEK": "el",
    "ARABIC": "ar", "HEBREW": "he", "DEVANAGARI": "hi", "THAI": "th", "BENGALI": "bn", "TAMIL": "ta",
}  # fmt: skip
_WORDS = {
    "en": "the and is are of to in that what how you my for with this do can a i it be on have not was please me",
    "de": "der die das und ist nicht ich ein eine zu mit wie kann den von mir auf für im dem was sie wird bitte",
    "fr": "le la les et est une des que je vous pour dans pas qui sur ce avec comment mon de du au un ne plus",
    "es": "el la los las y es una que de en por para con cómo no mi un del al se lo como puedo está qué su",
    "it": "il lo la gli e è una che di per con non come mi un del della sono nel al posso tuo da si le",
    "pt": "o a os as e é uma que de em por para com como não meu um do da no na se eu posso está você ao",
    "nl": "de het een en is van ik niet dat te hoe mijn op voor met kan je zijn aan er wat die ook",
    "pl": "i w nie na się jest to jak do z że mi co czy dla po od za mój jestem proszę ale",
    "sv": "och är det att en jag inte som på för med hur kan av till min den ett vad du om har",
    "tr": "ve bir bu için ile ne nasıl mi da de ben çok var daha gibi olarak değil benim",
    "id": "yang dan di ini itu dengan untuk tidak saya apa bagaimana ke dari ada bisa akan",
    "ro": "și este nu în să la cu pe că de un o ce mai din pentru cum sunt îmi care",
}  # fmt: skip
SMALL = frozenset(word for words in _WORDS.values() for word in words.split())
"""Words that every text has, whatever it is about."""
_SHARED = Counter(word for words in _WORDS.values() for word in set(words.split()))
_WEIGHTS = {
    lang: {word: 1.0 / _SHARED[word] for word in words.split()} for lang, words in _WORDS.items()
}


def guessed(texts: Sequence[str | None]) -> list[str | None]:
    return [None if text is None else guess(text) for text in texts]


def guess(text: str) -> str:
    """A two-letter code, or `unknown`.

    >>> guess("Wie kann ich das Passwort ändern?"), guess("Как сменить пароль?"), guess("42")
    ('de', 'ru', 'unknown')
    """
    text = text[:_LOOKED_AT].lower()
    script = _script(text)
    if script != "LATIN":
        return _SCRIPTS.get(script, UNKNOWN)
    words = _WORD.findall(text)
    said = {
        lang: sum(weights.get(word, 0.0) for word in words) for lang, weights in _WEIGHTS.items()
    }
    best, second = sorted(said.values())[-1:-3:-1]
    if best < 0.5 or best - second < 0.15 * best:
        return UNKNOWN
    return max(said, key=said.__getitem__)


def _script(text: str) -> str:
    """The script of most letters; one kana is enough for Japanese, which is mostly written in Chinese characters."""
    if text.isascii():
        return "LATIN" if any(map(str.isalpha, text)) else ""
    found = Counter(unicodedata.name(ch, "?").split()[0] for ch in text if ch.isalpha())
    if found["HIRAGANA"] or found["KATAKANA"]:
        return "HIRAGANA"
    return found.most_common(1)[0][0] if found else ""
