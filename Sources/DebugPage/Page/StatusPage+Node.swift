import DebugAPI

extension StatusPage {
    /// The node's identity and health.
    static func node(_ status: NodeStatus) -> HTML {
        let node = status.node
        var list: [(name: String, value: HTML)] = [("State", state(node))]
        list.append(("Store", store(status.store)))
        if let leader = node.leader { list.append(("Leader", self.leader(leader))) }
        list += [
            ("Node", code(node.peerID)),
            (
                "Router",
                HTML("ul", ["class": "plain"]) { node.addresses.map { address in HTML("li") { code(address) } } }
            ),
            ("Registry", code(node.registry)),
        ]
        if let zone = node.zone { list.append(("Zone", HTML(text: zone))) }
        list += [
            ("Version", HTML(text: node.version)),
            ("Uptime", HTML(text: Words.age(.seconds(node.uptimeSeconds)))),
        ]
        return facts(list)
    }

    private static func state(_ node: NodeStatus.Node) -> HTML {
        HTML("span", ["class": node.isReady ? nil : "bad-text"]) {
            node.isReady ? "Ready: \(node.state)" : "Not ready: \(node.state)"
        }
            + (node.stalls.isEmpty
                ? HTML() : HTML("p", ["class": "bad-text"]) { "Stalled: \(node.stalls.joined(separator: ", "))" })
    }

    private static func store(_ store: NodeStatus.Store) -> HTML {
        let held = [
            Words.count(store.contents, "piece of content", "pieces of content"),
            Words.count(store.tags, "tag", "tags"),
            Words.count(store.advertisedKeys, "key advertised", "keys advertised"),
        ]
        var notes: [(text: String, isBad: Bool)] = []
        switch store.state {
        case .followed: break
        case .starting: notes.append(("not read yet", false))
        case .away:
            let time = store.awaySeconds.map { " for \(Words.age(.seconds($0)))" } ?? ""
            notes.append(("unreachable\(time): \(store.reason ?? "reason unknown")", true))
        default: notes.append((store.state.rawValue, true))
        }
        if store.withheldContents > 0 { notes.append(("\(Words.count(store.withheldContents)) not advertised", false)) }
        if store.imagesWithoutLayers > 0 {
            notes.append(("\(Words.count(store.imagesWithoutLayers, "image", "images")) without layers", true))
        }
        if store.outages > 0 { notes.append((Words.count(store.outages, "outage", "outages"), false)) }
        return HTML(text: store.name) + HTML("p", ["class": "note"]) { held.joined(separator: ", ") }
            + HTMLBuilder.buildArray(
                notes.map { note in HTML("p", ["class": note.isBad ? "bad-text" : "note"]) { note.text } }
            )
    }

    private static func leader(_ leader: NodeStatus.Leader) -> HTML {
        HTML(text: leader.leads ? "This node" : leader.holder ?? "none yet")
            + HTML("p", ["class": "note"]) { Words.count(leader.transitions, "change", "changes") }
            + (leader.error.map { error in HTML("p", ["class": "bad-text"]) { error } } ?? HTML())
    }
}
