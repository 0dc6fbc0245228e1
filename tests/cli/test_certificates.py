"""Certificates are read when a connection needs them, and then all of them."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys

_CODE = """
import json, ssl
from updater.cli.certificates import late_certificates
with late_certificates():
    import aiohttp.connector as c
one, other = c._SSL_CONTEXT_VERIFIED, c._SSL_CONTEXT_UNVERIFIED
seen = [one.cert_store_stats(), other.cert_store_stats()]
one.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
print(json.dumps([*seen, one.cert_store_stats(), ssl.create_default_context().cert_store_stats()]))
assert type(one) is ssl.SSLContext and one.verify_mode is ssl.CERT_REQUIRED and one.check_hostname
assert "set_default_verify_paths" not in vars(ssl.SSLContext)
"""


def test_contexts_of_aiohttp_read_them_with_the_first_connection() -> None:
    run = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    before, before_too, after, expected = json.loads(run.stdout)
    assert before["x509"] == before_too["x509"] == 0
    assert after == expected == ssl.create_default_context().cert_store_stats()
    assert after["x509"] > 0, "a machine without certificates shows nothing"
