"""Real parts for the formation of a network: an API server, name servers, nodes."""
