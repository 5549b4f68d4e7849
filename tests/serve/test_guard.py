"""The checks before our web applications, asked as a server would ask them."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from llmwatch.errors import SettingsError
from llmwatch.serve import guard
from llmwatch.serve.guard import DATA_CSP, LOOPBACK, PAGE_CSP, guarded, hosts_for, is_loopback

TOKEN = "t" * 40


async def echo(scope, receive, send):
    """Answers with the number of bytes that it was sent."""
    count, more = 0, True
    while more:
        message = await receive()
        count, more = count + len(message.get("body", b"")), message.get("more_body", False)
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": str(count).encode()})


def ask(app, *, method="GET", body=(b"",), kind="http", **headers):
    """Status, headers and body of the answer; header names are written with underscores."""
    given = {"host": "localhost:8080", **headers}
    pairs = [
        (name.replace("_", "-").encode(), value.encode())
        for name, values in given.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    chunks = [
        {"type": "http.request", "body": chunk, "more_body": number < len(body) - 1}
        for number, chunk in enumerate(body)
    ]
    sent = []

    async def receive():
        return chunks.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": kind, "method": method, "path": "/", "headers": pairs}
    asyncio.run(app(scope, receive, send))
    return sent


def status(*args, **options):
    return ask(*args, **options)[0]["status"]


class TestHosts:
    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:9", "[::1]:8080"])
    def test_our_own_names_are_let_in(self, host):
        assert status(guarded(echo), host=host) == 200

    @pytest.mark.parametrize(
        "host",
        ["evil.example", "localhost.evil.example:80", "", "127.0.0.1.nip.io", "localhost@e.x"],
    )
    def test_a_name_that_was_made_to_lead_here_is_not(self, host):
        assert status(guarded(echo), host=host) in {400, 421}

    def test_two_host_headers_are_refused(self):
        assert status(guarded(echo), host=["localhost", "evil.example"]) == 400

    def test_any_name_is_let_in_with_the_token_when_names_cannot_be_known(self):
        app = guarded(echo, hosts=None, token=TOKEN)
        assert status(app, host="box.lan", authorization=f"Bearer {TOKEN}") == 200
        assert status(app, host="box.lan") == 401

    def test_a_server_off_loopback_needs_a_token(self):
        for hosts in (None, {"box.lan"}, hosts_for("192.168.1.7")):
            with pytest.raises(SettingsError, match="needs a token"):
                guarded(echo, hosts=hosts)

    def test_what_a_server_is_called_follows_from_where_it_listens(self):
        assert hosts_for("127.0.0.1") == LOOPBACK
        assert hosts_for("0.0.0.0") is None
        assert hosts_for("0.0.0.0", ["Box.lan"]) == LOOPBACK | {"box.lan"}
        assert hosts_for("192.168.1.7") == LOOPBACK | {"192.168.1.7"}
        assert is_loopback("127.0.0.9")
        assert not is_loopback("10.0.0.1")
        assert not is_loopback("localhost.evil.example")


class TestPagesOfOtherSites:
    @pytest.mark.parametrize(
        "origin",
        ["http://evil.example", "null", "http://localhost:9999", "http://localhost", "file://", ""],
    )
    def test_may_not_write(self, origin):
        assert status(guarded(echo), method="POST", origin=origin) == 403

    @pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin, cross-site"])
    def test_may_not_write_without_saying_who_they_are(self, site):
        assert status(guarded(echo), method="DELETE", sec_fetch_site=site) == 403

    def test_our_own_page_writes(self):
        app = guarded(echo)
        own = {"origin": "http://localhost:8080", "sec_fetch_site": "same-origin"}
        assert status(app, method="POST", **own) == 200
        assert status(app, method="POST", host="localhost", origin="http://localhost:80") == 200

    def test_a_program_writes(self):
        assert status(guarded(echo), method="POST") == 200

    def test_may_not_open_a_websocket(self):
        app = guarded(echo)
        sent = ask(app, kind="websocket", body=(b"",), origin="http://evil.example")
        assert sent[0]["type"] == "websocket.close"

    def test_cannot_read_an_answer(self):
        headers = dict(ask(guarded(echo), origin="http://evil.example")[0]["headers"])
        assert not any(name.startswith(b"access-control") for name in headers)


class TestTokens:
    app = staticmethod(guarded(echo, token=TOKEN))

    @pytest.mark.parametrize(
        "given",
        [
            f"Bearer {TOKEN}",
            f"bearer  {TOKEN}",
            "Basic " + base64.b64encode(f"api:{TOKEN}".encode()).decode(),
            "Basic " + base64.b64encode(f":{TOKEN}".encode()).decode(),
        ],
    )
    def test_bearer_and_password_are_taken(self, given):
        assert status(self.app, authorization=given) == 200

    @pytest.mark.parametrize(
        "given",
        ["", "Bearer", "Bearer no", f"Bearer {TOKEN}x", f"Token {TOKEN}", "Basic %%", "Basic bm8="],
    )
    def test_anything_else_is_not(self, given):
        assert status(self.app, authorization=given) == 401

    def test_a_browser_is_told_to_ask_for_it(self):
        start, content = ask(self.app)
        assert dict(start["headers"])[b"www-authenticate"].startswith(b"Basic ")
        assert "token" in json.loads(content["body"])["reason"]

    def test_the_token_is_asked_on_loopback_too_when_there_is_one(self):
        assert status(self.app) == 401

    @pytest.mark.parametrize("token", ["", "short", "ö" * 40, "a b\n" * 10])
    def test_a_weak_token_is_refused_at_once(self, token):
        with pytest.raises(SettingsError, match="at least 16"):
            guarded(echo, token=token)

    def test_a_new_token_is_one_that_wandb_takes(self):
        assert len(guard.new_token()) == 40
        assert guard.new_token() != guard.new_token()


class TestBodies:
    app = staticmethod(guarded(echo, max_body=10))

    def test_as_large_as_allowed_is_read(self):
        assert ask(self.app, method="POST", body=(b"12345", b"67890"))[1]["body"] == b"10"

    def test_one_that_says_it_is_too_large_is_not_begun(self):
        assert status(self.app, method="POST", content_length="11") == 413
        assert status(self.app, method="POST", content_length="9" * 5000) == 413

    def test_one_that_streams_past_the_limit_is_cut_off(self):
        sent = ask(self.app, method="POST", body=(b"123456", b"123456", b"unread"))
        assert sent[0]["status"] == 413
        assert len(sent) == 2

    def test_one_that_lies_about_its_length_is_cut_off(self):
        assert status(self.app, method="POST", content_length="1", body=(b"x" * 11,)) == 413

    def test_an_application_that_hides_the_end_answers_nothing_more(self):
        async def stubborn(scope, receive, send):
            try:
                await echo(scope, receive, send)
            except Exception:  # noqa: BLE001 - as a framework does
                await send({"type": "http.response.start", "status": 500, "headers": []})
                await send({"type": "http.response.body", "body": b"hm"})

        sent = ask(guarded(stubborn, max_body=10), method="POST", body=(b"x" * 11,))
        assert [message.get("status") for message in sent] == [413, None]

    def test_a_length_that_is_no_number_is_refused(self):
        assert status(self.app, method="POST", content_length="-1") == 400
        assert status(self.app, method="POST", content_length=["5", "6"]) == 400


class TestHeaders:
    def test_every_answer_carries_them_refusals_too(self):
        for sent in (ask(guarded(echo)), ask(guarded(echo), host="evil.example")):
            headers = dict(sent[0]["headers"])
            assert headers[b"content-security-policy"] == DATA_CSP.encode()
            assert headers[b"x-content-type-options"] == b"nosniff"
            assert headers[b"x-frame-options"] == b"DENY"
            assert headers[b"cache-control"] == b"no-store"

    def test_a_page_has_a_policy_of_its_own_without_inline_code(self):
        headers = dict(ask(guarded(echo, csp=PAGE_CSP))[0]["headers"])
        assert headers[b"content-security-policy"] == PAGE_CSP.encode()
        assert "unsafe" not in PAGE_CSP

    def test_what_the_application_sets_stays(self):
        async def cached(scope, receive, send):
            headers = [(b"Cache-Control", b"max-age=5")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b""})

        sent = ask(guarded(cached))
        values = [value for name, value in sent[0]["headers"] if name == b"cache-control"]
        assert values == [b"max-age=5"]


def test_starting_and_stopping_passes_through():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(guarded(app)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
