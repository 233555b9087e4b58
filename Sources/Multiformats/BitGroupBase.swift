/// Encodes bytes as groups of a fixed number of bits, without padding characters (RFC 4648), in linear time.
struct BitGroupBase: Sendable {
    private let name: String
    private let alphabet: [UInt8]
    private let digits: [UInt8: UInt8]
    private let width: Int

    /// - Parameter alphabet: 2^`width` ASCII characters.
    init(name: String, alphabet: String, width: Int) {
        self.name = name
        self.width = width
        self.alphabet = Array(alphabet.utf8)
        var digits: [UInt8: UInt8] = [:]
        for (digit, character) in self.alphabet.enumerated() {
            digits[character] = UInt8(truncatingIfNeeded: digit)
        }
        self.digits = digits
    }

    func encode(_ bytes: some Sequence<UInt8>) -> String {
        let mask: UInt32 = (1 << UInt32(width)) - 1
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var bitCount = 0
        for byte in bytes {
            bits = (bits << 8) | UInt32(byte)
            bitCount += 8
            while bitCount >= width {
                bitCount -= width
                text.append(alphabet[Int((bits >> UInt32(bitCount)) & mask)])
            }
            bits &= (1 << UInt32(bitCount)) - 1
        }
        if bitCount > 0 {
            text.append(alphabet[Int((bits << UInt32(width - bitCount)) & mask)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    func decode(_ text: some StringProtocol) throws(MultiformatsError) -> [UInt8] {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var bitCount = 0
        for character in text.utf8 {
            guard let value = digits[character] else {
                throw .invalidCharacter(encoding: name, character: String(UnicodeScalar(character)))
            }
            bits = (bits << UInt32(width)) | UInt32(value)
            bitCount += width
            if bitCount >= 8 {
                bitCount -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
            }
            bits &= (1 << UInt32(bitCount)) - 1
        }
        // Allow less than one character of zero bits at the end. Otherwise two texts would decode to the same bytes.
        guard bitCount < width, bits == 0 else { throw .invalidPadding(encoding: name) }
        return bytes
    }
}
