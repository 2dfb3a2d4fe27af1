"""Outgoing calls over real sockets: what reaches the wire, what is refused, and what each failure means."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import inspect
import logging
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import httpx
import pytest
import vcr
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from vcr.errors import CannotOverwriteExistingCassetteException

from gateway.errors import AnswerLost, HostRefused, NotSent, ReplyTooLarge, TransportError
from gateway.outbound import Answer, Pool
from gateway.outbound.addresses import checked_base, checked_target, is_public
from gateway.outbound.transport import AiohttpTransport, CheckedResolver, outcome

Talk = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def reply(content: bytes = b"{}", *, status: str = "200 OK", headers: tuple[str, ...] = ()) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


class Server:
    """A raw socket server: keeps every request as bytes, and talks back as the test says."""

    def __init__(self, talk: Talk) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.hung_up = asyncio.Event()
        self.asked = asyncio.Event()
        self.base = ""
        self._talk = talk

    @property
    def targets(self) -> list[str]:
        return [request.split(b" ")[1].decode() for request in self.requests]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next(
                    (int(x[15:]) for x in head.lower().split(b"\r\n") if x[:15] == b"content-length:"), 0
                )
                self.requests.append(head + await reader.readexactly(size))
                self.asked.set()
                await self._talk(self.requests[-1], reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        finally:
            writer.close()


@asynccontextmanager
async def serving(talk: Talk | bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    async def say(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(talk, bytes)
        writer.write(talk)

    server = Server(say if isinstance(talk, bytes) else talk)
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await server.handle(reader, writer)

    listener = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    server.base = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def local_pool(**given: object) -> Pool:
    return Pool(hosts=["127.0.0.1"], **given)  # type: ignore[arg-type]


async def get(pool: Pool, base: str, target: str = "/x", **given: object) -> Answer:
    return await pool.send("GET", base, target, timeout_s=5, **given)  # type: ignore[arg-type]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# What reaches the wire


@pytest.mark.parametrize(
    "target",
    [
        "/a%2Fb",
        "/users/email:mia.tan@example.org",
        "/getuserstatusincourse/course_id:126,user_id:7",
        "/a%3Ab%2C%40",
        "/a+b%20c",
        "/zo%C3%AB",
        "/zo%c3%ab",
        "/x.y/..z/...",
        "/%2e%2e%2e",
        "//twice//",
        "/q?a=%20+%2B&b=../x",
        "/'()*!$&;=~-_[]|{}<>",
        "/%zz%",
    ],
)
async def test_target_leaves_byte_for_byte(target: str) -> None:
    async with serving(reply()) as server, local_pool() as pool:
        await get(pool, server.base + "/api/v1/", target)
    assert server.targets == ["/api/v1" + target]


@pytest.mark.parametrize(
    ("target", "query", "wire"),
    [
        pytest.param("/x", [("q", "R&D #1")], "/x?q=R%26D%20%231", id="reserved"),
        pytest.param("/x", [("q", "50% + GST")], "/x?q=50%25%20%2B%20GST", id="a space is %20, a plus %2B"),
        pytest.param("/x", [("q", "Māori"), ("q", "")], "/x?q=M%C4%81ori&q=", id="utf-8, repeated, empty"),
        pytest.param("/x", [("users[0][name]", "../x")], "/x?users%5B0%5D%5Bname%5D=..%2Fx", id="names too"),
        pytest.param("/x?a=1", [("b", "2")], "/x?a=1&b=2", id="joins a query in the target"),
        pytest.param("/x?", [("b", "2")], "/x?b=2", id="after a bare question mark"),
        pytest.param("", [], "/", id="no target at all"),
    ],
)
async def test_query_is_percent_encoded(target: str, query: list[tuple[str, str]], wire: str) -> None:
    async with serving(reply()) as server, local_pool() as pool:
        await get(pool, server.base, target, query=query)
    assert server.targets == [wire]


async def test_request_carries_exactly_the_headers_and_body_given() -> None:
    async with serving(reply()) as server, local_pool() as pool:
        await pool.send(
            "POST",
            server.base,
            "/x",
            headers={"Content-Type": "text/xml", "SOAPAction": '""', "Accept": "text/xml"},
            content=b"<a/>",
            timeout_s=5,
        )
    head, body = server.requests[0].split(b"\r\n\r\n")
    first, *lines = head.decode().lower().split("\r\n")
    assert (first, body) == ("post /x http/1.1", b"<a/>")
    assert sorted(lines) == [
        "accept-encoding: gzip, deflate",
        "accept: text/xml",
        "content-length: 4",
        "content-type: text/xml",
        f"host: {server.base[7:]}",
        'soapaction: ""',
        "user-agent: lms-gateway",
    ]


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_write_without_a_body_says_its_length_is_zero(method: str) -> None:
    async with serving(reply()) as server, local_pool() as pool:
        await pool.send(method, server.base, "/x", timeout_s=5)
    assert b"content-length: 0\r\n" in server.requests[0].lower()


async def test_answer_is_whole_with_flat_headers() -> None:
    raw = reply(b"hello", status="418 Teapot", headers=("X-Rate-Limit: 1", "X-Rate-Limit: 2", "ETag: a"))
    async with serving(raw) as server, local_pool() as pool:
        answer = await get(pool, server.base)
    assert (answer.status, answer.content) == (418, b"hello")
    assert answer.headers == {"content_length": "5", "x_rate_limit": "1, 2", "etag": "a"}
    assert 0 < answer.elapsed_s < 5


@pytest.mark.parametrize(
    ("raw", "status", "content"),
    [
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", id="no content"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + reply(b"a"), 200, b"a", id="100 before it"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, b"until the end", id="HTTP/1.0"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 1\n\na", 200, b"a", id="bare line feeds"),
    ],
)
async def test_answer_of_an_odd_server_is_read(raw: bytes, status: int, content: bytes) -> None:
    async def say_and_leave(
        request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(raw)
        raise ConnectionError

    async with serving(say_and_leave) as server, local_pool() as pool:
        answer = await get(pool, server.base)
    assert (answer.status, answer.content) == (status, content)


async def test_redirect_is_not_followed() -> None:
    async with (
        serving(reply(status="302 Found", headers=("Location: /other",))) as server,
        local_pool() as pool,
    ):
        answer = await get(pool, server.base)
    assert (answer.status, answer.headers["location"]) == (302, "/other")
    assert server.targets == ["/x"]


async def test_cookie_of_an_answer_is_not_sent_back() -> None:
    async with serving(reply(headers=("Set-Cookie: session=1; Path=/",))) as server, local_pool() as pool:
        await get(pool, server.base)
        await get(pool, server.base)
    assert len(server.requests) == 2
    assert b"cookie" not in server.requests[1].lower()


async def test_proxies_and_netrc_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    async with serving(reply()) as server, local_pool() as pool:
        await get(pool, server.base)
    assert b"authorization" not in server.requests[0].lower()


async def test_connections_are_kept_and_used_again() -> None:
    async with serving(reply()) as server, local_pool() as pool:
        for _ in range(3):
            await get(pool, server.base)
    assert (len(server.requests), server.connections) == (3, 1)


# What is refused


@pytest.mark.parametrize(
    "target",
    [
        *(
            "/../x",
            "/a/..",
            "/a/./b",
            "/.",
            "/..",
            "/a/%2e%2e/b",
            "/.%2E/x",
            "/%2e./x",
            "/a/%2e",
            "/a/..?q=1",
        ),
        *("/..%2Fadmin", "/a%2f..%2fb", "/a/..%5Cb", "/a%5c%2e%2e", "/a/..;/b", "/a/..%3Bx/b"),
        *("/a b", "/a\r\nX: y", "/a#b", "/a\\b", "/ë", "x", "@evil.example/", "/" + "a" * 20_000),
    ],
)
async def test_target_with_dot_segments_or_odd_characters_is_refused(target: str) -> None:
    async with serving(reply()) as server, local_pool() as pool:
        with pytest.raises(HostRefused):
            await get(pool, server.base, target)
    assert server.connections == 0


@pytest.mark.parametrize(
    "base",
    [
        pytest.param("http://lms.example", id="plain http"),
        pytest.param("https://other.example", id="another host"),
        pytest.param("https://lms.example.evil.example", id="longer host"),
        pytest.param("https://lms.example.", id="trailing dot"),
        pytest.param("https://lms.example@evil.example", id="user part"),
        pytest.param("https://evil.example#@lms.example", id="fragment"),
        pytest.param("https://evil.example\\@lms.example", id="backslash"),
        pytest.param("https://lms.example?x=1", id="query"),
        pytest.param("https://lms.example:99999", id="port out of range"),
        pytest.param("ftp://lms.example", id="scheme"),
        pytest.param("//lms.example", id="no scheme"),
        pytest.param("https://lms.example\n", id="line break"),
        pytest.param("https://169.254.169.254", id="metadata address that must be public"),
        pytest.param("https://[::ffff:10.0.0.1]", id="private address inside an IPv6 one"),
    ],
)
async def test_base_that_is_not_allowed_is_refused(base: str) -> None:
    literals = ["169.254.169.254", "::ffff:10.0.0.1"]
    async with Pool(hosts=["lms.example", *literals], public_only_hosts=literals) as pool:
        with pytest.raises(HostRefused):
            await get(pool, base)


@pytest.mark.parametrize(
    ("text", "origin", "path"),
    [
        ("https://LMS.example", "https://lms.example", ""),
        ("https://lms.example:8443/api/v1/", "https://lms.example:8443", "/api/v1"),
        ("http://localhost:80/", "http://localhost:80", ""),
        ("http://[::1]:81/a", "http://[::1]:81", "/a"),
        ("http://127.9.9.9", "http://127.9.9.9", ""),
    ],
)
def test_base_that_is_allowed_is_split(text: str, origin: str, path: str) -> None:
    hosts = ["lms.example", "localhost", "::1", "127.9.9.9"]
    base = checked_base(text, hosts=hosts, public_only_hosts=())
    assert (base.origin, base.path) == (origin, path)


def test_dot_segment_in_the_base_is_refused() -> None:
    base = checked_base("https://lms.example/a/..", hosts=["lms.example"], public_only_hosts=())
    with pytest.raises(HostRefused):
        checked_target(base, "/x", ())


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::5db8:d822", True),
        *[
            (private, False)
            for private in (
                *(
                    "127.0.0.1",
                    "10.0.0.1",
                    "172.16.0.1",
                    "192.168.1.1",
                    "169.254.169.254",
                    "100.64.0.1",
                    "0.0.0.0",
                ),
                *(
                    "224.0.0.1",
                    "255.255.255.255",
                    "240.0.0.1",
                    "::",
                    "::1",
                    "fe80::1",
                    "fe80::1%eth0",
                    "fd00::1",
                ),
                *("ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1", "2002:7f00:1::"),
                "2001:0:4136:e378:8000:63bf:f5ff:fffe",  # Teredo around 10.0.0.1
            )
        ],
    ],
)
def test_address_is_public_or_not(address: str, public: bool) -> None:
    assert is_public(address) is public


class Names(AbstractResolver):
    """A name server whose answer changes with every question."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = self.answers.pop(0)
        return [
            ResolveResult(hostname=host, host=each, port=port, family=socket.AF_INET, proto=0, flags=0)
            for each in found
        ]

    async def close(self) -> None:
        self.answers.clear()


