"""Real networks in network namespaces, for the demo, the tests and the benchmarks alike.

Nothing that serves traffic for users imports it; no route leads out of a lab, and it leaves nothing
behind.
"""
