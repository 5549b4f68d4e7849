"""Channels: what arrives, what hostile text becomes, and what happens when one fails."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import sys
import time

import pytest
from told_windows import ERRORS, Watcher, history_rows, project, tell

from llmwatch import clock, settings
from llmwatch.errors import SettingsError
from llmwatch.testing import temporary_store
from llmwatch.testing.mailbox import mailbox, receiver
from llmwatch.watch import sending
from llmwatch.watch.channels.command import Command
from llmwatch.watch.channels.configured import configured, from_mapping, usable
from llmwatch.watch.channels.desktop import Desktop, command
from llmwatch.watch.channels.log import Log
from llmwatch.watch.channels.mail import Mail
from llmwatch.watch.channels.pagerduty import PagerDuty, event
from llmwatch.watch.channels.protocol import Undelivered
from llmwatch.watch.channels.slack import Slack, payload
from llmwatch.watch.channels.webhook import Webhook
from llmwatch.watch.conditions import Threshold
from llmwatch.watch.messages import About, Message
from llmwatch.watch.rules import Rule

HOSTILE = "<!channel> <script>alert(1)</script>\r\nBcc: all@example.org\x1b[31m\u202e & \ud800"
RULE = Rule("many fail", Threshold(ERRORS, above=5), lasting=1)


def message(text=HOSTILE, kind="firing", severity="P0"):
    about = About("a1", f"traces {text}", f"errors are 9 {text}", 9.0, 1_800_000_000_000_000)
    return Message(
        "m1", kind, "local/shop", f"many fail {text}", severity, (about,), 1_800_000_000_000_000,
        (f"nulls {text}",), "Roll back.", "https://wiki.example.org/many",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def store():
    with temporary_store() as store:
        yield store


# --- what arrives --------------------------------------------------------------------------


def test_a_mail_has_the_headers_that_we_gave_it_and_no_others():
    with mailbox() as box:
        mail = Mail(
            sender="watch@example.org",
            to=("a@example.org", "b@example.org"),
            host=box.host,
            port=box.port,
            tls="none",
        )
        mail.send(message())
        [arrived] = box.messages
        assert arrived["Bcc"] is None
        assert set(arrived.keys()) == {
            "Subject",
            "From",
            "To",
            "Date",
            "Message-ID",
            "MIME-Version",
            "Content-Type",
        }
        assert "\n" not in arrived["Subject"]
        assert box.recipients == [["<a@example.org>", "<b@example.org>"]]
        html = arrived.get_body(("html",)).get_content()
        assert "<script>" not in html
        assert "&lt;script&gt;" in html
        assert "\x1b" not in arrived.get_body(("plain",)).get_content()


def test_a_webhook_gets_json_with_a_signature_and_a_token(monkeypatch):
    monkeypatch.setenv("OPS_TOKEN", "t0ken")
    monkeypatch.setenv("OPS_SECRET", "s3cret")
    with receiver() as hook:
        Webhook(url=hook.url, token_env="OPS_TOKEN", secret_env="OPS_SECRET").send(message("x"))
        [request] = hook.requests
        told = json.loads(request.body)
        assert (told["severity"], told["rule"], told["kind"]) == ("P0", "many fail x", "firing")
        assert told["about"][0]["alert"] == "a1"
        assert request.headers["Authorization"] == "Bearer t0ken"
        assert request.headers["Idempotency-Key"] == "m1"
        signature = hmac.new(b"s3cret", request.body, hashlib.sha256).hexdigest()
        assert request.headers["X-Llmwatch-Signature"] == f"sha256={signature}"


def test_slack_gets_text_that_mentions_nobody(monkeypatch):
    told = json.dumps(payload(message()))
    assert "<!channel>" not in json.loads(told)["text"]
    assert "&lt;!channel&gt;" in json.loads(told)["text"]
    assert {block["text"]["type"] for block in json.loads(told)["blocks"]} == {"plain_text"}
    with receiver() as hook:
        monkeypatch.setenv("OPS_SLACK", hook.url)
        Slack(url_env="OPS_SLACK").send(message())
        assert json.loads(hook.requests[0].body)["blocks"][0]["type"] == "header"


def test_pagerduty_gets_one_incident_a_rule_and_its_end(monkeypatch):
    monkeypatch.setenv("PAGERDUTY_ROUTING_KEY", "R0UT1NG")
    with receiver() as hook:
        channel = PagerDuty(url=hook.url)
        channel.send(message("x"))
        channel.send(message("x", kind="resolved"))
        began, over = (json.loads(request.body) for request in hook.requests)
        assert (began["event_action"], over["event_action"]) == ("trigger", "resolve")
        assert began["dedup_key"] == over["dedup_key"]
        assert began["payload"]["severity"] == "critical"
        assert began["links"] == [{"href": "https://wiki.example.org/many", "text": "Runbook"}]
    assert event(message())["payload"]["summary"].isprintable()


def test_a_command_gets_the_message_on_its_standard_input(tmp_path):
    out = tmp_path / "out"
    program = f"import sys,os; open({str(out)!r},'w').write(sys.stdin.read()+os.environ['LLMWATCH_ALERT_SEVERITY'])"
    Command(run=(sys.executable, "-c", program)).send(message("x; touch /tmp/owned"))
    assert out.read_text().endswith("P0")
    assert json.loads(out.read_text()[:-2])["id"] == "m1"


@pytest.mark.skipif(sys.platform == "darwin", reason="the program is another one")
def test_the_desktop_shows_texts_that_are_neither_options_nor_markup(tmp_path, monkeypatch):
    program, out = tmp_path / "notify-send", tmp_path / "out"
    program.write_text(
        f"#!{sys.executable}\nimport sys,json; json.dump(sys.argv[1:], open({str(out)!r}, 'w'))\n"
    )
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    from_mapping({"type": "desktop"}).send(message())
    *options, title, body = json.loads(out.read_text())
    assert options == ["--app-name=llmwatch", "--urgency=critical", "--"]
    assert title.startswith("[P0] many fail")
    assert "&lt;script&gt;" in body
    assert "<" not in body
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(Undelivered, match="could not be started"):
        Desktop().send(message())


def test_on_a_mac_the_texts_are_arguments_of_a_script_and_no_part_of_it():
    *script, title, body = command(message(), "darwin")
    assert script[0] == "osascript"
    assert title not in " ".join(script)
    assert body.isprintable() or "\n" in body


def test_a_channel_that_cannot_be_leaves_the_others(monkeypatch, tmp_path):
    monkeypatch.setenv(settings.ROOT_ENV, str(tmp_path))
    (tmp_path / "llmwatch.toml").write_text(
        '[[watch.channels]]\ntype = "desktop"\n[[watch.channels]]\ntype = "telegram"\n'
    )
    wrong: list[SettingsError] = []
    assert [one.name for one in usable(None, wrong.append)] == ["log", "desktop"]
    assert "type is one of" in str(wrong[0])


def test_the_log_has_one_line_that_steers_nothing(caplog):
    with caplog.at_level(logging.INFO, "llmwatch.watch"):
        Log().send(message())
    [record] = caplog.records
    assert record.getMessage().isprintable()


@pytest.mark.slow
def test_wandb_gets_an_alert_in_a_run_of_its_own_also_offline(tmp_path, monkeypatch, store):
    monkeypatch.setenv("WANDB_MODE", "offline")
    channel = from_mapping({"type": "wandb", "project": "shop"}, root=store.root)
    channel.send(message("x"))
    [run] = store.root.glob(".alerts/wandb/offline-run-*/run-*.wandb")
    assert b"errors are 9 x" in run.read_bytes()
    assert store.projects() == []  # its files are no project


# --- what fails ----------------------------------------------------------------------------


def test_a_command_that_hangs_or_fails_is_ended_and_said():
    with pytest.raises(Undelivered, match="took longer than"):
        Command(run=(sys.executable, "-c", "import time; time.sleep(60)"), timeout_s=0.3).send(
            message()
        )
    with pytest.raises(Undelivered, match="ended with 3: no such pager"):
        Command(run=(sys.executable, "-c", "print('no such pager'); exit(3)")).send(message())
    with pytest.raises(Undelivered, match="could not be started"):
        Command(run=("/no/such/program",)).send(message())


def test_a_redirect_is_not_followed():
    with receiver() as other, receiver(failing=1, status=302, location=other.url) as hook:
        with pytest.raises(Undelivered, match="302"):
            Webhook(url=hook.url).send(message())
        assert other.requests == []


def test_a_failure_says_nothing_secret(monkeypatch):
    monkeypatch.setenv("OPS_SLACK", "http://127.0.0.1:9/services/T0/B0/verysecret")
    with pytest.raises(Undelivered) as raised:
        Slack(url_env="OPS_SLACK").send(message())
    assert "verysecret" not in str(raised.value)


def test_a_missing_variable_is_named():
    with pytest.raises(Undelivered, match="needs the environment variable OPS_SLACK"):
        Slack(url_env="OPS_SLACK").send(message())


def test_a_channel_that_fails_holds_up_no_other_and_is_tried_again_with_patience():
    with receiver(failing=2) as bad, receiver() as good, mailbox(failing=1) as box:
        channels = [
            Webhook(name="bad", url=bad.url),
            Webhook(name="good", url=good.url),
            Mail(
                sender="w@example.org",
                to=("o@example.org",),
                host=box.host,
                port=box.port,
                tls="none",
            ),
        ]
        watcher = Watcher([RULE], channels)
        watcher.each(range(1), errors=9)
        assert (len(bad.requests), len(good.requests), len(box.raw)) == (0, 1, 0)
        watcher.at(1.01)  # too soon: nothing is tried
        assert bad.refused == 1
        for minute in (1.1, 1.4, 3):
            watcher.at(minute)
        assert (len(bad.requests), len(good.requests), len(box.raw)) == (1, 1, 1)
        told = [(row["channel"], row["ok"], row["attempts"]) for row in history_rows("notified")]
        assert sorted(told) == [
            ("bad", False, 1),
            ("bad", True, 3),
            ("email", False, 1),
            ("email", True, 2),
            ("good", True, 1),
        ]


def test_what_is_refused_for_good_is_given_up_and_written_down():
    with receiver(failing=99, status=403) as hook:
        watcher = Watcher([RULE], [Webhook(url=hook.url)])
        watcher.each(range(3), errors=9)
        assert hook.refused == 1
        [row] = history_rows("notified")
        assert (row["ok"], row["error"]) == (False, "given up: HTTP 403: ")


def test_a_channel_with_a_fault_of_its_own_does_not_end_the_watch():
    class Broken:
        name, severities, resolved = "broken", ("P1",), False

        def send(self, message):
            raise RuntimeError("a bug")

    watcher = Watcher([RULE], [Broken()])
    assert watcher.each(range(2), errors=9) == ["firing"]
    assert "RuntimeError: a bug" in history_rows("notified")[0]["error"]


def test_a_channel_that_hangs_is_left_behind(monkeypatch):
    class Hanging:
        name, severities, resolved = "hanging", ("P1",), False

        def send(self, message):
            time.sleep(5)

    monkeypatch.setattr(sending, "DEADLINE_S", 0.1)
    Watcher([RULE], [Hanging()]).each(range(1), errors=9)
    assert "took longer than" in history_rows("notified")[0]["error"]


def test_a_single_look_tries_a_few_times_itself():
    from llmwatch.stream.query import Reader
    from llmwatch.watch.rounds import look

    with receiver(failing=1) as hook:
        tell(range(2), {ERRORS: 9.0})
        reader = Reader(project())
        with clock.use(
            now=lambda: 1_800_000_000_000_000 // 86_400_000_000 * 86_400_000_000 + 120_000_000
        ):
            look(reader, [RULE], [Webhook(url=hook.url)])
            assert sending.send(project(), [Webhook(url=hook.url)], once=True) == []
        reader.close()
        assert len(hook.requests) == 1


def test_severities_and_names_choose_the_channels():
    quiet = Rule("quiet", Threshold(ERRORS, above=5), lasting=1, severity="P2")
    named = Rule("named", Threshold(ERRORS, above=5), lasting=1, severity="P2", channels=("pager",))
    with receiver() as pager, receiver() as chat:
        channels = [
            Webhook(name="pager", url=pager.url, severities=("P0",)),
            Webhook(name="chat", url=chat.url),
        ]
        Watcher([quiet, named], channels).each(range(1), errors=9)
        assert [json.loads(one.body)["rule"] for one in pager.requests] == ["named"]
        assert [json.loads(one.body)["rule"] for one in chat.requests] == ["quiet"]


# --- as the settings files write them -------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"type": "pigeon"}, "channel 'pigeon' in the settings: type is one of log, webhook"),
        ({"type": "webhook"}, "channel 'webhook' in the settings: it needs url, or url_env"),
        ({"type": "webhook", "url": "ftp://x"}, "begins with https"),
        ({"type": "slack", "url": "https://hooks.slack.com/services/x"}, "there is no url; such a channel has"),
        ({"type": "webhook", "url": "https://hooks.slack.com/services/T0123/B0123/aB3dE5fG7hJ9"}, "url holds a secret"),
        ({"type": "email", "from": "a@example.org", "to": ["b@example.org\nBcc: c@example.org"]}, "mail addresses, not"),
        ({"type": "email", "from": "a@example.org"}, "it needs from and to"),
        ({"type": "command", "run": "rm -rf /"}, "run is a list of texts"),
        ({"type": "log", "severities": ["P7"]}, "severities are P0, P1, P2, not P7"),
        ({"type": "email", "port": "25"}, "port cannot be '25'"),
    ],
)  # fmt: skip
def test_a_channel_that_cannot_be_is_told_by_its_name(told, said):
    with pytest.raises(SettingsError, match=said):
        from_mapping(told)


def test_the_settings_file_declares_channels_beside_the_log(tmp_path, monkeypatch):
    from llmwatch import settings

    monkeypatch.setenv(settings.ROOT_ENV, str(tmp_path))
    (tmp_path / "llmwatch.toml").write_text(
        '[[watch.channels]]\ntype = "slack"\nname = "ops"\n[[watch.channels]]\ntype = "email"\nfrom = "a@example.org"\nto = "b@example.org"\n'
    )
    assert [channel.name for channel in configured()] == ["log", "ops", "email"]
