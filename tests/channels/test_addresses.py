"""Where calls may go, and that what was vetted is what is connected to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpcore
import pytest

from nexus.channels.addresses import (
    AddressRefused,
    VettedBackend,
    look_up,
    read_url,
    refusal,
    vetted,
)

PUBLIC = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"]
OWN = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
]
NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "192.88.99.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2002:808:808::",
    "3fff::1",
    "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
    "64:ff9b::a00:1",
    "64:ff9b:1::808:808",
    "::7f00:1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "fd00:ec2::254",
    "100::1",
    "4000::1",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", [*PUBLIC, "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert refusal(address) is None
    assert refusal(address, allow_private=True) is None


@pytest.mark.parametrize("address", OWN)
def test_own_networks_are_for_those_who_allow_them(address: str) -> None:
    assert refusal(address) in ("private", "loopback")
    assert refusal(address, allow_private=True) is None


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_for_nobody(address: str) -> None:
    assert refusal(address)
    assert refusal(address, allow_private=True)


def test_one_bad_address_spoils_the_name() -> None:
    with pytest.raises(AddressRefused, match=r"'mixed\.example' \(10\.0\.0\.1\).*private"):
        vetted("mixed.example", ["8.8.8.8", "10.0.0.1"])


@pytest.mark.parametrize(
    "url",
    [
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://example.com@127.0.0.1/",
        "http://127.0.0.1\\@example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/",
        "example.com/hook",
        "",
        "https://",
        "https:///hook",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:-1/",
        "https://example.com:8o/",
        "https://exa mple.com/",
        "https://example.com\r\nHost: evil/",
        "https://example.com/\x00",
        "https://-example.com/",
        "https://example..com/",
        "https://127%2e0.0.1/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[::1]evil/",
        "https://" + "a" * 254 + "/",
        "https://example.com/" + "a" * 2048,
        "gopher://example.com/",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        read_url(url)
    assert "password" not in str(refused.value) or "belong" in str(refused.value)


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://Example.COM", "example.com", "/"),
        ("https://example.com.:443/a?b=c#d", "example.com", "/a?b=c"),
        ("http://example.com:8080/a b/é", "example.com:8080", "/a%20b/%C3%A9"),
        ("https://bücher.example/", "xn--bcher-kva.example", "/"),
        ("http://[2606:4700:0::1111]:81/x", "[2606:4700::1111]:81", "/x"),
        ("http://my_service:9000/", "my_service:9000", "/"),
        (" https://example.com/ ", "example.com", "/"),
        ("http://2130706433/", "2130706433", "/"),
    ],
)
def test_a_url_is_read_once_into_its_parts(url: str, authority: str, target: str) -> None:
    read = read_url(url)
    assert (read.authority, read.target) == (authority, target)
    again = read_url(f"{read.scheme}://{read.authority}{read.target}")
    assert again == read


def test_a_redirect_is_read_relative_to_where_it_was_given() -> None:
    base = read_url("https://example.com:8443/a/b?c")
    assert read_url("/d", base).authority == "example.com:8443"
    assert read_url("e", base).target == "/a/e"
    assert read_url("//other.example/f", base).host == "other.example"
    with pytest.raises(AddressRefused, match="begin with https"):
        read_url("file:///etc/passwd", base)


@pytest.mark.parametrize("disguise", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0"])
async def test_the_resolver_reads_disguised_addresses_and_they_are_vetted(disguise: str) -> None:
    found = await look_up(disguise, 80)
    with pytest.raises(AddressRefused):
        vetted(disguise, found)


async def test_looking_up_takes_no_thread_from_the_rest_of_the_process() -> None:
    """Names whose servers never answer are somebody's; the threads of a process are everybody's."""
    loop, busy = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
    holding = loop.run_in_executor(None, busy.wait)
    try:
        async with asyncio.timeout(30):  # else it would wait for ever
            assert await look_up("127.0.0.1", 80) == ["127.0.0.1"]
        assert not holding.done()
    finally:
        busy.set()
        await holding


class Network(httpcore.AsyncNetworkBackend):
    """Says which addresses it was asked to connect to; those in `down` do not answer."""

    def __init__(self, *down: str) -> None:
        self.asked: list[str] = []
        self.down = down

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.asked.append(host)
        if host in self.down:
            raise httpcore.ConnectError(f"{host} is down")
        return httpcore.AsyncMockStream([])


class Resolver:
    """A name server whose answers change from one question to the next."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        if not self.answers:
            raise OSError("no such name")
        return self.answers.pop(0)


async def test_the_vetted_address_is_the_one_connected_to() -> None:
    """A name server that says something else the second time is not asked a second time."""
    network = Network()
    resolver = Resolver(["8.8.8.8"], ["127.0.0.1"])
    backend = VettedBackend(resolve=resolver, network=network)
    await backend.connect_tcp("rebinding.example", 443)
    assert network.asked == ["8.8.8.8"]
    with pytest.raises(AddressRefused):
        await backend.connect_tcp("rebinding.example", 443)
    assert network.asked == ["8.8.8.8"]


async def test_nothing_is_connected_to_if_one_address_is_refused() -> None:
    network = Network()
    backend = VettedBackend(resolve=Resolver(["8.8.8.8", "::1"]), network=network)
    with pytest.raises(AddressRefused, match="loopback"):
        await backend.connect_tcp("mixed.example", 443)
    assert network.asked == []


async def test_the_next_address_is_tried_if_one_does_not_answer() -> None:
    network = Network("8.8.8.8")
    backend = VettedBackend(resolve=Resolver(["8.8.8.8", "1.1.1.1"]), network=network)
    await backend.connect_tcp("two.example", 443)
    assert network.asked == ["8.8.8.8", "1.1.1.1"]


async def test_a_name_without_addresses_and_one_that_does_not_answer_cannot_be_reached() -> None:
    backend = VettedBackend(resolve=Resolver([], ["8.8.8.8"]), network=Network("8.8.8.8"))
    for _ in range(3):
        with pytest.raises(httpcore.ConnectError):
            await backend.connect_tcp("away.example", 443)


async def test_sockets_of_the_machine_are_refused() -> None:
    with pytest.raises(AddressRefused):
        await VettedBackend(allow_private=True).connect_unix_socket("/var/run/docker.sock")
