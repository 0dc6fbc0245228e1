"""What `storage.database_url` says, for a driver that knows less than libpq: taken, or refused by name. PURE.

Source: PostgreSQL, "Parameter Key Words" of libpq. What is no word of libpq is a setting of the server, which judges.
"""

from __future__ import annotations

import socket
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from updater.errors import ConfigurationError

CONNECT_TIMEOUT_S: Final = 5
_LONGEST_TIMEOUT_S: Final = 300
# Only these values mean what the driver does anyway. Without `require`, libpq itself goes on without them.
_HARMLESS: Final = {
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "client_encoding": ("auto", "utf8", "utf-8", "UTF8", "UTF-8"),
    "sslcompression": ("0", "1"),
    "sslsni": ("1",),
    "sslcertmode": ("allow",),
    "load_balance_hosts": ("disable",),
    "sslnegotiation": ("postgres",),
    "gssdelegation": ("0",),
}
_REFUSED: Final = frozenset(
    {"hostaddr", "service", "servicefile", "replication", "requirepeer", "require_auth", "sslcrldir", "krbsrvname"}
    | {"gsslib", "scram_client_key", "scram_server_key", "passfilemode", "requiressl", "min_protocol_version"}
    | {"max_protocol_version", "sslkeylogfile"}
)
_SOCKET: Final = {
    "keepalives": (socket.SOL_SOCKET, "SO_KEEPALIVE"),
    "keepalives_idle": (socket.IPPROTO_TCP, "TCP_KEEPIDLE"),
    "keepalives_interval": (socket.IPPROTO_TCP, "TCP_KEEPINTVL"),
    "keepalives_count": (socket.IPPROTO_TCP, "TCP_KEEPCNT"),
    "tcp_user_timeout": (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT"),
}


class Dsn(NamedTuple):
    """An address as the driver takes it, and what it does not take: seconds, a name, options of the socket."""

    address: str
    connect_timeout_s: float
    application_name: str
    socket_options: tuple[tuple[int, int, int], ...]


def read_dsn(url: str) -> Dsn:
    """Read an address. Raises ConfigurationError, which names the parameter that cannot be honoured."""
    place, _, query = url.partition("?")
    left: list[tuple[str, str]] = []
    timeout_s: float = CONNECT_TIMEOUT_S
    name, options = "updater", []
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key in _REFUSED:
            raise _refusal(key, "is not supported; remove it")
        if key in _HARMLESS:
            if value not in _HARMLESS[key]:
                raise _refusal(key, f"can only be {' or '.join(_HARMLESS[key][:2])} here; the driver knows no more")
        elif key == "connect_timeout":
            # 0 and below wait for ever in libpq; 1 is 2 there.
            given = _whole(key, value)
            timeout_s = min(max(given, 2), _LONGEST_TIMEOUT_S) if given > 0 else _LONGEST_TIMEOUT_S
        elif key in ("application_name", "fallback_application_name"):
            name = value if key == "application_name" or name == "updater" else name
        elif key in _SOCKET:
            level, option = _SOCKET[key]
            options.append((level, getattr(socket, option), _whole(key, value)))
        else:
            left.append((key, value))
    address = place + ("?" + urlencode(left, safe="/:,@") if left else "")
    # 0 is the system's own value, but for the first of them, where it is "off".
    kept = tuple(each for each in options if each[2] > 0 or each[1] == socket.SO_KEEPALIVE)
    return Dsn(address, timeout_s, name, kept)


def _whole(key: str, value: str) -> int:
    digits = value.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise _refusal(key, "expected a whole number")
    return int(value)


def _refusal(key: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"storage.database_url: the parameter {key} {why}")
