from __future__ import annotations

from collections import Counter

import pytest

from llmwatch.demo import traffic
from llmwatch.demo.help_centre import documents
from llmwatch.demo.traffic import DAY_US, HOUR_US, Request, requests, two_weeks

MONDAY = 1_799_971_200_000_000 // (7 * DAY_US) * (7 * DAY_US) + 4 * DAY_US
END = MONDAY + 14 * DAY_US


def asked(**options: object) -> list[Request]:
    return list(requests(MONDAY, END, seed=3, **options))  # type: ignore[arg-type]


def test_a_seed_says_everything_and_another_seed_something_else() -> None:
    assert asked() == asked()
    assert asked() != list(requests(MONDAY, END, seed=4))


def test_a_part_of_the_time_has_the_same_requests_as_the_whole() -> None:
    from_us, until_us = MONDAY + 9 * HOUR_US + 7, MONDAY + 11 * HOUR_US - 5
    part = list(requests(from_us, until_us, seed=3, incidents=two_weeks(END)))
    whole = requests(MONDAY, END, seed=3, incidents=two_weeks(END))
    assert part
    assert part == [one for one in whole if from_us <= one.at_us < until_us]


def test_requests_come_in_the_order_of_time_as_many_a_day_as_asked_for() -> None:
    found = asked(a_day=300)
    assert [one.at_us for one in found] == sorted(one.at_us for one in found)
    workdays = [one for one in found if (one.at_us - MONDAY) // DAY_US % 7 < 5]
    assert 270 < len(workdays) / 10 < 330


def test_nights_and_weekends_are_quiet() -> None:
    hours = Counter(one.at_us % DAY_US // HOUR_US for one in asked())
    assert hours[11] > 5 * hours[3]
    days = Counter((one.at_us - MONDAY) // DAY_US % 7 for one in asked())
    assert days[5] + days[6] < 0.85 * (days[0] + days[1])


def test_a_person_belongs_to_one_shop_and_a_session_to_one_person() -> None:
    found = asked(incidents=two_weeks(END))
    shops = {(one.user_id, one.tenant) for one in found}
    people = {(one.session_id, one.user_id) for one in found}
    assert len(shops) == len({one.user_id for one in found})
    assert len(people) == len({one.session_id for one in found})
    assert {one.tenant for one in found} == set(traffic.TENANTS)


def test_an_incident_changes_its_own_time_and_nothing_else() -> None:
    day = MONDAY + 2 * DAY_US
    slow = traffic.slow_tenant(day, day + DAY_US)
    plain, changed = asked(), asked(incidents=[slow])
    differ = [new for old, new in zip(plain, changed, strict=True) if old != new]
    assert differ
    assert all(slow.covers(one.at_us) and one.tenant == "nordwind" for one in differ)


def test_a_campaign_adds_requests_and_changes_none() -> None:
    start = MONDAY + 5 * DAY_US + 19 * HOUR_US
    campaign = traffic.injection_campaign(start, start + 3 * HOUR_US)
    found = asked(incidents=[campaign])
    assert [one for one in found if not one.attack] == asked()
    assert sum(one.attack for one in found) > 40


@pytest.mark.parametrize("incident", two_weeks(END), ids=lambda one: one.name)
def test_each_incident_of_the_demo_shows_in_its_requests(incident: traffic.Incident) -> None:
    plain, found = asked(), asked(incidents=[incident])
    changed = set(found) - set(plain)
    assert len(changed) > 20
    assert all(incident.covers(one.at_us) for one in changed)


def test_before_the_launch_nobody_asks_for_what_is_not_there_yet() -> None:
    launch = two_weeks(END)[0]
    found = asked(incidents=[launch])
    new = [one for one in found if one.topic.startswith("glow")]
    assert min(one.at_us for one in new) >= launch.start_us
    after = [one for one in found if launch.covers(one.at_us)]
    assert 0.25 < len(new) / len(after) < 0.45


def test_people_are_less_content_with_a_worse_model() -> None:
    unsure = two_weeks(END)[1]

    def resolved(found: list[Request]) -> float:
        said = [r.value for one in found for r in traffic.remarks(one) if r.kind == "label"]
        return sum(said) / len(said)

    found = asked(incidents=[unsure])
    during = [one for one in found if unsure.covers(one.at_us)]
    assert resolved(found) > 0.8
    assert resolved(during) < 0.7


def test_labels_come_late_and_thumbs_soon() -> None:
    said = [remark for one in asked() for remark in traffic.remarks(one)]
    assert min(one.after_s for one in said if one.kind == "label") >= 3600
    assert max(one.after_s for one in said if one.kind == "reaction") <= 90


def test_every_question_is_asked_of_one_document_only() -> None:
    questions = Counter(question for one in documents() for question in one.questions)
    assert max(questions.values()) == 1
    assert len({one.id for one in documents()}) == len(documents()) >= 40
    assert all(one.text.count(".") >= 3 and len(one.questions) >= 4 for one in documents())
