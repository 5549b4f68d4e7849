"""`calibrate`: makes the confidence of answers mean what it says, from the labels that rows have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.codes import OK, WRONG
from llmwatch.cli.output import print_json, print_table, say
from llmwatch.cli.times import when

if TYPE_CHECKING:
    import argparse

    from llmwatch.scorers.calibration_quality import Quality
    from llmwatch.scorers.calibrations import Fit


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "calibrate",
        help="fit confidence to the labels that rows have",
        description="Fits the scores of a scorer to labels, shows how well they are calibrated before and after (judged on labels "
        "that were held out), and saves what it fitted for Confidence(calibration=NAME).",
    )
    parser.add_argument("table", help="table, project/table or entity/project/table")
    parser.add_argument(
        "--label",
        required=True,
        metavar="NAME",
        help="the label that says whether an answer was right",
    )
    parser.add_argument(
        "--right",
        metavar="VALUE",
        help="its value that means right (default: true, 1, yes, correct, ...)",
    )
    parser.add_argument(
        "--score", default="confidence", metavar="NAME", help="the scorer (default: confidence)"
    )
    parser.add_argument(
        "--name", default="default", help="what the calibration is saved as (default: default)"
    )
    parser.add_argument(
        "--since", type=when, metavar="WHEN", help="labels since: 7d, 12h or 2026-01-31"
    )
    parser.add_argument(
        "--svg",
        metavar="FILE",
        help="write the reliability diagram; one a method, named FILE-METHOD.svg",
    )
    parser.add_argument("--dry-run", action="store_true", help="save nothing")
    parser.set_defaults(run=calibrate)
    chosen.add_store(parser)
    chosen.add_json(parser)


def calibrate(given: argparse.Namespace) -> int:
    from llmwatch.scorers import calibrations

    table = chosen.table(given)
    fit = calibrations.fit(
        table.reader,
        label=given.label,
        name=given.name,
        score=given.score,
        table=table.name,
        right=given.right,
        since=given.since,
        save=not given.dry_run,
    )
    if given.json:
        print_json(_as_json(fit, saved=not given.dry_run))
    else:
        _print(fit, given)
    for method, diagram in fit.diagrams.items() if given.svg else ():
        path = _picture(Path(given.svg), method, several=len(fit.diagrams) > 1)
        path.write_text(diagram.as_svg(), encoding="utf-8")
        say(f"wrote {path}")
    return OK if fit.diagrams else WRONG


def _picture(path: Path, method: str, *, several: bool) -> Path:
    path = path.with_suffix(".svg") if not path.suffix else path
    return path.with_name(f"{path.stem}-{method}{path.suffix}") if several else path


def _as_json(fit: Fit, *, saved: bool) -> dict[str, Any]:
    return {
        "calibration": fit.calibration.label if fit.diagrams and saved else None,
        "labels": fit.labels,
        "unread": fit.unread,
        "lacking": dict(fit.lacking),
        "methods": {method: diagram.as_data() for method, diagram in fit.diagrams.items()},
    }


def _print(fit: Fit, given: argparse.Namespace) -> None:
    rows = []
    for method, diagram in fit.diagrams.items():
        rows.append(_row(method, "before", diagram.quality_before))
        if diagram.quality_after is not None:
            kind = fit.calibration.methods[method].kind
            rows.append(_row(method, f"after ({kind})", diagram.quality_after))
    if rows:
        print_table(
            [
                "method",
                "scores",
                "labels",
                "right",
                "ECE",
                "95%",
                "by chance",
                "Brier",
                "AUROC",
                "95%",
            ],
            rows,
        )
    for message in fit.lacking.values():
        say(message)
    if fit.unread:
        say(
            f"{fit.unread} labels could not be read as right or wrong; say with --right which value means right"
        )
    if not fit.labels:
        say(
            f"no row has both a score of {given.score} and a label {given.label}: score the rows with `llmwatch score "
            f"{given.table} --scorer {given.score}`, label them with `llmwatch labels import` or llmwatch.label(...)"
        )
    elif fit.diagrams and not given.dry_run:
        say(
            f"saved as {fit.calibration.label}; use it by Confidence(calibration={fit.calibration.name!r})"
        )


def _row(method: str, which: str, quality: Quality) -> list[Any]:
    area = quality.auroc is not None and quality.auroc_low is not None
    return [
        method,
        which,
        quality.n,
        f"{quality.base_rate:.1%}",
        f"{quality.ece:.4f}",
        f"{quality.ece_low:.4f}-{quality.ece_high:.4f}",
        f"{quality.ece_floor:.4f}",
        f"{quality.brier:.4f}",
        f"{quality.auroc:.3f}" if area else "unknown",
        f"{quality.auroc_low:.3f}-{quality.auroc_high:.3f}" if area else "",
    ]
