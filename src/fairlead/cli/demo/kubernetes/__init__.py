"""``fairlead demo --kubernetes``: Fairlead on a real cluster, as a user of kubectl sees it.

API server, controllers, scheduler and kube-proxy are the real ones; nodes and pods are namespaces
of this machine. Fairlead is installed by its own manifests and runs as pods. What kubectl prints is
printed as it is; what is checked is read beside it, from the API, the kernels and the client.
"""
