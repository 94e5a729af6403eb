"""L4 load balancing with nftables: real (:mod:`.driver`) and behavioural fake (:mod:`.fake`)."""
