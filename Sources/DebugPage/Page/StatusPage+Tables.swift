import DebugAPI

extension StatusPage {
    // MARK: Transfers

    static func transfers(_ status: NodeStatus) -> HTML {
        guard !status.transfers.list.isEmpty else { return empty("No transfer is in flight.") }
        let shown = status.transfers.list.prefix(shortLimit)
        return HTML("ul", ["class": "transfers"]) { shown.map(transfer) }
            + more(status.transfers.count - shown.count)
    }

    private static func transfer(_ transfer: NodeStatus.Transfer) -> HTML {
        let name = [transfer.registry, transfer.repository].compactMap(\.self).joined(separator: "/")
        let size = transfer.size.map { Words.bytes($0) } ?? "?"
        var progress = "\(Words.bytes(transfer.bytes)) of \(size)"
        if let rate = Words.rate(transfer.bytes, in: transfer.duration) { progress += ", \(rate)" }
        return HTML("li") {
            HTML("div", ["class": "transfer-head"]) {
                HTML("span") {
                    HTML("span", ["class": "chip chip-\(transfer.direction.rawValue)"]) { transfer.direction.words }
                    " "
                    code(Words.key(transfer.key), whole: transfer.key)
                }
                HTML("span", ["class": "number"]) { progress }
            }
            HTML(
                "progress",
                [
                    "value": transfer.size == nil ? nil : "\(transfer.bytes)",
                    "max": transfer.size.map { "\(max(1, $0))" },
                    "aria-label": "\(Words.key(transfer.key)): \(progress)",
                ]
            )
            HTML("p", ["class": "note"]) {
                let unknown = transfer.direction == .received ? "a provider not found yet" : "this node"
                "\(name), from \(transfer.source ?? unknown) to \(transfer.client ?? "a client that left")"
            }
        }
    }

    // MARK: Peers

    static func peers(_ peers: NodeStatus.Peers) -> HTML {
        guard !peers.list.isEmpty else {
            return empty("No peer is known. Upstream registries serve everything that this node does not hold.")
        }
        let shown = peers.list.prefix(rowLimit)
        let hasZones = peers.list.contains { $0.zone != nil }
        let rows = shown.map { peer in
            let place = peer.registries.first ?? peer.addresses.first.map(host) ?? "no address known"
            let cells = [
                HTML("div") { code(place) }
                    + HTML("div", ["class": "note"]) { code(Words.peer(peer.peerID), whole: peer.peerID) },
                roundTrip(peer),
                HTML("span", ["class": peer.isConnected ? "chip good" : "chip"]) {
                    peer.isConnected ? "connected" : "known"
                },
                HTML(text: peer.agent ?? "–"),
            ]
            return hasZones ? cells + [HTML(text: peer.zone ?? "–")] : cells
        }
        let columns = ["Registry", "Round trip", "State", "Software"]
        return HTML("p", ["class": "note"]) {
            "\(Words.count(peers.connected)) connected, \(Words.count(peers.routingTable)) in the routing table, "
            "\(Words.count(peers.providerRecords, "provider record", "provider records")) stored"
        }
            + Table(columns: hasZones ? columns + ["Zone"] : columns, caption: "Peers", rows: rows).html
            + more(peers.list.count - shown.count)
    }

    private static func roundTrip(_ peer: NodeStatus.Peer) -> HTML {
        HTML("span", ["class": "number"]) { peer.roundTripTime.map(Words.time) ?? "–" }
    }

    // MARK: Images

    static func images(_ status: NodeStatus) -> HTML {
        guard !status.images.list.isEmpty else { return empty("This node holds no image.") }
        let shown = status.images.list.prefix(rowLimit)
        let rows = shown.map { image in
            [
                HTML("a", ["href": "?reference=\(parameter(image.name))"]) { image.name },
                image.digest.map { code(Words.key($0), whole: $0) } ?? HTML(text: "–"),
                HTML("span", ["class": image.isAdvertised ? "chip good" : "chip"]) {
                    image.isAdvertised ? "advertised" : "not advertised"
                },
            ]
        }
        return Table(columns: ["Image", "Digest", "State"], caption: "Images on this node", rows: rows).html
            + more(status.images.count - shown.count)
    }

    /// The value of a query parameter: `%XX` for all but letters, digits and a few others (RFC 3986, section 2.1).
    static func parameter(_ text: String) -> String {
        text.utf8.reduce(into: "") { result, byte in
            let scalar = Unicode.Scalar(byte)
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "-", ".", "_", "~", "/", ":":
                result.unicodeScalars.append(scalar)
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += "%" + (digits.utf8.count < 2 ? "0" : "") + digits
            }
        }
    }

    // MARK: Failures

    static func failures(_ failures: [NodeStatus.Failure]) -> HTML {
        guard !failures.isEmpty else { return empty("No failure since the start.") }
        let rows = failures.prefix(shortLimit).map { failure in
            [
                HTML("span", ["class": "number"]) { Words.clock(failure.time) },
                HTML("div") { failure.text } + HTML("div", ["class": "note"]) { code(failure.reason) },
                failure.address.map { code($0, whole: failure.peerID) } ?? HTML(text: "–"),
                HTML("div") { code(Words.key(failure.key), whole: failure.key) }
                    + HTML("div", ["class": "note"]) {
                        [failure.registry, failure.repository].compactMap(\.self).joined(separator: "/")
                    },
            ]
        }
        return Table(
            columns: ["Time", "Reason", "Peer", "Content"],
            caption: "Recent failures, newest first",
            rows: rows
        )
        .html
    }

    private static func more(_ count: Int) -> HTML {
        count > 0 ? HTML("p", ["class": "note"]) { "and \(Words.count(count)) more" } : HTML()
    }
}

extension NodeStatus.Transfer.Direction {
    fileprivate var words: String {
        switch self {
        case .received: "from a peer"
        case .served: "from this node"
        case .sent: "to a peer"
        default: rawValue
        }
    }
}
