"""What Fairlead writes to the Kubernetes API, as values: VirtualIPs, Service status, Events."""
