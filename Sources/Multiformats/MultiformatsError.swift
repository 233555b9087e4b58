/// Why bytes or text could not be read as one of the self-describing formats of this module.
public enum MultiformatsError: Error, Hashable, Sendable {
    /// The input ended inside `what`; more bytes may complete it.
    case truncated(what: String)
    /// A varint went on after its ninth byte.
    case varintTooLong
    /// A varint had trailing zero groups, so a shorter encoding of the same value exists.
    case varintNotMinimal
    /// A length was outside of what is accepted for `what`.
    case lengthOutOfBounds(what: String, length: UInt64, limit: Int)
    /// A value was followed by `count` bytes that do not belong to it.
    case trailingBytes(what: String, count: Int)
    /// Text held a character that the encoding does not have.
    case invalidCharacter(encoding: String, character: String)
    /// Text in a base encoding ended in an impossible number of characters or in bits that are not zero.
    case invalidPadding(encoding: String)
    /// Text began with a multibase prefix that is not supported.
    case unsupportedMultibase(prefix: String)
    /// A CID had a version other than 0 and 1.
    case unsupportedCIDVersion(UInt64)
    /// A CID was read as a peer id, but its codec is not `libp2p-key`.
    case unexpectedCodec(expected: UInt64, actual: UInt64)
    /// A multihash was read as a peer id, but it is neither identity nor sha2-256 of the right length.
    case unsuitablePeerIDHash(code: UInt64, length: Int)
    /// A multiaddr named a protocol by a code that is not known here.
    case unknownProtocolCode(UInt64)
    /// A multiaddr named a protocol that is not known here.
    case unknownProtocolName(String)
    /// A protocol of a multiaddr had a value that does not fit it.
    case invalidValue(protocolName: String, value: String)
    /// A protocol of a multiaddr that takes a value had none.
    case missingValue(protocolName: String)
    /// The text of a multiaddr did not begin with a slash, or had no protocol.
    case malformedMultiaddr(String)
    /// Text was neither an IPv4 nor an IPv6 address.
    case invalidIPAddress(String)
}

extension MultiformatsError: CustomStringConvertible {
    /// One line that says what was expected and what came.
    public var description: String {
        switch self {
        case .truncated(let what):
            "\(what): the input ends too early"
        case .varintTooLong:
            "varint: more than 9 bytes"
        case .varintNotMinimal:
            "varint: not in its shortest form"
        case .lengthOutOfBounds(let what, let length, let limit):
            "\(what): length \(length), accepted are 1 to \(limit)"
        case .trailingBytes(let what, let count):
            "\(what): followed by \(count) bytes that do not belong to it"
        case .invalidCharacter(let encoding, let character):
            "\(encoding): unexpected character \"\(character)\""
        case .invalidPadding(let encoding):
            "\(encoding): the last character carries bits that belong to no byte"
        case .unsupportedMultibase(let prefix):
            "multibase: prefix \"\(prefix)\" is not supported"
        case .unsupportedCIDVersion(let version):
            "CID: version \(version), expected 0 or 1"
        case .unexpectedCodec(let expected, let actual):
            "CID: codec 0x\(String(actual, radix: 16)), expected 0x\(String(expected, radix: 16))"
        case .unsuitablePeerIDHash(let code, let length):
            "peer id: hash 0x\(String(code, radix: 16)) of \(length) bytes, expected identity of 1 to 42 bytes "
                + "or sha2-256 of 32 bytes"
        case .unknownProtocolCode(let code):
            "multiaddr: unknown protocol code 0x\(String(code, radix: 16))"
        case .unknownProtocolName(let name):
            "multiaddr: unknown protocol \"\(name)\""
        case .invalidValue(let name, let value):
            "multiaddr: \"\(value)\" is no value for /\(name)"
        case .missingValue(let name):
            "multiaddr: /\(name) lacks its value"
        case .malformedMultiaddr(let text):
            "multiaddr: \"\(text)\", expected /protocol/value…"
        case .invalidIPAddress(let text):
            "\"\(text)\" is not an IP address"
        }
    }
}

extension String {
    /// The text as it may stand in a log line: cut to a fitting length, without control characters.
    var clippedForError: String {
        let clipped =
            unicodeScalars.count <= 64 ? self : String(String.UnicodeScalarView(unicodeScalars.prefix(64))) + "…"
        let isControl = { (scalar: Unicode.Scalar) in scalar.properties.generalCategory == .control }
        return String(String.UnicodeScalarView(clipped.unicodeScalars.map { isControl($0) ? "\u{FFFD}" : $0 }))
    }
}
