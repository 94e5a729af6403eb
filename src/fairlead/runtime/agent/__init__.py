"""``fairlead agent``: on each node, serves what the published ledger says."""
