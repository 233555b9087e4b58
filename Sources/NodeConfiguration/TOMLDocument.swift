/// A value of a TOML document. TOML 1.0.
enum TOMLValue {
    case string(String)
    case bool(Bool)
    /// A number, date or time, as it was written.
    case literal(String)
    case array([TOMLValue])
    case table(TOMLTable)
    /// The tables of `[[name]]` headers.
    case tables([TOMLTable])
}

/// A table of a TOML document, with its entries in the order in which they were written.
package final class TOMLTable {
    /// How a table came to be, which says who may add to it.
    enum Origin {
        /// On the way to another table's header; a header of its own may follow.
        case path
        /// By a header.
        case header
        /// By a dotted key; other dotted keys may add to it.
        case dottedKey
        /// In braces; nothing may be added to it.
        case inline
    }

    /// An entry of a table.
    struct Entry {
        var key: String
        var value: TOMLValue
        /// Where the entry stands, from 1.
        var line: Int
    }

    var origin: Origin
    private(set) var entries: [Entry] = []
    private var positions: [String: Int] = [:]

    init(origin: Origin) {
        self.origin = origin
    }

    /// The value of a key; setting replaces it in its place.
    func value(_ key: String) -> TOMLValue? {
        positions[key].map { entries[$0].value }
    }

    /// The entry of a key.
    func entry(_ key: String) -> Entry? {
        positions[key].map { entries[$0] }
    }

    /// Sets the value of a key; one that is there stays in its place.
    func set(_ key: String, to value: TOMLValue, line: Int) {
        if let position = positions[key] {
            entries[position].value = value
        } else {
            positions[key] = entries.count
            entries.append(Entry(key: key, value: value, line: line))
        }
    }
}

/// Why a text is not TOML.
struct TOMLError: Error, Hashable {
    /// Where, from 1.
    var line: Int
    /// What was expected there.
    var reason: String
}
