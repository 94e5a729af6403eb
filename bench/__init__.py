"""Benchmarks: each prints its figures beside its goals, and says aloud when one is missed."""
