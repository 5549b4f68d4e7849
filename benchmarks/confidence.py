"""How well confidence is calibrated before and after labels, and how well each rung tells right answers from wrong ones.

    python benchmarks/confidence.py [--quick] [--check]

Two tasks, on text that no model was trained for:

1. *Words.* A small language model (`confidence_model.py`: real log-probabilities) is given text it has not seen up to the first
   letter of a word and says the word. Right: it is the one that stands there. Rungs: its log-probabilities, the
   agreement of five samples, whether the text before has the word (support), and a confidence it states. The last is a
   simulation, for the model cannot talk: log odds of its own probability of the word, pushed up by 1.5 with noise of
   deviation 1.5, rounded to 5%, as people found of large models.
2. *Documents.* A simulation of retrieval: an answer is a sentence of a document with one word in six left out and its number
   and names kept (right), or such a sentence with a number or a name changed, or one of another document (wrong).
   Only support is there.

Half of the answers are labels to fit on, the figures are of the other half. ECE is over ten bins of equal size with a 95%
bootstrap interval; "chance" is what perfectly calibrated scores would show with as many labels.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import re
import sys
import time
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

from confidence_model import Model, texts

from llmwatch.scorers import calibration, confiding, wording
from llmwatch.scorers.calibration_quality import Quality, quality

ECE_BAR = 0.03
"""By which ECE after calibration may be above what perfectly calibrated scores would show."""
AUROC_BAR = 0.65
SAMPLES = 5
_WORD = re.compile(r"(?<= )[A-Za-z][a-z]{3,}(?=[ .,;:])")


@dataclass(frozen=True)
class Answer:
    row: dict[str, object]
    right: int


def words(model: Model, unseen: list[str], count: int) -> list[Answer]:
    chance = random.Random(5)
    places = [
        (text, found) for text in unseen for found in _WORD.finditer(text) if found.start() > 200
    ]
    return [_said(model, text, found, chance) for text, found in chance.sample(places, count)]


def _said(model: Model, text: str, place: re.Match[str], chance: random.Random) -> Answer:
    history, wanted = text[: place.start() + 1], place.group()
    rest, tokens = model.word(history)
    others = [wanted[0] + model.word(history, chance)[0] for _ in range(SAMPLES - 1)]
    word = wanted[0] + rest
    odds = _log_odds(math.exp(sum(logprob for _, logprob in tokens)))
    stated = round(20 / (1 + math.exp(-(odds + 1.5 + chance.gauss(0, 1.5))))) / 20
    content = {"content": [{"token": token, "logprob": logprob} for token, logprob in tokens]}
    choices: list[dict[str, object]] = [{"message": {"content": word}, "logprobs": content}]
    choices += [{"message": {"content": other}} for other in others]
    row = {
        "kind": "generation",
        "inputs": {"context": history[-2000:-1]},
        "output": {"choices": choices, "confidence": stated},
    }
    return Answer(row, int(word == wanted))


def _log_odds(p: float) -> float:
    p = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))


def documents(unseen: list[str], count: int) -> list[Answer]:
    chance = random.Random(6)
    held = [wording.sentences(line) for text in unseen for line in text.split("\n")]
    held = [found[:12] for found in held if len(found) >= 4]
    made = []
    while len(made) < count:
        document, other = chance.sample(held, 2)
        sentence = chance.choice(document)
        right = int(chance.random() < 0.5)
        if not right:
            sentence = _changed(sentence, chance) if chance.random() < 0.5 else chance.choice(other)
        row = {
            "kind": "generation",
            "inputs": {"context": " ".join(document)},
            "output": _shortened(sentence, chance),
        }
        made.append(Answer(row, right))
    return made


def _changed(sentence: str, chance: random.Random) -> str:
    """With a number another one, else with a made-up name where a word was."""
    if numbers := re.findall(r"\d+", sentence):
        return sentence.replace(chance.choice(numbers), str(chance.randrange(1000, 9999)), 1)
    parts = sentence.split()
    parts[chance.randrange(len(parts) // 2, len(parts))] = chance.choice(
        ["Vardøn Ltd.", "Okonedo", "Lisbon", "Halvorsen"]
    )
    return " ".join(parts)


def _shortened(sentence: str, chance: random.Random) -> str:
    keep = wording.names(sentence)
    return " ".join(
        word
        for word in sentence.split()
        if chance.random() > 1 / 6 or word in keep or any(c.isdigit() for c in word)
    )


def measure(
    title: str, answers: list[Answer], rungs: tuple[str, ...]
) -> dict[str, tuple[Quality, Quality]]:
    """Before and after, for each rung that answers have; `ladder` is what Confidence says."""
    base = sum(answer.right for answer in answers) / len(answers)
    print(f"\n{title}: {len(answers):,} answers, {base:.1%} right, half of them labels to fit on")
    print(
        f"{'rung':10}{'n':>7}  {'ECE before':>23}{'ECE after':>24}{'chance':>8}{'Brier':>15}  {'AUROC':>21}"
    )
    found = {}
    for rung in (*rungs, "ladder"):
        chosen = rungs if rung == "ladder" else (rung,)
        pairs = [
            (score, answer.right)
            for answer in answers
            if (score := _score(answer, chosen)) is not None
        ]
        half = len(pairs) // 2
        fitted = calibration.fit(*_columns(pairs[:half]), rung)
        scores, labels = _columns(pairs[half:])
        before, after = (
            quality(scores, labels),
            quality([fitted.apply(score) for score in scores], labels),
        )
        found[rung] = before, after
        print(
            f"{rung:10}{before.n:>7}  {_ece(before):>23}{_ece(after):>24}{after.ece_floor:>8.3f}"
            f"{before.brier:>8.3f}>{after.brier:.3f}  {before.auroc:.3f} [{before.auroc_low:.3f}, {before.auroc_high:.3f}]  {fitted.kind}"
        )
    return found


def _score(answer: Answer, rungs: tuple[str, ...]) -> float | None:
    found = confiding.score(answer.row, rungs=rungs)
    return found["score"] if found else None


def _columns(pairs: list[tuple[float, int]]) -> tuple[list[float], list[int]]:
    return [score for score, _ in pairs], [right for _, right in pairs]


def _ece(found: Quality) -> str:
    return f"{found.ece:.3f} [{found.ece_low:.3f}, {found.ece_high:.3f}]"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument(
        "--quick", action="store_true", help="a smaller model and fewer answers, under 45 s"
    )
    options.add_argument("--check", action="store_true", help="exit 1 when a bar is missed")
    chosen = options.parse_args()
    started = time.perf_counter()
    read = texts(600_000 if chosen.quick else 4_000_000)
    held = [text for n, text in enumerate(read) if n % 5 == 0]
    model = Model("\n".join(text for n, text in enumerate(read) if n % 5))
    print(
        f"learnt from {sum(map(len, read)) - sum(map(len, held)):,} characters in {time.perf_counter() - started:.1f} s"
    )
    said = measure("words", words(model, held, 1500 if chosen.quick else 6000), confiding.RUNGS)
    backed = measure(
        "documents (simulated)", documents(held, 1500 if chosen.quick else 6000), ("support",)
    )
    print(f"\n{time.perf_counter() - started:.0f} s")
    return verdict({**said, "documents": backed["support"]}, check=chosen.check)


def verdict(found: dict[str, tuple[Quality, Quality]], *, check: bool) -> int:
    """Calibrated scores err by little more than chance would, and the rungs that know something tell right from wrong."""
    worst = max(after.ece - after.ece_floor for _, after in found.values())
    areas = {rung: found[rung][0].auroc or 0 for rung in ("logprobs", "samples", "documents")}
    lowest = min(areas, key=lambda rung: areas[rung])
    print(
        f"ECE after calibration is at most {worst:.3f} above chance (bar {ECE_BAR}); "
        f"lowest AUROC of log-probabilities, samples and document support {areas[lowest]:.3f}, of {lowest} (bar {AUROC_BAR})"
    )
    return int(check and not (worst <= ECE_BAR and areas[lowest] >= AUROC_BAR))


if __name__ == "__main__":
    sys.exit(main())
