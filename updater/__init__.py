"""Self-hosted update server.

The rooms of the house, from the door inwards:

* `cli`        commands: parse, one call, print
* `app`        composition: settings -> engines -> services -> web
* `web`        the only aiohttp server code; one package per documented interface
* `catalog`    what exists, and which build a client gets
* `artifacts`  bytes by digest
* `telemetry`  reports in, figures out
* `access`     who is asking, and what may they do
* `database`   the engine, the tables and their migrations
* `settings`, `config`, `errors`  what can be set, reading it, the kinds of failure

The client that applications import is a package of its own: `updater_client`.

Imports point downwards; `tests/test_house.py` holds them to it.
"""

__version__ = "0.1.0"
