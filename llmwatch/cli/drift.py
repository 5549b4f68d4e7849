"""`drift` and `baseline`: whether prompts changed, and what they used to be like."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.codes import OK, USAGE
from llmwatch.cli.output import print_json, print_line, print_table, say

if TYPE_CHECKING:
    import argparse

    from llmwatch.drift.report import Report

_EXIT_CODES = (
    "exit codes: 0 no drift; 4 drift; 5 not enough data to tell; 1 what was asked about is wrong or not there; "
    "2 wrong usage"
)


def add_to(commands: Any) -> None:
    drift_ = commands.add_parser(
        "drift", help="whether the prompts of a window differ from a baseline", epilog=_EXIT_CODES
    )
    _compare_options(drift_)
    drift_.add_argument("--every", metavar="15m", help="run again and again, until interrupted")
    drift_.add_argument("--html", metavar="FILE", help="write the report as one page, too")
    drift_.add_argument(
        "--no-record", action="store_true", help="do not append the run to the table `drift`"
    )
    drift_.set_defaults(run=drift)
    chosen.add_store(drift_)
    chosen.add_json(drift_)
    _add_baseline(commands)


def _compare_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--table",
        default="traces",
        help="table, project/table or entity/project/table (default: traces)",
    )
    parser.add_argument(
        "--baseline",
        metavar="B",
        help="weeks (the same hours of four earlier weeks, the default), previous, NAME or NAME@2",
    )
    parser.add_argument("--window", metavar="1h", help="how much time is looked at (default: 1d)")
    parser.add_argument(
        "--until", metavar="TIME", help="where the window ends, as 2026-01-31T09:30 (default: now)"
    )
    parser.add_argument(
        "--signal", action="append", metavar="S",
        help="what is compared, may be repeated: prompt_length, embedding (both the default), output_length, latency, "
        "confidence, retrieval_score, language, topic, score:NAME, label:NAME, any column, or all",
    )  # fmt: skip
    parser.add_argument(
        "--slice", metavar="COLUMN", help="compare each level of this column by itself, too"
    )
    _reading_options(parser)
    parser.add_argument(
        "--by",
        choices=("sessions", "users", "time", "rows"),
        help="what rows belong together by (default: the first there is)",
    )
    parser.add_argument(
        "--alpha",
        type=float,
        metavar="P",
        help="the chance of a false alarm in one run (default: .01)",
    )


def _reading_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--embedder",
        metavar="E",
        help="ngrams (the default), onnx, openai, or column:NAME for vectors that rows carry",
    )
    parser.add_argument(
        "--text", metavar="COLUMN", help="the column that holds the prompt, where that is not plain"
    )
    parser.add_argument(
        "--where", metavar="SQL", help="only rows that fit, such as: model = 'small'"
    )
    parser.add_argument(
        "--every-call",
        action="store_true",
        default=None,
        help="every call of a trace, not only its first",
    )


def drift(given: argparse.Namespace) -> int:
    """Exits with 0, 4 or 5 as the verdict is; with --every, as the last one was."""
    from llmwatch.drift import windows

    chosen.table(given)  # it has to be there: a run records its result
    pause = None if given.every is None else windows.duration_us(given.every) / 1_000_000
    code = _once(given)
    try:
        while pause is not None:
            time.sleep(pause)
            code = _once(given)
    except KeyboardInterrupt:
        say("")
    return code


def _once(given: argparse.Namespace) -> int:
    import duckdb

    from llmwatch.drift import run

    try:
        report = run(given.table, store=given.store, record=not given.no_record, **_options(given))
    except duckdb.Error as error:  # of the condition that was given
        say(f"llmwatch: {error}")
        return USAGE
    if given.html:
        say(f"written: {report.to_html(given.html)}")
    _told(report, as_json=given.json)
    return report.exit_code


def _options(given: argparse.Namespace) -> dict[str, Any]:
    names = (
        "baseline",
        "window",
        "until",
        "slice",
        "embedder",
        "text",
        "where",
        "every_call",
        "by",
        "alpha",
    )
    return {**{name: getattr(given, name) for name in names}, "signals": given.signal}


def _told(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_dict())
    elif sys.stdout.isatty():
        from rich.console import Console

        from llmwatch.drift.show.terminal import write

        write(report, Console())
    else:
        for line in str(report).splitlines():
            print_line(line)


# --- baseline ----------------------------------------------------------------------------


def _add_baseline(commands: Any) -> None:
    parser = commands.add_parser(
        "baseline", help="save, list and delete what windows are compared with"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    save = actions.add_parser("save", help="save a golden dataset, or a stretch of a table")
    save.add_argument("name")
    save.add_argument("--file", metavar="FILE", help="a dataset: JSON lines, CSV or Parquet")
    save.add_argument(
        "--statistics",
        metavar="JSON",
        help='only statistics: \'{"prompt_length": {"mean": 54, "std": 29, "unit": "characters"}}\'',
    )
    save.add_argument("--table", help="take the rows of this table instead")
    save.add_argument("--window", metavar="7d", help="how much of the table's time (default: 7d)")
    save.add_argument("--until", metavar="TIME", help="where that ends (default: now)")
    _reading_options(save)
    list_ = actions.add_parser("list", help="the saved baselines")
    delete = actions.add_parser("delete", help="physically remove NAME@2, or every version of NAME")
    delete.add_argument("name")
    for action, run in ((save, save_baseline), (list_, list_baselines), (delete, delete_baseline)):
        action.add_argument(
            "--project", help="project or entity/project (default: of the settings)"
        )
        action.set_defaults(run=run)
        chosen.add_store(action)
        chosen.add_json(action)


def save_baseline(given: argparse.Namespace) -> int:
    from llmwatch.drift import save_baseline as save

    options = {
        name: getattr(given, name)
        for name in ("window", "until", "embedder", "text", "where", "every_call")
    }
    if given.statistics is not None:
        options["statistics"] = _json(given.statistics)
    known = {name: value for name, value in options.items() if value is not None}
    if given.table is not None:
        chosen.table(given)
    saved = save(
        given.name, given.file, table=given.table, project=given.project, store=given.store, **known
    )
    if given.json:
        print_json(saved.as_dict())
    else:
        by = "" if saved.embedder is None else f", embedded by {saved.embedder}"
        rows = "" if saved.summary is not None else f"{saved.rows} rows of "
        print_line(f"saved {saved.label}: {rows}{saved.source}{by}")
    return OK


def _json(text: str) -> Any:
    import orjson

    from llmwatch.errors import SettingsError

    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SettingsError(f"--statistics is not JSON: {error}") from None


def list_baselines(given: argparse.Namespace) -> int:
    from llmwatch.drift import saved_baselines
    from llmwatch.drift.windows import moment

    found = saved_baselines(given.project, store=chosen.store(given).root)
    if given.json:
        print_json([one.as_dict() for one in found])
    elif found:
        print_table(
            ["baseline", "rows", "embedder", "made of", "saved", "signals"],
            [
                [
                    one.label,
                    one.rows,
                    one.embedder,
                    one.source,
                    moment(one.saved_at_us),
                    ", ".join(one.signals),
                ]
                for one in found
            ],
        )
    else:
        say("no baseline is saved here")
    return OK


def delete_baseline(given: argparse.Namespace) -> int:
    from llmwatch.drift import delete_baseline as delete

    gone = delete(given.name, given.project, store=chosen.store(given).root)
    for one in gone:
        print_line(f"deleted {one.label}: {one.rows} rows")
    return OK
