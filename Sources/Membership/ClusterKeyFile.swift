import Multiformats

/// The text of a file with cluster keys: one key in base64 on each line. Blank lines do not count.
public enum ClusterKeyFile {
    /// The most bytes of a file.
    public static let maximumLength = 16 << 10

    /// What is wrong with a file. No case holds any of its text.
    public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// There is no key.
        case empty
        /// There are too many keys.
        case tooMany
        /// The line is not base64.
        case notBase64(line: Int)
        /// The key on the line has this many bytes.
        case wrongLength(line: Int, bytes: Int)

        /// What was expected, and what was found.
        public var description: String {
            switch self {
            case .empty: "expected a key: a line of base64, as spegel key prints, found none"
            case .tooMany: "expected at most \(ClusterKeys.maximumCount) keys"
            case .notBase64(let line):
                "line \(line): expected a key in base64, as spegel key prints, found other characters"
            case .wrongLength(let line, let bytes):
                "line \(line): expected a key of \(ClusterKey.minimumLength) to \(ClusterKey.maximumLength) bytes, "
                    + "found \(bytes)"
            }
        }
    }

    /// Reads the text of a file.
    public static func parse(_ bytes: [UInt8]) throws(Failure) -> ClusterKeys {
        var keys: [ClusterKey] = []
        var number = 0
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            guard let text = trimmed(line) else { continue }
            guard keys.count < ClusterKeys.maximumCount else { throw .tooMany }
            guard let secret = decode(text) else { throw .notBase64(line: number) }
            guard let key = ClusterKey(secret: secret) else { throw .wrongLength(line: number, bytes: secret.count) }
            if !keys.contains(key) { keys.append(key) }
        }
        guard let all = ClusterKeys(keys) else { throw .empty }
        return all
    }

    /// A line without white space at its ends; `nil` for a blank one.
    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let isBlank: (UInt8) -> Bool = {
            $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r")
        }
        guard let first = line.firstIndex(where: { !isBlank($0) }), let last = line.lastIndex(where: { !isBlank($0) })
        else { return nil }
        return line[first...last]
    }

    /// Standard or URL-safe base64, with or without padding.
    private static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var digits = text
        for _ in 0..<2 where digits.last == UInt8(ascii: "=") { digits.removeLast() }
        guard digits.count == text.count || text.count.isMultiple(of: 4) else { return nil }
        let unified = digits.map { byte in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            default: byte
            }
        }
        guard unified.allSatisfy({ $0 < 0x80 }) else { return nil }
        return try? Base64URL.decode(String(decoding: unified, as: UTF8.self))
    }
}
