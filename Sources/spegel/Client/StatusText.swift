import StructuredText

/// The state of a node for a person, made of the JSON that it tells. What is missing there is left out.
struct StatusText {
    /// The most rows of a table; an admin of thousands asks for JSON.
    static let maximumRows = 20

    let lines: [String]

    init(_ status: JSONValue) {
        let node = status["node"]
        let ready = node?["ready"]?.bool == true
        var lines = [
            Self.line("node", "\(node?.string("peer") ?? "-"), spegel \(node?.string("version") ?? "-")"),
            Self.line("ready", (ready ? "yes: " : "NO: ") + (node?.string("state") ?? "")),
            Self.line("up", Human.time(.seconds(node?.number("uptimeSeconds") ?? 0))),
            Self.line("router", node?.strings("addresses").joined(separator: " ") ?? ""),
            Self.line("registry", node?.string("registry") ?? "-"),
        ]
        if let zone = node?.string("zone") { lines.append(Self.line("zone", zone)) }
        if let leader = node?["leader"], !leader.isNull {
            let leads = leader["leads"]?.bool == true
            lines.append(Self.line("leader", leads ? "this node" : leader.string("holder") ?? "nobody"))
        }
        for stall in node?.strings("stalls") ?? [] { lines.append(Self.line("STALLED", stall)) }
        lines.append(Self.line("store", Self.store(status["store"])))
        lines += Self.totals(status["totals"])
        lines += Self.peers(status["peers"]) + Self.images(status["images"]) + Self.transfers(status["transfers"])
        lines += Self.failures(status["failures"])
        self.lines = lines
    }

    private static func line(_ name: String, _ text: String) -> String {
        name.padded(10) + Plain.text(text)
    }

    private static func store(_ store: JSONValue?) -> String {
        var text = "\(store?.string("name") ?? "-"): \(store?.string("state") ?? "-")"
        if let reason = store?.string("reason") { text += " (\(reason))" }
        text += ", \(store?.count("contents") ?? 0) pieces of content, \(store?.count("tags") ?? 0) tags"
        text += ", \(store?.count("advertisedKeys") ?? 0) keys advertised"
        let bare = store?.count("imagesWithoutLayers") ?? 0
        if bare > 0 { text += ", \(bare) IMAGES WITHOUT LAYERS" }
        return text
    }

    private static func totals(_ totals: JSONValue?) -> [String] {
        guard let totals, !totals.isNull else { return [] }
        let (hits, misses) = (totals.count("hits"), totals.count("misses"))
        let asked = Double(hits) + Double(misses)
        let rate = asked > 0 ? " (\(Int((Double(hits) / asked * 100).rounded())) % of \(Int(asked)))" : ""
        return [
            line(
                "saved",
                "\(Human.bytes(totals.count("receivedBytes"))) came from other nodes, \(hits) requests\(rate), and not from a source"
            ),
            line(
                "source",
                "\(Human.bytes(totals.count("sourceBytes"))) came from source registries; \(misses) requests that no node answered"
            ),
            line(
                "gave",
                "\(Human.bytes(totals.count("sentBytes"))) to other nodes; \(totals.count("local")) requests answered from here"
            ),
            line(
                "trouble",
                "\(totals.count("failedAttempts")) failed attempts, \(totals.count("corruptAnswers")) corrupt answers, "
                    + "\(totals.count("cutShort")) cut short"
            ),
        ]
    }

    private static func peers(_ peers: JSONValue?) -> [String] {
        var table = TextTable("PEER", "REGISTRY", "CONNECTED", "ROUND TRIP", "ZONE")
        let list = peers?["list"]?.items ?? []
        for peer in list.prefix(maximumRows) {
            table.add(
                peer.string("peer") ?? "",
                peer.strings("registries").joined(separator: " "),
                peer["connected"]?.bool == true ? "yes" : "no",
                peer.number("roundTripMilliseconds").map { Human.time(.milliseconds($0)) } ?? "",
                peer.string("zone") ?? ""
            )
        }
        return section(table, of: list.count, "no peers")
    }

    private static func images(_ images: JSONValue?) -> [String] {
        var table = TextTable("IMAGE", "DIGEST", "ADVERTISED")
        let list = images?["list"]?.items ?? []
        for image in list.prefix(maximumRows) {
            table.add(
                image.string("name") ?? "",
                String((image.string("digest") ?? "").prefix(19)),
                image["advertised"]?.bool == true ? "yes" : "no"
            )
        }
        return section(table, of: max(list.count, Int(clamping: images?.count("count") ?? 0)), "no images")
    }

    private static func transfers(_ transfers: JSONValue?) -> [String] {
        var table = TextTable("TRANSFER", "WHAT", "FROM", "TO", "DONE", "OF")
        let list = transfers?["list"]?.items ?? []
        for transfer in list.prefix(maximumRows) {
            table.add(
                transfer.string("direction") ?? "",
                transfer.string("kind").map { "\($0) \(String((transfer.string("key") ?? "").prefix(19)))" } ?? "",
                transfer.string("from") ?? "",
                transfer.string("to") ?? "",
                Human.bytes(transfer.count("bytes")),
                transfer.integer("size").map(Human.bytes) ?? ""
            )
        }
        return section(table, of: list.count, nil)
    }

    private static func failures(_ failures: JSONValue?) -> [String] {
        var table = TextTable("FAILURE", "WHAT", "NODE")
        let list = failures?.items ?? []
        for failure in list.prefix(5) {
            table.add(
                failure.string("text") ?? failure.string("reason") ?? "",
                String((failure.string("key") ?? "").prefix(48)),
                failure.string("address") ?? ""
            )
        }
        return table.lines.isEmpty ? [] : [""] + table.lines
    }

    private static func section(_ table: TextTable, of count: Int, _ none: String?) -> [String] {
        guard !table.lines.isEmpty else { return none.map { ["", $0] } ?? [] }
        let more = count - table.rows.count
        return [""] + table.lines + (more > 0 ? ["and \(more) more; --output json has them"] : [])
    }
}

extension JSONValue {
    /// The text of a member.
    func string(_ key: String) -> String? { self[key]?.text }

    /// The whole number of a member.
    func integer(_ key: String) -> Int64? { self[key]?.integer }

    /// The whole number of a member that counts something.
    func count(_ key: String) -> Int64 { max(0, self[key]?.integer ?? 0) }

    /// The number of a member, not more than makes sense for a time in any unit.
    func number(_ key: String) -> Double? {
        let value: Double? =
            switch self[key] {
            case .integer(let number): Double(number)
            case .number(let number): number
            default: nil
            }
        return value.flatMap { $0.isFinite ? min(max($0, 0), 1e12) : nil }
    }

    /// The texts of a member that is a list.
    func strings(_ key: String) -> [String] { self[key]?.items?.compactMap(\.text) ?? [] }
}
