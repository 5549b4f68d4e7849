"""Windows: aligned, also where days have 23 or 25 hours and zones are not whole hours apart."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from llmwatch import clock
from llmwatch.errors import SettingsError
from llmwatch.watch.sets import seconds
from llmwatch.watch.windows import SECOND_US, Window, asked, window_of


def us(year, month, day, hour=0, minute=0, zone="UTC"):
    moment = datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone))
    return int(moment.timestamp() * 1_000_000)


@pytest.mark.parametrize("length", [60, 300, 420, 3600])
def test_short_windows_follow_each_other_without_a_gap(length):
    first = window_of(us(2026, 3, 1, 12, 34), length)
    assert first.length_s == length
    assert window_of(first.end_us, length).start_us == first.end_us
    assert window_of(first.end_us - 1, length) == first


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", (2026, 3, 29), 24),
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
        ("Asia/Kolkata", (2026, 3, 29), 24),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("America/St_Johns", (2026, 1, 1), 24),
    ],
)
def test_a_day_lasts_from_midnight_to_midnight_of_its_zone(zone, day, hours):
    window = window_of(us(*day, 12, zone=zone), 86_400, zone)
    assert window.start_us == us(*day, zone=zone)
    assert window.length_s == hours * 3600
    assert window_of(window.start_us, 86_400, zone) == window
    assert window_of(window.end_us - 1, 86_400, zone) == window
    assert window_of(window.end_us, 86_400, zone).start_us == window.end_us


def test_a_week_begins_on_monday():
    window = window_of(us(2026, 11, 21, 9), 7 * 86_400)
    assert window == Window(us(2026, 11, 16), us(2026, 11, 23))


def test_times_before_1970_have_windows_too():
    assert window_of(-1, 60) == Window(-60 * SECOND_US, 0)
    assert window_of(-1, 86_400) == Window(-86_400 * SECOND_US, 0)


def test_the_last_hour_has_what_passed_of_this_minute():
    with clock.use(now=lambda: us(2026, 1, 1, 12, 30) + 5):
        window = asked("1h")
    assert window == Window(us(2026, 1, 1, 11, 30), us(2026, 1, 1, 12, 30) + 6)


def test_a_pair_of_times_may_be_in_any_zones_but_must_have_one():
    berlin, utc = ZoneInfo("Europe/Berlin"), timezone.utc
    window = asked((datetime(2026, 1, 1, 1, tzinfo=berlin), datetime(2026, 1, 1, 2, tzinfo=utc)))
    assert window.length_s == 2 * 3600
    with pytest.raises(SettingsError, match="no time zone"):
        asked((datetime(2026, 1, 1), datetime(2026, 1, 2)))  # noqa: DTZ001 - that is what is refused
    with pytest.raises(SettingsError, match="cannot end"):
        asked((datetime(2026, 1, 2, tzinfo=utc), datetime(2026, 1, 1, tzinfo=utc)))


@pytest.mark.parametrize("text", ["", "60", "0m", "30s", "1y", "-1h", "1.5h", None])
def test_what_is_no_length_is_refused(text):
    with pytest.raises(SettingsError, match="no length of a window"):
        seconds(text)


def test_a_length_of_two_days_covers_two_days():
    window = window_of(us(2026, 3, 29, 12), 2 * 86_400, "Europe/Berlin")
    assert timedelta(microseconds=window.end_us - window.start_us) in {
        timedelta(hours=47),
        timedelta(hours=48),
    }
