"""Token counts that were published, or worked out from published rules."""

from __future__ import annotations

import base64
import struct

import pytest

from llmwatch.scorers import encodings, images, tokens

# Texts and counts of OpenAI's cookbook, "How to count tokens with tiktoken" (MIT): there, each count of a chat is the one
# that the API reported, too.
TEXTS = [
    ("tiktoken is great!", "cl100k_base", 6),
    ("tiktoken is great!", "o200k_base", 6),
    ("antidisestablishmentarianism", "cl100k_base", 6),
    ("antidisestablishmentarianism", "o200k_base", 6),
    ("2 + 2 = 4", "cl100k_base", 7),
    ("2 + 2 = 4", "o200k_base", 7),
    ("お誕生日おめでとう", "cl100k_base", 9),
    ("お誕生日おめでとう", "o200k_base", 8),
]
IDS = {
    ("tiktoken is great!", "cl100k_base"): [83, 1609, 5963, 374, 2294, 0],
    ("tiktoken is great!", "o200k_base"): [83, 8251, 2488, 382, 2212, 0],
    ("お誕生日おめでとう", "o200k_base"): [8930, 9697, 243, 128225, 8930, 17693, 4344, 48669],
    ("hello world", "cl100k_base"): [15339, 1917],
}
JARGON = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "New synergies will help drive top-line growth.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
]
WEATHER = [
    {
        "role": "system",
        "content": "You are a helpful assistant that can answer to questions about the weather.",
    },
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]
PLACE = {"type": "string", "description": "The city and state, e.g. San Francisco, CA"}
UNIT = {
    "type": "string",
    "description": "The unit of temperature to return",
    "enum": ["celsius", "fahrenheit"],
}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
            "type": "object",
            "properties": {"location": PLACE, "unit": UNIT},
            "required": ["location"],
        },
    },
}


@pytest.mark.parametrize(("text", "encoding", "expected"), TEXTS)
def test_a_text_has_the_published_count(text, encoding, expected):
    assert encodings.count(text, encoding) == expected


@pytest.mark.parametrize(("case", "ids"), IDS.items())
def test_tokens_are_the_published_ones(case, ids):
    text, encoding = case
    assert encodings.load(encoding).encode_ordinary(text) == ids


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-3.5-turbo", 129),
        ("gpt-4-0613", 129),
        ("gpt-4", 129),
        ("gpt-4o", 124),
        ("gpt-4o-mini", 124),
    ],
)
def test_a_chat_with_names_has_the_count_that_the_api_reported(model, expected):
    assert tokens.chat(JARGON, model) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [("gpt-3.5-turbo", 105), ("gpt-4", 105), ("gpt-4o", 101), ("gpt-4o-mini", 101)],
)
def test_a_chat_with_a_tool_has_the_count_that_the_api_reported(model, expected):
    assert tokens.chat(WEATHER, model, [TOOL]) == expected


@pytest.mark.parametrize(("encoding", "expected"), [("cl100k_base", 7), ("o200k_base", 7)])
def test_the_text_of_a_special_token_is_text(encoding, expected):
    assert encodings.count("<|endoftext|>", encoding) == expected


@pytest.mark.parametrize("encoding", ["cl100k_base", "o200k_base"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\ud800 lone",
        "👩‍👩‍👧‍👦",
        "\x00\x1b[31m",
        "def f(x):\n\treturn x ** 2  # ok\n",
        "مرحبا",
        " " * 5000,
        "ab" * 200_000,
    ],
    ids=ascii,
)
def test_any_text_has_a_count_and_its_tokens_are_the_text(text, encoding):
    codec = encodings.load(encoding)
    found = codec.encode_ordinary(text)
    assert encodings.count(text, encoding) == len(found)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert codec.decode(found) == whole


def test_no_network_is_needed(monkeypatch):
    import requests

    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(requests, "get", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "/nowhere")
    encodings.load.cache_clear()
    assert encodings.count("hello world", "cl100k_base") == 2


def test_a_rank_file_that_is_not_the_right_one_cannot_count():
    with pytest.raises(ValueError, match="not the one that tiktoken expects"):
        encodings._carried_ranks("https://somewhere/cl100k_base.tiktoken", "0" * 64)


@pytest.mark.parametrize(
    ("model", "encoding", "exact"),
    [
        ("gpt-4o-2024-08-06", "o200k_base", True),
        ("openai/gpt-4", "cl100k_base", True),
        ("text-embedding-3-small", "cl100k_base", True),
        ("gpt-oss-20b", "o200k_base", True),
        ("text-davinci-003", "cl100k_base", False),
        ("mistral-large", "o200k_base", False),
        (None, "o200k_base", False),
    ],
)
def test_a_model_has_its_encoding_or_an_estimate(model, encoding, exact):
    assert encodings.of_model(model) == (encoding, exact)


