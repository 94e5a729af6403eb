"""The languages people already write, one module each, translated into claims.

Pure like the planner, which dialects never see; no dialect knows another, so that each can be read,
tested and added alone.
"""
