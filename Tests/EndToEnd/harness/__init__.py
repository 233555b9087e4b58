"""The lab: nodes in network namespaces, each with a containerd and a Spegel of its own."""
