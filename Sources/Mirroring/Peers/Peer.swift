/// A node that may be asked for content, and where its registry listens.
package struct Peer: Hashable, Sendable {
    /// The peer id, in text.
    package var id: String
    /// The addresses of its registry, the best first.
    package var addresses: [PeerAddress]

    package init(id: String, addresses: [PeerAddress]) {
        self.id = id
        self.addresses = addresses
    }
}

/// An IP address and a port at which a registry listens.
package struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
    /// The IP address in text, without brackets.
    package var ip: String
    package var port: Int

    package init(ip: String, port: Int) {
        self.ip = ip
        self.port = port
    }

    /// As in `192.0.2.1:5000` and `[2001:db8::1]:5000`.
    package var text: String {
        let port = String(port)
        return ip.utf8.contains(UInt8(ascii: ":")) ? "[" + ip + "]:" + port : ip + ":" + port
    }

    package var description: String { text }
}
