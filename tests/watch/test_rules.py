"""Rules as people declare them, and what is said about one that cannot be."""

from __future__ import annotations

import pytest

from llmwatch import settings
from llmwatch.errors import SettingsError
from llmwatch.watch.conditions import Absence, AllOf, AnyOf, Budget, Change, Drift, Threshold, Trend
from llmwatch.watch.default_rules import DEFAULT
from llmwatch.watch.rules import Rule, checked, declared, from_mapping


@pytest.mark.parametrize(
    ("told", "when"),
    [
        ({"metric": "m", "above": 5}, Threshold("m", above=5)),
        ({"metric": "m", "below": 0.5, "min_rows": 20}, Threshold("m", below=0.5, min_rows=20)),
        ({"metric": "m", "trend": "rising", "windows": 6}, Trend("m", "rising", 6)),
        ({"metric": "m", "above": 0.2, "against": "week"}, Change("m", above=0.2, against="week")),
        ({"metric": "m", "budget": 50, "period": "month"}, Budget("m", 50, "month")),
        ({"drift": True}, Drift()),
        ({"drift": "prompt_length"}, Drift("prompt_length")),
        ({"absent": "15m"}, Absence(900.0)),
        (
            {"set": "s", "all": [{"metric": "a", "above": 1}, {"any": [{"metric": "b", "below": 2}, {"drift": True}]}]},
            None,
        ),
    ],
)  # fmt: skip
def test_a_condition_is_known_by_its_words(told, when):
    rule = from_mapping({"name": "r", **told})
    if when is None:
        assert isinstance(rule.when, AllOf)
        assert isinstance(rule.when.conditions[1], AnyOf)
        assert rule.when.conditions[0] == Threshold("a", above=1, set="s")
    else:
        assert rule.when == when


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "say what it looks for"),
        ({"metric": "m"}, "say what it looks for"),
        ({"metric": "m", "above": 1, "below": 2}, "say above or below, one of the two, of m"),
        ({"metric": "m", "above": "high"}, "above is a number, not 'high'"),
        ({"metric": "m", "above": True}, "above is a number, not True"),
        ({"metric": "m", "above": 1, "windws": 3}, "there is no windws; such a rule has above, below"),
        ({"metric": "m", "above": 1, "severity": "P9"}, "severity is one of P0, P1, P2, not 'P9'"),
        ({"metric": "m", "above": 1, "lasting": 0}, "lasting is a number of windows"),
        ({"metric": "m", "above": 1, "lasting": "soon"}, "'soon' is not a length of time"),
        ({"metric": "m", "above": 1, "cooldown": "x"}, "'x' is not a length of time"),
        ({"metric": "m", "above": 1, "against": "golden"}, "against recent, day or week"),
        ({"metric": "m", "budget": 0}, "a limit and a share above 0"),
        ({"metric": "m", "trend": "up"}, "rising or falling"),
        ({"all": []}, "all is a list of conditions"),
        ({"all": [{"metric": "m*", "above": 1}, {"metric": "b", "above": 1}]}, "a pattern such as m"),
        ({"any": [{"metric": "m", "above": 1}], "metric": "m"}, "beside any there can be no metric"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_told_by_its_name(told, said):
    with pytest.raises(SettingsError, match=r"^rule 'slow' in the rules: .*" + said):
        from_mapping({"name": "slow", **told})


def test_two_rules_of_a_name_and_causes_that_are_not_there_are_told():
    rule = Rule("slow", Threshold("m", above=1))
    with pytest.raises(SettingsError, match="two rules named 'slow'"):
        checked([rule, rule])
    with pytest.raises(SettingsError, match="there is no rule 'nulls' among its causes"):
        checked([Rule("slow", Threshold("m", above=1), causes=("nulls",))])


def test_the_settings_file_adds_to_the_default_rules_or_replaces_them(tmp_path, monkeypatch):
    monkeypatch.setenv(settings.ROOT_ENV, str(tmp_path))
    own = '[[watch.rules]]\nname = "many calls fail"\nmetric = "errors/total_rate_percent"\nabove = 2\n'
    (tmp_path / "llmwatch.toml").write_text(own)
    names = [rule.name for rule in declared()]
    assert names.count("many calls fail") == 1
    assert len(names) == len(DEFAULT)
    (tmp_path / "llmwatch.toml").write_text("[watch]\ndefault_rules = false\n" + own)
    assert [rule.name for rule in declared()] == ["many calls fail"]


def test_rules_of_a_module_beside_the_settings_file_are_declared_too(tmp_path, monkeypatch):
    monkeypatch.setenv(settings.ROOT_ENV, str(tmp_path))
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    (tmp_path / "our_watch_rules.py").write_text(
        "from llmwatch.watch import Rule, Threshold\nRULES = [Rule('slow', Threshold('latency/p95_ms', above=1))]\n"
    )
    settings_file = tmp_path / "llmwatch.toml"
    settings_file.write_text('[watch]\ndefault_rules = false\npython = "our_watch_rules:RULES"\n')
    assert [rule.name for rule in declared()] == ["slow"]
    settings_file.write_text('[watch]\npython = "no_such_module_of_ours:RULES"\n')
    with pytest.raises(
        SettingsError, match="names rules and metric sets as module:name, not 'no_such_module_of_ours:RULES'"
    ):
        declared()


@pytest.mark.parametrize(
    ("metric", "fault"),
    [
        ("features/age_null_rate", "Data fault"),
        ("performance/accuracy", "Model fault"),
        ("latency/p95_ms", "Infrastructure fault"),
        ("errors/invalid_input_rate", "Data fault"),
    ],
)
def test_the_next_step_fits_the_kind_of_fault(metric, fault):
    assert Rule("r", Threshold(metric, above=1)).suggestion.startswith(fault)
    assert Rule("r", Threshold(metric, above=1), next_step="Call Ann.").suggestion == "Call Ann."


def test_the_default_rules_can_be_together():
    assert checked(DEFAULT) == list(DEFAULT)
