"""Rules: when metrics are worth telling a person, how urgently, and what they should do then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from llmwatch import settings
from llmwatch.drift.windows import duration_us
from llmwatch.errors import SettingsError
from llmwatch.watch import entries, own_code
from llmwatch.watch.conditions import (
    Absence,
    AllOf,
    AnyOf,
    Budget,
    Change,
    Condition,
    Drift,
    Threshold,
    Trend,
    parts,
)

SEVERITIES = ("P0", "P1", "P2")
Severity = Literal["P0", "P1", "P2"]
NEXT_STEPS = {
    "data": "Data fault: go back to the previous version of the data, and fix the pipeline.",
    "model": "Model fault: roll back to the previous version, and look at the rows that changed.",
    "infrastructure": "Infrastructure fault: scale up or restart, and look at what calls wait for.",
    "cost": "Look at what became dearer: llmwatch costs --by model,user.",
}
_FAULTS = (
    ("features/", "data"),
    ("outputs/", "model"),
    ("drift/", "data"),
    ("errors/invalid_input", "data"),
    ("performance/", "model"),
    ("predictions/", "model"),
    ("alerts/degradation", "model"),
    ("errors/model_error", "model"),
    ("cost/", "cost"),
    ("latency/", "infrastructure"),
    ("throughput/", "infrastructure"),
    ("errors/", "infrastructure"),
)


@dataclass(frozen=True)
class Rule:
    """When to alert, and how.

    >>> slow = Rule(
    ...     "slow answers", Threshold("latency/p95_ms", above=2000), severity="P1", lasting=5
    ... )
    >>> slow.suggestion.split(":")[0]
    'Infrastructure fault'
    """

    name: str
    when: Condition
    severity: Severity = "P1"
    kind: Literal["symptom", "cause"] = "symptom"
    """A symptom is what users feel; a cause explains one. A symptom's message names the causes that fire with it."""
    causes: tuple[str, ...] = ()
    """Rules that explain this one. Without any: every rule of the kind `cause` on the same table."""
    lasting: int | str = 3
    """For so many windows in a row, or so long (`"10m"`), the condition holds before anybody is told."""
    settled: int | str = 5
    """For so many windows in a row, or so long, it does not hold before the alert counts as over."""
    cooldown: str = "1h"
    """An alert that comes back within this is the same alert, and nobody is told again."""
    project: str | None = None
    table: str | None = None
    by: tuple[str, ...] = ()
    """One alert for each group of these dimensions, which the metric set must group by."""
    runbook: str | None = None
    next_step: str | None = None
    fault: Literal["data", "model", "infrastructure", "cost"] | None = None
    channels: tuple[str, ...] | None = None
    """Names of channels; without, every channel that takes alerts of this severity."""
    escalate_after: str | None = None
    """Not over by then, it becomes `escalate_to` and is told once more."""
    escalate_to: Severity = "P0"

    def __post_init__(self) -> None:
        try:
            _check(self)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"rule {self.name!r}: {error}") from None

    @property
    def suggestion(self) -> str:
        """The next step to take: the rule's own, else what fits the kind of fault that its metric shows."""
        if self.next_step:
            return self.next_step
        if self.fault is None and isinstance(self.when, Absence):
            return NEXT_STEPS["infrastructure"]
        guessed = (fault for start, fault in _FAULTS if self.when.metric.startswith(start))
        fault: str | None = self.fault or next(guessed, None)
        return NEXT_STEPS[fault] if fault else "Look at the rows of this window: llmwatch board."

    @property
    def by_the_clock(self) -> bool:
        """Whether it is asked as time goes by, not as windows end."""
        return any(isinstance(one, (Absence, Budget)) for one in parts(self.when))

    def metrics(self) -> list[str]:
        return list(dict.fromkeys(one.metric for one in parts(self.when)))

    def lasting_of(self, told: int | str) -> tuple[int, int]:
        """`lasting` or `settled` as windows and microseconds, of which one is 0."""
        return (told, 0) if isinstance(told, int) else (0, duration_us(told))


