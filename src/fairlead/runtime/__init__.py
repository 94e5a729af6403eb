"""The wiring: joins sources, planner, drivers and publishing into a running process.

Clocks, retries, the ledger and everything else that happens in time live in this layer.
"""
