"""Virtual IPs for Kubernetes Services and bare-metal hosts: many share one, each survives its
machine, and every decision says why.
"""

__version__ = "0.1.0"
