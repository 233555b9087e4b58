import ArgumentParser
import Logging
import Registry

/// A time span in Go's notation: `20ms`, `1.5s`, `1m30s`.
struct TimeSpan: ExpressibleByArgument, Hashable, CustomStringConvertible {
    let duration: Duration
    private let text: String

    /// A time span in the largest unit of which it is a whole number.
    init(_ duration: Duration) {
        self.duration = duration
        let (seconds, attoseconds) = duration.components
        let nanoseconds = Int128(seconds) * 1_000_000_000 + Int128(attoseconds / 1_000_000_000)
        let units: [(suffix: String, nanoseconds: Int128)] = [
            ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000),
        ]
        if nanoseconds == 0 {
            text = "0"
        } else if let unit = units.first(where: { nanoseconds.isMultiple(of: $0.nanoseconds) }) {
            text = "\(nanoseconds / unit.nanoseconds)\(unit.suffix)"
        } else {
            text = "\(nanoseconds)ns"
        }
    }

    init?(argument: String) {
        guard let duration = Self.parse(argument) else { return nil }
        self.duration = duration
        text = argument
    }

    var description: String { text }

    private static let units: [(suffix: String, seconds: Double)] = [
        ("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1), ("m", 60), ("h", 3600),
    ]

    private static func parse(_ text: String) -> Duration? {
        guard !text.isEmpty, text.utf8.count <= 32 else { return nil }
        if text == "0" { return .zero }
        var rest = text[...]
        var seconds = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(digits.count)
            let suffix = rest.prefix { !($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(suffix.count)
            guard let value = Double(digits), let unit = units.first(where: { $0.suffix == suffix }) else { return nil }
            seconds += value * unit.seconds
        }
        // A year exceeds all sensible values, and is far from an overflow.
        guard seconds.isFinite, seconds >= 0, seconds <= 366 * 86400 else { return nil }
        return .nanoseconds(Int64((seconds * 1e9).rounded()))
    }
}

/// An address to listen on: `:5000` for all, `10.0.0.1:5000`, `[fd00::1]:5000`.
struct ListenAddress: ExpressibleByArgument, Hashable, CustomStringConvertible {
    /// The host, or `nil` for all addresses of the machine.
    let host: String?
    let port: UInt16

    init(host: String?, port: UInt16) {
        self.host = host
        self.port = port
    }

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"), let port = UInt16(argument[argument.index(after: colon)...])
        else { return nil }
        var host = argument[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        self.host = host.isEmpty ? nil : String(host)
        self.port = port
    }

    var description: String {
        guard let host else { return ":\(port)" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

extension ListenAddress {
    /// The registry's, on all addresses.
    static let registry = ListenAddress(host: nil, port: UInt16(clamping: RegistryConfiguration().port))
    /// The router's, on all addresses.
    static let router = ListenAddress(host: nil, port: 5001)
    /// That of metrics, health and the debug pages, on all addresses.
    static let metrics = ListenAddress(host: nil, port: 9090)
}

/// A switch that takes a value.
struct Switch: ExpressibleByArgument, Hashable, CustomStringConvertible {
    let isOn: Bool

    init(_ isOn: Bool) {
        self.isOn = isOn
    }

    init?(argument: String) {
        switch argument.lowercased() {
        case "true", "1", "yes", "on", "t": isOn = true
        case "false", "0", "no", "off", "f": isOn = false
        default: return nil
        }
    }

    var description: String { isOn ? "true" : "false" }
}

extension VerificationMode: ExpressibleByArgument {}

/// What a node sends to peers that want the password: `--basic-auth-to-peers`.
enum PasswordToPeers: String, ExpressibleByArgument, CaseIterable {
    /// A proof that it knows the password.
    case proof
    /// The password itself.
    case plain
}

extension Logger.Level: @retroactive ExpressibleByArgument {
    /// Reads a level in upper or lower case, by Go's names too.
    public init?(argument: String) {
        switch argument.lowercased() {
        case "warn": self = .warning
        case let name: self.init(rawValue: name)
        }
    }
}

/// The regular expressions of a list flag, separated by commas or spaces. A comma within brackets does not separate.
func patternItems(_ value: String) -> [String] {
    var items: [String] = []
    var item = ""
    var depth = 0
    var isEscaped = false
    for character in value {
        if !isEscaped, character.isWhitespace || (character == "," && depth == 0) {
            if !item.isEmpty { items.append(item) }
            (item, depth) = ("", 0)
            continue
        }
        if !isEscaped, "([{".contains(character) { depth += 1 }
        if !isEscaped, ")]}".contains(character) { depth = max(0, depth - 1) }
        isEscaped = !isEscaped && character == "\\"
        item.append(character)
    }
    return item.isEmpty ? items : items + [item]
}

/// The items of a list flag: repeated flags, or items separated by commas or spaces.
func listItems(_ values: [String]) -> [String] {
    values.flatMap { $0.split { $0 == "," || $0.isWhitespace } }.map(String.init)
}
