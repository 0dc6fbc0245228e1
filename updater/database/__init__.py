"""The engine, the tables and their migrations: the only SQL outside the rooms' own `store.py`."""
