"""Real updaters of other makers, driven headless against the service: what they ask, fetch and install.

`drivers/` holds small applications around their libraries; each takes one JSON text, and prints one. `readers.py`
stands in for the updaters that run on no Linux, by their documented rules. Every client goes through a relay that
writes down what was asked and counts what was sent.
"""
