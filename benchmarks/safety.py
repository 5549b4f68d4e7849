"""What the safety checks find and miss on text held out from making them, beside packages that do the same.

    python benchmarks/safety.py --peers      # makes .venv-safety-peers (presidio, datafog, ...) the first time
    python benchmarks/safety.py --quick --check

Data: `safety_data/`, by `safety_collect.py` and `safety_fill.py`. Times are of the process's CPU. A text counts as flagged at
the thresholds of the `balanced` policy.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import safety_sets as sets  # noqa: E402
from safety_injections import disguises, injections  # noqa: E402
from safety_sets import mean, share  # noqa: E402

from llmwatch import credentials  # noqa: E402
from llmwatch.scorers.safety import injection, insults, pii  # noqa: E402
from llmwatch.scorers.safety.guard import guard  # noqa: E402
from llmwatch.scorers.safety.plain import plain  # noqa: E402
from llmwatch.scorers.safety.policy import POLICIES  # noqa: E402

PEERS_HOME = ROOT / ".venv-safety-peers"
PEERS_NEED = (
    "presidio-analyzer",
    "datafog",
    "scrubadub",
    "detect-secrets",
    "classifinder-engine",
    "better-profanity",
    "alt-profanity-check",
)
ASKED = {
    "pii": ("presidio, no NLP model", "datafog", "scrubadub"),
    "secrets": (
        "detect-secrets, all",
        "detect-secrets, no entropy or keywords",
        "classifinder-engine",
    ),
    "injection": ("classifinder-engine",),
    "coarse": ("better-profanity", "alt-profanity-check"),
}
LIMITS = POLICIES["balanced"].thresholds
BARS = {
    "pii recall": 0.95, "pii precision": 0.9, "secret kinds": 10, "secret false positives": 0.001,
    "injection recall": 0.85, "injection false positives": 0.02, "guard ms": 2.0,
}  # fmt: skip
FEWEST = 20  # of a kind, to say anything of it

Found = list[tuple[str, int, int]]


class Measured:
    """The held-out texts, ours and the peers' findings in them, and the bars that were missed."""

    def __init__(self, *, quick: bool, peers: Path | None) -> None:
        self.filled = sets.load("pii", split="test")
        self.ordinary = sets.texts("ordinary", set="ordinary", split="test")
        self.elsewhere = sets.texts("ordinary", set="elsewhere", split="test")
        self.traps = sets.texts("ordinary", set="traps", split="test")
        self.coarse = sets.texts("coarse", split="test")
        self.attacks = {
            n: sets.texts("injections", set=n, split="test")
            for n in ("wild", "collected", "unseen")
        }
        self.documents = [t for t in self.elsewhere if len(t) > 300]
        each = 40 if quick else 200
        self.secrets = {kind: sets.with_secret(kind, self.ordinary, each) for kind in sets.SECRETS}
        self.code = code_files(100 if quick else 400)
        self.pages = sets.pages(self.ordinary, 20 if quick else 100)
        self.quick = quick
        self.missed: list[str] = []
        self.peers = ask_peers(peers, self) if peers else {}

    def groups(self, check: str) -> dict[str, list[str]]:
        """The texts of a check, by name, as peers are given them."""
        timed = {"timed": self.pages[:20]}
        if check == "pii":
            return {"filled": [row["text"] for row in self.filled], **timed}
        if check == "secrets":
            calm = [*self.ordinary, *self.elsewhere]  # one of the traps holds a real JWT
            return {**self.secrets, "ordinary": calm, "code": self.code, **timed}
        if check == "coarse":
            return {"coarse": self.coarse, "ordinary": self.ordinary[:500], **timed}
        return {
            **self.attacks,
            "ordinary": self.ordinary,
            "elsewhere": self.elsewhere,
            "traps": self.traps,
            **timed,
        }

    def bar(self, name: str, value: float, what: str, *, at_most: bool = False) -> None:
        if (value > BARS[name]) if at_most else (value < BARS[name]):
            self.missed.append(f"{what}: {value:.4g}, the bar is {BARS[name]:g}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer secrets, files and pages")
    parser.add_argument("--check", action="store_true", help="fail when a bar is missed")
    parser.add_argument(
        "--peers",
        nargs="?",
        type=Path,
        const=PEERS_HOME,
        help="an environment with the peers; made when missing",
    )
    args = parser.parse_args()
    measured = Measured(quick=args.quick, peers=args.peers)
    for part in (personal_data, secrets, injections, disguises, coarse_words, times, hostile):
        part(measured)
        print()
    for line in measured.missed:
        print("MISSED:", line)
    print("every bar is held" if not measured.missed else f"{len(measured.missed)} bars are missed")
    return 1 if measured.missed and args.check else 0


