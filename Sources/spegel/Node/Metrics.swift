import Glibc
import Registry

/// What `/metrics` says, in Prometheus' text format.
enum Metrics {
    static func text(
        registry: RegistryMetrics.Snapshot,
        router: (peers: Int, records: Int),
        index: (contents: Int, tags: Int)
    ) -> String {
        var page = MetricsPage()
        page.add(
            "spegel_registry_requests_total",
            .counter,
            "Requests for content, by how they were answered.",
            RegistryMetrics.Outcome.allCases.map { ("outcome=\"\($0.rawValue)\"", registry.outcomes[$0] ?? 0) }
        )
        page.add(
            "spegel_registry_served_bytes_total",
            .counter,
            "Bytes of content sent, by where they came from.",
            [("source=\"local\"", registry.localBytes), ("source=\"peer\"", registry.relayedBytes)]
        )
        page.add(
            "spegel_registry_failed_attempts_total",
            .counter,
            "Attempts at peers that failed.",
            registry.failedAttempts
        )
        page.add("spegel_registry_requests_in_flight", .gauge, "Requests being answered.", registry.requestsInFlight)
        page.add("spegel_registry_connections", .gauge, "Open client connections.", registry.openConnections)
        page.add("spegel_registry_peer_connections", .gauge, "Open connections to peers.", registry.peerConnections)
        page.add("spegel_routing_table_peers", .gauge, "Peers in the routing table.", router.peers)
        page.add("spegel_provider_records", .gauge, "Provider records held for other nodes.", router.records)
        page.add("spegel_held_contents", .gauge, "Pieces of content held here.", index.contents)
        page.add("spegel_held_tags", .gauge, "Tags held here.", index.tags)
        if let pages = residentPages() {
            page.add("process_resident_memory_bytes", .gauge, "Resident memory.", pages * sysconf(Int32(_SC_PAGESIZE)))
        }
        return page.text
    }

    /// The second number of /proc/self/statm.
    private static func residentPages() -> Int? {
        guard let file = fopen("/proc/self/statm", "re") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, Int32(line.count), file) != nil else { return nil }
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    }
}

/// A page in Prometheus' text format, version 0.0.4.
struct MetricsPage {
    enum Kind: String {
        case counter, gauge
    }

    private(set) var text = ""

    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Int) {
        add(name, kind, help, [("", value)])
    }

    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: String, value: Int)]) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        for (labels, value) in samples {
            text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
        }
    }
}
