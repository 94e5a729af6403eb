"""Frozen data: what the sources read, what the planner decides and what the drivers make so.

Imports nothing else of Fairlead's. Everything here is immutable and compares by value, so that a
plan can share what did not change with the plan before it.
"""