# --- rows --------------------------------------------------------------------------------


def row(output, **inputs):
    return {"inputs": inputs, "output": output}


def test_a_prompt_is_found_wherever_a_call_has_it():
    hello = {"role": "user", "content": "hello"}
    asked = [
        row(None, messages=[hello]),
        row(None, input="hello", model="gpt-4o"),
        row(None, input=[hello]),
    ]
    assert [tokens.prompt(each, "gpt-4o").tokens for each in asked] == [8, 8, 8]
    assert tokens.prompt(row(None, prompt="hello"), "gpt-4o").tokens == 1
    assert (
        tokens.prompt(row(None, input=["hello", "hello world"]), "text-embedding-3-small").tokens
        == 3
    )
    assert tokens.prompt(row(None, instructions="be brief", input="hello"), "gpt-4o").tokens == 14
    assert tokens.prompt(row(None, n=3), "gpt-4o") is None


def test_an_answer_is_counted_in_every_choice_and_as_far_as_a_stream_came():
    two = {"choices": [{"message": {"content": "Yes."}}, {"message": {"content": "hello world"}}]}
    assert tokens.completion(row(two), "gpt-4o").tokens == 4
    assert tokens.completion(row("hello wor"), "gpt-4o").tokens == 2
    assert (
        tokens.completion(row({"data": [{"embedding": [0.1]}]}), "text-embedding-3-small").tokens
        == 0
    )
    assert tokens.completion(row(None), "gpt-4o") is None


def test_what_makes_a_count_an_estimate_is_said():
    hello = [{"role": "user", "content": "hello"}]
    assert tokens.prompt(row(None, messages=hello), "gpt-4o").why == ()
    assert tokens.prompt(row(None, messages=hello), "claude-x").why == ("counted as o200k_base",)
    assert tokens.prompt(row(None, messages=hello, tools=[TOOL]), "gpt-4o").why == (
        "tools are counted by a rule of thumb",
    )
    assert tokens.completion(row("hi"), "o3-mini").why == ("reasoning is not shown",)


# --- images: the cases of OpenAI's guide to images ---------------------------------------


@pytest.mark.parametrize(
    ("model", "size", "detail", "expected"),
    [
        ("gpt-4o", (1024, 1024), "high", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4o", (512, 512), "auto", 255),
        ("gpt-4o-mini", (1024, 1024), "high", 25501),
        ("gpt-4o-mini", (99, 99), "low", 2833),
        ("o3", (1024, 1024), "high", 675),
        ("gpt-5", (1024, 1024), "high", 630),
        ("gpt-4.1-mini", (1024, 1024), "high", 1659),
        ("o4-mini", (1800, 2400), "high", 2498),
    ],
)
def test_an_image_counts_as_the_guide_says(model, size, detail, expected):
    assert images.tokens(model, size, detail) == expected


def test_patches_cover_the_image_made_smaller():
    assert images.patches((1800, 2400)) == 1452
    assert images.tokens("claude", (10, 10)) is None


def png(width, height):
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10"
    b"JFIF" + bytes(10) + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 30, 40) + bytes(12)
)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png(640, 480), (640, 480)),
        (JPEG, (40, 30)),
        (b"RIFF....WEBPVP8X" + bytes(8) + b"\x7f\x02\x00\xdf\x01\x00", (640, 480)),
        (b"RIFF....WEBPVP8L" + bytes(5) + struct.pack("<I", 639 | 479 << 14), (640, 480)),
        (png(0, 5), None),
        (b"\x89PNG", None),
        (b"\xff\xd8" + b"\xff\xe0\x00\x00" * 5, None),
        (b"", None),
    ],
)
def test_the_size_of_an_image_is_in_its_first_bytes(data, size):
    assert images.size_of(data) == size


def test_an_image_in_a_message_is_counted_by_its_size_or_estimated():
    def asked(url, **more):
        part = {"type": "image_url", "image_url": {"url": url, **more}}
        return tokens.prompt(row(None, messages=[{"role": "user", "content": [part]}]), "gpt-4o")

    seen = asked("data:image/png;base64," + base64.b64encode(png(1024, 1024)).decode())
    assert (seen.tokens, seen.why) == (765 + 7, ())
    elsewhere = asked("https://example.com/a.png")
    assert (elsewhere.tokens, elsewhere.why) == (765 + 7, ("the size of an image is not known",))
    assert asked("https://example.com/a.png", detail="low").why == ()
    assert asked("data:image/png;base64,!!!").why != ()
