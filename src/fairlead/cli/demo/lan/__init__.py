"""Addresses from the LAN and ports on its gateway, on a Kubernetes cluster of namespaces: DHCP and
UPnP."""
