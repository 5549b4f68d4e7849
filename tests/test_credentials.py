"""Credentials: each kind is found, and code that talks of them is left alone."""

from __future__ import annotations

import base64
import json
import random
import string

import orjson
import pytest

from llmwatch import credentials
from llmwatch.tracing import redact

CHANCE = random.Random(4)


def some(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(CHANCE.choice(alphabet) for _ in range(count))


def jwt() -> str:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256"}).encode()).decode().rstrip("=")
    return f"{head}.eyJzdWIiOiIxMjM0In0.{some(43)}"


KINDS = {
    "openai_key": ["sk-" + "proj-" + some(60), "sk-" + some(20) + "T3BlbkFJ" + some(20)],
    "anthropic_key": ["sk-ant-" + "api03-" + some(90)],
    "google_key": ["AIza" + some(35), "GOCSPX-" + some(28), "ya29." + some(60)],
    "aws_key": [
        kind + some(15, string.ascii_uppercase) + "7" for kind in ("AKIA", "ASIA", "ABIA", "ACCA")
    ],
    "aws_secret": [some(38) + "/7"],
    "github_token": ["gh" + "p_" + some(36), "github_pat_" + some(60)],
    "slack_token": [
        "xox" + "b-123456789012-123456789012-" + some(24),
        "xapp-" + "1-A0123456789-1234567890123-" + some(40),
        "hooks.slack.com/" + "services/T01234567/B01234567/" + some(24),
    ],
    "stripe_key": ["sk_" + "live_" + some(24), "rk_" + "test_" + some(24), "whsec_" + some(32)],
    "jwt": [jwt()],
    "private_key": [
        "-----BEGIN RSA PRIVATE KEY-----\n" + some(300) + "\n-----END RSA PRIVATE KEY-----"
    ],
    "other_token": [
        *("glpat-" + some(19) + "4", "npm_" + some(35) + "4", "pypi-AgE" + some(80), "hf_" + some(34)),
        *("SG." + some(22) + "." + some(43), "dop_v1_" + some(64, "0123456789abcdef")),
        *("shpat_" + some(32, "0123456789abcdef"), "lin_api_" + some(40)),
    ],
    "azure_key": [some(86) + "=="],
    "bearer_token": ["abcDEF123" + some(20)],
    "url_password": ["s3cr3t-w0rd"],
    "password": ["hunter2!x"],
}
AROUND = {
    "aws_secret": "aws_secret_access_key = {}",
    "azure_key": "AccountKey={};EndpointSuffix=x",
    "bearer_token": "Authorization: Bearer {}",
    "url_password": "postgres://app:{}@db/x",
    "password": "DB_PASSWORD={}",
}


@pytest.mark.parametrize(("kind", "value"), [(k, v) for k, values in KINDS.items() for v in values])
def test_each_kind_is_found_whole_whatever_stands_around_it(kind, value):
    for around in (AROUND.get(kind, "use {}, please"), AROUND.get(kind, 'key = "{}";')):
        text = around.format(value)
        found = [(f.kind, text[f.start : f.end]) for f in credentials.find(text)]
        assert found == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "password = getpass()",
        "password: str = None",
        "password=<your-password>, token=$TOKEN, secret={{ secret }}",
        "api_key=os.environ['KEY']",
        "The password must be changed. Password: required",
        "sk-learn-and-other-packages-are-nice",
        "BEGIN = '-----BEGIN RSA PRIVATE KEY-----'",
        "AKIA and AIza are prefixes; ghp_ too; xoxb- as well",
        "eyJ is how a JWT begins",
        "https://user@example.com:8080/path and http://localhost:8080",
    ],
)
def test_talk_of_credentials_is_none(text):
    assert list(credentials.find(text)) == []


def test_of_two_that_overlap_the_specific_one_is_kept():
    text = "password=" + "sk-ant-" + "api03-" + some(40)
    assert [f.kind for f in credentials.find(text)] == ["anthropic_key"]


def test_a_private_key_without_an_end_ends_in_time():
    text = "-----BEGIN PRIVATE KEY-----\n" + some(100_000)
    (found,) = credentials.find(text)
    assert found.end - found.start < 21_000


# --- the glance that every traced call's texts get -----------------------------------------------


@pytest.mark.parametrize("padding", ["", "a long-winded story of no one, " * 20])
@pytest.mark.parametrize(
    ("kind", "value"), [(k, v) for k, values in KINDS.items() if k != "password" for v in values]
)
def test_a_glance_at_a_text_or_its_json_tells_that_a_credential_may_be_there(kind, value, padding):
    text = f"{padding} {AROUND.get(kind, 'use {} please').format(value)} {padding}"
    data = orjson.dumps({"question": text})
    assert redact.may_hold_secret(text)
    assert redact._may_hold_secret(data)
    assert orjson.dumps(value)[1:-1] not in redact.Redactor().json(data, plain=True)


def test_there_is_an_example_of_every_credential_that_is_looked_for():
    for shape in credentials._SHAPES:
        examples = [
            AROUND.get(shape.kind, "{}").format(value) for value in KINDS.get(shape.kind, [])
        ]
        for needle in set(shape.needles) - {"AWS", "SharedAccessKey=", "gho_", "ghu_", "ghs_", "ghr_", ":"}:
            assert any(needle in example for example in examples), (shape.kind, needle)


@pytest.mark.parametrize(
    "text",
    [
        "How do I reset the key of my account?",
        "A man - of 42 - said: yes/no? A = B, ok_then @ home, K. J. G. 9z",
        "AI: the laws of IAM, on AWS and in SOCIAL MEDIA, are = to those of the CIA",
    ],
)
def test_a_glance_at_what_people_say_finds_nothing(text):
    assert not redact.may_hold_secret(text)
    assert not redact.may_hold_secret(text * 20)
    assert not redact._may_hold_secret(orjson.dumps(text))
