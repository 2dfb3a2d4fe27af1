"""Where public keys come from: kept for an hour, looked for again at most once a minute."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from gateway.errors import NotSent, VendorUnavailable
from gateway.outbound import Pool
from gateway.progress.keys import MAX_BYTES, FetchedKeys, InlineKeys, key_source

ADDRESS = "https://keys.example/.well-known/jwks.json?v=1"


def jwks(*kids):
    key = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
    return {"keys": [{**key, "kid": kid} for kid in kids]}


class Site:
    """A server of keys that can be told what to answer next."""

    def __init__(self, *kids):
        self.asked = []
        self.answer = httpx.Response(200, json=jwks(*kids))

    async def __call__(self, request):
        self.asked.append(f"{request.url.copy_with(path='/')} {request.extensions['target'].decode()}")
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return httpx.Response(self.answer.status_code, content=self.answer.content)


class Ticking:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Ticking()


def fetched(site, clock, *, address=ADDRESS, hosts=("keys.example",)):
    return FetchedKeys(Pool(hosts=hosts, transport=httpx.MockTransport(site)), address, clock=clock)


async def kids(source, kid=None):
    return [key.kid for key in await source.keys(kid)]


async def test_keys_are_fetched_once_an_hour_from_their_address(clock):
    site = Site("a")
    source = fetched(site, clock)
    for clock.now in (1000.0, 1000.0, 4599.0):
        assert await kids(source, "a") == ["a"]
    assert site.asked == ["https://keys.example/ /.well-known/jwks.json?v=1"]
    clock.now = 4600.0
    site.answer = httpx.Response(200, json=jwks("b"))
    assert await kids(source, "a") == ["b"]


async def test_an_unknown_key_is_looked_for_at_most_once_a_minute(clock):
    site = Site("a")
    source = fetched(site, clock)
    for clock.now in (1000.0, 1001.0, 1059.0):
        assert await kids(source, "b") == ["a"]
    assert len(site.asked) == 1
    site.answer = httpx.Response(200, json=jwks("a", "b"))
    clock.now = 1060.0
    assert await kids(source, "b") == ["a", "b"]
    assert len(site.asked) == 2


async def test_many_at_once_make_one_look(clock):
    site = Site("a")
    source = fetched(site, clock)
    assert await asyncio.gather(*(kids(source, "a") for _ in range(20))) == [["a"]] * 20
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, json=jwks("b")),
        httpx.Response(302, headers={"location": "https://other.example/"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, text="[" * 100_000),
        httpx.Response(200, json={"keys": []}),
        httpx.Response(200, text=json.dumps(jwks("b")) + " " * MAX_BYTES),
        NotSent("no connection"),
    ],
    ids=["status", "redirect", "html", "deep", "empty", "large", "down"],
)
async def test_keys_that_cannot_be_fetched_again_stay_in_use(answer, clock, caplog):
    site = Site("a")
    source = fetched(site, clock)
    await kids(source)
    site.answer, clock.now = answer, 5000.0
    assert await kids(source, "a") == ["a"]
    assert "cannot be read" in caplog.text
    assert await kids(source, "a") == ["a"]
    assert len(site.asked) == 2
    clock.now = 5060.0
    await kids(source)
    assert len(site.asked) == 3


async def test_without_any_keys_nothing_can_be_told_and_it_is_tried_again_after_a_minute(clock):
    site = Site("a")
    good, site.answer = site.answer, httpx.Response(503)
    source = fetched(site, clock)
    for clock.now in (1000.0, 1059.0):
        with pytest.raises(VendorUnavailable):
            await source.keys("a")
    assert len(site.asked) == 1
    site.answer, clock.now = good, 1060.0
    assert await kids(source) == ["a"]


@pytest.mark.parametrize(
    "address",
    [
        "https://elsewhere.example/jwks",
        "http://keys.example/jwks",
        "ftp://keys.example/x",
        "https://u:p@keys.example/x",
        "https://keys.example/../x",
    ],
)
async def test_an_address_that_the_tenant_may_not_call_is_never_called(address, clock):
    site = Site("a")
    with pytest.raises(VendorUnavailable):
        await fetched(site, clock, address=address).keys(None)
    assert site.asked == []


async def test_keys_may_stand_in_the_mapping_or_a_setting(clock):
    pool = Pool(hosts=(), transport=httpx.MockTransport(Site("a")))
    for written in (jwks("a"), json.dumps(jwks("a")), "\n " + json.dumps(jwks("a"))):
        source = key_source(written, pool)
        assert isinstance(source, InlineKeys)
        assert await kids(source, "z") == ["a"]
    assert isinstance(key_source(ADDRESS, pool), FetchedKeys)


@pytest.mark.parametrize("written", ["", "keys", None, 7, [], "{", "{}", {"keys": []}], ids=str)
def test_what_is_neither_keys_nor_an_address_is_an_error(written):
    with pytest.raises(ValueError):
        key_source(written, Pool(hosts=(), transport=httpx.MockTransport(Site("a"))))
