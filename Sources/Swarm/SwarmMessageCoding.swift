internal import Multiformats

/// An error from decoding a message of the swarm protocol.
public enum SwarmMessageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The message has more bytes than ``SwarmMessage/Limits/size``.
    case tooLarge(size: Int)
    /// The bytes are not protobuf, or a field has the wrong type.
    case malformed
    /// The key is missing or does not have 32 bytes.
    case malformedKey
    /// The message has an unknown kind.
    case unknownKind(UInt64)
    /// A field has a value that the protocol does not allow.
    case invalid(field: String)

    /// What was expected and what was found.
    public var description: String {
        switch self {
        case .tooLarge(let size):
            "expected a swarm message of at most \(SwarmMessage.Limits.size) bytes, got \(size)"
        case .malformed: "expected a swarm message in protobuf, got other bytes"
        case .malformedKey: "expected a swarm message with a key of \(CrowdKey.length) bytes, got another"
        case .unknownKind(let kind): "expected a swarm message of kind 1 to 8, got \(kind)"
        case .invalid(let field): "expected a swarm message with a valid \(field), got another"
        }
    }
}

extension SwarmMessage {
    /// The limits of one message. Entries above the limit of a list are ignored.
    public enum Limits {
        /// The maximum length of a message in bytes, without its length prefix.
        public static let size = 8 << 10
        /// The maximum number of sources of a place, and of failed sources of a report.
        public static let sources = 4
        /// The maximum number of addresses of one node.
        public static let addresses = 8
        /// The maximum length of an address in bytes.
        public static let addressBytes = 128
        /// The maximum length of the name of a zone in bytes.
        public static let zoneBytes = 63
        /// The maximum size of content, and so the maximum position: 2^53.
        public static let position: Int64 = 1 << 53
    }

    /// Decodes a message. Ignores unknown fields.
    ///
    /// - Throws: ``SwarmMessageError``.
    public init(decoding bytes: [UInt8]) throws(SwarmMessageError) {
        guard bytes.count <= Limits.size else { throw .tooLarge(size: bytes.count) }
        var wire = WireSwarmMessage()
        var reader = ProtobufReader(bytes[...])
        while let field = try reader.next() { try wire.read(field) }
        guard let key = CrowdKey(bytes: wire.key) else { throw .malformedKey }
        self.init(key: key, body: try wire.body())
    }

    /// The message on the wire, without a length prefix.
    public func encoded() -> [UInt8] {
        var writer = ProtobufWriter()
        writer.write(1, body.kind)
        writer.write(2, key.bytes)
        switch body {
        case .join(let join):
            join.progress.encode(to: &writer)
            writer.write(10, UInt64(clamping: join.size))
            writer.write(11, join.canServe ? 1 : 0)
            writer.write(12, Array(join.zone.utf8))
            for address in join.addresses { writer.write(13, address) }
            if let source = join.source { writer.write(14, source.bytes) }
        case .progress(let progress): progress.encode(to: &writer)
        case .place(let place):
            writer.write(5, UInt64(place.round))
            for source in place.sources { writer.write(9, source.encoded()) }
        case .elsewhere(let source): writer.write(9, source.encoded())
        case .leave, .wait, .lead, .unknown: break
        }
        return writer.bytes
    }
}

extension SwarmMessage.Body {
    fileprivate var kind: UInt64 {
        switch self {
        case .join: 1
        case .progress: 2
        case .leave: 3
        case .place: 4
        case .wait: 5
        case .lead: 6
        case .elsewhere: 7
        case .unknown: 8
        }
    }
}

extension SwarmMessage.Progress {
    fileprivate func encode(to writer: inout ProtobufWriter) {
        writer.write(3, UInt64(clamping: position))
        writer.write(4, UInt64(clamping: supply.rawValue))
        writer.write(5, UInt64(round))
        writer.write(6, UInt64(starved))
        writer.write(7, UInt64(nextReport))
        writer.write(15, asks ? 1 : 0)
        for id in failed { writer.write(8, id.bytes) }
    }
}

