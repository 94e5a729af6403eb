"""The ways a plan reaches the network: observe what is there, apply the changes, prune the rest.

Each driver has a folder of its own with a behavioural fake; none knows the planner, so that each
can be driven and tested alone.
"""
