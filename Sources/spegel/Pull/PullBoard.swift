import OCI

/// The progress of a pull as text: lines that stay, and moving bars below them. A value without a clock.
struct PullBoard {
    /// A piece of content in flight.
    struct Entry: Hashable {
        var kind: String
        var digest: Digest
        var size: Int64
        var received: Int64 = 0
        /// Its current source.
        var source: String?
    }

    private(set) var active: [Entry] = []
    /// The bytes of all content that is known to belong to the image, and of these the received ones.
    private(set) var total: Int64 = 0
    private(set) var done: Int64 = 0

    /// Adds content of the image.
    mutating func announce(_ size: Int64) { total = Self.sum(total, size) }

    mutating func begin(_ entry: Entry) { active.append(entry) }

    mutating func advance(_ digest: Digest, to received: Int64, source: String?) {
        guard let position = active.firstIndex(where: { $0.digest == digest }) else { return }
        active[position].received = received
        active[position].source = source
    }

    /// Ends a piece that is received, or has failed.
    mutating func end(_ digest: Digest, size: Int64) {
        active.removeAll { $0.digest == digest }
        done = Self.sum(done, size)
    }

    /// The sum, bounded: a document can claim any sizes.
    private static func sum(_ first: Int64, _ second: Int64) -> Int64 {
        let (sum, isTooLarge) = first.addingReportingOverflow(second)
        return isTooLarge ? .max : sum
    }

    /// The moving lines, none wider than the terminal.
    func bars(width: Int, elapsed: Duration) -> [String] {
        var lines = active.map { entry in
            let from = entry.received > 0 ? "  from \(entry.source ?? "this node")" : ""
            return Self.line(
                Self.label(entry.kind, entry.digest),
                entry.received,
                entry.size,
                Human.bytes(entry.size).paddedLeft(9) + from,
                width
            )
        }
        let received = min(total, active.reduce(done) { Self.sum($0, $1.received) })
        let text = "\(Human.bytes(total).paddedLeft(9))  \(Human.rate(received, elapsed))"
        lines.append(Self.line("total".padded(31), received, total, text, width))
        return lines
    }

    static func label(_ kind: String, _ digest: Digest) -> String {
        "\(kind.padded(9)) \(digest.algorithm.rawValue):\(digest.hex.prefix(12))…".padded(31)
    }

    private static func line(_ label: String, _ part: Int64, _ whole: Int64, _ text: String, _ width: Int) -> String {
        let room = min(40, width - label.count - text.count - 9)
        let fraction = whole > 0 ? min(1, Double(part) / Double(whole)) : 1
        let percent = "\(Int(fraction * 100))%".paddedLeft(4)
        guard room >= 5 else { return String("\(label) \(percent) \(text)".prefix(width)) }
        let filled = Int(Double(room) * fraction)
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: room - filled)
        return String("\(label) [\(bar)] \(percent) \(text)".prefix(width))
    }
}

/// Quantities in words.
enum Human {
    /// A number of bytes, in powers of 1000.
    static func bytes(_ count: Int64) -> String {
        switch count {
        case ..<1000: "\(count) B"
        case ..<1_000_000: decimal(Double(count) / 1e3) + " kB"
        case ..<1_000_000_000: decimal(Double(count) / 1e6) + " MB"
        default: decimal(Double(count) / 1e9) + " GB"
        }
    }

    /// A time span.
    static func time(_ duration: Duration) -> String {
        let seconds = duration / .seconds(1)
        switch seconds {
        case ..<0.9995: return decimal(seconds * 1000) + " ms"
        case ..<60: return decimal(seconds) + " s"
        case ..<3600: return "\(Int(seconds) / 60)m\(Int(seconds) % 60)s"
        case ..<86_400: return "\(Int(seconds) / 3600)h\(Int(seconds) % 3600 / 60)m"
        default: return "\(Int(seconds / 86_400))d\(Int(seconds) % 86_400 / 3600)h"
        }
    }

    /// Bytes in a time.
    static func rate(_ count: Int64, _ duration: Duration) -> String {
        let seconds = duration / .seconds(1)
        guard seconds > 0 else { return "-" }
        return bytes(Int64(min(Double(count) / seconds, 1e15))) + "/s"
    }

    /// Three digits that count: `1.23`, `12.3`, `123`.
    static func decimal(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "-" }
        let digits = abs(value) < 9.995 ? 100.0 : abs(value) < 99.95 ? 10.0 : 1.0
        let rounded = Int64((value * digits).rounded())
        guard digits > 1 else { return "\(rounded)" }
        let whole = Int64(digits)
        let fraction = String(rounded.magnitude % whole.magnitude)
        let width = digits == 100 ? 2 : 1
        let sign = rounded < 0 ? "-" : ""
        return
            "\(sign)\(rounded.magnitude / whole.magnitude).\(String(repeating: "0", count: width - fraction.count))\(fraction)"
    }
}
