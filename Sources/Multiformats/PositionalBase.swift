/// Encodes bytes as one large number in another base, with one leading zero digit for each leading zero byte.
///
/// The conversion takes quadratic time, so both directions reject long input. Multihashes and CIDs are far shorter
/// than the bounds.
struct PositionalBase: Sendable {
    /// The maximum number of characters to decode.
    static let maximumTextLength = 256
    /// The maximum number of bytes to encode. Their text fits ``maximumTextLength`` in base 36 and above.
    static let maximumByteCount = 160

    private let name: String
    private let alphabet: [UInt8]
    private let digits: [UInt8: UInt8]

    init(name: String, alphabet: String) {
        self.name = name
        self.alphabet = Array(alphabet.utf8)
        var digits: [UInt8: UInt8] = [:]
        for (digit, character) in self.alphabet.enumerated() {
            digits[character] = UInt8(truncatingIfNeeded: digit)
        }
        self.digits = digits
    }

    func encode(_ bytes: some Collection<UInt8>) throws(MultiformatsError) -> String {
        guard bytes.count <= Self.maximumByteCount else {
            throw .lengthOutOfBounds(what: name, length: UInt64(bytes.count), limit: Self.maximumByteCount)
        }
        let zeros = bytes.prefix { $0 == 0 }.count
        let number = Self.convert(bytes.dropFirst(zeros), from: 256, to: UInt32(alphabet.count))
        var text = [UInt8](repeating: alphabet[0], count: zeros)
        text.append(contentsOf: number.reversed().map { alphabet[Int($0)] })
        return String(decoding: text, as: UTF8.self)
    }

    func decode(_ text: some StringProtocol) throws(MultiformatsError) -> [UInt8] {
        guard text.utf8.count <= Self.maximumTextLength else {
            throw .lengthOutOfBounds(
                what: name,
                length: UInt64(text.utf8.count),
                limit: Self.maximumTextLength
            )
        }
        var values: [UInt8] = []
        values.reserveCapacity(text.utf8.count)
        for character in text.utf8 {
            guard let value = digits[character] else {
                throw .invalidCharacter(encoding: name, character: String(UnicodeScalar(character)))
            }
            values.append(value)
        }
        let zeros = values.prefix { $0 == 0 }.count
        let number = Self.convert(values.dropFirst(zeros), from: UInt32(alphabet.count), to: 256)
        return [UInt8](repeating: 0, count: zeros) + number.reversed()
    }

    /// Converts digits in base `from`, highest first, to digits in base `to`, lowest first.
    private static func convert(_ input: some Sequence<UInt8>, from: UInt32, to: UInt32) -> [UInt8] {
        var output: [UInt8] = []
        for digit in input {
            // Both bases are at most 256, so the carry stays below 2^16.
            var carry = UInt32(digit)
            for index in output.indices {
                carry += UInt32(output[index]) * from
                output[index] = UInt8(truncatingIfNeeded: carry % to)
                carry /= to
            }
            while carry > 0 {
                output.append(UInt8(truncatingIfNeeded: carry % to))
                carry /= to
            }
        }
        return output
    }
}
