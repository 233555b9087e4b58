/// What has one form in JSON.
package protocol JSONRepresentable {
    var json: JSON { get }
}

extension JSON: JSONRepresentable {
    package var json: JSON { self }

    /// An object of whatever has a form in JSON; what is `nil` is `null`.
    package static func members(_ members: KeyValuePairs<String, any JSONRepresentable>) -> JSON {
        .object(members.map { ($0.key, $0.value.json) })
    }

    /// The object with more members behind those that it has.
    package func with(_ more: KeyValuePairs<String, any JSONRepresentable>) -> JSON {
        guard case .object(let members) = self else { return self }
        return .object(members + more.map { ($0.key, $0.value.json) })
    }
}

extension String: JSONRepresentable {
    package var json: JSON { .string(self) }
}

extension Bool: JSONRepresentable {
    package var json: JSON { .bool(self) }
}

extension Int: JSONRepresentable {
    package var json: JSON { .integer(self) }
}

extension Int64: JSONRepresentable {
    package var json: JSON { .integer(Int(clamping: self)) }
}

extension Double: JSONRepresentable {
    package var json: JSON { .number(self) }
}

/// In milliseconds.
extension Duration: JSONRepresentable {
    package var json: JSON { .number(milliseconds) }

    /// With fractions, to the microsecond.
    package var milliseconds: Double {
        Double(components.seconds) * 1000 + Double(components.attoseconds / 1_000_000_000_000) / 1000
    }
}

extension Optional: JSONRepresentable where Wrapped: JSONRepresentable {
    package var json: JSON { self?.json ?? .null }
}

extension Array: JSONRepresentable where Element: JSONRepresentable {
    package var json: JSON { .array(map(\.json)) }
}

extension JSONRepresentable where Self: RawRepresentable, RawValue == String {
    package var json: JSON { .string(rawValue) }
}