extension SwarmMessage.Source {
    fileprivate func encoded() -> [UInt8] {
        var writer = ProtobufWriter()
        writer.write(1, id.bytes)
        for address in addresses { writer.write(2, address) }
        return writer.bytes
    }

    fileprivate init(decoding bytes: ArraySlice<UInt8>) throws(SwarmMessageError) {
        var reader = ProtobufReader(bytes)
        var id: PeerID?
        var addresses: [[UInt8]] = []
        while let field = try reader.next() {
            switch field.number {
            case 1: id = try? PeerID(bytes: try field.bytes())
            case 2: addresses.appendAddress(try field.bytes())
            default: break
            }
        }
        guard let id else { throw .invalid(field: "source") }
        self.init(id: id, addresses: addresses)
    }
}

extension Array<[UInt8]> {
    /// Appends an address unless there are enough or it is too long.
    fileprivate mutating func appendAddress(_ address: ArraySlice<UInt8>) {
        guard count < SwarmMessage.Limits.addresses else { return }
        guard (1...SwarmMessage.Limits.addressBytes).contains(address.count) else { return }
        append([UInt8](address))
    }
}

/// The fields of a message as they come.
private struct WireSwarmMessage {
    var kind: UInt64 = 0
    var key: ArraySlice<UInt8> = []
    var progress = SwarmMessage.Progress()
    var sources: [SwarmMessage.Source] = []
    var size: Int64 = 0
    var canServe = false
    var zone = ""
    var addresses: [[UInt8]] = []
    var source: PeerID?

    mutating func read(_ field: ProtobufField) throws(SwarmMessageError) {
        switch field.number {
        case 1: kind = try field.integer()
        case 2: key = try field.bytes()
        case 3: progress.position = try field.position("position")
        case 4:
            guard let supply = SwarmMessage.Supply(rawValue: Int32(clamping: try field.integer())) else {
                throw .invalid(field: "supply")
            }
            progress.supply = supply
        case 5: progress.round = UInt32(clamping: try field.integer())
        case 6: progress.starved = UInt32(clamping: try field.integer())
        case 7: progress.nextReport = UInt32(clamping: try field.integer())
        case 8:
            guard let id = try? PeerID(bytes: try field.bytes()) else { throw .invalid(field: "failed source") }
            if progress.failed.count < SwarmMessage.Limits.sources { progress.failed.append(id) }
        case 9:
            let source = try SwarmMessage.Source(decoding: try field.bytes())
            if sources.count < SwarmMessage.Limits.sources { sources.append(source) }
        case 10: size = try field.position("size")
        case 11: canServe = try field.integer() != 0
        case 12:
            let bytes = try field.bytes()
            guard bytes.count <= SwarmMessage.Limits.zoneBytes, let name = String(validating: bytes, as: UTF8.self)
            else { throw .invalid(field: "zone") }
            zone = name
        case 13: addresses.appendAddress(try field.bytes())
        case 14:
            guard let id = try? PeerID(bytes: try field.bytes()) else { throw .invalid(field: "source") }
            source = id
        case 15: progress.asks = try field.integer() != 0
        default: break
        }
    }

    func body() throws(SwarmMessageError) -> SwarmMessage.Body {
        switch kind {
        case 1:
            return .join(
                SwarmMessage.Join(
                    progress: progress,
                    size: size,
                    canServe: canServe,
                    zone: zone,
                    addresses: addresses,
                    source: source
                )
            )
        case 2: return .progress(progress)
        case 3: return .leave
        case 4: return .place(SwarmMessage.Place(sources: sources, round: progress.round))
        case 5: return .wait
        case 6: return .lead
        case 7:
            guard let source = sources.first else { throw .invalid(field: "coordinator") }
            return .elsewhere(source)
        case 8: return .unknown
        default: throw .unknownKind(kind)
        }
    }
}

extension ProtobufField {
    fileprivate func position(_ name: String) throws(SwarmMessageError) -> Int64 {
        let number = try integer()
        guard number <= UInt64(SwarmMessage.Limits.position) else { throw .invalid(field: name) }
        return Int64(number)
    }
}
