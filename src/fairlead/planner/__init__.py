"""The decisions, as pure functions from claims and the ledger to a plan: one rule, one module.

No clock, IO, logging, randomness or environment in here, so that the same input gives the same plan
everywhere, and a reason is always a value in the result.
"""
