"""One `Call` to one `Reply`: encode, send, decode. No policy: no retries, no credentials, no rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gateway.engine.calls import Body, BodyKind, Call, Reply
from gateway.errors import AnswerLost, HostRefused, InternalError, NotSent, Refused, ReplyTooLarge
from gateway.mapping.spec import Server
from gateway.outbound import Answer, Pool
from gateway.vendor import codecs

TREES = ("xml", "soap")
UNSENDABLE = "A value of this request cannot be sent to the LMS."
FORBIDDEN = "The gateway may not call this address. Operators have been told."


class Client:
    """Sends calls of one tenant to one vendor through its pool.

    `wire_names` maps the mapping's names to the ones this vendor account uses, for XML and SOAP
    elements; replies are renamed back, so that the mapping only ever sees its own names.
    """

    def __init__(
        self,
        pool: Pool,
        server: Server,
        now: Callable[[], float],
        wire_names: Mapping[str, str] | None = None,
    ) -> None:
        self._pool, self._server, self._now = pool, server, now
        self._out = dict(wire_names or {})
        self._back = {theirs: ours for ours, theirs in self._out.items()}
        # which elements are lists is asked while the reply still has the vendor's names
        lists = tuple("/".join(map(self._theirs, path.split("/"))) for path in server.xml.lists)
        self._xml = replace(server.xml, lists=lists)

    async def exchange(self, call: Call, timeout_s: float) -> Reply:
        """Send once. Whatever goes wrong on the way is in the reply's `lost`.

        Raises, before anything is sent: Refused for data that the request's form cannot carry,
        InternalError for an address that may not be called.
        """
        left_at = self._now()
        try:
            encoded = codecs.encode(self._renamed(call.body), self._server.form)
            answer = await self._pool.send(
                call.method,
                call.base,
                call.target,
                query=call.query,
                headers={**encoded.headers, **call.headers},
                content=encoded.content,
                timeout_s=timeout_s,
                max_bytes=self._server.xml.max_bytes if call.body.kind in TREES else None,
            )
        except NotSent:
            return Reply(lost="not_sent", left_at=left_at)
        except ReplyTooLarge:
            return Reply(lost="too_large", left_at=left_at)
        except AnswerLost as error:
            timed_out = isinstance(error.__cause__, TimeoutError)
            return Reply(lost="timeout" if timed_out else "reset", left_at=left_at)
        except HostRefused as error:
            raise InternalError(FORBIDDEN, code="host_refused", detail=str(error)) from error
        except ValueError as error:
            raise Refused(UNSENDABLE, code="unsendable_value", detail=str(error)) from error
        return self._decoded(call, answer, left_at)

    def _decoded(self, call: Call, answer: Answer, left_at: float) -> Reply:
        expect = _expected(call.body.kind, answer.headers.get("content_type", ""))
        server = self._server
        decoded = codecs.decode(
            answer.content, answer.headers, expect=expect, xml=self._xml, unwrap=server.unwrap
        )
        back = self._back
        return Reply(
            status=answer.status,
            headers=answer.headers,
            body=renamed(decoded.body, back) if back else decoded.body,
            text=decoded.text,
            xml=renamed(decoded.xml, back) if back else decoded.xml,
            soap=renamed(decoded.soap, back) if back else decoded.soap,
            undecodable=decoded.undecodable,
            left_at=left_at,
        )

    def _theirs(self, name: str) -> str:
        return self._out.get(name, name)

    def _renamed(self, body: Body) -> Body:
        if not self._out or body.kind not in TREES:
            return body
        return replace(body, data=renamed(body.data, self._out), header=renamed(body.header, self._out))


def _expected(sent: BodyKind, content_type: str) -> BodyKind:
    """The form a reply is read in: a tree answers a tree, a plain request is answered as the reply says."""
    if sent in TREES:
        return sent
    media = content_type.partition(";")[0].strip().lower()
    plain = sent in ("none", "form") and (media in ("text/xml", "application/xml") or media.endswith("+xml"))
    return "xml" if plain and "html" not in media else "json"


def renamed(data: Any, names: Mapping[str, str]) -> Any:
    """Data with its element names replaced: plain names, and both halves of `{namespace}name`."""
    if isinstance(data, dict):
        return {_name(key, names): _value(key, item, names) for key, item in data.items()}
    if isinstance(data, list):
        return [renamed(item, names) for item in data]
    return data


def _value(key: str, item: Any, names: Mapping[str, str]) -> Any:
    # `$ref` and `$array` hold a type's name
    return _name(item, names) if key in ("$ref", "$array") and isinstance(item, str) else renamed(item, names)


def _name(key: str, names: Mapping[str, str]) -> str:
    if key.startswith("{") and "}" in key:
        namespace, _, local = key[1:].partition("}")
        return f"{{{names.get(namespace, namespace)}}}{names.get(local, local)}"
    return names.get(key, key)
