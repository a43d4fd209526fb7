"""Where calls may go: URLs read once, every address vetted, and the vetted address connected to.

A name that is looked up twice may have two answers, so nothing here asks twice: `VettedBackend`
sits below the connection pool, looks a name up, refuses it if a single one of its addresses is
not allowed, and connects to those very addresses. The pool above knows the name alone, so that
`Host`, SNI and the certificate's check are about the name, and no connection to one name is ever
used for another that shares its address.

The networks are listed here, not left to `ipaddress.is_global`, whose answers differ between
versions of Python, and which calls multicast, 6to4 and NAT64 global.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpcore
import httpx

MOST_CHARACTERS = 2048
"""Longest URL."""

MOST_ADDRESSES = 8
"""Addresses of one name that are tried, one after the other."""

CONNECT_SECONDS = 5.0
"""Before the next address is tried."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Name and port → addresses, as text."""

# Threads of their own: a name whose server never answers holds one beyond the call's time, and
# those of the process are for others, such as who looks up the mail server.
_LOOKUPS = ThreadPoolExecutor(max_workers=64, thread_name_prefix="nexus-lookup")

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_DEFAULT_PORTS = {"http": 80, "https": 443}

# Allowed to those who allow private addresses: one's own machine and one's own networks.
_PRIVATE_4 = {
    "private": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"],
    "loopback": ["127.0.0.0/8"],
}
# Allowed to nobody. Link-local is where clouds keep the credentials of the machine, and
# 168.63.129.16 is the same in a public disguise.
_NEVER_4 = {
    "unspecified": ["0.0.0.0/8"],
    "link-local": ["169.254.0.0/16"],
    "reserved": ["192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4", "168.63.129.16/32"],
    "for documentation or tests": [
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "198.18.0.0/15",
    ],
    "multicast": ["224.0.0.0/4"],
}
_PRIVATE_6 = {"private": ["fc00::/7"], "loopback": ["::1/128"]}
_METADATA_6 = IPv6Address("fd00:ec2::254")
_PUBLIC_6 = IPv6Network("2000::/3")
# Within the public part: protocol assignments with Teredo, 6to4, documentation.
_NEVER_6 = {
    "reserved": ["2001::/23", "2002::/16"],
    "for documentation or tests": ["2001:db8::/32", "3fff::/20"],
}
# A translator behind this prefix connects to the IPv4 address in the last 32 bits.
_NAT64 = IPv6Network("64:ff9b::/96")

_Networks4 = tuple[tuple[str, IPv4Network], ...]
_Networks6 = tuple[tuple[str, IPv6Network], ...]


def _four(table: dict[str, list[str]]) -> _Networks4:
    return tuple((what, IPv4Network(net)) for what, nets in table.items() for net in nets)


def _six(table: dict[str, list[str]]) -> _Networks6:
    return tuple((what, IPv6Network(net)) for what, nets in table.items() for net in nets)


_NETWORKS_4 = (_four(_PRIVATE_4), _four(_NEVER_4))
_NETWORKS_6 = (_six(_PRIVATE_6), _six(_NEVER_6))


class AddressRefused(Exception):
    """A call would go where it may not; the message says why, and names the host alone."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL, read.

    Attributes:
        scheme: `http` or `https`.
        host: ASCII, in small letters, without a full stop at its end; IPv6 without brackets.
        port: The scheme's own where none was given.
        target: Path and query, as they are sent.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """What has to be the same for two URLs to be of one receiver."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """What `Host` says, and what messages may say: paths often hold secrets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> httpcore.URL:
        """For the connection pool; made of the parts, so that nobody reads the text anew."""
        return httpcore.URL(
            scheme=self.scheme.encode(),
            host=self.host.encode(),
            port=self.port,
            target=self.target.encode(),
        )


def read_url(text: str, base: Destination | None = None) -> Destination:
    """What a URL says.

    Args:
        text: http or https, without user and password.
        base: What a relative one is relative to: the place of a redirect.

    Raises:
        AddressRefused: It is no such URL.
    """
    if len(text) > MOST_CHARACTERS:
        raise AddressRefused(f"The URL has more than {MOST_CHARACTERS:,} characters.")
    try:
        url = httpx.URL(text.strip())
        if base is not None:
            whole = f"{base.scheme}://{base.authority}{base.target}"
            url = httpx.URL(whole).join(url)
        port = url.port
    except (httpx.InvalidURL, ValueError) as error:
        raise AddressRefused("The URL cannot be read.") from error
    if url.scheme not in _DEFAULT_PORTS:
        raise AddressRefused("The URL has to begin with https:// or http://.")
    if url.userinfo:
        raise AddressRefused("The URL holds a user or a password: those belong into headers.")
    if port is not None and not 0 < port < 65_536:
        raise AddressRefused("The URL's port is none: expected a number from 1 to 65535.")
    return Destination(
        url.scheme,
        _host(url.raw_host.decode("ascii")),
        port or _DEFAULT_PORTS[url.scheme],
        url.raw_path.decode("ascii"),
    )


