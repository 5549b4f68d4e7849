"""Sentences with personal data for `safety.py`: Presidio's templates, filled by Faker, in six countries.

    python benchmarks/safety_fill.py     # pip install faker; rewrites safety_data/pii.jsonl.gz

Templates with an even number are for tuning, odd ones for testing. A national number stands where a template has a
social security number, an IBAN or a driving licence. Faker makes none for Germany and only unallocated ones
for the United Kingdom: those are made here by the published rule.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent / "safety_data"
LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT")
ROUNDS = 4
SLOT = re.compile(r"\{\{(\w+)\}\}")
NATIONAL = {
    "ssn",
    "iban",
    "us_driver_license",
}  # templates whose place may hold another national number
KINDS = {
    "credit_card_number": "credit_card",
    "phone_number": "phone",
    "email": "email",
    "iban": "iban",
    "ip_address": "ip_address",
}
NAMES = {
    "person",
    "name",
    "first_name",
    "last_name",
    "name_male",
    "name_female",
    "first_name_male",
    "first_name_female",
    "first_name_nonbinary",
    "last_name_male",
    "last_name_female",
}
PLACES = {
    "address",
    "city",
    "country",
    "street_name",
    "secondary_address",
    "building_number",
    "postcode",
    "zipcode",
    "state_abbr",
}
SEED = 20261121


def main() -> int:
    from faker import Faker

    templates = (HERE / "pii_templates.txt").read_text("utf-8").splitlines()
    rows = []
    for locale in LOCALES:
        fake = Faker(locale)
        fake.seed_instance(SEED)
        chance = random.Random(SEED)
        for number, template in enumerate(templates):
            text = template.replace("\\n", "\n").replace("\\,", ",")
            structured = set(SLOT.findall(text)) & {*KINDS, "ssn", "us_driver_license"}
            times = ROUNDS if structured else 1
            rows += [
                filled(text, number, fake, locale, chance, national=False) for _ in range(times)
            ]
            if structured & NATIONAL:
                rows += [
                    filled(text, number, fake, locale, chance, national=True) for _ in range(8)
                ]
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    (HERE / "pii.jsonl.gz").write_bytes(gzip.compress(data, 9, mtime=0))
    print(len(rows), "rows,", (HERE / "pii.jsonl.gz").stat().st_size, "bytes")
    return 0


def filled(
    text: str, number: int, fake: Any, locale: str, chance: random.Random, *, national: bool
) -> dict[str, Any]:
    """A template with its places filled, and where what was put in is."""
    out, spans, position = "", [], 0
    for slot in SLOT.finditer(text):
        out += text[position : slot.start()]
        kind, value = chosen(slot[1], fake, locale, chance, national=national)
        if kind:
            spans.append([kind, len(out), len(out) + len(value)])
        out += value
        position = slot.end()
    return {
        "text": out + text[position:],
        "spans": spans,
        "split": "test" if number % 2 else "tune",
        "locale": locale,
        "template": number,
    }


def chosen(
    slot: str, fake: Any, locale: str, chance: random.Random, *, national: bool
) -> tuple[str, str]:
    if slot in NATIONAL and (national or slot == "ssn"):
        return national_number(fake, locale, chance)
    if slot == "ip_address":
        return "ip_address", fake.ipv4_public() if chance.random() < 0.7 else fake.ipv6()
    if slot in KINDS:
        return KINDS[slot], str(getattr(fake, slot)())
    if slot in NAMES:
        made = {"person": "name", "first_name_nonbinary": "first_name"}.get(slot, slot)
        return "name", str(getattr(fake, made)())
    if slot in PLACES:
        return "place", place(slot, fake)
    return "", other(slot, fake, chance)


def place(slot: str, fake: Any) -> str:
    made = {
        "zipcode": "postcode",
        "secondary_address": "building_number",
        "state_abbr": "country_code",
    }.get(slot, slot)
    return str(getattr(fake, made)()).replace("\n", ", ")


def other(slot: str, fake: Any, chance: random.Random) -> str:
    fixed = {
        "age": lambda: str(chance.randint(18, 90)),
        "year": lambda: str(chance.randint(1950, 2026)),
        "organization": fake.company,
        "us_driver_license": lambda: fake.bothify("?#######").upper(),
        "date_time": lambda: fake.date_time().strftime(
            chance.choice(["%Y-%m-%d %H:%M:%S", "%d.%m.%Y", "%A, %d %B %Y"])
        ),
        "date_of_birth": lambda: fake.date_of_birth().strftime(
            chance.choice(["%Y-%m-%d", "%m/%d/%Y"])
        ),
    }
    if slot in fixed:
        return str(fixed[slot]())
    made = getattr(fake, slot, None)
    return str(made()) if made else fake.word()


def national_number(fake: Any, locale: str, chance: random.Random) -> tuple[str, str]:
    if locale == "en_US":
        return ("us_ssn", fake.ssn()) if chance.random() < 0.8 else ("us_itin", fake.itin())
    if locale == "en_GB":
        return "uk_nino", nino(chance)
    if locale == "de_DE":
        return "de_tax_id", german_tax(chance)
    if locale == "fr_FR":
        value = fake.ssn().replace(" ", "")
        spaced = " ".join(
            (value[0], value[1:3], value[3:5], value[5:7], value[7:10], value[10:13], value[13:])
        )
        return "fr_nir", value if chance.random() < 0.5 else spaced
    if locale == "es_ES":
        return "es_id", fake.nif() if chance.random() < 0.5 else fake.nie()
    return "it_fiscal_code", fake.ssn()


def nino(chance: random.Random) -> str:
    """Two letters of those allowed, six digits, one of A to D; as it is printed, or without its spaces."""
    while True:
        prefix = chance.choice("ABCEGHJKLMNOPRSTWXYZ") + chance.choice("ABCEGHJKLMNPRSTWXYZ")
        if prefix not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}:
            break
    pairs = [f"{chance.randint(0, 99):02}" for _ in range(3)]
    return chance.choice(["", " "]).join([prefix, *pairs, chance.choice("ABCD")])


def german_tax(chance: random.Random) -> str:
    """Ten digits of which one comes twice, and the check digit of ISO 7064."""
    digits = chance.sample("0123456789", 9)
    digits.insert(chance.randint(1, 9), chance.choice(digits))
    if digits[0] == "0":
        return german_tax(chance)
    product = 10
    for digit in digits:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    whole = "".join(digits) + str((11 - product) % 10)
    return whole if chance.random() < 0.5 else f"{whole[:2]} {whole[2:5]} {whole[5:8]} {whole[8:]}"


if __name__ == "__main__":
    raise SystemExit(main())
