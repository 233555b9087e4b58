/// The digest of a piece of content: an algorithm and its value in lower-case hexadecimal.
///
/// OCI image-spec, "Digests". Only the registered algorithms `sha256` and `sha512` are accepted, each with exactly
/// its length, so that a digest is safe as a path component.
public struct Digest: Hashable, Sendable {
    /// A registered digest algorithm.
    public enum Algorithm: String, Sendable, CaseIterable {
        /// SHA-256, 64 hexadecimal digits.
        case sha256
        /// SHA-512, 128 hexadecimal digits.
        case sha512

        /// The number of hexadecimal digits of a value.
        public var hexLength: Int {
            switch self {
            case .sha256: 64
            case .sha512: 128
            }
        }
    }

    /// An error from parsing a digest.
    public enum ParseError: Error, Hashable, CustomStringConvertible {
        /// No colon separates an algorithm from a value.
        case missingSeparator
        /// The algorithm is neither `sha256` nor `sha512`.
        case unsupportedAlgorithm
        /// The number of digits does not match the algorithm.
        case wrongLength(expected: Int, found: Int)
        /// The value has characters other than `0-9a-f`.
        case notLowerCaseHex

        /// The error in words.
        public var description: String {
            switch self {
            case .missingSeparator: "expected a digest of the form ALGORITHM:HEX, found no ':'"
            case .unsupportedAlgorithm: "unsupported digest algorithm, expected sha256 or sha512"
            case .wrongLength(let expected, let found):
                "expected a digest of \(expected) hexadecimal digits, found \(found)"
            case .notLowerCaseHex: "expected lower-case hexadecimal digits in the digest"
            }
        }
    }

    /// The algorithm that made the digest.
    public let algorithm: Algorithm

    /// The whole digest as text, `sha256:…`.
    public let text: String

    /// The value in lower-case hexadecimal, without the algorithm.
    public var hex: Substring {
        text.dropFirst(algorithm.rawValue.utf8.count + 1)
    }

    /// Parses `ALGORITHM:HEX`.
    public init(_ text: some StringProtocol) throws(ParseError) {
        try self.init(String(text))
    }

    /// Parses `ALGORITHM:HEX`.
    public init(_ text: String) throws(ParseError) {
        var text = text
        let result: Result<Algorithm, ParseError> = text.withUTF8 { bytes in
            do throws(ParseError) { return .success(try Self.algorithm(of: bytes)) } catch { return .failure(error) }
        }
        algorithm = try result.get()
        self.text = text
    }

    private static func algorithm(of text: UnsafeBufferPointer<UInt8>) throws(ParseError) -> Algorithm {
        guard let colon = text.prefix(16).firstIndex(of: UInt8(ascii: ":")) else { throw .missingSeparator }
        let algorithm: Algorithm
        switch text[..<colon] {
        case let name where name.elementsEqual("sha256".utf8): algorithm = .sha256
        case let name where name.elementsEqual("sha512".utf8): algorithm = .sha512
        default: throw .unsupportedAlgorithm
        }
        let value = text[(colon + 1)...]
        guard value.count == algorithm.hexLength else {
            throw .wrongLength(expected: algorithm.hexLength, found: min(value.count, 256))
        }
        for byte in value {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): continue
            default: throw .notLowerCaseHex
            }
        }
        return algorithm
    }

    /// Creates a digest from the output of a hash function. Returns `nil` when its length does not match the algorithm.
    public init?(algorithm: Algorithm, bytes: UnsafeRawBufferPointer) {
        guard bytes.count * 2 == algorithm.hexLength else { return nil }
        self.algorithm = algorithm
        let prefix = algorithm.rawValue.utf8.count + 1
        text = String(unsafeUninitializedCapacity: prefix + algorithm.hexLength) { text in
            var end = text.initialize(fromContentsOf: algorithm.rawValue.utf8)
            text.initializeElement(at: end, to: UInt8(ascii: ":"))
            end += 1
            for byte in bytes {
                text.initializeElement(at: end, to: Self.hexDigit(byte >> 4))
                text.initializeElement(at: end + 1, to: Self.hexDigit(byte & 15))
                end += 2
            }
            return end
        }
    }

    /// Creates a digest from the output of a hash function. Returns `nil` when its length does not match the algorithm.
    public init?(algorithm: Algorithm, bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes.prefix(algorithm.hexLength))
        guard let digest = bytes.withUnsafeBytes({ Digest(algorithm: algorithm, bytes: $0) }) else { return nil }
        self = digest
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + (value - 10)
    }

    /// Compares the texts; a digest has exactly one text.
    public static func == (left: Digest, right: Digest) -> Bool {
        left.text == right.text
    }

    /// Hashes the text.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(text)
    }
}

extension Digest: CustomStringConvertible, Comparable {
    /// The whole digest as text.
    public var description: String { text }

    /// Orders digests by their texts.
    public static func < (left: Digest, right: Digest) -> Bool {
        left.text < right.text
    }
}

extension Digest: Codable {
    /// Decodes a digest from a string. Any other string is a decoding error.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do {
            try self.init(text)
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(error)")
        }
    }

    /// Encodes the digest as its text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
