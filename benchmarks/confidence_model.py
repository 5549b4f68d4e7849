"""A small language model with real log-probabilities: characters, up to eight back, learnt from the docs of Python itself."""

from __future__ import annotations

import ast
import math
import random
import sysconfig
from pathlib import Path

import numpy as np

ORDER = 8
_BASE = np.uint64(1_000_003)
_LONGEST_WORD = 24


def texts(limit: int) -> list[str]:
    """Docstrings of the standard library's modules, one text a file, the same on every run."""
    root = Path(sysconfig.get_paths()["stdlib"])
    found, total = [], 0
    for path in sorted(root.rglob("*.py")):
        if "site-packages" in path.parts or "test" in path.parts or "idlelib" in path.parts:
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        docs = [
            ast.get_docstring(node) or ""
            for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        ]
        text = "\n".join(" ".join(doc.split()) for doc in docs if len(doc) > 80)
        if len(text) > 500:
            found.append(text.encode("ascii", "ignore").decode())
            total += len(found[-1])
        if total > limit:
            break
    return found


class Model:
    """Counts of what follows each context, mixed from long to short as Witten and Bell did."""

    def __init__(self, text: str) -> None:
        codes = np.frombuffer(text.encode("ascii"), dtype=np.uint8).astype(np.uint64)
        self._orders = [self._counted(codes, order) for order in range(ORDER + 1)]

    @staticmethod
    def _counted(codes: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sorted context hashes with the character after each, and how often."""
        after = codes[order:]
        hashes = np.zeros(len(after), dtype=np.uint64)
        with np.errstate(over="ignore"):
            for back in range(order):
                hashes = hashes * _BASE + codes[back : back + len(after)] + np.uint64(1)
            keys = np.stack([hashes, after])
        place = np.lexsort((keys[1], keys[0]))
        hashes, after = keys[0][place], keys[1][place]
        first = np.flatnonzero(
            np.append([True], (hashes[1:] != hashes[:-1]) | (after[1:] != after[:-1]))
        )
        counts = np.diff(np.append(first, len(after)))
        return hashes[first], after[first].astype(np.int64), counts

    def after(self, history: str) -> np.ndarray:
        """The probability of each of 128 characters."""
        codes = history[-ORDER:].encode("ascii")
        p = np.full(128, 1 / 128)
        for order, (hashes, after, counts) in enumerate(self._orders[: len(codes) + 1]):
            context = np.uint64(_hash(codes[len(codes) - order :]))
            low, high = (
                np.searchsorted(hashes, context, "left"),
                np.searchsorted(hashes, context, "right"),
            )
            if low == high:
                break
            seen = counts[low:high]
            kinds, total = high - low, seen.sum()
            p = p * (kinds / (total + kinds))
            p[after[low:high]] += seen / (total + kinds)
        return p

    def word(
        self, history: str, chance: random.Random | None = None
    ) -> tuple[str, list[tuple[str, float]]]:
        """The rest of a word, the likeliest or by chance, with each character's log-probability; a space ends it."""
        said: list[tuple[str, float]] = []
        while len(said) < _LONGEST_WORD:
            p = self.after(history)
            code = int(np.argmax(p)) if chance is None else chance.choices(range(128), p)[0]
            said.append((chr(code), math.log(max(p[code], 1e-30))))
            if not chr(code).isalpha():
                break
            history += chr(code)
        return "".join(c for c, _ in said if c.isalpha()), said


def _hash(codes: bytes) -> int:
    value = 0
    for code in codes:
        value = (value * int(_BASE) + code + 1) & 0xFFFFFFFFFFFFFFFF
    return value
