"""A mail server for tests: aiosmtpd, which appends what it takes to a file, a line of JSON each.

    smtp_server.py PORT MAILBOX [--tls CERTIFICATE KEY] [--login USER PASSWORD] [--refuse sender|client]

With --tls nothing is taken before STARTTLS; with --login nothing without that password; with --refuse nothing at all,
whoever it is from (at MAIL FROM) or wherever it comes from (at RCPT TO). What is for `refused@…` is refused for good,
and what is for `later@…` the first time. It ends when its standard input does.
"""

import argparse
import asyncio
import json
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Mailbox:
    def __init__(self, path, refused):
        self.path = path
        self.refused = refused
        self.deferred = set()

    async def handle_MAIL(self, server, session, envelope, address, options):
        if self.refused == "sender":
            return "550 5.7.1 mail from 203.0.113.99 is not taken"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.refused == "client":
            return "554 5.7.1 Client host [203.0.113.99] blocked"
        if address.startswith("refused@"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("later@") and address not in self.deferred:
            self.deferred.add(address)
            return "451 4.7.1 greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        taken = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "user": session.auth_data.login.decode() if session.authenticated else None,
            "data": envelope.content.decode(),
        }
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(taken) + "\n")
        return "250 2.0.0 taken"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("mailbox")
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--login", nargs=2)
    parser.add_argument("--refuse", choices=["sender", "client"])
    asked = parser.parse_args()
    options = {}
    if asked.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*asked.tls)
        options |= {"tls_context": context, "require_starttls": True}
    if asked.login:
        known = tuple(word.encode() for word in asked.login)

        def authenticate(server, session, envelope, mechanism, data):
            return AuthResult(success=(data.login, data.password) == known, auth_data=data)

        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": bool(asked.tls)}
    # Clients that hang up are what some tests are about.
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    mailbox = Mailbox(asked.mailbox, asked.refuse)
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: SMTP(mailbox, hostname="mail.test", **options), "127.0.0.1", asked.port)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
