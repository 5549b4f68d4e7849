"""Check digits of numbers that identify people and accounts."""

from __future__ import annotations


def luhn(digits: str) -> bool:
    """Payment cards.

    >>> luhn("4242424242424242"), luhn("4242424242424241")
    (True, False)
    """
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban(value: str) -> bool:
    """International bank account numbers, without spaces: the remainder by 97, and the country's length.

    >>> iban("DE89370400440532013000"), iban("DE89370400440532013001")
    (True, False)
    """
    if IBAN_LENGTHS.get(value[:2]) != len(value):
        return False
    return int("".join(str(int(c, 36)) for c in value[4:] + value[:4])) % 97 == 1


def nhs(digits: str) -> bool:
    """The National Health Service of England (ten digits)."""
    check = (
        11
        - sum(int(d) * weight for d, weight in zip(digits[:9], range(10, 1, -1), strict=True)) % 11
    )
    return check % 11 == int(digits[9]) and check != 10


def german_tax(digits: str) -> bool:
    """The German Steuer-ID (eleven digits): ISO 7064, and of its first ten just one twice or thrice."""
    counts = sorted((digits[:10].count(d) for d in set(digits[:10])), reverse=True)
    if digits[0] == "0" or counts[0] not in (2, 3) or counts[1] != 1:
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def french_nir(value: str) -> bool:
    """The French social security number: thirteen digits (Corsica: 2A, 2B) and a key modulo 97."""
    body, key = value[:13], value[13:]
    offset = {"2A": 1_000_000, "2B": 2_000_000}.get(body[5:7], 0)
    number = int(body.replace("A", "0").replace("B", "0")) - offset
    return int(key) == 97 - number % 97


def spanish_id(value: str) -> bool:
    """The Spanish DNI and NIE: a letter for the remainder by 23.

    >>> spanish_id("12345678Z"), spanish_id("X1234567L"), spanish_id("12345678A")
    (True, True, False)
    """
    digits = value[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23] == value[-1]


def italian_code(value: str) -> bool:
    """The Italian codice fiscale: sixteen characters, the last one of the others."""
    total = sum(
        _ITALIAN_ODD[c] if index % 2 == 0 else int(c, 36) % 10 if c.isdigit() else ord(c) - 65
        for index, c in enumerate(value[:15])
    )
    return chr(65 + total % 26) == value[15]


def machine_readable(value: str) -> bool:
    """One check digit of the machine-readable lines of passports (weights 7, 3, 1)."""
    body, check = value[:-1], value[-1]
    total = sum((0 if c == "<" else int(c, 36)) * (7, 3, 1)[i % 3] for i, c in enumerate(body))
    return check.isdigit() and total % 10 == int(check)


_ODD = (
    1,
    0,
    5,
    7,
    9,
    13,
    15,
    17,
    19,
    21,
    2,
    4,
    18,
    20,
    11,
    3,
    6,
    8,
    12,
    14,
    16,
    10,
    22,
    25,
    24,
    23,
)
_ITALIAN_ODD = {chr(65 + i): v for i, v in enumerate(_ODD)} | {str(i): _ODD[i] for i in range(10)}

IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
