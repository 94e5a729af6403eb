"""Where the objects come from: manifest files, the Kubernetes API, health of nodes.

Effects end here: what leaves a source is a frozen World.
"""
