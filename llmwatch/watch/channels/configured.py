"""The channels of the settings files: each `[[watch.channels]]`, and the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from llmwatch import credentials, settings
from llmwatch.errors import SettingsError
from llmwatch.watch import entries
from llmwatch.watch.channels.command import Command
from llmwatch.watch.channels.desktop import Desktop
from llmwatch.watch.channels.log import Log
from llmwatch.watch.channels.mail import Mail, is_address
from llmwatch.watch.channels.pagerduty import PagerDuty
from llmwatch.watch.channels.posting import check_url
from llmwatch.watch.channels.protocol import Channel
from llmwatch.watch.channels.slack import Slack
from llmwatch.watch.channels.wandb_alert import WandbAlert
from llmwatch.watch.channels.webhook import Webhook
from llmwatch.watch.rules import SEVERITIES

KINDS: dict[str, type[Any]] = {
    "log": Log,
    "webhook": Webhook,
    "slack": Slack,
    "email": Mail,
    "pagerduty": PagerDuty,
    "wandb": WandbAlert,
    "command": Command,
    "desktop": Desktop,
}
_LISTS = ("severities", "to", "run")


def configured(root: Path | None = None) -> list[Channel]:
    """The channels that are declared; the log comes first unless it is declared itself."""
    return _with_log(entries.all_of(_read(root)))


def usable(root: Path | None = None, wrong: entries.Wrong = entries.say) -> list[Channel]:
    """Those of them that can be; `wrong` is told of each other one."""
    return _with_log(entries.good(_read(root), wrong))


def _read(root: Path | None) -> list[Channel | SettingsError]:
    told, where = settings.section("watch")
    listed = told.get("channels", [])
    made = entries.read(listed, "channels", where, lambda one, at: from_mapping(one, at, root))
    return entries.once(made, lambda channel: channel.name, "channels")


def _with_log(made: list[Channel]) -> list[Channel]:
    return made if any(isinstance(one, Log) for one in made) else [Log(), *made]


def from_mapping(
    told: Mapping[str, Any], where: str = "the settings", root: Path | None = None
) -> Channel:
    """A channel as the settings files write it.

    >>> from_mapping({"type": "slack", "url_env": "OPS_SLACK"}).name
    'slack'
    """
    given = dict(told)
    kind = KINDS.get(str(given.pop("type", "")))
    name = str(told.get("name", told.get("type", "?")))
    if kind is None:
        raise SettingsError(f"channel {name!r} in {where}: type is one of {', '.join(KINDS)}")
    if "from" in given:
        given["sender"] = given.pop("from")
    if kind is WandbAlert and root is not None:
        given.setdefault("dir", str(root / ".alerts"))  # a name that no entity can have
    try:
        _check(kind, given)
        channel: Channel = kind(**given)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"channel {name!r} in {where}: {error}") from None
    return channel


def _check(kind: type[Any], given: dict[str, Any]) -> None:
    known = {field.name: field.default for field in fields(kind)}
    for key in _LISTS:
        if key in given:
            given[key] = _texts(key, given[key])
    for key, value in given.items():
        if key not in known:
            shown = sorted("from" if name == "sender" else name for name in known)
            raise ValueError(f"there is no {key}; such a channel has {', '.join(shown)}")
        _check_type(key, value, known[key])
    if unknown := set(given.get("severities", ())) - set(SEVERITIES):
        raise ValueError(
            f"severities are {', '.join(SEVERITIES)}, not {', '.join(sorted(unknown))}"
        )
    _check_no_secret(given)
    _CHECKS.get(kind, _nothing)(given)


def _check_type(key: str, value: Any, default: Any) -> None:
    kinds = (int, float) if isinstance(default, float) else (type(default),)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"{key} cannot be {value!r}")


def _texts(key: str, told: Any) -> tuple[str, ...]:
    listed = [told] if isinstance(told, str) and key != "run" else told
    if not isinstance(listed, (list, tuple)) or not all(isinstance(one, str) for one in listed):
        raise ValueError(f"{key} is a list of texts")
    return tuple(listed)


def _check_no_secret(given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        texts = value if isinstance(value, tuple) else (value,)
        if any(isinstance(text, str) and any(credentials.find(text)) for text in texts):
            raise ValueError(
                f"{key} holds a secret; put it into an environment variable, and name that "
                "(url_env, token_env, key_env, password_env)"
            )


def _webhook(given: Mapping[str, Any]) -> None:
    if bool(given.get("url")) == bool(given.get("url_env")):
        raise ValueError("it needs url, or url_env where the URL is a secret")
    if given.get("url"):
        check_url(given["url"])


def _mail(given: Mapping[str, Any]) -> None:
    to = given.get("to", ())
    wrong = [one for one in (given.get("sender"), *to) if not is_address(one)]
    if wrong or not to:
        raise ValueError(
            f"it needs from and to, mail addresses{f', not {wrong[0]!r}' if wrong else ''}"
        )
    if given.get("tls", "starttls") not in {"starttls", "tls", "none"}:
        raise ValueError("tls is starttls, tls or none")


def _command(given: Mapping[str, Any]) -> None:
    if not given.get("run"):
        raise ValueError("it needs run, a list: the program and its arguments")


def _pagerduty(given: Mapping[str, Any]) -> None:
    if "url" in given:
        check_url(given["url"])


def _nothing(given: Mapping[str, Any]) -> None:
    del given


_CHECKS = {Webhook: _webhook, Mail: _mail, Command: _command, PagerDuty: _pagerduty}


def renamed(channel: Any, name: str) -> Channel:
    """The same channel under another name."""
    changed: Channel = replace(channel, name=name)
    return changed
