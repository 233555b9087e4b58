"""The sections of the benchmark. Each `run(runs)` starts what it needs, measures, and gives its results as JSON."""

from . import latency, memory, misses, start, throughput, verify

# In the order in which they run.
ALL = {
    "start": start.run,
    "throughput": throughput.run,
    "verify": verify.run,
    "latency": latency.run,
    "misses": misses.run,
    "memory": memory.run,
}
