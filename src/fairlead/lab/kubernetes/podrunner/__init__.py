"""The runner of one lab node: what a kubelet and a container runtime are on a real one.

`python -m fairlead.lab.kubernetes.podrunner CONFIG` runs in the node's namespace. Pods bound to the
node become processes in namespaces of their own, and their status goes back to the API server, so
that the real controllers make the EndpointSlices. `images` says which program an image stands for.
"""
