import DebugAPI
import OCI

/// The report of a lookup as text for a terminal.
struct ResolveText {
    private(set) var lines: [String] = []
    /// Whether each part of the image is on a node.
    let isComplete: Bool

    init(_ report: ImageReport) {
        let contents = report.contents
        isComplete = report.error == nil && !contents.isEmpty && contents.allSatisfy(Self.isHeld)

        lines.append("\(Plain.text(report.name)), looked up in \(Human.time(report.duration))")
        lines.append("")
        var table = TextTable("CONTENT", "DIGEST", "SIZE", "LOOKUP", "HELD BY")
        for content in contents {
            let platform = content.platform.map { " \($0)" } ?? ""
            table.add(
                String(repeating: "  ", count: min(max(content.depth, 0), 8)) + content.kind.rawValue + platform,
                String((content.digest ?? content.key).prefix(19)),
                content.size.map(Human.bytes) ?? "",
                Self.text(content.lookup),
                Self.holders(content)
            )
        }
        lines += table.lines
        lines += Self.requests(contents)
        if let error = report.error { lines += ["", Plain.text(error)] }
    }

    private static func isHeld(_ content: ImageReport.Content) -> Bool {
        // The manifests of other platforms may be on no node, as may those below an index of indexes.
        let isOptional = content.kind == .manifest || (content.kind == .index && content.depth > 0)
        return content.isHeldHere || !content.holders.isEmpty || isOptional || isForeign(content)
    }

    private static func isForeign(_ content: ImageReport.Content) -> Bool {
        content.mediaType.map { MediaType($0).isForeignLayer } ?? false
    }

    private static func text(_ lookup: ImageReport.Lookup) -> String {
        let hops = lookup.hops > 0 ? ", \(Human.count(lookup.hops, "hop", "hops"))" : ""
        return "\(words(lookup.outcome)) in \(Human.time(lookup.duration))\(hops)"
    }

    private static func words(_ outcome: String) -> String {
        switch outcome {
        case "local": "known here"
        case "missed", "rememberedMiss": "not found"
        case "timedOut": "timed out"
        case "turnedAway": "too many lookups"
        default: outcome
        }
    }

    private static func holders(_ content: ImageReport.Content) -> String {
        let peers = content.holders.prefix(8).map { holder in
            (holder.registries.first ?? holder.peerID) + (holder.zone.map { " (\($0))" } ?? "")
        }
        let all = (content.isHeldHere ? ["this node"] : []) + peers
        let more = content.holders.count - peers.count
        if all.isEmpty, isForeign(content) { return "no node; foreign, from its URLs" }
        return all.isEmpty ? "NO NODE" : all.joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
    }

    /// The requests to peers; none for a lookup that this node's provider records answer.
    private static func requests(_ contents: [ImageReport.Content]) -> [String] {
        var table = TextTable("PEER", "KEY", "START", "DURATION", "ANSWER")
        for content in contents {
            for request in content.lookup.requests.prefix(32) {
                let providers = Human.count(request.providers ?? 0, "provider", "providers")
                let closer = Human.count(request.closerPeers ?? 0, "closer peer", "closer peers")
                table.add(
                    request.peerID,
                    String(content.key.prefix(32)),
                    Human.time(request.start),
                    request.duration.map(Human.time) ?? "",
                    request.outcome == .answered ? "\(providers), \(closer)" : request.outcome.rawValue
                )
            }
        }
        return table.lines.isEmpty ? [] : [""] + table.lines
    }
}
