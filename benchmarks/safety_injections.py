"""The part of `safety.py` on prompt injections: held out, elsewhere, one set alone, disguised."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import safety_sets as sets
from safety_sets import mean, share

from llmwatch.scorers.safety import injection
from llmwatch.scorers.safety.plain import plain
from llmwatch.scorers.safety.policy import POLICIES

if TYPE_CHECKING:
    from safety import Measured

LIMIT = POLICIES["balanced"].thresholds["injection"]
PEER = "classifinder-engine"


def injections(m: Measured) -> None:
    groups = {name: texts for name, texts in m.groups("injection").items() if name != "timed"}
    groups["in documents"] = sets.in_documents(m.attacks["collected"], m.documents)
    scores = {
        name: [injection.find(plain(t).text)[0] for t in texts] for name, texts in groups.items()
    }
    rates = {name: mean([s >= LIMIT for s in found]) for name, found in scores.items()}
    print("Prompt injections, flagged at the threshold of `balanced` (set on other ordinary text)")
    describe = {
        "wild": "jailbreaks people posted, held out", "collected": "short injections, held out",
        "unseen": "templates of a collection not trained on", "in documents": "held-out injections inside documents",
        "ordinary": "ordinary text, held out", "elsewhere": "ordinary text of other sources", "traps": "harmless talk of ignoring, roles, systems",
    }  # fmt: skip
    for name, what in describe.items():
        phrases = mean(
            [any(s.score >= LIMIT for s in injection._phrases(plain(t).text)) for t in groups[name]]
        )
        line = (
            f"  {name:<13} n={len(groups[name]):<5} {rates[name]:.4f}  phrases alone {phrases:.4f}"
        )
        if name in m.peers.get(PEER, {}):
            line += f"  {PEER} {mean([any(f[0] == 'injection' for f in each) for each in m.peers[PEER][name]]):.4f}"
        print(f"{line}   {what}")
    for name in ("wild", "collected"):
        m.bar("injection recall", rates[name], f"injections of {name!r} flagged")
    for name in ("ordinary", "elsewhere"):
        m.bar("injection false positives", rates[name], f"text of {name!r} flagged", at_most=True)
    curve(scores)
    without_a_set()


def curve(scores: dict[str, list[float]]) -> None:
    print("  the curve: recall where so much ordinary text is flagged")
    calm = sorted([*scores["ordinary"], *scores["elsewhere"]], reverse=True)
    for allowed in (0.001, 0.005, 0.01, 0.02, 0.05):
        limit = calm[int(allowed * len(calm))]
        found = {
            name: mean([s > limit for s in scores[name]])
            for name in ("wild", "collected", "unseen", "in documents", "traps")
        }
        print(
            f"    {allowed:>6.1%} (score {limit:.4f}): "
            + "  ".join(f"{n} {r:.3f}" for n, r in found.items())
        )


def without_a_set() -> None:
    """What a model trained on one set alone does on the other: the figure to expect of a new kind of attack."""
    import safety_train as trainer

    print(
        "  trained on one set alone, threshold set on the same ordinary text (model alone, without phrases)"
    )
    for name in trainer.SETS:
        rates = trainer.rates(trainer.train((name,)))
        print(
            f"    {name:<10} alone: " + "  ".join(f"{n} {r:.3f}" for n, r in sorted(rates.items()))
        )


def disguises(m: Measured) -> None:
    attacks = m.attacks["collected"][:: 3 if m.quick else 1]
    seen = [t for t in attacks if flagged(t)]
    print(
        f"Disguises: of {len(seen)} held-out injections that are flagged as they are, flagged when disguised"
    )
    calm = random.Random(1).sample(m.ordinary, 100 if m.quick else 300)
    for name, disguise in sets.DISGUISES.items():
        wrong = share(lambda t, d=disguise: flagged(d(t)), calm)
        print(
            f"  {name:<34} {share(lambda t, d=disguise: flagged(d(t)), seen):.3f}   ordinary text so disguised {wrong:.3f}"
        )


def flagged(text: str) -> bool:
    return injection.find(plain(text).text)[0] >= LIMIT
