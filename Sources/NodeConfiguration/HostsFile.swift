import TOMLKit

/// A `hosts.toml` as it is written.
struct HostsFile {
    private(set) var text = ""

    /// Begins a file.
    ///
    /// - Parameter server: the registry itself, which is asked last; without one containerd takes the name in the
    ///   reference.
    init(server: String?) {
        if let server { text += "server = \(Self.quoted(server))\n" }
    }

    /// Adds a mirror.
    mutating func addMirror(_ target: RegistryURL, capabilities: [String], dialTimeout: Duration?) {
        beginTable(["host", target.description])
        text += "capabilities = [\(capabilities.map(Self.quoted).joined(separator: ", "))]\n"
        if let dialTimeout {
            let (seconds, attoseconds) = dialTimeout.components
            let milliseconds =
                seconds.multipliedReportingOverflow(by: 1000).partialValue
                &+ attoseconds / 1_000_000_000_000_000
            text += "dial_timeout = \(Self.quoted("\(max(1, milliseconds))ms"))\n"
        }
    }

    /// Adds a host of an existing file with all its settings.
    mutating func append(_ host: ExistingHosts.Host) {
        append(host.settings, at: ["host", host.name])
    }

    private mutating func append(_ table: TOMLTable, at path: [String]) {
        beginTable(path)
        var below: [(String, TOMLTable)] = []
        for key in table.keys {
            guard let value = table[key] else { continue }
            if let inner = value.table {
                below.append((key, inner))
            } else {
                text += "\(Self.key(key)) = \(Self.inline(value))\n"
            }
        }
        for (key, inner) in below { append(inner, at: path + [key]) }
    }

    private mutating func beginTable(_ path: [String]) {
        if !text.isEmpty { text += "\n" }
        text += "[\(path.map(Self.key).joined(separator: "."))]\n"
    }

    private static func inline(_ value: any TOMLValueConvertible) -> String {
        if let string = value.string { return quoted(string) }
        if let bool = value.bool { return bool ? "true" : "false" }
        if let integer = value.int { return String(integer) }
        if let array = value.array {
            return "[\(array.map { inline($0) }.joined(separator: ", "))]"
        }
        if let table = value.table {
            let fields = table.keys.compactMap { key in table[key].map { "\(Self.key(key)) = \(inline($0))" } }
            return "{ \(fields.joined(separator: ", ")) }"
        }
        // Numbers with a fraction, dates and times, of which a hosts file has none that mean anything.
        return value.debugDescription
    }

    private static func key(_ text: String) -> String {
        let isBare =
            !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
        return isBare ? text : quoted(text)
    }

    /// A basic string. TOML 1.0, "String".
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case let control where control.value < 0x20 || control.value == 0x7F:
                let hex = String(control.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
