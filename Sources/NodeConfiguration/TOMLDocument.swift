/// A value of a TOML document. TOML 1.0.
enum TOMLValue {
    case string(String)
    case bool(Bool)
    /// A number, date or time as text.
    case literal(String)
    case array([TOMLValue])
    case table(TOMLTable)
    /// The tables of `[[name]]` headers.
    case tables([TOMLTable])
}

/// A table of a TOML document, with its entries in file order.
package final class TOMLTable {
    /// The origin of a table, which determines what may be added to it.
    enum Origin {
        /// Implied by another table's header; its own header may follow.
        case path
        /// A header.
        case header
        /// A dotted key; other dotted keys may add to it.
        case dottedKey
        /// Braces; nothing may be added to it.
        case inline
    }

    /// An entry of a table.
    struct Entry {
        var key: String
        var value: TOMLValue
        /// The line of the entry, from 1.
        var line: Int
    }

    var origin: Origin
    private(set) var entries: [Entry] = []
    private var positions: [String: Int] = [:]

    init(origin: Origin) {
        self.origin = origin
    }

    /// The value of a key.
    func value(_ key: String) -> TOMLValue? {
        positions[key].map { entries[$0].value }
    }

    /// The entry of a key.
    func entry(_ key: String) -> Entry? {
        positions[key].map { entries[$0] }
    }

    /// Sets the value of a key. An existing key keeps its position.
    func set(_ key: String, to value: TOMLValue, line: Int) {
        if let position = positions[key] {
            entries[position].value = value
        } else {
            positions[key] = entries.count
            entries.append(Entry(key: key, value: value, line: line))
        }
    }
}

/// An error from parsing TOML.
struct TOMLError: Error, Hashable {
    /// The line, from 1.
    var line: Int
    /// What was expected there.
    var reason: String
}
