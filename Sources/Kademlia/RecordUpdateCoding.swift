internal import FoundationEssentials
internal import SwiftProtobuf
import Time

/// An error from decoding a message of the records protocol.
public enum RecordUpdateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The message has more bytes than ``RecordUpdate/maximumSize``.
    case tooLarge(size: Int)
    /// The bytes are not protobuf, or a field has the wrong type.
    case malformed
    /// The message has an unknown kind.
    case unknownKind(Int32)
    /// The sender is missing or malformed.
    case missingProvider
    /// The digests do not have 32 bytes each.
    case malformedDigests(size: Int)
    /// There are more keys than ``RecordUpdate/maximumKeys``.
    case tooManyKeys(count: Int)

    /// What was expected and what was found.
    public var description: String {
        switch self {
        case .tooLarge(let size):
            "expected a record update of at most \(RecordUpdate.maximumSize) bytes, got \(size)"
        case .malformed: "expected a record update in protobuf, got other bytes"
        case .unknownKind(let kind): "expected a record update of kind 1, 2 or 3, got \(kind)"
        case .missingProvider: "expected a record update with its sender, got one without"
        case .malformedDigests(let size): "expected digests of 32 bytes each, got \(size) bytes"
        case .tooManyKeys(let count):
            "expected a record update of at most \(RecordUpdate.maximumKeys) keys, got \(count)"
        }
    }
}

extension RecordUpdate {
    /// The maximum length of a message in bytes, without its length prefix.
    public static let maximumSize = 192 << 10
    /// The maximum number of keys of one message.
    public static let maximumKeys = 4096

    /// Decodes a message. Ignores malformed addresses and unknown fields.
    ///
    /// - Throws: ``RecordUpdateError``.
    public init(decoding bytes: [UInt8]) throws(RecordUpdateError) {
        guard bytes.count <= Self.maximumSize else { throw .tooLarge(size: bytes.count) }
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        guard let wire = try? WireRecordUpdate(serializedBytes: bytes, options: options) else { throw .malformed }
        guard let kind = Kind(number: wire.kind) else { throw .unknownKind(wire.kind) }
        guard let provider = Message.Peer(decoding: wire.provider)?.info else { throw .missingProvider }
        let size = wire.digests.count
        guard size.isMultiple(of: 32) else { throw .malformedDigests(size: size) }
        guard size / 32 <= Self.maximumKeys else { throw .tooManyKeys(count: size / 32) }
        let digests = Array(wire.digests)
        self.init(
            kind: kind,
            keys: stride(from: 0, to: size, by: 32).map { Key(digest: digests[$0..<$0 + 32]) },
            provider: provider,
            timeToLive: .milliseconds(Int64(clamping: min(wire.timeToLive, Self.maximumMilliseconds)))
        )
    }

    /// The message on the wire, without a length prefix.
    public func encoded() -> [UInt8] {
        var wire = WireRecordUpdate()
        wire.kind = kind.number
        wire.provider = Data(Message.Peer(provider, connection: .connected).encoded())
        if !keys.isEmpty {
            var digests = Data(capacity: 32 * keys.count)
            for key in keys { digests.append(contentsOf: key.digestBytes) }
            wire.digests = digests
        }
        if kind == .announce { wire.timeToLive = UInt64(clamping: timeToLive.clampedNanoseconds / 1_000_000) }
        // Encoding fails only for missing required fields, and there are none.
        return (try? wire.serializedBytes()) ?? []
    }

    /// A year, above any sensible lifetime.
    private static let maximumMilliseconds: UInt64 = 365 * 86_400_000
}

extension RecordUpdate.Kind {
    fileprivate init?(number: Int32) {
        switch number {
        case 1: self = .announce
        case 2: self = .withdraw
        case 3: self = .leave
        default: return nil
        }
    }

    fileprivate var number: Int32 {
        switch self {
        case .announce: 1
        case .withdraw: 2
        case .leave: 3
        }
    }
}
