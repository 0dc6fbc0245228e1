"""Requests whose end two readers may see in different places, as bytes. Each hides a second one, for `/canary?NNN`.

Sources: RFC 9112 sections 6, 7 and 11.2; the classes CL.TE, TE.CL, TE.TE and CL.0 of James Kettle's papers; the corpora
of http-garden and smuggler.
"""

from __future__ import annotations

from typing import NamedTuple

HOST = "Host: localhost\r\n"


class Case(NamedTuple):
    """Bytes for one connection. `follows`: the second request is no part of a body, so that one may answer it."""

    number: int
    name: str
    data: bytes
    follows: bool = False


def corpus() -> list[Case]:
    """Return all cases; the number in their addresses is their place."""
    makers = [*_transfer_encodings(), *_lengths(), *_chunks(), *_heads(), *_connections()]
    return [
        Case(number, name, data.replace("@@@", f"{number:03}").encode("latin-1"), follows)
        for number, (name, data, follows) in enumerate(makers)
    ]


_Made = tuple[str, str, bool]
CANARY = f"GET /canary?@@@ HTTP/1.1\r\n{HOST}\r\n"


def _post(fields: str, body: str, line: str = "POST /api/v1/check?@@@ HTTP/1.1") -> str:
    return f"{line}\r\n{HOST}{fields}\r\n{body}"


_SPELLINGS = (
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding:chunked\r\n",
    " Transfer-Encoding: chunked\r\n",
    "X: y\n Transfer-Encoding: chunked\r\n",
    "X: y\r\n Transfer-Encoding: chunked\r\n",
    "X: y\nTransfer-Encoding: chunked\r\n",
    "X: y\rTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Transfer-Encoding\r\n: chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
    "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity, chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked;q=1\r\n",
    'Transfer-Encoding: "chunked"\r\n',
    "Transfer-Encoding: cHuNkEd\r\n",
    "Transfer-Encoding: chunked\x0b\r\n",
    "Transfer-Encoding: \x0bchunked\r\n",
    "Transfer-Encoding: \x85chunked\r\n",
    "Transfer-Encoding: chunked\x00\r\n",
    "Transfer-Encoding: ch\u00fbnked\r\n",
    "Transfer_Encoding: chunked\r\n",
    "Transfer-Encoding\x00: chunked\r\n",
    "Transfer-Encoding: chunked\rX: y\r\n",
    "Transfer-Encoding: \r\n",
)


def _transfer_encodings() -> list[_Made]:
    """A body with both framings, by length longer, and by chunks longer, under each spelling of the coding's field."""
    made: list[_Made] = []
    for number, spelling in enumerate(_SPELLINGS):
        ended = f"0\r\n\r\n{CANARY}"
        made.append((f"CL.TE {number}", _post(f"Content-Length: {len(ended)}\r\n{spelling}", ended), False))
        chunk = f"{len(CANARY):x}\r\n{CANARY}\r\n0\r\n\r\n"
        made.append((f"TE.CL {number}", _post(f"{spelling}Content-Length: {chunk.index(CANARY)}\r\n", chunk), False))
    return made


def _lengths() -> list[_Made]:
    """The canary is the body, by one reading of the length; by another one there is none."""
    n = len(CANARY)
    fields = (
        f"Content-Length: 0\r\nContent-Length: {n}\r\n",
        f"Content-Length: {n}\r\nContent-Length: 0\r\n",
        f"Content-Length: {n}, 0\r\n",
        f"Content-Length: 0, {n}\r\n",
        f"Content-Length: {n}, {n}\r\n",
        f"Content-Length: +{n}\r\n",
        f"Content-Length: -{n}\r\n",
        f"Content-Length: 0x{n:x}\r\n",
        f"Content-Length: {n}x\r\n",
        f"Content-Length: {n};x\r\n",
        f"Content-Length: {n / 100}e2\r\n",
        f"Content-Length: {(1 << 64) + n}\r\n",
        f"Content-Length : {n}\r\n",
        f"Content-Length:\r\n {n}\r\n",
        f"Content-Length: {n}\x00\r\n",
        f"Content-Length: \x0b{n}\r\n",
        f"Content-Length: {n}\x0b\r\n",
        f"Content_Length: {n}\r\n",
        f"X: y\nContent-Length: {n}\r\n",
        f"X: y\rContent-Length: {n}\r\n",
        f" Content-Length: {n}\r\n",
        "Content-Length: \r\n",
        f"Content-Length: 1 {n}\r\n",
        f"Content-Length: {n}\r\nConnection: Content-Length\r\n",
        f"Content-Length: {n}\r\nConnection: keep-alive, Content-Length\r\n",
    )
    # A field of another name frames nothing: what follows is a request of its own.
    made = [(f"length {number}", _post(each, CANARY), "_" in each) for number, each in enumerate(fields)]
    for line in (
        "GET /api/v1/health?@@@ HTTP/1.1",
        "HEAD /health?@@@ HTTP/1.1",
        "OPTIONS /api/v1/check?@@@ HTTP/1.1",
        "DELETE /x?@@@ HTTP/1.1",
    ):
        made.append((f"a body of {line.split()[0]}", _post(f"Content-Length: {n}\r\n", CANARY, line), False))
    return made


