"""Addresses as providers hand them out: each parameter of libpq works, or the start refuses it by its name."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from tests.servers.postgres import Postgres
from updater.database.dsn import CONNECT_TIMEOUT_S, read_dsn
from updater.database.opening import open_database
from updater.errors import ConfigurationError

URL = "postgresql://u:p%2Fw@db.example.com:6543/updates"


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("", ""),
        ("?sslmode=require&channel_binding=prefer", "?sslmode=require"),
        ("?gssencmode=disable&sslrootcert=/etc/ca.pem", "?sslrootcert=/etc/ca.pem"),
        ("?options=-c%20search_path%3Dx", "?options=-c+search_path%3Dx"),
        ("?target_session_attrs=read-write&passfile=/run/p", "?target_session_attrs=read-write&passfile=/run/p"),
        ("?client_encoding=utf8&load_balance_hosts=disable", ""),
        ("?host=/var/run/postgresql", "?host=/var/run/postgresql"),
    ],
)
def test_what_is_left_for_the_driver(query: str, left: str) -> None:
    assert read_dsn(URL + query) == (URL + left, CONNECT_TIMEOUT_S, "updater", ())
    assert read_dsn("postgresql:///updates" + query).address == "postgresql:///updates" + left


def test_what_we_do_ourselves() -> None:
    alive = "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=0"
    found = read_dsn(f"{URL}?connect_timeout=10&application_name=ours&{alive}")
    assert found[:3] == (URL, 10, "ours")
    assert found.socket_options[0] == (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert len(found.socket_options) == 4
    assert read_dsn(f"{URL}?connect_timeout=0").connect_timeout_s == 300


@pytest.mark.parametrize(
    "parameter",
    [
        *("channel_binding=require", "gssencmode=require", "hostaddr=127.0.0.1", "service=x", "replication=database"),
        *("connect_timeout=soon", "keepalives_idle=x", "client_encoding=latin1", "require_auth=scram-sha-256"),
        *("sslnegotiation=direct", "load_balance_hosts=random", "connect_timeout="),
    ],
)
def test_what_is_refused_by_name(parameter: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_dsn(f"{URL}?{parameter}")
    assert f"storage.database_url: the parameter {parameter.partition('=')[0]} " in str(refused.value)
    assert "p%2Fw" not in str(refused.value)


async def test_a_real_server_takes_them(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.create_migrated()
    joint = "&" if urlsplit(url).query else "?"
    more = "channel_binding=prefer&connect_timeout=9&keepalives=1&keepalives_idle=30&gssencmode=disable&sslmode=prefer"
    more += "&application_name=mine&target_session_attrs=read-write&options=-c%20statement_timeout%3D77s"
    async with open_database(f"{url}{joint}{more}", tmp_path) as database, database.read() as connection:
        assert await connection.scalar(text("SHOW application_name")) == "mine"
        assert await connection.scalar(text("SHOW statement_timeout")) == "77s"
        assert await connection.scalar(text("SHOW lock_timeout")) == "5s"
    with pytest.raises(ConfigurationError, match="no_such_setting"):
        async with open_database(f"{url}{joint}no_such_setting=1", tmp_path):
            pass