# Personal data


def personal_data(m: Measured) -> None:
    texts = [row["text"] for row in m.filled]
    ours = [
        [(s.kind, s.start, s.end) for s in pii.find(t, threshold=LIMITS["pii"])[1]] for t in texts
    ]
    answers = {"llmwatch": ours, **{p: m.peers[p]["filled"] for p in ASKED["pii"] if p in m.peers}}
    print(
        f"Personal data: {len(texts)} sentences of Presidio's templates, filled by Faker in six countries (recall / precision)"
    )
    table = {
        name: by_kind([row["spans"] for row in m.filled], found) for name, found in answers.items()
    }
    print(f"  {'kind':<16}{'places':>7}  " + "".join(f"{name:<26}" for name in table))
    for kind in (*pii.KINDS, "name", "place"):
        counted = table["llmwatch"].get(kind)
        places = counted[0] + counted[1] if counted else 0
        if places < FEWEST:
            print(f"  {kind:<16}{places:>7}  too few in these templates to say")
            continue
        print(
            f"  {kind:<16}{places:>7}  "
            + "".join(f"{said(t.get(kind)):<26}" for t in table.values())
        )
        if kind in pii.KINDS and counted:
            m.bar("pii recall", recall(counted), f"recall of {kind}")
            m.bar("pii precision", precision(counted), f"precision of {kind}")
    print("  Names and places are not covered: they need a language model, or Presidio with one.")


Counts = tuple[int, int, int]  # found, overlooked, wrong


def by_kind(given: list[list[Any]], found: list[Found]) -> dict[str, Counts]:
    """What was found of each kind: right when it covers at least four fifths of what was put in."""
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    placed: Counter[str] = Counter()
    for spans, answers in zip(given, found, strict=True):
        placed.update(span[0] for span in spans)
        hit = set()
        for kind, start, end in answers:
            same = [s for s in spans if s[0] == kind and covers(start, end, s[1], s[2])]
            hit |= {tuple(s) for s in same}
            wrong[kind] += not same
        right.update(kind for kind, _, _ in hit)
    return {k: (right[k], placed[k] - right[k], wrong[k]) for k in {*placed, *wrong}}


def covers(start: int, end: int, low: int, high: int) -> bool:
    return min(end, high) - max(start, low) >= 0.8 * (high - low)


def recall(counts: Counts) -> float:
    return counts[0] / max(1, counts[0] + counts[1])


def precision(counts: Counts) -> float:
    return counts[0] / max(1, counts[0] + counts[2])


def said(counts: Counts | None) -> str:
    if counts is None or not counts[0] + counts[2]:
        return "-"
    return f"{recall(counts):.3f} / {precision(counts):.3f}"


# Secrets


def secrets(m: Measured) -> None:
    def ours(text: str) -> bool:
        return any(found.score >= LIMITS["secrets"] for found in credentials.find(plain(text).text))

    groups = {name: texts for name, texts in m.groups("secrets").items() if name != "timed"}
    table = {"llmwatch": {name: share(ours, texts) for name, texts in groups.items()}}
    for peer in ASKED["secrets"]:
        if peer in m.peers:
            table[peer] = {
                n: mean([any(f[0] == "secret" for f in each) for each in m.peers[peer][n]])
                for n in groups
            }
    each = len(next(iter(m.secrets.values())))
    print(f"Secrets: {each} of each kind in ordinary text (found), and flags where there are none")
    for name in (*sets.SECRETS, "ordinary", "code"):
        what = f"none in {len(groups[name])} {name}" if name in ("ordinary", "code") else name
        print(
            f"  {what:<24}"
            + "  ".join(f"{peer} {rates[name]:.4f}" for peer, rates in table.items())
        )
    rates = table["llmwatch"]
    m.bar(
        "secret kinds", sum(rates[kind] >= 0.95 for kind in sets.SECRETS), "kinds of secrets found"
    )
    for name in ("ordinary", "code"):
        m.bar("secret false positives", rates[name], f"secrets in {name} without any", at_most=True)


