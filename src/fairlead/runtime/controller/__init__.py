"""``fairlead controller``: allocates and reports, one replica at a time."""
