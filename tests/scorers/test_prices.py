"""Prices by model, time and tier; costs are worked out by hand beside each case."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

import pytest

from llmwatch import settings
from llmwatch.errors import SettingsError
from llmwatch.scorers.prices import Prices, default_price, rates
from llmwatch.scorers.usage import Usage, read


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def told(prompt, completion, **inside):
    cached, reasoning = inside.get("cached"), inside.get("reasoning")
    audio_in, audio_out = inside.get("audio_in"), inside.get("audio_out")
    return Usage(
        prompt,
        completion,
        cached=cached,
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
    )


CLAUDE = {
    "input_tokens": 1000,
    "output_tokens": 300,
    "cache_read_input_tokens": 2000,
    "cache_creation_input_tokens": 500,
}
AN_HOUR = {**CLAUDE, "cache_creation": {"ephemeral_1h_input_tokens": 500}}

# model, day, tier, usage, USD: (tokens x USD a million) as it is written in the comment, over a million
COSTS = [
    ("gpt-4o", "2025-03-01", None, told(1000, 500), "0.0075"),  # 1000x2.5 + 500x10
    (
        "gpt-4o",
        "2025-03-01",
        None,
        told(1000, 500, cached=600),
        "0.00675",
    ),  # 400x2.5 + 600x1.25 + 500x10
    ("gpt-4o", "2026-11-01", "batch", told(1000, 500), "0.00375"),  # 1000x1.25 + 500x5
    ("gpt-4o", "2026-11-01", "priority", told(1000, 500), "0.01275"),  # 1000x4.25 + 500x17
    ("gpt-4o-2024-05-13", "2024-06-01", None, told(1000, 500), "0.0125"),  # 1000x5 + 500x15
    (
        "gpt-4o-mini-2024-07-18",
        "2024-09-01",
        None,
        told(10_000, 2000),
        "0.0027",
    ),  # 10000x.15 + 2000x.6
    ("o3", "2025-06-09", None, told(1000, 500), "0.03"),  # 1000x10 + 500x40
    ("o3", "2025-06-10", None, told(1000, 500, reasoning=300), "0.006"),  # 1000x2 + (200 + 300)x8
    ("o3", "2026-11-01", "flex", told(1000, 500), "0.003"),  # 1000x1 + 500x4
    (
        "gpt-5",
        "2026-11-01",
        "flex",
        told(2000, 100, cached=1000),
        "0.0011875",
    ),  # 1000x.625 + 1000x.0625 + 100x5
    (
        "claude-sonnet-4-5",
        "2025-11-01",
        None,
        read(CLAUDE),
        "0.009975",
    ),  # 1000x3 + 2000x.3 + 500x3.75 + 300x15
    (
        "claude-sonnet-4-5",
        "2025-11-01",
        None,
        read(AN_HOUR),
        "0.0111",
    ),  # 1000x3 + 2000x.3 + 500x6 + 300x15
    (
        "claude-sonnet-4-5",
        "2025-11-01",
        None,
        told(250_000, 1000),
        "1.5225",
    ),  # above 200k: 250000x6 + 1000x22.5
    ("text-embedding-3-small", "2025-03-01", None, told(1_000_000, 0), "0.02"),  # 1000000x.02
    ("gpt-realtime", "2025-10-01", None, told(1000, 400, audio_in=600, audio_out=300), "0.0416"),
    # 400x4 + 600x32 + 100x16 + 300x64
    (
        "deepseek-chat",
        "2025-05-01T12:00",
        None,
        told(1000, 500),
        "0.00082",
    ),  # by day: 1000x.27 + 500x1.1
    (
        "deepseek-chat",
        "2025-05-01T20:00",
        None,
        told(1000, 500),
        "0.00041",
    ),  # by night: 1000x.135 + 500x.55
]


@pytest.mark.parametrize(("model", "day", "tier", "used", "usd"), COSTS)
def test_a_cost_is_what_it_is_by_hand(model, day, tier, used, usd):
    assert rates(model, at(day), tier).charge(used).total == Decimal(usd)


@pytest.mark.parametrize(
    "model", ["our-own-model", "gpt-4o-totally-made-up", "", "x" * 10_000, "\ud800", "a/b/c"]
)
def test_a_model_that_nobody_knows_has_no_rates(model):
    assert rates(model) is None
    assert default_price(model, at("2025-01-01")) is None


def test_a_tier_that_nobody_knows_the_price_of_has_no_rates():
    assert rates("gpt-4", at("2025-01-01"), "flex") is None
    assert rates("gpt-4o", at("2025-01-01"), "scale") is None
    assert (
        rates("gpt-4o", at("2025-01-01"), "batch") is None
    )  # the table knows of tiers since October 2026
    for standard in (None, "default", "auto", "standard"):
        assert rates("gpt-4", at("2025-01-01"), standard).tier == "standard"


def test_audio_without_a_rate_makes_the_total_unknown_and_says_so():
    charge = rates("gpt-4o-audio-preview", at("2025-03-01")).charge(told(1000, 500, audio_in=400))
    assert charge.total is None
    assert charge.unpriced == ("input_audio",)
    assert charge.at_least == Decimal("0.0065")  # 600x2.5 + 500x10


def test_half_a_usage_has_no_total():
    charge = rates("gpt-4o", at("2025-03-01")).charge(Usage(prompt=1000))
    assert charge.total is None
    assert charge.unpriced == ("output tokens",)


def test_details_that_do_not_add_up_never_make_a_cost_negative():
    charge = rates("gpt-4o", at("2025-03-01")).charge(told(10, 5, cached=1000, reasoning=50))
    assert charge.total > 0


def test_a_name_with_its_provider_before_it_is_understood():
    for name in ("openai/gpt-4o", "azure/gpt-4o", "anthropic/claude-sonnet-4-5"):
        assert rates(name) is not None


# --- one's own prices --------------------------------------------------------------------

OWN = """
[[prices.our-model]]
input = 1
output = 2

