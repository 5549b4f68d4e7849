"""What is scored by what: one scorer with its settings and the rows that it wants."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from llmwatch.errors import SettingsError

BUILT_IN = {
    "token_cost": "llmwatch.scorers:TokenCost",
    "confidence": "llmwatch.scorers:Confidence",
    "safety": "llmwatch.scorers:Safety",
}
_CALLS_OF_SCORERS = frozenset({"scorer", "guardrail"})
_OF_MODELS = frozenset({"generation", "embedding", "llm"})


@dataclass(frozen=True, eq=False)
class Spec:
    """A scorer by where it is found, and which rows it scores. A worker can be told all of it."""

    use: str
    """`module:object`: a function, a scorer, or a class to make one of with `settings`."""
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    sample: float = 1.0
    ops: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    errors: bool = False
    timeout_s: float = 30.0
    attempts: int = 3
    batch: int = 64
    processes: int = 1
    paths: tuple[str, ...] = ()
    """Directories from which `use` can be imported."""
    revision: str = ""
    """Of the scorer's code, where the person says one: a new one is another version."""
    ref: str = ""
    """Of the scorer as it was published to Weave, if it was."""

    def __post_init__(self) -> None:
        module, colon, target = self.use.partition(":")
        if not (module and colon and target):
            raise SettingsError(
                f"a scorer is 'module:object' or one of {', '.join(BUILT_IN)}; not {self.use!r}"
            )
        if not 0 <= self.sample <= 1:
            raise SettingsError(
                f"sample of scorer {self.use} is a share from 0 to 1, not {self.sample}"
            )
        for what in ("timeout_s", "attempts", "batch", "processes"):
            if getattr(self, what) <= 0:
                raise SettingsError(
                    f"{what} of scorer {self.use} is more than 0, not {getattr(self, what)}"
                )
        if not self.name:
            object.__setattr__(self, "name", _default_name(target))

    @property
    def version(self) -> str:
        """Changes with what decides a score: the scorer, its settings, its revision."""
        decides = [self.use, self.name, self.settings, self.revision]
        text = orjson.dumps(
            decides, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
        )
        return hashlib.sha256(text).hexdigest()[:12]

    @property
    def built_in(self) -> bool:
        return self.use in BUILT_IN.values()

    def wants(self, row: Mapping[str, Any], table: str) -> bool:
        """Whether a row of the reader is one to score."""
        if not self._is_of_table(row, table) or not self._is_of_kind(row):
            return False
        if row.get("status") == "error" and not (self.errors or self.built_in):
            return False
        if self.ops and short_name(row.get("op_name")) not in self.ops:
            return False
        return self.sample >= 1 or _share(row["id"], self.name) < self.sample

    def _is_of_table(self, row: Mapping[str, Any], table: str) -> bool:
        if self.tables:
            return table in self.tables or "*" in self.tables
        return row.get("started_at") is not None  # calls, whatever their table

    def _is_of_kind(self, row: Mapping[str, Any]) -> bool:
        kind = row.get("kind")
        if self.kinds:
            return kind in self.kinds
        if self.use == BUILT_IN["token_cost"]:
            return kind in _OF_MODELS or any(
                row.get(c) is not None for c in ("model", "prompt_tokens", "data")
            )
        return kind not in _CALLS_OF_SCORERS

    def told(self) -> dict[str, Any]:
        """As JSON that `Spec.read` takes."""
        return asdict(self)

    @classmethod
    def read(cls, told: Mapping[str, Any], where: str) -> Spec:
        """From a table of the settings or a registration; says what is wrong with it and where."""
        known = {name: value for name, value in told.items() if name in cls.__dataclass_fields__}
        if unknown := told.keys() - known.keys():
            raise SettingsError(
                f"a scorer in {where} has no setting {', '.join(sorted(unknown))}; "
                f"there is: {', '.join(sorted(cls.__dataclass_fields__))}"
            )
        for name in ("ops", "kinds", "tables", "paths"):
            value = known.get(name, ())
            known[name] = (value,) if isinstance(value, str) else tuple(value)
        known["use"] = use_of(known, where)
        try:
            return cls(**known)
        except TypeError as error:
            raise SettingsError(f"a scorer in {where} is not understood: {error}") from error


def use_of(told: Mapping[str, Any], where: str) -> str:
    """Where the scorer is: `use`, or the place of a built-in one that is named."""
    use, name = told.get("use"), told.get("name", "")
    if use is None and name not in BUILT_IN:
        raise SettingsError(
            f"scorer {name!r} in {where} is none of {', '.join(BUILT_IN)}; say where yours is with use = 'module:object'"
        )
    return str(BUILT_IN.get(use, use) if use is not None else BUILT_IN[name])


def named(text: str, **options: Any) -> Spec:
    """The spec of a built-in scorer's name or of `module:object`.

    >>> named("token_cost").use
    'llmwatch.scorers:TokenCost'
    """
    return Spec.read({"use": BUILT_IN.get(text, text), **options}, "the arguments")


def short_name(op_name: str | None) -> str:
    """The name of an op without its project and version.

    >>> short_name("weave:///local/bot/op/answer:0aF3")
    'answer'
    """
    return (op_name or "").rsplit("/", 1)[-1].split(":", 1)[0]


def _default_name(target: str) -> str:
    from llmwatch.scorers.protocol import _snake

    return _snake(target.rsplit(".", 1)[-1])


def _share(row_id: str, name: str) -> float:
    """A number from 0 to 1 that is always the same for a row and a scorer."""
    digest = hashlib.blake2b(
        f"{name}:{row_id}".encode("utf-8", "surrogatepass"), digest_size=8
    ).digest()
    return int.from_bytes(digest, "big") / 2**64
