"""Personal data: every kind in its usual writings, and numbers that only look like them."""

from __future__ import annotations

import pytest

from llmwatch.scorers.safety import checksums, pii

FOUND = {
    "email": ["joe.o'neil+x@ex-ample.co.uk", "a_b@sub.domain.museum"],
    "phone": [
        "+49 (0)30 1234 5678",
        "(555) 123-4567 x12",
        "+1-363-717-0669x0743",
        "001-258-968-3449",
        "555.268.3740",
        "01 23 45 67 89",
        "(0191) 496 0377",
        "+39 0962150003",
    ],
    "credit_card": ["4242 4242 4242 4242", "378282246310005", "5555-5555-5555-4444"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NO9386011117947"],
    "ip_address": ["8.8.8.8", "192.168.1.77", "2001:db8::8a2e:370:7334", "::ffff:8.8.8.8"],
    "us_ssn": ["078-05-1120", "078 05 1120"],
    "us_itin": ["912-94-1234"],
    "uk_nino": ["AB123456C", "AB 12 34 56 C"],
    "de_tax_id": ["86095742719", "86 095 742 719"],
    "fr_nir": ["1 84 12 76 451 089 46", "184127645108946"],
    "es_id": ["12345678Z", "X1234567L", "12345678-Z"],
    "it_fiscal_code": ["RSSMRA85T10A562S"],
}


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in FOUND.items() for value in values]
)
def test_each_kind_is_found_whole_in_a_sentence(kind, value):
    text = f"It was {value}, she said."
    spans = pii.find(text, threshold=0.5)[1]
    assert [(s.kind, text[s.start : s.end]) for s in spans] == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "4242 4242 4242 4241",  # check digit
        "DE89 3704 0044 0532 0130 01",
        "12345678A",
        "RSSMRA85T10A562T",
        "000-12-3456 and 666-12-3456 and 078-00-1120",
        "GB123456A",  # a prefix that is never given
        "version 1.2.3.4.5, 300.1.1.1, 127.0.0.1",
        "12:30:45 on 2024-11-21 or 21.11.2024",
        "1732176000123456 and 1732176000",
        "aa:bb:cc:dd:ee:ff",
        "order 0123456789, 1,234,567.89 dollars, $555-123",
        "joe@localhost, @joe, joe@, a@b",
        "550e8400-e29b-41d4-a716-446655440000",
        "ISBN 978-3-16-148410-0",
    ],
)
def test_what_only_looks_like_it_is_not_found(text):
    assert pii.find(text, threshold=0.6)[1] == []


def test_a_number_is_a_phone_where_the_words_before_it_say_so():
    assert pii.find("my phone is 5551234567", threshold=0.6)[1]
    assert not pii.find("we sold 5551234567 of them", threshold=0.6)[1]


def test_a_british_health_number_needs_its_name_and_its_check_digit():
    assert [s.kind for s in pii.find("NHS number 943 476 5919")[1]] == ["uk_nhs"]
    assert "uk_nhs" not in [s.kind for s in pii.find("NHS number 943 476 5918")[1]]


def test_a_passport_is_found_by_its_machine_readable_lines():
    lines = (
        "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
    )
    assert [s.kind for s in pii.find(lines)[1]] == ["passport_mrz"]
    assert pii.find(lines.replace("L898902C36", "L898902C35"))[1] == []


def test_neighbours_are_found_apart():
    text = "Office: +44 20 7946 0958\nFax: (020) 7946 0959,+44 20 7946 0960-Home"
    assert [s.kind for s in pii.find(text, threshold=0.6)[1]] == ["phone"] * 3


def test_a_mask_shows_no_more_than_the_last_four_of_a_card():
    spans = pii.find("4242424242424242 and 078-05-1120 and a@example.com")[1]
    assert [s.masked for s in spans] == [
        "[credit_card …4242 of 16]",
        "[us_ssn of 11]",
        "[email of 13]",
    ]


def test_check_digits_agree_with_published_examples():
    assert checksums.luhn("79927398713")
    assert checksums.iban("MT84MALT011000012345MTLCAST001S")
    assert checksums.nhs("9434765919")
    assert checksums.german_tax("86095742719")
    assert not checksums.german_tax("86095742718")
    assert checksums.french_nir("2550814168025" + "38")
    assert checksums.italian_code("RSSMRA85T10A562S")
    assert checksums.machine_readable("L898902C36")
