"""The benchmarks: each row holds the service to a figure against a peer, measured side by side in one run.

A row lives in the module of its topic and is listed in `ROWS` there; `__main__` knows the topics. Only ratios and
bounds that hold on any machine are figures: absolute numbers are shown beside them. Load comes from other processes
on another core than the server's, over the loopback.
"""
