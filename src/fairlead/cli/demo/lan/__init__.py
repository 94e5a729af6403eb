"""Addresses from the LAN: a VIP from a DHCP server, on a Kubernetes cluster of namespaces."""