def transport_with(resolver: AbstractResolver, *, public_only: tuple[str, ...]) -> AiohttpTransport:
    return AiohttpTransport(
        public_only_hosts=frozenset(public_only), connect_s=2, read_s=5, max_connections=5, resolver=resolver
    )


@pytest.mark.parametrize("found", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"]], ids=["private", "mixed"])
async def test_name_that_resolves_to_a_private_address_is_refused(found: list[str]) -> None:
    transport = transport_with(Names(found), public_only=("lms.example",))
    async with Pool(hosts=["lms.example"], public_only_hosts=["LMS.example"], transport=transport) as pool:
        with pytest.raises(HostRefused):
            await get(pool, "https://lms.example")


async def test_name_outside_the_public_only_hosts_may_be_private() -> None:
    async with serving(reply()) as server:
        port = server.base.rpartition(":")[2]
        transport = transport_with(Names(["127.0.0.1"]), public_only=("other.example",))
        async with Pool(hosts=["localhost"], transport=transport) as pool:
            answer = await get(pool, f"http://localhost:{port}")
    assert answer.status == 200


async def test_resolver_returns_the_addresses_it_checked_after_one_look_up() -> None:
    names = Names(["93.184.216.34"], ["127.0.0.1"])
    checked = await CheckedResolver(frozenset({"lms.example"}), names).resolve("lms.example", 443)
    assert [each["host"] for each in checked] == ["93.184.216.34"]
    assert len(names.answers) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"transfer-encoding": "chunked"},
        {"Content-Length": "0"},
        {"Connection": "close"},
    ],
    ids=str,
)
async def test_header_of_the_gateways_own_is_refused(headers: dict[str, str]) -> None:
    async with local_pool() as pool:
        with pytest.raises(ValueError, match="set by the gateway"):
            await get(pool, "http://127.0.0.1", headers=headers)


