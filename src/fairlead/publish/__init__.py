"""How people learn of the decisions: status, conditions and events on objects, or files.

Publishing only repeats verdicts; it decides nothing.
"""
