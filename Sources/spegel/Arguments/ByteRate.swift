import ArgumentParser

/// A rate of bytes, written with its unit: `10MB` or `10MB/s`, `100MiB`, `1Gbit`.
///
/// kB, MB and GB are powers of 1000, KiB, MiB and GiB of 1024. kbit, Mbit and Gbit are eighths of kB, MB and GB, as
/// for network interfaces. `0` means no limit.
struct ByteRate: ExpressibleByArgument, Hashable, CustomStringConvertible {
    /// The minimum: a single transfer needs this.
    static let minimum = 100_000
    /// The maximum: no interface is faster.
    static let maximum = 1_000_000_000_000

    /// Bytes per second; `nil` for no limit.
    let bytesPerSecond: Int?
    private let text: String

    private static let units: [(name: String, bytes: Double)] = [
        ("B", 1), ("kB", 1e3), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("KiB", 1024), ("MiB", 1_048_576),
        ("GiB", 1_073_741_824), ("kbit", 125), ("Kbit", 125), ("Mbit", 125_000), ("Gbit", 125_000_000),
    ]

    /// Reads a rate of at least 100 kB/s.
    init?(argument: String) {
        guard argument.utf8.count <= 32 else { return nil }
        text = argument
        if argument == "0" {
            bytesPerSecond = nil
            return
        }
        let rate = argument.hasSuffix("/s") ? argument.dropLast(2) : argument[...]
        let digits = rate.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = Double(digits), number.isFinite,
            let unit = Self.units.first(where: { $0.name == rate.dropFirst(digits.count) })
        else { return nil }
        let bytes = number * unit.bytes
        guard bytes >= Double(Self.minimum), bytes <= Double(Self.maximum) else { return nil }
        bytesPerSecond = Int(bytes)
    }

    var description: String { text }
}
