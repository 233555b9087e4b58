/// An error from parsing one of the self-describing formats of this module.
public enum MultiformatsError: Error, Hashable, Sendable {
    /// The input ended inside `what`; more bytes may complete it.
    case truncated(what: String)
    /// A varint has more than nine bytes.
    case varintTooLong
    /// A varint has trailing zero groups, so it is not the shortest encoding.
    case varintNotMinimal
    /// The length of `what` is outside its bounds.
    case lengthOutOfBounds(what: String, length: UInt64, limit: Int)
    /// `count` bytes follow the value.
    case trailingBytes(what: String, count: Int)
    /// The text has a character outside the alphabet.
    case invalidCharacter(encoding: String, character: String)
    /// The text has an impossible number of characters or trailing bits that are not zero.
    case invalidPadding(encoding: String)
    /// The text has an unsupported multibase prefix.
    case unsupportedMultibase(prefix: String)
    /// The CID has a version other than 0 and 1.
    case unsupportedCIDVersion(UInt64)
    /// The codec of a peer id's CID is not `libp2p-key`.
    case unexpectedCodec(expected: UInt64, actual: UInt64)
    /// The multihash of a peer id is neither identity nor sha2-256 of the right length.
    case unsuitablePeerIDHash(code: UInt64, length: Int)
    /// The multiaddr has an unknown protocol code.
    case unknownProtocolCode(UInt64)
    /// The multiaddr has an unknown protocol name.
    case unknownProtocolName(String)
    /// The value does not fit the protocol.
    case invalidValue(protocolName: String, value: String)
    /// The protocol lacks its value.
    case missingValue(protocolName: String)
    /// The multiaddr does not begin with a slash, or has no protocol.
    case malformedMultiaddr(String)
    /// The text is neither an IPv4 nor an IPv6 address.
    case invalidIPAddress(String)
}

extension MultiformatsError: CustomStringConvertible {
    /// One line with what was expected and what was found.
    public var description: String {
        switch self {
        case .truncated(let what):
            "\(what): truncated"
        case .varintTooLong:
            "varint: expected at most 9 bytes"
        case .varintNotMinimal:
            "varint: expected the shortest form"
        case .lengthOutOfBounds(let what, let length, let limit):
            "\(what): expected a length from 1 to \(limit), got \(length)"
        case .trailingBytes(let what, let count):
            "\(what): \(count) unexpected bytes at the end"
        case .invalidCharacter(let encoding, let character):
            "\(encoding): unexpected character \"\(character)\""
        case .invalidPadding(let encoding):
            "\(encoding): expected zero bits at the end"
        case .unsupportedMultibase(let prefix):
            "multibase: unsupported prefix \"\(prefix)\""
        case .unsupportedCIDVersion(let version):
            "CID: expected version 0 or 1, got \(version)"
        case .unexpectedCodec(let expected, let actual):
            "CID: expected codec 0x\(String(expected, radix: 16)), got 0x\(String(actual, radix: 16))"
        case .unsuitablePeerIDHash(let code, let length):
            "peer id: hash 0x\(String(code, radix: 16)) of \(length) bytes, expected identity of 1 to 42 bytes "
                + "or sha2-256 of 32 bytes"
        case .unknownProtocolCode(let code):
            "multiaddr: unknown protocol code 0x\(String(code, radix: 16))"
        case .unknownProtocolName(let name):
            "multiaddr: unknown protocol \"\(name)\""
        case .invalidValue(let name, let value):
            "multiaddr: invalid value \"\(value)\" for /\(name)"
        case .missingValue(let name):
            "multiaddr: missing value for /\(name)"
        case .malformedMultiaddr(let text):
            "multiaddr: \"\(text)\", expected /protocol/value…"
        case .invalidIPAddress(let text):
            "expected an IP address, got \"\(text)\""
        }
    }
}

extension String {
    /// The text for a log line: short, without control characters.
    var clippedForError: String {
        let clipped =
            unicodeScalars.count <= 64 ? self : String(String.UnicodeScalarView(unicodeScalars.prefix(64))) + "…"
        let isControl = { (scalar: Unicode.Scalar) in scalar.properties.generalCategory == .control }
        return String(String.UnicodeScalarView(clipped.unicodeScalars.map { isControl($0) ? "\u{FFFD}" : $0 }))
    }
}