def declared() -> list[Rule]:
    """The rules of the settings files (`[[watch.rules]]`) and of modules that they name, and the defaults unless
    `default_rules = false`; `SettingsError` for one that cannot be."""
    return checked(entries.all_of(_read()))


def usable(wrong: entries.Wrong = entries.say) -> list[Rule]:
    """Those of them that can be; `wrong` is told of each other one."""
    found = entries.good(_read(), wrong)
    names = {rule.name for rule in found}
    return [replace(rule, causes=tuple(c for c in rule.causes if c in names)) for rule in found]


def _read() -> list[Rule | SettingsError]:
    from llmwatch.watch.default_rules import DEFAULT

    told, where = settings.section("watch")
    own = entries.read(told.get("rules", []), "rules", where, from_mapping)
    own += own_code.of_kind(Rule)
    named = {one.name for one in own if isinstance(one, Rule)}
    defaults = told.get("default_rules", True)
    if not isinstance(defaults, bool):
        own.append(SettingsError(f"default_rules in {where} is true or false, not {defaults!r}"))
    if defaults is not False:
        own += [rule for rule in DEFAULT if rule.name not in named]
    return entries.once(own, lambda rule: rule.name, "rules")


def checked(rules: Iterable[Rule]) -> list[Rule]:
    """The rules, unless two have one name or one names a cause that is not there."""
    found = list(rules)
    known: dict[str, Rule] = {}
    for rule in found:
        if rule.name in known:
            raise SettingsError(f"there are two rules named {rule.name!r}")
        known[rule.name] = rule
    for rule in found:
        for cause in rule.causes:
            if cause not in known:
                raise SettingsError(
                    f"rule {rule.name!r}: there is no rule {cause!r} among its causes"
                )
    return found


def from_mapping(told: Mapping[str, Any], where: str = "the rules") -> Rule:
    """A rule as the settings files write it.

    >>> from_mapping({"name": "slow", "metric": "latency/p95_ms", "above": 2000}).when.above
    2000
    """
    name = told.get("name")
    if not isinstance(name, str) or not name:
        raise SettingsError(f"a rule in {where} has no name")
    try:
        return _from_mapping(name, dict(told))
    except SettingsError as error:
        said = str(error).removeprefix(f"rule {name!r}: ")
        raise SettingsError(f"rule {name!r} in {where}: {said}") from None
    except (TypeError, ValueError) as error:
        raise SettingsError(f"rule {name!r} in {where}: {error}") from None


def _from_mapping(name: str, told: dict[str, Any]) -> Rule:
    own = {field.name for field in fields(Rule)} - {"when"}
    options = {key: told.pop(key) for key in list(told) if key in own}
    for key in ("by", "causes", "channels"):
        if isinstance(options.get(key), str):
            options[key] = [options[key]]
        if key in options:
            options[key] = tuple(options[key])
    return Rule(when=_condition(told), **{**options, "name": name})


def _condition(told: dict[str, Any]) -> Condition:
    for word, kind in (("all", AllOf), ("any", AnyOf)):
        if word in told:
            return kind(_several(told, word))
    for marks, kind_, renamed in _KINDS:
        if marks <= told.keys():
            return _made(kind_, told, renamed)
    raise ValueError(
        "say what it looks for: metric with above or below, with trend, with above and against, or with budget; "
        "drift; absent; all or any of several"
    )


def _several(told: dict[str, Any], word: str) -> tuple[Condition, ...]:
    listed = told.pop(word)
    shared = {"set": told.pop("set")} if "set" in told else {}
    if told:
        raise ValueError(f"beside {word} there can be no {', '.join(sorted(told))}")
    if not isinstance(listed, list) or not listed or not all(isinstance(x, dict) for x in listed):
        raise ValueError(f"{word} is a list of conditions")
    return tuple(_condition({**shared, **one}) for one in listed)


