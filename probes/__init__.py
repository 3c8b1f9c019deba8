"""Built-in probes: one experiment per file; `PROBES` is what the entry point exposes."""

PROBES = ()