[[prices.our-model]]
from = 2026-01-01
input = 0.5
output = 1.5
cached = 0.1
batch = { input = 0.25, output = 0.75 }

[prices."team/*"]
like = "gpt-4o-mini"

[prices.gpt-4o]
input = 100
output = 200
"""


@pytest.fixture
def own(root):
    (root / "llmwatch.toml").write_text(OWN)


def base(model, day, kind="input", tier=None):
    return str(rates(model, at(day), tier).kinds[kind].base)


@pytest.mark.usefixtures("own")
def test_ones_own_price_holds_from_its_date_on():
    assert [base("our-model", day) for day in ("2025-12-31", "2026-01-01", "2027-01-01")] == [
        "1",
        "0.5",
        "0.5",
    ]
    found = rates("our-model", at("2026-02-01")).charge(told(1000, 100, cached=400))
    assert found.total == Decimal("0.00049")  # 600x.5 + 400x.1 + 100x1.5


@pytest.mark.usefixtures("own")
def test_a_tier_of_ones_own_price_is_known_when_it_was_told():
    assert base("our-model", "2026-02-01", tier="batch") == "0.25"
    assert base("our-model", "2026-02-01", "cached", tier="batch") == "0.1"
    assert rates("our-model", at("2026-02-01"), "flex") is None


@pytest.mark.usefixtures("own")
def test_a_model_may_cost_as_another_and_a_pattern_names_many():
    found = rates("team/summaries", at("2026-02-01"))
    assert (found.priced_as, found.source, str(found.kinds["output"].base)) == (
        "gpt-4o-mini",
        "settings",
        "0.6",
    )


@pytest.mark.usefixtures("own")
def test_ones_own_price_comes_before_the_built_in_one():
    assert base("gpt-4o", "2025-03-01") == "100"
    assert default_price("gpt-4o", at("2025-03-01"))["prompt_token_cost"] == 0.0001


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[prices.m]\ninput = -1\n", "cannot be -1"),
        ("[prices.m]\ninput = true\n", "cannot be True"),
        ('[prices.m]\ninput = "much"\n', "cannot be 'much'"),
        ("[prices.m]\ninpt = 1\n", "has 'inpt'"),
        ("[prices.m]\nfrom = 2026-01-01\n", "tells no price"),
        ('[prices.m]\ninput = 1\nfrom = "soon"\n', "is a date"),
        ("[prices]\nm = 3\n", "is a table"),
        ("[prices.m]\ninput = 1\nbatch = 3\n", "batch is a table"),
        ("[prices.m]\nlike = 3\n", "like of"),
    ],
)
def test_a_price_that_cannot_be_is_an_error_that_names_it(root, text, said):
    (root / "llmwatch.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        rates("m")


def test_the_projects_price_comes_before_all_others(root):
    from llmwatch.backend.costs import Costs
    from llmwatch.stream.query import Reader
    from llmwatch.testing import temporary_store

    (root / "llmwatch.toml").write_text("[prices.m]\ninput = 1\noutput = 1\n")
    with temporary_store() as store:
        project = store.project("local", "bot")
        reader = Reader(project)
        costs = Costs(project, settings.current(), lambda: reader)
        price = {
            "prompt_token_cost": 2e-06,
            "completion_token_cost": 3e-06,
            "effective_date": at("2026-01-01"),
        }
        costs.create({"costs": {"m": price}})
        prices = Prices.of_project(reader)
        found = prices.rates("m", at("2026-02-01"), "priority")
        assert (found.source, str(found.kinds["output"].base), "cached" in found.kinds) == (
            "project",
            "3.000000",
            False,
        )
        assert prices.rates("m", at("2025-02-01")).source == "settings"
        reader.close()
