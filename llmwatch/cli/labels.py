"""`labels import`: labels from a file, joined to rows by a key."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.codes import INCOMPLETE, OK, WRONG
from llmwatch.cli.output import print_json, progress, say
from llmwatch.stream.formats import FORMATS

if TYPE_CHECKING:
    import argparse

    from llmwatch.remarks.labels import LabelsImported

_SHOWN = 5
_LEFT_OUT = (
    ("no_row", "have a key that no row has"),
    ("several_rows", "have a key that several rows have"),
    ("no_key", "have no key"),
    ("no_labels", "have no label"),
    ("bad", "could not be read"),
)


def add_to(commands: Any) -> None:
    labels = commands.add_parser("labels", help="labels (ground truth) of rows, from files")
    actions = labels.add_subparsers(title="actions", metavar="ACTION", required=True)
    parser = actions.add_parser(
        "import",
        help="label rows by a CSV, Parquet or JSON lines file",
        description="Joins the records of a file to rows by a key: a column, or a key of the rows' data, attributes, "
        "inputs or output. Tells what matched, what did not, and why. Importing a file again writes nothing.",
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", required=True, metavar="NAME", help="such as inference_id")
    parser.add_argument(
        "--table", default="traces", help="default: traces of the project that is set"
    )
    parser.add_argument(
        "--labels", metavar="A,B", help="the columns that are labels (default: all but the key)"
    )
    parser.add_argument("--prefix", default="", help="put before the name of each label")
    parser.add_argument("--creator", help="who says so (default: the user of this machine)")
    parser.add_argument(
        "--format", choices=FORMATS, help="default: by the file's ending, else jsonl"
    )
    parser.set_defaults(run=import_labels)
    chosen.add_store(parser)
    chosen.add_json(parser)


def import_labels(given: argparse.Namespace) -> int:
    """Exits with 3 when records were left out, with 1 when none could be used."""
    from llmwatch.remarks.labels import import_labels as import_file

    chosen.table(given)
    with progress(f"labelling {given.table}") as done:
        report = import_file(
            given.file,
            key=given.key,
            table=given.table,
            labels=given.labels.split(",") if given.labels else None,
            prefix=given.prefix,
            creator=given.creator,
            format=given.format,
            store=given.store,
            progress=done,
        )
    if given.json:
        print_json(asdict(report))
    else:
        _tell(report)
    if not report.left_out:
        return OK
    return INCOMPLETE if report.matched else WRONG


def _tell(report: LabelsImported) -> None:
    say(
        f"{report.matched} of {report.records} records matched a row of {report.table} by {report.key}; "
        f"{report.labels} labels written"
    )
    if report.there_already:
        say(f"{report.there_already} labels were there already and were left alone")
    if report.repeated_keys:
        say(
            f"{report.repeated_keys} records have a key that was in the file before: the last one holds"
        )
    for name, what in _LEFT_OUT:
        if count := getattr(report, name):
            say(f"{count} {what}")
    for line, why in report.told[:_SHOWN]:
        say(f"{report.path}:{line}: left out: {why}")
    if report.left_out > _SHOWN:
        say(f"{report.left_out} records were left out in all; --json tells more of them")