def _chunks() -> list[_Made]:
    """Chunked bodies: sizes, extensions, ends of lines and trailers as few would write them."""
    size, te = f"{len(CANARY):x}", "Transfer-Encoding: chunked\r\n"
    bodies = {
        "extension": f"{size};a=b\r\n{CANARY}\r\n0\r\n\r\n",
        "quoted extension": f'{size};a="\r\n0\r\n\r\n{CANARY}"\r\n0\r\n\r\n',
        "extension with a bare LF": f"2;\n{size}\r\n{CANARY}\r\n0\r\n\r\n",
        "extension with a bare CR": f"2;\r{size}\r\n{CANARY}\r\n0\r\n\r\n",
        "a long extension": f"{size};{'a' * 5000}\r\n{CANARY}\r\n0\r\n\r\n",
        "size with 0x": f"0x{size}\r\n{CANARY}\r\n0\r\n\r\n",
        "size with a sign": f"+{size}\r\n{CANARY}\r\n0\r\n\r\n",
        "size of less than nothing": f"-1\r\n{CANARY}\r\n0\r\n\r\n",
        "size with underscores": f"0_0\r\n\r\n{CANARY}",
        "size with blanks": f"{size} \t\r\n{CANARY}\r\n0\r\n\r\n",
        "size behind a blank": f" {size}\r\n{CANARY}\r\n0\r\n\r\n",
        "size with zeros": f"0000000000000000000{size}\r\n{CANARY}\r\n0\r\n\r\n",
        "size beyond 64 bits": f"10000000000000000\r\n{CANARY}\r\n0\r\n\r\n",
        "size beyond 32 bits": f"100000000\r\n{CANARY}\r\n0\r\n\r\n",
        "size of 64 bits": f"ffffffffffffffff\r\n{CANARY}\r\n0\r\n\r\n",
        "no size": f"\r\n{CANARY}\r\n0\r\n\r\n",
        "size with a bare LF": f"{size}\n{CANARY}\n0\n\n",
        "size with a bare CR": f"{size}\r{CANARY}\r0\r\r",
        "no end of a chunk": f"5\r\nhello0\r\n\r\n{CANARY}",
        "a chunk longer than its size": f"1\r\nhello\r\n0\r\n\r\n{CANARY}",
        "the last chunk with a bare LF": f"0\n\n{CANARY}",
        "the last chunk of several zeros": f"5\r\nhello\r\n000\r\nX: {CANARY}",
        "trailer with a length": f"0\r\nContent-Length: {len(CANARY)}\r\n\r\n",
        "trailer with a coding": "0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "trailer that looks like a request": f"0\r\n{CANARY}",
        "trailer with a bare LF": f"0\r\nX: y\n\n{CANARY}",
    }
    made: list[_Made] = [(f"chunks, {name}", _post(te, body), False) for name, body in bodies.items()]
    made.append(("chunks under HTTP/1.0", _post(te, f"0\r\n\r\n{CANARY}", "POST /api/v1/check?@@@ HTTP/1.0"), False))
    return made


