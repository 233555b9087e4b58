// How the documents of docs/api.md are written and read.
//
// The compiler derives the coding of each type from its properties. Within this module the overloads below take the place
// of those of the standard library, so that every type keeps these rules:
//
// - What is not known is `null`; a member never goes missing.
// - A duration is a number of milliseconds, to the microsecond.
// - A reader ignores members that it does not know. Numbers, flags, lists and whole sections that an older node does not
//   send are zero, false and empty. A text that goes missing is an error: the document is not what it should be.

/// A part of a document that is empty where an older node does not send it.
package protocol DocumentSection: Codable, Hashable, Sendable {
    init()
}

extension KeyedEncodingContainer {
    mutating func encodeIfPresent(_ value: String?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { try encodeNil(forKey: key) }
    }

    mutating func encodeIfPresent(_ value: Int?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { try encodeNil(forKey: key) }
    }

    mutating func encodeIfPresent(_ value: Int64?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { try encodeNil(forKey: key) }
    }

    mutating func encodeIfPresent<Value: Encodable>(_ value: Value?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { try encodeNil(forKey: key) }
    }

    mutating func encodeIfPresent(_ value: Duration?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { try encodeNil(forKey: key) }
    }

    mutating func encode(_ value: Duration, forKey key: Key) throws {
        try encode(value.milliseconds, forKey: key)
    }
}

extension KeyedDecodingContainer {
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try decodeIfPresent(type, forKey: key) ?? false }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try decodeIfPresent(type, forKey: key) ?? 0 }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try decodeIfPresent(type, forKey: key) ?? 0 }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try decodeIfPresent(type, forKey: key) ?? 0 }

    func decode<Item: Decodable>(_ type: [Item].Type, forKey key: Key) throws -> [Item] {
        try decodeIfPresent(type, forKey: key) ?? []
    }

    func decode<Section: DocumentSection>(_ type: Section.Type, forKey key: Key) throws -> Section {
        try decodeIfPresent(type, forKey: key) ?? Section()
    }

    func decode(_ type: Duration.Type, forKey key: Key) throws -> Duration {
        try decodeIfPresent(type, forKey: key) ?? .zero
    }

    /// At most thirty years, so that sums of durations fit.
    func decodeIfPresent(_ type: Duration.Type, forKey key: Key) throws -> Duration? {
        try decodeIfPresent(Double.self, forKey: key).map { milliseconds in
            .microseconds(Int64((min(max(milliseconds, 0), 1e12) * 1000).rounded()))
        }
    }
}

extension Duration {
    /// With fractions, to the microsecond.
    package var milliseconds: Double {
        Double(components.seconds) * 1000 + Double(components.attoseconds / 1_000_000_000_000) / 1000
    }
}
