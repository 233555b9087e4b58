import Monitoring

extension JSON {
    static func strings(_ texts: [String]) -> JSON { .array(texts.map { .string($0) }) }

    static func optional(_ number: Int?) -> JSON { number.map { .integer($0) } ?? .null }

    /// In milliseconds.
    static func optional(_ duration: Duration?) -> JSON { duration.map { .number($0.milliseconds) } ?? .null }
}

extension Duration {
    /// With fractions, to the microsecond.
    var milliseconds: Double {
        Double(components.seconds) * 1000 + Double(components.attoseconds / 1_000_000_000_000) / 1000
    }
}
