"""E-mail by SMTP. Headers are made by the standard library from texts on one line, so no text becomes a header."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from html import escape
from typing import Literal

from llmwatch.watch.channels.protocol import TIMEOUT_S, Undelivered
from llmwatch.watch.channels.secrets import secret, without
from llmwatch.watch.messages import Message
from llmwatch.watch.wording import one_line


@dataclass(frozen=True)
class Mail:
    """Sends mail from `sender` to `to` over `host`. `tls`: `starttls`, `tls` (from the first byte) or `none`. User and
    password are in the variables `user_env` and `password_env`."""

    host: str = "localhost"
    sender: str = ""
    to: tuple[str, ...] = ()
    name: str = "email"
    port: int = 0
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user_env: str = ""
    password_env: str = ""
    severities: tuple[str, ...] = ("P0", "P1", "P2")
    resolved: bool = False

    def send(self, message: Message) -> None:
        mail = letter(message)
        self.post(mail, message.id)

    def post(self, mail: EmailMessage, id_: str) -> None:
        """Send a letter of ours to everyone it is for."""
        mail["From"], mail["To"] = self.sender, ", ".join(self.to)
        mail["Date"] = formatdate()
        mail["Message-ID"] = f"<{id_}@llmwatch>"
        user = secret(self.user_env, self.name) if self.user_env else ""
        password = secret(self.password_env, self.name) if self.password_env else ""
        try:
            with self._connected() as connection:
                if user:
                    connection.login(user, password)
                refused = connection.send_message(mail)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            told = one_line(f"{type(error).__name__}: {error}", 300)
            final = isinstance(error, (smtplib.SMTPAuthenticationError, ValueError))
            raise Undelivered(without(told, password, user), final=final) from None
        if refused:
            raise Undelivered(f"refused for {one_line(', '.join(refused), 200)}", final=True)

    def _connected(self) -> smtplib.SMTP:
        if self.tls == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port or 465, timeout=TIMEOUT_S, context=context)
        connection = smtplib.SMTP(
            self.host, self.port or (587 if self.tls == "starttls" else 25), timeout=TIMEOUT_S
        )
        if self.tls == "starttls":
            try:
                connection.starttls(context=ssl.create_default_context())
            except BaseException:
                connection.close()
                raise
        return connection


def letter(message: Message) -> EmailMessage:
    """The message as a letter, as text and as HTML, without whom it is from and for."""
    mail = EmailMessage()
    mail["Subject"] = message.title
    lines = message.lines()
    mail.set_content("\n\n".join(lines) + "\n")
    body = "".join(f"<p>{escape(line)}</p>" for line in lines)
    mail.add_alternative(
        f"<!doctype html><html><body><h3>{escape(message.title)}</h3>{body}</body></html>\n",
        subtype="html",
    )
    return mail


def is_address(text: object) -> bool:
    """Whether mail can go there: one address, and nothing that could end a header.

    >>> is_address("ops@example.org"), is_address("ops@example.org\\nBcc: all@example.org")
    (True, False)
    """
    if not isinstance(text, str) or not text.isprintable():
        return False
    address = parseaddr(text)[1]
    return "@" in address and not any(c.isspace() or c == "," for c in address)
