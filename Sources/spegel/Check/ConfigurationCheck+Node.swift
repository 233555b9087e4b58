import DebugAPI

extension ConfigurationCheck {
    /// The checks of the mirror and of the node behind it.
    static func items(_ node: NodeFindings) -> [Item] {
        [mirror(node), peers(node), clock(node), identity(node)]
    }

    private static func mirror(_ node: NodeFindings) -> Item {
        let name = "mirror"
        guard !node.mirrors.isEmpty else {
            return Item(
                name: name,
                status: .unknown,
                found: "no mirror of Spegel is known",
                change: ["Run 'spegel configuration' without --check, or name it with --mirror-targets."]
            )
        }
        let found = node.mirrors.map { "\($0.url) \($0.reason.map { "does not answer: \($0)" } ?? "answers")" }
            .joined(separator: "; ")
        guard node.mirrors.allSatisfy({ $0.reason != nil }) else {
            return Item(name: name, status: .good, found: found)
        }
        return Item(
            name: name,
            status: .problem,
            found: found,
            change: [
                "Start Spegel on this node ('kubectl -n spegel get pods -o wide', or 'systemctl start spegel'), or open",
                "the port: 'curl -m 2 \(node.mirrors.first?.url ?? "")/v2/' must succeed on the node.",
            ]
        )
    }

    private static func peers(_ node: NodeFindings) -> Item {
        let name = "peers"
        guard let status = try? node.status.get() else { return unknown(name, node) }
        let count = status.peers.connected
        guard count == 0 else {
            return Item(name: name, status: .good, found: "connected to \(count) peer\(count == 1 ? "" : "s")")
        }
        return Item(
            name: name,
            status: .problem,
            found: "connected to none: \(Plain.text(status.node.state))",
            change: ["Open the router's port (5001) between the nodes; 'spegel status' shows the peers."]
        )
    }

    private static func clock(_ node: NodeFindings) -> Item {
        switch node.clock {
        case .synchronised: Item(name: "clock", status: .good, found: "synchronised")
        case .unsynchronised:
            Item(
                name: "clock",
                status: .unknown,
                found: "no time service has synchronised it",
                change: ["'timedatectl set-ntp true' starts one."]
            )
        case .wrong:
            Item(
                name: "clock",
                status: .problem,
                found: "years behind, so that certificates count as invalid",
                change: ["'timedatectl set-ntp true' sets it."]
            )
        }
    }

    private static func identity(_ node: NodeFindings) -> Item {
        guard let status = try? node.status.get() else { return unknown("identity", node) }
        return Item(name: "identity", status: .good, found: Plain.text(status.node.peerID))
    }

    private static func unknown(_ name: String, _ node: NodeFindings) -> Item {
        var found = "unknown"
        if case .failure(let reason) = node.status { found = reason.text }
        return Item(
            name: name,
            status: .unknown,
            found: found,
            change: ["Start Spegel, or name its --metrics-addr with --address."]
        )
    }
}
