import FoundationEssentials
import Multiformats
import StructuredText

/// The ids and addresses of nodes in JSON: `[{"ID": "…", "Addrs": ["…"]}]`.
///
/// Spegel v0.7.4 sends one such object without the array, and older versions a bare multiaddr. Both are supported.
enum PeerDocument {
    /// The maximum number of addresses from one document.
    static let limit = 1024

    /// An error from parsing a document.
    struct Malformed: Error, CustomStringConvertible {
        let description = "expected [{\"ID\": \"…\", \"Addrs\": [\"…\"]}]"
    }

    /// The addresses in a document, with the id of their peer if it is present.
    ///
    /// - Parameter port: the router port for addresses without one.
    static func addresses(in body: [UInt8], port: UInt16) throws(Malformed) -> [Multiaddr] {
        let text = String(decoding: body.prefix(Multiaddr.maximumTextLength), as: UTF8.self)
        if let address = try? Multiaddr(text.split(whereSeparator: \.isWhitespace).joined(separator: " ")) {
            return complete(address, id: nil, port: port).map { [$0] } ?? []
        }
        guard let document = try? JSONDecoder().decode(JSONValue.self, from: Data(body)) else { throw Malformed() }
        let peers = document.items ?? [document]
        guard peers.allSatisfy({ $0["Addrs"]?.items != nil }) else { throw Malformed() }
        var found: [Multiaddr] = []
        for peer in peers {
            let id = (peer["ID"]?.text).flatMap { try? PeerID($0) }
            for item in peer["Addrs"]?.items ?? [] where found.count < limit {
                guard let text = item.text, let address = try? Multiaddr(text) else { continue }
                if let address = complete(address, id: id, port: port) { found.append(address) }
            }
        }
        return found
    }

    /// The document of this node, in an array or, as in v0.7.4, without one.
    static func json(id: PeerID, addresses: [Multiaddr], isArray: Bool) -> [UInt8] {
        let peer = JSONValue.object([
            "ID": .string("\(id)"),
            "Addrs": .array(addresses.map { .string($0.withoutPeerID.description) }),
        ])
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Encoding cannot fail: it has texts only.
        return (try? encoder.encode(isArray ? .array([peer]) : peer)).map(Array.init) ?? []
    }

    private static func complete(_ address: Multiaddr, id: PeerID?, port: UInt16) -> Multiaddr? {
        var address = address
        if address.tcpPort == nil {
            guard let ip = address.ipAddress, address.withoutPeerID.components.count == 1 else { return nil }
            let own = address.peerID
            address = Multiaddr(ip: ip, tcpPort: port)
            if let own { address = address.withPeerID(own) }
        }
        if address.peerID == nil, let id { address = address.withPeerID(id) }
        return address
    }
}
