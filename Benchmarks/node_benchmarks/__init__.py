"""Measures a node beside nginx and HAProxy. `scripts/bench` runs it; each module holds one topic."""
