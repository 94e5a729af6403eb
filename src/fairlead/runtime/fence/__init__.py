"""``fairlead fence``: liveness, in a process of its own: no API, no planning, no allocation."""
