"""Real components for forming a network: an API server, name servers, nodes."""
