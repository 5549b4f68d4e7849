"""Calibration: curves, how good they are, and how they are kept."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from llmwatch import StreamTable
from llmwatch.cli import main
from llmwatch.errors import NotFound
from llmwatch.scorers import Confidence, calibration, calibrations
from llmwatch.scorers import calibration_quality as cq
from llmwatch.scorers.calibration import TooFewLabels
from llmwatch.stream import events
from llmwatch.testing import temporary_store


def overconfident(n, seed=0):
    """Answers with log odds of being right half of what their scores say."""
    chance = np.random.default_rng(seed)
    truth = 1 / (1 + np.exp(-chance.normal(0.3, 1.0, n)))
    odds = np.log(truth / (1 - truth))
    return 1 / (1 + np.exp(-2 * odds)), (chance.random(n) < truth).astype(float)


# --- measures, by hand -------------------------------------------------------------------


def test_the_error_of_two_bins_is_what_it_is_by_hand():
    scores, labels = np.array([0.2, 0.4, 0.6, 0.8]), np.array([0, 1, 1, 1])
    # bins {.2, .4}: score .3, right .5; {.6, .8}: score .7, right 1
    assert cq.ece(scores, labels, bins=2) == pytest.approx((0.2 + 0.3) / 2)


def test_brier_is_its_parts_where_scores_of_a_bin_are_one():
    scores = np.array([0.2] * 10 + [0.8] * 10)
    labels = np.array([0] * 7 + [1] * 3 + [1] * 6 + [0] * 4)
    reliability, resolution, uncertainty = cq.brier_parts(scores, labels, bins=2)
    assert (reliability, resolution) == (
        pytest.approx(0.5 * 0.01 + 0.5 * 0.04),
        pytest.approx(0.0225),
    )
    assert reliability - resolution + uncertainty == pytest.approx(np.mean((scores - labels) ** 2))


@pytest.mark.parametrize(
    ("scores", "labels", "area"),
    [
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.75),
        ([0.5, 0.5], [0, 1], 0.5),
        ([0.9, 0.1], [0, 1], 0.0),
        ([0.3, 0.4], [1, 1], None),
    ],
)
def test_auroc_is_how_often_the_right_one_is_higher(scores, labels, area):
    assert cq.auroc(np.array(scores), np.array(labels)) == area


def test_risk_falls_as_only_the_surest_are_kept():
    curve = cq.risk_coverage(np.array([0.9, 0.8, 0.2, 0.2]), np.array([1, 1, 0, 1]))
    assert curve == [(0.25, 0.0), (0.5, 0.0), (1.0, 0.25)]


def test_equal_scores_are_never_parted():
    scores, labels = np.array([0.5] * 50 + [0.9] * 50), np.array([1, 0] * 50)
    assert [(each.score, each.n) for each in cq.reliability_bins(scores, labels)] == [
        (0.5, 50),
        (pytest.approx(0.9), 50),
    ]


def test_the_interval_of_a_bin_is_wilsons():
    [only] = cq.reliability_bins([0.5] * 10, [1] * 10, bins=1)
    assert (only.low, only.high) == (pytest.approx(0.722, abs=5e-4), pytest.approx(1.0))


def test_perfect_scores_err_no_more_than_chance_would():
    chance = np.random.default_rng(3)
    scores = chance.random(2000)
    labels = chance.random(2000) < scores
    found = cq.quality(scores, labels.astype(float), resamples=200)
    assert found.ece < 2 * found.ece_floor
    assert found.ece_low <= found.ece <= found.ece_high
    assert found.auroc_low < found.auroc < found.auroc_high


# --- curves ------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "kind"), [(400, "platt"), (5000, "isotonic")])
def test_a_fit_makes_scores_mean_what_they_say(n, kind):
    scores, labels = overconfident(n)
    fitted = calibration.fit(scores, labels)
    assert fitted.kind == kind
    fresh, outcome = overconfident(20_000, seed=1)
    after = fitted._curve(fresh)
    assert cq.ece(after, outcome) < cq.ece(fresh, outcome) / 3
    rising = [fitted.apply(score) for score in np.linspace(0, 1, 101)]
    assert rising == sorted(rising)
    assert all(0 < score < 1 for score in rising)


def test_platt_finds_the_line_that_made_the_labels():
    scores, labels = overconfident(900)
    slope, intercept = calibration.fit(scores, labels).parameters
    assert slope == pytest.approx(0.5, abs=0.1)
    assert intercept == pytest.approx(0, abs=0.2)


def test_scores_that_tell_nothing_become_the_share_of_right_answers():
    scores, labels = np.linspace(0.01, 0.99, 200), np.array([1, 1, 1, 0] * 50)
    assert calibration.fit(scores, labels).apply(0.99) == pytest.approx(0.75, abs=0.03)
    falling = calibration.fit(scores, np.array([1] * 100 + [0] * 100))
    assert falling.apply(0.1) == falling.apply(0.9)


def test_classes_that_part_cleanly_stay_finite():
    fitted = calibration.fit([0.1] * 50 + [0.9] * 50, [0] * 50 + [1] * 50)
    assert 0 < fitted.apply(0.0) < 0.1
    assert 0.9 < fitted.apply(1.0) < 1
    assert all(map(math.isfinite, fitted.parameters))


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        (3, 9, "it takes 50 with 10 of each, so 38 more, 7 more right ones"),
        (95, 5, "so 5 more wrong ones"),
        (0, 0, "50 more"),
    ],
)
def test_too_few_labels_say_how_many_are_missing(right, wrong, said):
    with pytest.raises(TooFewLabels, match=said):
        calibration.fit([0.5] * (right + wrong), [1] * right + [0] * wrong)


def test_the_judgement_of_a_fit_is_on_labels_it_did_not_see():
    chance = np.random.default_rng(0)
    scores, labels = chance.random(60), np.array([1, 0] * 30)
    after = calibration.cross_fitted(scores, labels)
    assert cq.auroc(after, labels) < 0.7


def test_a_calibration_comes_back_from_its_record():
    made = calibration.Calibration(
        "bot", 2, {"stated": calibration.Fitted("platt", (0.5, 0.1), 99)}, {"label": "ok"}
    )
    back = calibration.Calibration.from_record(json.loads(json.dumps(made.as_record())))
    assert back == made
    assert back.label == "bot:v2"
    assert back.apply("logprobs", 0.5) is None


# --- in a project ------------------------------------------------------------------------


@pytest.fixture
def table():
    """300 answers with a stated confidence, scored; labels on the roots of their traces."""
    with temporary_store(), StreamTable("demo/bot/traces") as table:
        from llmwatch import settings
        from llmwatch.stream import spool

        writer = spool.writer(table.project, "traces", settings.current())
        scores, labels = overconfident(300)
        scorer = Confidence()
        for n, (score, label) in enumerate(zip(scores, labels, strict=True)):
            root = {"id": f"root{n}", "trace_id": f"t{n}"}
            call = {
                "id": f"call{n}",
                "trace_id": f"t{n}",
                "parent_id": f"root{n}",
                "kind": "generation",
                "output": f"Yes. Confidence: {score:.6f}",
            }
            for row in (call, root):
                assert writer.append("row", json.dumps(row).encode())
            events.add(
                table.project,
                kind="score",
                name="confidence",
                value=scorer.score_row(call),
                row_id=f"call{n}",
                table="traces",
            )
            events.add(
                table.project,
                kind="label",
                name="right",
                value=bool(label),
                row_id=f"root{n}",
                table="traces",
            )
        yield table


def test_labels_of_roots_calibrate_the_answers_under_them(table):
    fit = calibrations.fit(table.reader, label="right", name="bot")
    assert (fit.labels, fit.unread, fit.lacking) == (300, 0, {})
    assert fit.calibration.label == "bot:v1"
    diagram = fit.diagrams["stated"]
    assert diagram.quality_after.ece < diagram.quality_before.ece
    scorer = Confidence(calibration="bot").in_project(table.reader)
    found = scorer.score_row({"kind": "generation", "output": "Yes. Confidence: 0.95"})
    assert (found["calibrated"], found["calibration"], found["raw_score"]) == (True, "bot:v1", 0.95)
    assert 0.6 < found["score"] < 0.95
    other = scorer.score_row(
        {
            "kind": "generation",
            "output": {"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]},
        }
    )
    assert (other["method"], other["calibrated"]) == ("samples", False)


def test_versions_count_up_and_each_is_found(table):
    for _ in range(2):
        calibrations.fit(table.reader, label="right", name="bot")
    assert [each.label for each in calibrations.saved(table.reader)] == ["bot:v2", "bot:v1"]
    assert calibrations.load(table.reader, "bot").version == 2
    assert calibrations.load(table.reader, "bot:v1").version == 1
    with pytest.raises(NotFound, match="no calibration 'bot:v9'; it has: bot:v2, bot:v1"):
        calibrations.load(table.reader, "bot:v9")


def test_calibrated_scores_are_calibrated_again_from_their_raw_ones(table):
    events.add(
        table.project,
        kind="score",
        name="confidence",
        value={"score": 0.1, "raw_score": 0.9, "method": "stated", "calibrated": True},
        row_id="call0",
        table="traces",
    )
    pairs, _ = calibrations.labelled(table.reader, label="right")
    assert 0.9 in [pair.score for pair in pairs]
    assert 0.1 not in [pair.score for pair in pairs]


def test_labels_that_say_neither_right_nor_wrong_are_counted(table):
    events.add(
        table.project, kind="label", name="right", value="perhaps", row_id="root0", table="traces"
    )
    assert calibrations.fit(table.reader, label="right", save=False).unread == 1
    pairs, unread = calibrations.labelled(table.reader, label="right", right="perhaps")
    assert (sum(pair.right for pair in pairs), unread) == (1, 0)


def test_the_command_shows_saves_and_draws(table, tmp_path, capsys):
    picture = tmp_path / "diagram.svg"
    assert (
        main(
            [
                "calibrate",
                "demo/bot/traces",
                "--label",
                "right",
                "--name",
                "bot",
                "--svg",
                str(picture),
            ]
        )
        == 0
    )
    shown = capsys.readouterr()
    assert [line.split("\t")[:3] for line in shown.out.splitlines()[1:]] == [
        ["stated", "before", "300"],
        ["stated", "after (platt)", "300"],
    ]
    assert "saved as bot:v1" in shown.err
    drawn = ET.fromstring(picture.read_text())
    circles = drawn.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 20


def test_the_command_prints_the_diagram_as_data(table, capsys):
    assert main(["calibrate", "demo/bot/traces", "--label", "right", "--json", "--dry-run"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["calibration"] is None
    assert len(found["methods"]["stated"]["before"]) == 10
    assert calibrations.saved(table.reader) == []


def test_the_command_says_what_is_missing(table, capsys):
    assert main(["calibrate", "demo/bot/traces", "--label", "nothing"]) == 1
    assert "no row has both" in capsys.readouterr().err


def test_a_title_cannot_break_the_picture(table):
    diagram = calibrations.diagram(
        '</title><script>"\x00\ud800', *(list(each) for each in overconfident(100))
    )
    assert "<script>" not in diagram.as_svg()
    ET.fromstring(diagram.as_svg())
