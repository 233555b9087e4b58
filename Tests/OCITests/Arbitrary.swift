import TestSupport

/// Random inputs for property tests.
struct Arbitrary {
    var generator: SeededGenerator

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    mutating func int(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &generator)
    }

    mutating func bool() -> Bool {
        Bool.random(using: &generator)
    }

    mutating func element<T>(of choices: [T]) -> T {
        choices[int(0...(choices.count - 1))]
    }

    /// Text of characters of an alphabet.
    mutating func text(of alphabet: String, count: ClosedRange<Int>) -> String {
        let characters = Array(alphabet)
        return String((0..<int(count)).map { _ in element(of: characters) })
    }

    /// Arbitrary bytes, repaired to UTF-8, as a hostile client may send them.
    mutating func hostileText(upTo count: Int) -> String {
        let pieces = [
            "sha256:", "sha512:", "/v2/", "/manifests/", "/blobs/", "?ns=", "%2", "%zz", "@", ":", "/", "..", "\u{301}",
            "[",
            "]", "bytes=", "-", "9223372036854775807", "99999999999999999999", "\0", "\r\n", "é", "👩‍👩‍👧", "docker.io",
            "{\"",
            "\"}", "[[", "0", "a", String(repeating: "a", count: 64),
        ]
        var bytes: [UInt8] = []
        while bytes.count < count {
            if bool() {
                bytes.append(contentsOf: element(of: pieces).utf8)
            } else {
                bytes.append(UInt8(truncatingIfNeeded: generator.next()))
            }
            if int(0...15) == 0 { break }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    mutating func hex(_ count: Int) -> String {
        text(of: "0123456789abcdef", count: count...count)
    }

    mutating func digestText() -> String {
        bool() ? "sha256:" + hex(64) : "sha512:" + hex(128)
    }

    mutating func tagText() -> String {
        let rest = "abcxyzABCXYZ0189_.-"
        return text(of: "abcXYZ019_", count: 1...1) + text(of: rest, count: 0...127)
    }

    mutating func repositoryText() -> String {
        let components = (0..<int(1...4)).map { _ in
            (0..<int(1...4)).map { _ in text(of: "abcxyz0189", count: 1...6) }
                .joined(separator: element(of: [".", "_", "__", "-", "---"]))
        }
        return components.joined(separator: "/")
    }

    mutating func registryText() -> String {
        let host = element(of: [
            "docker.io", "registry.lab", "localhost", "10.0.0.1", "[fd00::1]", "my_registry", "a-b.c",
        ])
        return bool() ? host : host + ":\(int(1...65535))"
    }
}
