"""``fairlead demo``: the users' documents on a real network, and what really happens there.

The network is a lab of namespaces, ``fairlead up`` runs in it as processes of its own, and the demo
edits their manifests as a user would. Nothing is printed that was not seen: every step first states
what it expects of the status, the kernel and the traffic, and the first deviation ends the demo.
"""
