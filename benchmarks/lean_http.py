"""An HTTP client that costs next to nothing, so that what is measured is the server."""

from __future__ import annotations

import asyncio
import json
from typing import Any


class LeanClient:
    """One connection at a time is used by one caller; connections are kept and taken in turn."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = (
            f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\n"
        )
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, body: object) -> dict[str, Any]:
        """POST JSON; the answer's JSON.

        Raises:
            AssertionError: The answer was no success.
        """
        reader, writer = self._idle.pop() if self._idle else await self._connect()
        said = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(said)}\r\n\r\n"
        writer.write(head.encode() + said)
        answered = (await reader.readuntil(b"\r\n\r\n")).decode()
        status = int(answered.split(" ", 2)[1])
        lines = (line.partition(":") for line in answered.split("\r\n"))
        headers = {name.lower(): value.strip() for name, _, value in lines}
        text = await reader.readexactly(int(headers["content-length"]))
        self._idle.append((reader, writer))
        assert 200 <= status < 300, f"{path}: {status} {text.decode()[:300]}"
        found: dict[str, Any] = json.loads(text)
        return found

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port)
