/// The DER of an Ed25519 private key in PKCS#8 (RFC 5958, RFC 8410, section 7): version 0, the algorithm without
/// parameters, the 32 bytes in an octet string within the octet string; no attributes.
enum PrivateKeyDER {
    static let keyLength = 32
    static let ed25519Name = "1.3.101.112"
    private static let ed25519Identifier: [UInt8] = [0x2B, 0x65, 0x70]

    private enum Tag {
        static let integer: UInt8 = 0x02
        static let octetString: UInt8 = 0x04
        static let objectIdentifier: UInt8 = 0x06
        static let sequence: UInt8 = 0x30
    }

    static func encode(key: [UInt8]) -> [UInt8] {
        let version = element(Tag.integer, [0])
        let algorithm = element(Tag.sequence, element(Tag.objectIdentifier, ed25519Identifier))
        let privateKey = element(Tag.octetString, element(Tag.octetString, key))
        return element(Tag.sequence, version + algorithm + privateKey)
    }

    static func decode(_ bytes: [UInt8]) throws(IdentityError) -> [UInt8] {
        var rest = bytes[...]
        var body = try take(Tag.sequence, from: &rest, "PrivateKeyInfo")
        try expectEnd(rest, "PrivateKeyInfo")
        let version = try take(Tag.integer, from: &body, "version")
        guard version.elementsEqual([0]) else { throw .malformedPrivateKey(reason: "expected version 0") }
        var algorithm = try take(Tag.sequence, from: &body, "algorithm")
        let identifier = try take(Tag.objectIdentifier, from: &algorithm, "algorithm identifier")
        guard identifier.elementsEqual(ed25519Identifier) else { throw .unexpectedAlgorithm(name(of: identifier)) }
        try expectEnd(algorithm, "algorithm identifier")
        var wrapped = try take(Tag.octetString, from: &body, "privateKey")
        try expectEnd(body, "privateKey")
        let key = try take(Tag.octetString, from: &wrapped, "CurvePrivateKey")
        try expectEnd(wrapped, "CurvePrivateKey")
        guard key.count == keyLength else {
            throw .malformedPrivateKey(reason: "expected a key of \(keyLength) bytes, found \(key.count)")
        }
        return Array(key)
    }

    /// All encoded elements are shorter than 128 bytes, so a length takes one byte.
    private static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        [tag, UInt8(truncatingIfNeeded: content.count)] + content
    }

    private static func take(
        _ tag: UInt8,
        from rest: inout ArraySlice<UInt8>,
        _ field: String
    ) throws(IdentityError) -> ArraySlice<UInt8> {
        guard rest.first == tag else { throw .malformedPrivateKey(reason: "missing \(field)") }
        var content = rest.dropFirst()
        guard var length = content.popFirst().map(Int.init) else {
            throw .malformedPrivateKey(reason: "missing length of \(field)")
        }
        if length >= 0x80 {
            // Keys of other algorithms are longer. They are parsed as far as their algorithm, for the error.
            let count = length - 0x80
            guard (1...2).contains(count), count <= content.count else {
                throw .malformedPrivateKey(reason: "invalid length of \(field)")
            }
            length = content.prefix(count).reduce(0) { $0 << 8 | Int($1) }
            content = content.dropFirst(count)
            guard length >= (count == 1 ? 0x80 : 0x100) else {
                throw .malformedPrivateKey(reason: "length of \(field) not in DER")
            }
        }
        guard length <= content.count else { throw .malformedPrivateKey(reason: "truncated \(field)") }
        rest = content.dropFirst(length)
        return content.prefix(length)
    }

    private static func expectEnd(_ rest: ArraySlice<UInt8>, _ field: String) throws(IdentityError) {
        guard rest.isEmpty else { throw .malformedPrivateKey(reason: "\(rest.count) bytes after \(field)") }
    }

    /// The dotted form of an object identifier, as far as it is readable.
    private static func name(of identifier: ArraySlice<UInt8>) -> String {
        var arcs: [UInt64] = []
        var arc: UInt64 = 0
        for byte in identifier.prefix(16) {
            arc = (arc & (.max >> 8)) << 7 | UInt64(byte & 0x7F)
            guard byte & 0x80 == 0 else { continue }
            arcs += arcs.isEmpty ? [min(arc / 40, 2), arc - 40 * min(arc / 40, 2)] : [arc]
            arc = 0
        }
        return arcs.map(String.init).joined(separator: ".")
    }
}
