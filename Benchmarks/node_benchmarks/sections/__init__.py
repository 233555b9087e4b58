"""The sections of the benchmark. Each `run(runs)` starts its programs, measures, and returns its results as JSON."""

from . import latency, link, memory, misses, start, states, throughput, verify

# In order of execution.
ALL = {
    "start": start.run,
    "throughput": throughput.run,
    "states": states.run,
    "link": link.run,
    "verify": verify.run,
    "latency": latency.run,
    "misses": misses.run,
    "memory": memory.run,
}