def code_files(count: int) -> list[str]:
    """The beginnings of files of Python's standard library."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:count]
    return [file.read_text("utf-8", "replace")[:4_000] for file in files]


# Coarse words, time, hostile text


def coarse_words(m: Measured) -> None:
    kinds = [row["kind"] for row in sets.load("coarse", split="test")]
    answers = {"llmwatch, any word": [insults.find(t)[0] >= 0.5 for t in m.coarse]}
    calm = {"llmwatch, any word": [insults.find(t)[0] >= 0.5 for t in m.ordinary[:500]]}
    answers["llmwatch, balanced"] = [insults.find(t)[0] >= LIMITS["insult"] for t in m.coarse]
    calm["llmwatch, balanced"] = [insults.find(t)[0] >= LIMITS["insult"] for t in m.ordinary[:500]]
    for peer in ASKED["coarse"]:
        if peer in m.peers:
            answers[peer] = [bool(f) for f in m.peers[peer]["coarse"]]
            calm[peer] = [bool(f) for f in m.peers[peer]["ordinary"]]
    print(
        "Coarse words: a list of words, no measure of harm (sentences a classifier called so; no bar)"
    )
    for name, found in answers.items():
        by = {
            k: mean([f for f, kind in zip(found, kinds, strict=True) if kind == k])
            for k in ("profanity", "insult")
        }
        print(
            f"  {name:<22} profanity {by['profanity']:.3f}  insult {by['insult']:.3f}  ordinary text {mean(calm[name]):.4f}"
        )


def times(m: Measured) -> None:
    checks: dict[str, Callable[[str], Any]] = {
        "pii": pii.find, "secrets": lambda t: list(credentials.find(t)), "injection": injection.find, "insult": insults.find,
        "guard, output": lambda t: guard(t, role="output"), "guard, input": lambda t: guard(t, role="input"),
    }  # fmt: skip
    print("CPU milliseconds for 2,000 characters of ordinary text (median of pages)")
    for name, check in checks.items():
        taken = median_ms(check, m.pages)
        print(f"  {name:<40} {taken:.2f}")
        if name.startswith("guard"):
            m.bar("guard ms", taken, f"ms of {name}", at_most=True)
    for peer, answer in m.peers.items():
        print(f"  {peer:<40} {answer['ms']:.2f}")


def median_ms(check: Callable[[str], Any], pages: list[str]) -> float:
    taken = []
    for page in [*pages[:3], *pages]:
        begun = time.process_time_ns()
        check(page)
        taken.append((time.process_time_ns() - begun) / 1e6)
    return sorted(taken[3:])[len(pages) // 2]


def hostile(_m: Measured) -> None:
    size = 50_000_000
    print(
        f"Hostile texts of {size:,} characters: CPU seconds of guard, and how much it says it did not read"
    )
    worst = 0.0
    for seed in (
        "a",
        "1",
        "a@",
        "ignore all ",
        "you are ",
        "eyJaaaaaa.",
        "-----BEGIN PRIVATE KEY-----",
        "QUJD",
        "1:",
        "(0",
        "a\u200b",
        "\ud800",
        "password=",
        "+1 ",
    ):
        text = (seed * (size // len(seed) + 1))[:size]
        begun = time.process_time()
        verdict = guard(text, role="input")
        worst = max(worst, time.process_time() - begun)
        assert verdict.not_scanned == size - 100_000
    print(
        f"  the slowest of 14 took {worst:.2f} s; each said that {size - 100_000:,} characters were not read"
    )


# Peers, and small things


def ask_peers(home: Path, m: Measured) -> dict[str, dict[str, Any]]:
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PEERS_NEED], check=True)
    job: dict[str, dict[str, list[str]]] = {}
    for check, names in ASKED.items():
        for name in names:
            job[name] = job.get(name, {}) | m.groups(check)
    with tempfile.TemporaryDirectory() as scratch:
        given, answer = Path(scratch) / "job.json", Path(scratch) / "answer.json"
        given.write_text(json.dumps(job), "utf-8")
        child = [
            str(python),
            str(Path(__file__).with_name("safety_peer.py")),
            str(given),
            str(answer),
        ]
        subprocess.run(child, check=True, stderr=subprocess.DEVNULL)
        answers = json.loads(answer.read_text("utf-8"))
    return {name: {**said["found"], "ms": said["ms"]} for name, said in answers.items()}


if __name__ == "__main__":
    raise SystemExit(main())
