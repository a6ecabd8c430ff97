"""Tasks and decisions as the tools of others hold them, none of which has to be installed."""