_KINDS: tuple[tuple[set[str], type[Any], dict[str, str]], ...] = (
    ({"metric", "trend"}, Trend, {"trend": "direction"}),
    ({"metric", "budget"}, Budget, {"budget": "limit"}),
    ({"metric", "against"}, Change, {}),
    ({"absent"}, Absence, {"absent": "after_s"}),
    ({"metric", "above"}, Threshold, {}),
    ({"metric", "below"}, Threshold, {}),
    ({"drift"}, Drift, {"drift": "signal"}),
)


def _made(kind: type[Any], told: dict[str, Any], renamed: Mapping[str, str]) -> Condition:
    given = {renamed.get(key, key): value for key, value in told.items()}
    if kind is Absence:
        given["after_s"] = duration_us(given["after_s"]) / 1e6
    if kind is Drift and given["signal"] is True:
        given["signal"] = None
    known = {field.name for field in fields(kind)}
    if unknown := sorted(given.keys() - known):
        words = sorted({next((k for k, v in renamed.items() if v == n), n) for n in known})
        raise ValueError(f"there is no {', '.join(unknown)}; such a rule has {', '.join(words)}")
    for key, value in given.items():
        _check_value(key, value)
    made: Condition = kind(**given)
    return made


_NUMBERS = {"above", "below", "by", "deviations", "limit", "share", "after_s"}
_WHOLE = {"windows", "min_rows"}
_TRUTHS = {"usual"}


def _check_value(key: str, value: Any) -> None:
    if key in _NUMBERS and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise ValueError(f"{key} is a number, not {value!r}")
    if key in _WHOLE and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"{key} is a whole number, not {value!r}")
    if key in _TRUTHS and not isinstance(value, bool):
        raise ValueError(f"{key} is true or false, not {value!r}")
    if key not in _NUMBERS | _WHOLE | _TRUTHS and not isinstance(value, (str, type(None))):
        raise ValueError(f"{key} is a text, not {value!r}")


def _check(rule: Rule) -> None:
    if not isinstance(rule.name, str) or not 0 < len(rule.name) <= 128:
        raise ValueError("a name is a text of up to 128 characters")
    if not rule.name.isprintable():
        raise ValueError("a name has no control characters")
    for key, choices in _CHOICES.items():
        if getattr(rule, key) not in choices:
            known = ", ".join(str(one) for one in choices if one is not None)
            raise ValueError(f"{key} is one of {known}, not {getattr(rule, key)!r}")
    for key in ("lasting", "settled"):
        _check_lasting(key, getattr(rule, key))
    for length in filter(None, (rule.cooldown, rule.escalate_after)):
        duration_us(length)
    for key in ("by", "causes", "channels"):
        _check_texts(key, getattr(rule, key))
    _check_conditions(list(parts(rule.when)))


def _check_conditions(conditions: Sequence[Condition]) -> None:
    if not conditions:
        raise ValueError("it has no condition")
    patterns = [one for one in conditions if "*" in one.metric and not isinstance(one, Absence)]
    if len(conditions) > 1 and patterns:
        raise ValueError(f"a pattern such as {patterns[0].metric} cannot be part of all or any")


_CHOICES: dict[str, tuple[str | None, ...]] = {
    "severity": SEVERITIES,
    "escalate_to": SEVERITIES,
    "kind": ("symptom", "cause"),
    "fault": (None, *NEXT_STEPS),
}


def _check_lasting(key: str, told: int | str) -> None:
    if isinstance(told, str):
        duration_us(told)
    elif isinstance(told, bool) or not isinstance(told, int) or told < 1:
        raise ValueError(
            f"{key} is a number of windows, or a length of time such as 10m, not {told!r}"
        )


def _check_texts(key: str, told: Sequence[str] | None) -> None:
    if told is not None and not all(isinstance(one, str) and one for one in told):
        raise ValueError(f"{key} is a list of names")


def with_threshold(rule: Rule, limit: float) -> Rule:
    """The rule with another limit, for one whose condition is a `Threshold`."""
    when = rule.when
    assert isinstance(when, Threshold)
    changed = replace(when, above=limit) if when.above is not None else replace(when, below=limit)
    return replace(rule, when=changed)
