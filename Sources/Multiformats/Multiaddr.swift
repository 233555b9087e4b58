/// An address that names each of its protocols: `/ip4/10.0.0.1/tcp/5001/p2p/12D3Koo…` (multiformats/multiaddr).
public struct Multiaddr: Hashable, Sendable {
    /// The maximum length of the binary form in bytes.
    public static let maximumLength = 1024
    /// The maximum length of the text form in bytes of UTF-8. No text is longer than eight times its binary form, so
    /// every address that was parsed from bytes can be parsed from its text.
    public static let maximumTextLength = 8 * maximumLength

    /// The protocols from the outside in. Empty only in the result of ``withoutPeerID`` for a lone `/p2p/ID`.
    public let components: [Component]

    private init(unchecked components: [Component]) {
        self.components = components
    }

    /// The address `/ip4|ip6/IP/tcp/PORT`.
    public init(ip: IPAddress, tcpPort: UInt16) {
        switch ip {
        case .v4(let address): self.init(unchecked: [.ip4(address), .tcp(tcpPort)])
        case .v6(let address): self.init(unchecked: [.ip6(address), .tcp(tcpPort)])
        }
    }

    /// Parses the text form.
    ///
    /// - Throws: ``MultiformatsError``.
    public init(_ text: some StringProtocol) throws(MultiformatsError) {
        guard text.utf8.count <= Self.maximumTextLength else {
            throw .lengthOutOfBounds(
                what: "multiaddr text",
                length: UInt64(text.utf8.count),
                limit: Self.maximumTextLength
            )
        }
        var rest = Substring(text)
        guard rest.utf8.first == UInt8(ascii: "/"), rest.utf8.count > 1 else {
            throw .malformedMultiaddr(String(rest).clippedForError)
        }
        var components: [Component] = []
        while let name = Self.takePart(&rest) {
            // Configurations often have a trailing slash. It means nothing.
            if name.isEmpty, rest.isEmpty, !components.isEmpty { break }
            guard let code = ProtocolCode(name: name) else { throw .unknownProtocolName(String(name).clippedForError) }
            if let flag = code.flag {
                components.append(flag)
            } else if code == .unix {
                components.append(try Component(code, text: rest))
                rest = ""
            } else {
                guard let value = Self.takePart(&rest), !value.isEmpty else {
                    throw .missingValue(protocolName: code.name)
                }
                components.append(try Component(code, text: value))
            }
        }
        self.components = components
        let length = bytes.count
        guard length <= Self.maximumLength else {
            throw .lengthOutOfBounds(what: "multiaddr", length: UInt64(length), limit: Self.maximumLength)
        }
    }

    /// Takes `/part` from the front of `text`. Works on bytes, so that a combining character cannot hide a slash.
    private static func takePart(_ text: inout Substring) -> Substring? {
        guard text.utf8.first == UInt8(ascii: "/") else { return nil }
        let content = text.utf8.dropFirst()
        let part = content.prefix { $0 != UInt8(ascii: "/") }
        text = Substring(content.suffix(from: part.endIndex))
        return Substring(part)
    }

    /// Parses the binary form, which takes up all of `bytes`.
    ///
    /// - Throws: ``MultiformatsError``.
    public init(bytes: some Collection<UInt8>) throws(MultiformatsError) {
        guard (1...Self.maximumLength).contains(bytes.count) else {
            throw .lengthOutOfBounds(what: "multiaddr", length: UInt64(bytes.count), limit: Self.maximumLength)
        }
        var reader = ByteReader(Array(bytes)[...])
        var components: [Component] = []
        while !reader.isAtEnd {
            let number = try reader.readVarint()
            guard let code = ProtocolCode(rawValue: number) else { throw .unknownProtocolCode(number) }
            if let flag = code.flag {
                components.append(flag)
            } else {
                components.append(try Component(code, from: &reader))
            }
            // The text form has no end marker for the path.
            guard code != .unix || reader.isAtEnd else {
                throw .trailingBytes(what: "/unix", count: reader.remaining)
            }
        }
        self.components = components
    }

    /// The binary form.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for component in components {
            component.append(to: &bytes)
        }
        return bytes
    }
}

extension Multiaddr: CustomStringConvertible {
    /// The text form, with IP addresses and peer ids in their canonical text.
    public var description: String {
        var text = ""
        for component in components {
            text += "/" + component.code.name
            if let value = component.text {
                text += value.utf8.first == UInt8(ascii: "/") ? value : "/" + value
            }
        }
        return text
    }
}

extension Multiaddr {
    /// The components after an optional zone.
    private var network: ArraySlice<Component> {
        if case .ip6zone = components.first { components.dropFirst() } else { components[...] }
    }

    /// The leading IP address, after an optional zone; `nil` for a name.
    public var ipAddress: IPAddress? {
        switch network.first {
        case .ip4(let address): .v4(address)
        case .ip6(let address): .v6(address)
        default: nil
        }
    }

    /// The leading IP address (as text) or DNS name.
    public var host: String? {
        switch network.first {
        case .ip4, .ip6, .dns, .dns4, .dns6, .dnsaddr: network.first?.text
        default: nil
        }
    }

    /// The TCP port after the host, or `nil` for another transport.
    public var tcpPort: UInt16? {
        if host != nil, case .tcp(let port) = network.dropFirst().first { port } else { nil }
    }

    /// The peer id at the end. For an address through a relay this is the peer behind the relay.
    public var peerID: PeerID? {
        if case .p2p(let id) = components.last { id } else { nil }
    }

    /// The address without a `/p2p/ID` at its end.
    public var withoutPeerID: Multiaddr {
        peerID == nil ? self : Multiaddr(unchecked: Array(components.dropLast()))
    }

    /// The address with `/p2p/ID` at its end, in place of another id. Unchanged for a Unix path.
    ///
    /// The result may exceed ``maximumLength`` by the length of the id.
    public func withPeerID(_ id: PeerID) -> Multiaddr {
        if case .unix = components.last { return self }
        return Multiaddr(unchecked: withoutPeerID.components + [.p2p(id)])
    }
}
