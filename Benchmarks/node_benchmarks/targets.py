"""The performance targets of the project, and the measured values of a run."""

from .measuring import ratio


def check(results: dict) -> list[dict]:
    """The targets of the measured sections: limit, measured value, and whether it is reached."""
    rows: list[dict] = []

    def add(what: str, value: float, limit: float, unit: str = "", least: bool = False, digits: int = 2) -> None:
        rows.append({
            "what": what,
            "limit": f"at {'least' if least else 'most'} {limit:g}{unit}",
            "measured": f"{value:.{digits}f}{unit}",
            "reached": value >= limit if least else value <= limit,
        })

    if throughput := results.get("throughput"):
        one = throughput["workloads"]["1 GiB"]
        pair = one["Spegel before Spegel"]

        def comparable(name: str) -> dict:
            """A node with the congestion control of nginx and HAProxy, if it was measured."""
            return next((values for title, values in one.items() if title.startswith(f"{name}, bbr")), one[name])

        add("serving 1 GiB: CPU beside nginx", ratio(comparable("Spegel alone")["CPU"], one["nginx alone"]["CPU"]), 1.1, " x")
        relays = [comparable("Spegel before nginx")["CPU relay"], one["HAProxy before nginx"]["CPU relay"]]
        add("relaying 1 GiB: CPU beside HAProxy", ratio(*relays), 1.1, " x")
        add("mirror and provider, 1 GiB: CPU", pair["CPU"]["median"], 0.75, " s/GiB")
        # The same as a ratio, because machines differ: HAProxy and nginx took 0.6 s/GiB where 0.75 was set.
        pair_ratio = ratio(comparable("Spegel before Spegel")["CPU"], one["HAProxy before nginx"]["CPU"])
        add("mirror and provider, 1 GiB: CPU beside HAProxy and nginx", pair_ratio, 1.25, " x")
        add("mirror and provider, 1 GiB: rate", pair["GiB/s"]["median"], 1.11, " GiB/s", least=True)
    if states := results.get("states"):
        warm = states["warm"]
        for name in ("both just started", "asked again", "just committed"):
            if name in states:
                add(f"{name}: rate beside warm", ratio(states[name]["GiB/s"], warm["GiB/s"]), 0.9, " x", least=True)
                add(f"{name}: CPU beside warm", ratio(states[name]["CPU"], warm["CPU"]), 1.1, " x")
    if link := results.get("link"):
        # 0.9 s/GB before bytes were gathered.
        add("mirror, link of 200 Mbit/s: CPU", link["200 Mbit/s"]["CPU relay"]["median"] / 1.073741824, 0.45, " s/GB")
    if verify := results.get("verify"):
        more = verify["always"]["CPU"]["median"] - verify["auto"]["CPU"]["median"]
        add("--verify=always, 1 GiB: CPU beside auto", more, 0.8, " s/GiB more")
    if latency := results.get("latency"):
        one, sixteen = latency["manifest, one key"]["1"], latency["manifest, one key"]["16"]
        for quantity, limit in (("p50 ms", 2.5), ("p99 ms", 3)):
            value = ratio(one["Spegel"][quantity], one["nginx"][quantity])
            add(f"mirrored manifest: {quantity[:3]} beside nginx", value, limit, " x")
        add("16 clients, one key: rate beside nginx",
            ratio(sixteen["Spegel"]["requests/s"], sixteen["nginx"]["requests/s"]), 0.5, " x", least=True)
        wrong = sum(sum(counts["Spegel"]["wrong"]["runs"]) for case in latency.values() for counts in case.values())
        add("wrong answers", wrong, 0, digits=0)
        add("404 for a new key, two nodes", latency["404, ever new keys"]["1"]["Spegel"]["p50 ms"]["median"], 0.5, " ms")
    if misses := results.get("misses"):
        add("404 for a new key, eight nodes", misses["p50 ms"]["median"], 5, " ms")
        add("resident, one of eight nodes", misses["resident MB"]["max"], 20, " MB", digits=1)
    if memory := results.get("memory"):
        add("resident at rest", max(taken["resident"] for taken in memory["idle"].values()), 20, " MB", digits=1)
        for kind, text in (("read", "clients read"), ("stalled", "clients stall")):
            taken = memory["transfers"][kind]["Spegel"]["processes"]
            for name in ("mirror", "provider"):
                add(f"256 transfers, {text}: {name}", taken[name]["resident"], 48, " MB", digits=1)
    return rows