def _heads() -> list[_Made]:
    """Heads that some readers end elsewhere, or take for two."""
    n, line = len(CANARY), "POST /api/v1/check?@@@ HTTP/1.1"
    length = f"Content-Length: {n}"
    heads = {
        "bare LF": f"{line}\n{HOST.strip()}\n{length}\n\n",
        "bare LF at the end": f"{line}\r\n{HOST}{length}\n\n",
        "bare CR": f"{line}\r{HOST.strip()}\r{length}\r\r",
        "bare CR before the end": f"{line}\r\n{HOST}{length}\r\n\r\r\n",
        "NUL in a value": f"{line}\r\n{HOST}X: a\x00b\r\n{length}\r\n\r\n",
        "NUL in a name": f"{line}\r\n{HOST}X\x00: ab\r\n{length}\r\n\r\n",
        "no colon": f"{line}\r\n{HOST}X\r\n{length}\r\n\r\n",
        "no name": f"{line}\r\n{HOST}: x\r\n{length}\r\n\r\n",
        "a blank in a name": f"{line}\r\n{HOST}Content Length: 0\r\n{length}\r\n\r\n",
        "no host": f"{line}\r\n{length}\r\n\r\n",
        "two hosts": f"{line}\r\n{HOST}Host: other\r\n{length}\r\n\r\n",
        "folded host": f"{line}\r\nHost: localhost\r\n other\r\n{length}\r\n\r\n",
        "another host in the target": f"POST http://other/api/v1/check?@@@ HTTP/1.1\r\n{HOST}{length}\r\n\r\n",
        "a blank line first": f"\r\n\r\n{line}\r\n{HOST}{length}\r\n\r\n",
        "a blank in the target": f"POST /api/v1/check?@@@ x HTTP/1.1\r\n{HOST}{length}\r\n\r\n",
        "a tab in the line": f"POST\t/api/v1/check?@@@\tHTTP/1.1\r\n{HOST}{length}\r\n\r\n",
        "an encoded line break": f"POST /api/v1/check?@@@%0d%0aX:%20y HTTP/1.1\r\n{HOST}{length}\r\n\r\n",
        "an unknown version": f"POST /api/v1/check?@@@ HTTP/1.2\r\n{HOST}{length}\r\n\r\n",
        "version 2": f"POST /api/v1/check?@@@ HTTP/2.0\r\n{HOST}{length}\r\n\r\n",
        "HTTP/0.9": "POST /api/v1/check?@@@\r\n\r\n",
        "the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    }
    # Where no head is, or none with a length, what follows is a request of its own to who reads on.
    loose = {"HTTP/0.9", "the preface of HTTP/2"}
    return [(f"head, {name}", f"{head}{CANARY}", name in loose) for name, head in heads.items()]


def _connections() -> list[_Made]:
    """What changes the protocol or the connection, and honest pipelines."""
    ask = f"GET /api/v1/health?@@@ HTTP/1.1\r\n{HOST}"
    body = f"Content-Length: {len(CANARY)}\r\n"
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    upgrade += "Sec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\r\n"
    h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    return [
        ("a pipeline", f"{ask}\r\n{CANARY}", True),
        ("a long pipeline", f"{ask}\r\n" * 8 + CANARY, True),
        ("websocket", f"{ask}{upgrade}\r\n{CANARY}", True),
        ("websocket with a body", f"{ask}{upgrade}{body}\r\n{CANARY}", False),
        ("websocket of another version", f"{ask}{upgrade.replace('13', '777')}{body}\r\n{CANARY}", False),
        ("h2c", f"{ask}{h2c}\r\n{CANARY}", True),
        ("h2c with a body", _post(f"{h2c}{body}", CANARY), False),
        ("expect", _post(f"Expect: 100-continue\r\n{body}", CANARY), False),
        ("an unknown expectation", _post(f"Expect: y\r\n{body}", CANARY), False),
        ("close before the second", f"{ask}Connection: close\r\n\r\n{CANARY}", True),
        (
            "the coding as a hop's",
            _post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            False,
        ),
        ("CONNECT", f"CONNECT host@@@:80 HTTP/1.1\r\n{HOST}\r\n{CANARY}", True),
        ("TRACE", f"TRACE /?@@@ HTTP/1.1\r\n{HOST}Max-Forwards: 0\r\n{body}\r\n{CANARY}", False),
    ]
