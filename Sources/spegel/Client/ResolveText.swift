import StructuredText

/// Who holds what of an image, for a person, made of the JSON that a node tells.
struct ResolveText {
    private(set) var lines: [String] = []
    /// Whether everything is held by somebody.
    let isComplete: Bool

    init(_ answer: JSONValue) {
        let contents = answer["contents"]?.items ?? []
        let problem = answer.string("error")
        isComplete = problem == nil && !contents.isEmpty && contents.allSatisfy(Self.isHeld)

        let name = answer.string("name") ?? answer.string("reference") ?? ""
        let time = answer.number("milliseconds").map { ", looked up in \(Human.time(.milliseconds($0)))" } ?? ""
        lines.append(Plain.text(name) + time)
        lines.append("")
        var table = TextTable("CONTENT", "DIGEST", "SIZE", "LOOKUP", "HELD BY")
        for content in contents {
            let depth = Int(clamping: min(8, content.count("depth")))
            let platform = content.string("platform").map { " \($0)" } ?? ""
            table.add(
                String(repeating: "  ", count: depth) + (content.string("kind") ?? "content") + platform,
                String((content.string("digest") ?? content.string("key") ?? "").prefix(19)),
                content.integer("size").map(Human.bytes) ?? "",
                Self.lookup(content["lookup"]),
                Self.holders(content)
            )
        }
        lines += table.lines
        lines += Self.trace(contents)
        if let problem { lines += ["", Plain.text(problem)] }
    }

    private static func isHeld(_ content: JSONValue) -> Bool {
        // Of an index, other platforms' manifests need not be anywhere.
        content["heldHere"]?.bool == true || !(content["holders"]?.items ?? []).isEmpty
            || content.string("kind") == "manifest"
    }

    private static func lookup(_ lookup: JSONValue?) -> String {
        guard let lookup, !lookup.isNull, let outcome = lookup.string("outcome") else { return "" }
        let time = lookup.number("milliseconds").map { " in \(Human.time(.milliseconds($0)))" } ?? ""
        let hops = lookup.count("hops")
        return words(outcome) + time + (hops > 0 ? ", \(hops) hop\(hops == 1 ? "" : "s")" : "")
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

    private static func holders(_ content: JSONValue) -> String {
        let others = (content["holders"]?.items ?? []).prefix(8).map { holder in
            let place = holder.strings("registries").first ?? holder.string("peer") ?? "?"
            return place + (holder.string("zone").map { " (\($0))" } ?? "")
        }
        let here = content["heldHere"]?.bool == true ? ["this node"] : []
        let all = here + others
        let more = (content["holders"]?.items ?? []).count - others.count
        return all.isEmpty ? "NOBODY" : all.joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
    }

    /// Who was asked; lookups that were answered from what is known here asked nobody.
    private static func trace(_ contents: [JSONValue]) -> [String] {
        var table = TextTable("ASKED", "FOR", "AFTER", "TOOK", "ANSWER")
        for content in contents {
            for request in (content["lookup"]?["requests"]?.items ?? []).prefix(32) {
                var answer = request.string("outcome") ?? ""
                if answer == "answered" {
                    answer = "\(request.count("providers")) holders, \(request.count("closerPeers")) closer nodes"
                }
                table.add(
                    request.string("peer") ?? "",
                    String((content.string("key") ?? "").prefix(32)),
                    request.number("startMilliseconds").map { Human.time(.milliseconds($0)) } ?? "",
                    request.number("milliseconds").map { Human.time(.milliseconds($0)) } ?? "",
                    answer
                )
            }
        }
        return table.lines.isEmpty ? [] : [""] + table.lines
    }
}