@pytest.mark.parametrize("headers", [{"a": "b\r\nc: d"}, {"a\n": "b"}, {"a b": "c"}, {"a": "ë"}], ids=repr)
async def test_header_that_http_cannot_carry_is_refused(headers: dict[str, str]) -> None:
    async with local_pool() as pool:
        with pytest.raises(ValueError, match="cannot carry"):
            await get(pool, "http://127.0.0.1", headers=headers)


# How much may come back


@pytest.mark.parametrize("headers", [("X-Large: " + "x" * 40_000,), tuple(f"X-{n}: 1" for n in range(200))])
async def test_answer_with_huge_headers_is_lost(headers: tuple[str, ...]) -> None:
    async with serving(reply(headers=headers)) as server, local_pool() as pool:
        with pytest.raises(AnswerLost):
            await get(pool, server.base)
        await asyncio.wait_for(server.hung_up.wait(), 5)


async def test_answer_of_exactly_the_cap_is_read() -> None:
    async with serving(reply(b"x" * 1000)) as server, local_pool(max_bytes=1000) as pool:
        assert len((await get(pool, server.base)).content) == 1000


@pytest.mark.parametrize("chunked", [False, True])
async def test_answer_over_the_cap_is_refused_and_its_connection_closed(chunked: bool) -> None:
    endless = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    )
    raw = endless if chunked else b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 0x10000
    async with serving(raw) as server, local_pool() as pool:
        with pytest.raises(ReplyTooLarge):
            await get(pool, server.base, max_bytes=1000)
        await asyncio.wait_for(server.hung_up.wait(), 5)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_compressed_answer_is_decompressed(encoding: str) -> None:
    packed = gzip.compress(b"hello" * 100) if encoding == "gzip" else zlib.compress(b"hello" * 100)
    async with (
        serving(reply(packed, headers=(f"Content-Encoding: {encoding}",))) as server,
        local_pool() as pool,
    ):
        assert (await get(pool, server.base)).content == b"hello" * 100


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_decompression_bomb_stops_at_the_cap_without_being_unpacked(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeeze = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = b"".join(squeeze.compress(bytes(1_000_000)) for _ in range(200)) + squeeze.flush()
    pieces: list[int] = []
    read = aiohttp.StreamReader.readany

    async def counted(stream: aiohttp.StreamReader) -> bytes:
        piece = await read(stream)
        pieces.append(len(piece))
        return piece

    monkeypatch.setattr(aiohttp.StreamReader, "readany", counted)
    async with (
        serving(reply(bomb, headers=(f"Content-Encoding: {encoding}",))) as server,
        local_pool() as pool,
    ):
        with pytest.raises(ReplyTooLarge):
            await get(pool, server.base, max_bytes=1_000_000)
        await asyncio.wait_for(server.hung_up.wait(), 5)
    assert sum(pieces) < 5_000_000


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
async def test_answer_that_cannot_be_decompressed_is_lost(encoding: str) -> None:
    raw = reply(b"not compressed", headers=(f"Content-Encoding: {encoding}",))
    async with serving(raw) as server, local_pool() as pool:
        with pytest.raises(AnswerLost):
            await get(pool, server.base)


# What each failure means

# Every error class aiohttp has: a new one fails here until somebody decides what it means for a write.
MEANINGS: dict[str, type[TransportError]] = {
    "ClientError": AnswerLost,
    "ClientConnectionError": AnswerLost,
    "ClientConnectionResetError": AnswerLost,
    "ClientOSError": AnswerLost,
    "ClientConnectorError": NotSent,
    "ClientProxyConnectionError": NotSent,
    "ClientSSLError": NotSent,
    "ClientConnectorDNSError": NotSent,
    "ClientConnectorSSLError": NotSent,
    "ClientConnectorCertificateError": NotSent,
    "UnixClientConnectorError": NotSent,
    "ConnectionTimeoutError": NotSent,
    "SocketTimeoutError": AnswerLost,
    "ServerConnectionError": AnswerLost,
    "ServerTimeoutError": AnswerLost,
    "ServerDisconnectedError": AnswerLost,
    "ServerFingerprintMismatch": NotSent,
    "ClientResponseError": AnswerLost,
    "ClientHttpProxyError": AnswerLost,
    "WSServerHandshakeError": AnswerLost,
    "ContentTypeError": AnswerLost,
    "TooManyRedirects": AnswerLost,
    "ClientPayloadError": AnswerLost,
    "UploadAbortedError": AnswerLost,
    "InvalidURL": HostRefused,
    "InvalidUrlClientError": HostRefused,
    "NonHttpUrlClientError": HostRefused,
    "RedirectClientError": AnswerLost,
    "InvalidUrlRedirectClientError": AnswerLost,
    "NonHttpUrlRedirectClientError": AnswerLost,
}
NEVER_RAISED = {"WSMessageTypeError"}  # web sockets


def aiohttp_errors() -> dict[str, type[Exception]]:
    theirs = inspect.getmembers(aiohttp.client_exceptions, inspect.isclass)
    return {
        name: kind
        for name, kind in theirs
        if issubclass(kind, Exception) and kind.__module__ == "aiohttp.client_exceptions"
    }


def test_every_error_class_of_the_library_has_a_meaning() -> None:
    assert set(aiohttp_errors()) == set(MEANINGS) | NEVER_RAISED


@pytest.mark.parametrize("name", MEANINGS)
def test_error_of_the_library_becomes_ours(name: str) -> None:
    kind = aiohttp_errors()[name]
    error = outcome(kind.__new__(kind))
    assert type(error) is MEANINGS[name]
    assert str(error) == name


async def test_refused_connection_is_not_sent_and_says_why() -> None:
    async with local_pool() as pool:
        with pytest.raises(NotSent) as caught:
            await get(pool, f"http://127.0.0.1:{closed_port()}", "/secret-in-the-path")
    assert isinstance(caught.value.__cause__, aiohttp.ClientConnectorError)
    assert "secret" not in str(caught.value)


async def test_name_that_does_not_resolve_is_not_sent() -> None:
    class Nobody(Names):
        async def resolve(self, *_: object, **__: object) -> list[ResolveResult]:
            raise OSError(socket.EAI_NONAME, "Name or service not known")

    transport = transport_with(Nobody(), public_only=())
    async with Pool(hosts=["lms.example"], transport=transport) as pool:
        with pytest.raises(NotSent):
            await get(pool, "https://lms.example")


async def test_waiting_too_long_for_a_free_connection_is_not_sent() -> None:
    answer_now = asyncio.Event()

    async def hold(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_now.wait()
        writer.write(reply())

    async with serving(hold) as server, local_pool(max_connections=1, connect_s=0.1) as pool:
        first = asyncio.create_task(get(pool, server.base))
        await server.asked.wait()
        with pytest.raises(NotSent):
            await get(pool, server.base)
        answer_now.set()
        assert (await first).status == 200
    assert len(server.requests) == 1


@pytest.mark.parametrize(("sent", "meaning"), [(False, NotSent), (True, AnswerLost)])
async def test_whole_call_out_of_time_depends_on_whether_there_was_a_connection(
    sent: bool, meaning: type[TransportError]
) -> None:
    async def never(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        raise ConnectionError

    async with serving(never) as server, local_pool(max_connections=1, connect_s=30, read_s=30) as pool:
        blocker = None
        if not sent:
            blocker = asyncio.create_task(get(pool, server.base))
            await server.asked.wait()
        with pytest.raises(meaning):
            await pool.send("POST", server.base, "/x", timeout_s=0.1)
        if blocker is not None:
            blocker.cancel()
            await asyncio.gather(blocker, return_exceptions=True)
        await asyncio.wait_for(server.hung_up.wait(), 5)


async def test_dripping_answer_is_cut_at_the_whole_time_out() -> None:
    async def drip(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.005)
        raise ConnectionError

    async with serving(drip) as server, local_pool(read_s=5) as pool:
        with pytest.raises(AnswerLost, match="within 0.2 s"):
            await pool.send("GET", server.base, "/x", timeout_s=0.2)
        await asyncio.wait_for(server.hung_up.wait(), 5)


async def test_silence_longer_than_the_read_time_out_loses_the_answer() -> None:
    async def silent(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

    async with serving(silent) as server, local_pool(read_s=0.1) as pool:
        with pytest.raises(AnswerLost, match="SocketTimeoutError"):
            await get(pool, server.base)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="half a head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", id="half a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="bad chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", id="half a chunk"),
        pytest.param(b"220 smtp.example ready\r\n\r\n", id="not HTTP"),
    ],
)
async def test_answer_broken_off_or_not_http_is_lost(raw: bytes) -> None:
    async def say_and_leave(
        request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(raw)
        raise ConnectionError

    async with serving(say_and_leave) as server, local_pool() as pool:
        with pytest.raises(AnswerLost):
            await get(pool, server.base)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_request_that_dies_on_a_kept_connection_is_never_sent_twice(method: str) -> None:
    async def apply_then_drop(
        request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if b"/change" in request:
            raise ConnectionError
        writer.write(reply())

    async with serving(apply_then_drop) as server, local_pool() as pool:
        await get(pool, server.base, "/first")
        with pytest.raises(AnswerLost):
            await pool.send(method, server.base, "/change", timeout_s=5)
    assert server.targets == ["/first", "/change"]
    assert server.connections == 1


async def test_connection_the_server_has_closed_is_not_used_again() -> None:
    async def answer_then_leave(
        request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(reply())
        writer.write_eof()
        await reader.read()  # until the client has seen it, and gone
        raise ConnectionError

    async with serving(answer_then_leave) as server, local_pool() as pool:
        for count in range(1, 4):
            assert (await pool.send("POST", server.base, "/x", timeout_s=5)).status == 200
            await asyncio.wait_for(server.hung_up.wait(), 5)
            server.hung_up.clear()
            assert server.connections == count


@pytest.mark.parametrize("target", ["/silent", "/half-a-body"])
async def test_cancelled_call_closes_its_connection_and_frees_its_place(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer_some(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/half-a-body" in request:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        if b"/second" in request:
            writer.write(reply())

    reading = asyncio.Event()
    read = aiohttp.StreamReader.readany

    async def noticed(stream: aiohttp.StreamReader) -> bytes:
        reading.set()
        return await read(stream)

    monkeypatch.setattr(aiohttp.StreamReader, "readany", noticed)
    async with serving(answer_some) as server, local_pool(max_connections=1) as pool:
        call = asyncio.create_task(get(pool, server.base, target))
        await (server.asked if target == "/silent" else reading).wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(server.hung_up.wait(), 5)
        assert (await get(pool, server.base, "/second")).status == 200
        assert server.connections == 2


async def test_closed_pool_sends_nothing() -> None:
    async with serving(reply()) as server:
        pool = local_pool()
        await get(pool, server.base)
        await pool.aclose()
        with pytest.raises(NotSent):
            await get(pool, server.base)
    assert len(server.requests) == 1


# TLS


def certificate(host: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and that of a client who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=pem)


async def test_https_answers_when_the_certificate_is_trusted(tmp_path: Path) -> None:
    server_side, client_side = certificate("127.0.0.1", tmp_path)
    async with serving(reply(), tls=server_side) as server, local_pool(tls=client_side) as pool:
        assert (await get(pool, server.base)).status == 200


@pytest.mark.parametrize("trusted", [False, True], ids=["unknown issuer", "another name"])
async def test_certificate_that_does_not_hold_is_not_sent(tmp_path: Path, trusted: bool) -> None:
    server_side, client_side = certificate("127.0.0.2" if trusted else "127.0.0.1", tmp_path)
    tls = client_side if trusted else None
    async with serving(reply(), tls=server_side) as server, local_pool(tls=tls) as pool:
        with pytest.raises(NotSent):
            await pool.send("POST", server.base, "/x", timeout_s=5)
    assert server.requests == []


# Around it


async def test_nothing_is_logged_at_info(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with serving(reply()) as server, local_pool() as pool:
            await get(pool, server.base, "/secret")
    assert "secret" not in caplog.text
    levels = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "aiohttp")}
    assert set(levels.values()) == {logging.WARNING}


async def test_recorded_conversation_replays_without_the_server(tmp_path: Path) -> None:
    cassette = str(tmp_path / "talk.yaml")
    target = "/users/email:mia+x@example.org/%2F"
    async with serving(reply(b'{"id":"7"}', headers=("X-A: 1", "X-A: 2"))) as server:
        with vcr.use_cassette(cassette, record_mode="once"):
            async with local_pool() as pool:
                recorded = await pool.send("POST", server.base, target, content=b"a=1", timeout_s=5)
    with vcr.use_cassette(cassette, record_mode="none") as tape:
        async with local_pool() as pool:
            replayed = await pool.send("POST", server.base, target, content=b"a=1", timeout_s=5)
            assert (replayed.status, replayed.content) == (200, b'{"id":"7"}')
            assert replayed.headers == recorded.headers
            with pytest.raises(CannotOverwriteExistingCassetteException):
                await get(pool, server.base, "/something-else")
        assert tape.requests[0].uri == server.base + target
        assert tape.requests[0].body == b"a=1"
    assert len(server.requests) == 1


async def test_other_transport_gets_the_target_as_an_extension() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        await request.aread()
        assert (request.extensions["target"], request.content) == (b"/api/a%2Fb?q=1", b"body")
        return httpx.Response(200, content=b"fake", headers={"x-a": "1"})

    transport = httpx.MockTransport(answer)
    async with Pool(hosts=["lms.example"], transport=transport) as pool:
        got = await pool.send(
            "POST", "https://lms.example/api", "/a%2Fb", query=[("q", "1")], content=b"body", timeout_s=5
        )
    assert (got.content, got.headers["x_a"]) == (b"fake", "1")


async def test_bases_are_remembered_within_bounds() -> None:
    async with serving(reply()) as server, local_pool() as pool:
        for number in range(300):
            await get(pool, f"{server.base}/{number}")
    assert server.targets[-1] == "/299/x"
    assert len(pool._bases) <= 256
