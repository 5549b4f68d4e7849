"""A report as text and as HTML: what it says, its size, and that nothing in it can act."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from llmwatch.drift.assembly import Assembled
from llmwatch.drift.compare import compare
from llmwatch.drift.explain import Exemplar, Explanation, Group
from llmwatch.drift.lines import histogram, line
from llmwatch.drift.report import Report, Slice
from llmwatch.drift.show.terminal import write
from llmwatch.drift.show.words import chance, number, visible
from llmwatch.drift.signals import Signal

HOSTILE = "\x1b[31m</style><script>alert(1)</script><img src=x onerror=alert(2)> ' \" & \u202e\ud800 [bold]x[/bold]"


def made(name="prompt_length", level="hostile"):
    chance_ = np.random.default_rng(1)
    signals = [
        Signal(name, "number", chance_.lognormal(3, 1, 300), chance_.lognormal(4, 1, 300)),
        Signal("tier", "category", ["free"] * 300, ["free"] * 200 + [level] * 100),
        Signal("latency", "number", np.full(10, np.nan), np.full(10, np.nan)),
    ]
    judged = compare(signals)
    lines = tuple(
        line(Assembled(signal, "characters" if signal.name == name else ""), one)
        for signal, one in zip(signals, judged, strict=True)
    )
    exemplars = tuple(Exemplar("r", f"{level} {n}", 1.0) for n in range(3))
    group = Group(30, 0.1, (level, "tulip"), exemplars)
    return Report(
        "local/bot", "chats", "today", (0, 1), f"baseline {level}", (300, 300), lines, "tier",
        tuple(Slice(f"{level} {n}", (0.1, 0.2), lines) for n in range(100)),
        Explanation(300, 30, (group,) * 6, exemplars), "ngrams", notes=(level,),
    )  # fmt: skip


class Tags(HTMLParser):
    """Every tag and every attribute of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_text_says_what_moved_by_how_much_and_what_is_new():
    said = str(made(level="pro"))
    assert said.startswith("Drift in prompt_length and tier")
    assert "characters (about" in said
    assert "33% of rows changed level; new: pro" in said
    assert "30 rows (10.0%): pro, tulip" in said
    assert "\x1b" not in said


@pytest.mark.parametrize("shown", [str, Report._repr_html_])
def test_where_no_kind_is_new_no_prompt_is_shown_as_if_it_were(shown):
    # with longer prompts of the usual kinds, the oddest ones are still what everybody asks
    usual = Exemplar("r", "my refund is wrong", 0.9)
    text = shown(replace(made(), explanation=Explanation(1255, 1, (), (usual,) * 20)))
    assert "No new kind of prompt" in text
    assert "my refund" not in text


def test_colour_is_for_terminals():
    from rich.console import Console

    out = io.StringIO()
    write(made(), Console(file=out, force_terminal=True, color_system="standard", width=100))
    assert "\x1b[1;31m" in out.getvalue()


@pytest.mark.parametrize("shown", [str, Report._repr_html_])
def test_nothing_hostile_gets_through(shown):
    text = shown(made(name=f"x{HOSTILE}", level=HOSTILE))
    assert not set(text) & {"\x1b", "\u202e", "\ud800"}
    assert "<script" not in text or shown is str
    text.encode("utf-8")


def test_the_page_holds_only_the_tags_it_is_made_of(tmp_path):
    page = (
        made(name=f"x{HOSTILE}", level=HOSTILE).to_html(tmp_path / "drift.html").read_text("utf-8")
    )
    found = Tags(page)
    assert not found.tags & {"script", "img", "iframe", "link", "object", "a", "form", "input"}
    assert not any(name.startswith("on") or name in {"src", "href"} for name in found.attributes)
    assert "default-src 'none'" in page
    assert not re.search(r"https?://", page)


def test_the_page_is_of_bounded_size(tmp_path):
    report = made(level="long " * 100_000)
    assert report.to_html(tmp_path / "drift.html").stat().st_size < 200_000
    assert len(str(report)) < 40_000


def test_a_report_as_json_without_prompts_has_none(tmp_path):
    import json

    assert "tulip" in json.dumps(made().as_dict())
    assert "tulip" not in json.dumps(made().as_dict(prompts=False))


def test_metrics_have_the_names_that_people_chart():
    metrics = made().metrics()
    assert metrics["drift/drift_detected"] == 1
    for name in ("ks_statistic", "p_value", "mean", "std"):
        assert f"drift/prompt_length_{name}" in metrics
    assert "drift/latency_p_value" not in metrics  # unknown is left out


def test_a_histogram_has_both_sides_in_the_same_bins_and_none_where_nothing_varies():
    found = histogram(np.arange(1000.0), np.arange(500.0))
    assert sum(found.reference) == pytest.approx(1, abs=0.001)
    assert sum(found.window) == pytest.approx(1, abs=0.001)
    assert histogram(np.ones(10), np.ones(10)) is None
    assert histogram(np.zeros(0), np.ones(10)) is None


def test_numbers_and_chances_in_words():
    assert [number(0), number(12345.6), number(-0.00123)] == ["0", "12,346", "-0.00123"]
    assert [chance(None), chance(0.0001), chance(0.0123), chance(0.5), chance(1)] == [
        "",
        "< .001",
        ".012",
        ".50",
        "1",
    ]
    assert visible("a\nb\x00" + "c" * 300, 10) == "a b\\x00ccccc…"