def _host(raw: str) -> str:
    if ":" in raw:
        try:
            address = IPv6Address(raw)
        except ValueError:
            raise AddressRefused("The URL's host is no name and no address.") from None
        if address.scope_id is not None:
            raise AddressRefused("The URL's address has a zone, which no receiver has.")
        return str(address)
    name = raw.lower().removesuffix(".")
    if not name:
        raise AddressRefused("The URL has no host.")
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise AddressRefused("The URL's host is no name and no address.")
    return name


def refusal(address: str, *, allow_private: bool = False) -> str | None:
    """Why no call may go to an address; None if it may.

    Args:
        address: As a resolver gives it.
        allow_private: Whether loopback and private networks are allowed.

    Returns:
        What kind of address it is, such as `loopback`.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return "no address"
    if isinstance(found, IPv4Address):
        return _refusal_4(found, allow_private)
    return _refusal_6(found, allow_private)


def _refusal_4(address: IPv4Address, allow_private: bool) -> str | None:
    private, never = _NETWORKS_4
    for what, network in never if allow_private else (*private, *never):
        if address in network:
            return what
    return None


def _refusal_6(address: IPv6Address, allow_private: bool) -> str | None:
    if address.ipv4_mapped is not None:
        return _refusal_4(address.ipv4_mapped, allow_private)
    if address in _NAT64:
        # Behind a translator all of the older internet looks like this; one's own networks
        # do not, so that nothing private is allowed here.
        return _refusal_4(IPv4Address(int(address) & 0xFFFFFFFF), allow_private=False)
    if address.scope_id is not None:
        return "link-local"
    private, never = _NETWORKS_6
    for what, network in private:
        if address in network:
            return None if allow_private and address != _METADATA_6 else what
    for what, reserved in never:
        if address in reserved:
            return what
    if address not in _PUBLIC_6:
        return "not public"
    return None


def vetted(host: str, addresses: Sequence[str], *, allow_private: bool = False) -> Sequence[str]:
    """The addresses of a host, if all of them are allowed.

    Raises:
        AddressRefused: One is not: a name that has good and bad addresses is an attempt.
    """
    for address in addresses:
        why = refusal(address, allow_private=allow_private)
        if why is not None:
            shown = "" if address == host else f" ({address})"
            raise AddressRefused(
                f"{host!r}{shown} is not to be called: the address is {why}."
                if why != "no address"
                else f"{host!r} has no address that can be called."
            )
    return addresses


async def look_up(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as the machine's resolver knows them.

    It reads `127.1`, `2130706433` and `0x7f000001` as addresses, too; what
    comes out is what is vetted and connected to.

    Raises:
        OSError: There are none.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(
            _LOOKUPS, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    except UnicodeError as error:
        raise OSError(f"{host!r} is no name") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class VettedBackend(httpcore.AsyncNetworkBackend):
    """Connects to vetted addresses only.

    Args:
        allow_private: Whether loopback and private networks are allowed.
        resolve: Who knows the addresses of names.
        network: Who connects.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        resolve: Resolve = look_up,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as the base class has it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers.

        Raises:
            AddressRefused: One of the addresses is not allowed; none was connected to.
            httpcore.ConnectError: The name has no address, or none answers.
        """
        try:
            found = await self._resolve(host, port)
        except OSError as nobody:
            raise httpcore.ConnectError(f"{host!r} has no address") from nobody
        last: Exception = httpcore.ConnectError(f"{host!r} has no address")
        for address in vetted(host, found, allow_private=self._allow_private)[:MOST_ADDRESSES]:
            try:
                return await self._network.connect_tcp(
                    address,
                    port,
                    timeout=CONNECT_SECONDS if timeout is None else timeout,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                last = failed
        raise last

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - as the base class has it
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Refused: a socket of this machine is no receiver."""
        raise AddressRefused("A socket of this machine is not to be called.")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
