"""SQLAlchemy's asynchronous engine without its ORM, which the package around the engine imports.

Nothing here maps objects, and the ORM is 40 modules, 6 MiB and a tenth of a start. So this is the one module that
imports from `sqlalchemy.ext.asyncio` (`tests/test_house.py`). Who asks the package itself for another name gets all
of it, as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from typing import Any

_PACKAGE = "sqlalchemy.ext.asyncio"


@contextmanager
def _unread() -> Iterator[None]:
    """Let the package's modules be imported for the block without it; it is read when somebody asks it for a name."""
    spec = None if _PACKAGE in sys.modules else find_spec(_PACKAGE)
    if spec is None or spec.loader is None:
        yield
        return
    loader, package = spec.loader, module_from_spec(spec)

    def read(name: str) -> Any:
        if "__getattr__" not in vars(package) or name.startswith("__"):
            raise AttributeError(name)
        del vars(package)["__getattr__"]
        loader.exec_module(package)
        return getattr(package, name)

    sys.modules[_PACKAGE] = package
    yield
    vars(package)["__getattr__"] = read


with _unread():
    from sqlalchemy.ext.asyncio.engine import AsyncConnection, AsyncEngine, create_async_engine

__all__ = ["AsyncConnection", "AsyncEngine", "create_async_engine"]
