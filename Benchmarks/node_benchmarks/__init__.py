"""Compares a node with nginx and HAProxy. `scripts/bench` runs it; each module has one topic."""
