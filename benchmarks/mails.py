"""Mails a second to a mail server in another process: ours, and the bare library.

python -m benchmarks.mails [--rounds 5] [--mails 400]

Ours is all that a worker does for a mail once it has the call: settings and secrets, templates, the
message, a connection from the pool. The bare side sends a message that is ready, over one open
connection. To reach: more than 100 a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from itertools import count
from pathlib import Path

import aiosmtplib

from benchmarks.measuring import Latency, one_at_a_time, rate, report, report_rates
from nexus.channels import Channels, load_channels
from nexus.core.calls import CallRequest, idempotency_key

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HTML = """<style>h1 { color: #333 } p { font: 16px/1.5 sans-serif } .button { padding: 8px }</style>
<h1>Welcome, {{ data.name }}</h1>
<p>You have {{ data.offers | size }} offers:</p>
<ul>{% for offer in data.offers %}<li>{{ offer }}</li>{% endfor %}</ul>
<p><a class="button" href="https://example.com/{{ subject.id }}">See them</a></p>
"""
GIVEN = {
    "to": ["{{ data.name }} <{{ data.email }}>"],
    "subject": "{{ data.offers | size }} offers for {{ data.name }}",
    "html": HTML,
}
SCOPE = {
    "data": {"name": "Zoë", "email": "zoe@example.org", "offers": ["one", "two", "three"]},
    "subject": {"type": "lead", "id": "lead-1"},
    "steps": {},
}
IN_FLIGHT = (1, 4, 20)

Side = Callable[[], Awaitable[object]]


def ours(channels: Channels) -> Side:
    numbers = count()

    async def send() -> object:
        number = next(numbers)
        call = CallRequest(
            key=idempotency_key("bench", f"lead-{number}/1/run"),
            tenant="acme",
            instance="bench",
            definition="bench",
            version="1.0.0",
            record=f"lead-{number}",
            stage="new",
            step="run",
            channel="email",
            requested_at=AT,
            given=GIVEN,
            scope=SCOPE,
        )
        return await channels.call(call, attempt=1, timeout=timedelta(seconds=30))

    return send


def bare(client: aiosmtplib.SMTP) -> Side:
    message = EmailMessage()
    message["From"], message["To"] = "sales@example.com", "zoe@example.org"
    message["Subject"] = "3 offers for Zoe"
    message.set_content("Welcome")
    message.add_alternative(HTML, subtype="html")

    async def send() -> object:
        return await client.send_message(message)

    return send


async def measure(port: int, channels: Channels, rounds: int, mails: int) -> None:
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False)
    await client.connect()
    sides = {"bare": bare(client), "ours": ours(channels)}
    single: dict[str, list[Latency]] = {name: [] for name in sides}
    rates: dict[str, list[float]] = {"bare": []}
    rates |= {f"ours, {most} at once": [] for most in IN_FLIGHT}
    for side in sides.values():  # both are warm before anything counts
        await rate(side, 30, 1)
    for number in range(rounds):
        for name in sorted(sides, reverse=number % 2 == 1):
            single[name].append(await one_at_a_time(sides[name], mails // 4))
        rates["bare"].append(await rate(sides["bare"], mails, 1))
        for most in sorted(IN_FLIGHT, reverse=number % 2 == 1):
            rates[f"ours, {most} at once"].append(await rate(sides["ours"], mails, most))
    await client.quit()
    await channels.close()
    report("one mail after another", single, "bare")
    report_rates("mails", rates, "bare")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mails", type=int, default=400, help="of each kind and round")
    asked = parser.parse_args()
    command = [sys.executable, "-m", "tests.support.smtp"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            settings = Path(folder) / "channels.json"
            email = {
                "host": "127.0.0.1",
                "port": port,
                "security": "none",
                "from": "Sales <sales@example.com>",
            }
            settings.write_text(json.dumps({"*": {"email": email}}))
            print(f"{os.cpu_count()} processors")
            asyncio.run(measure(port, load_channels(settings), asked.rounds, asked.mails))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
