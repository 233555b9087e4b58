import Files
import StructuredText

/// A file of settings: a YAML mapping of the flags' names, without leading dashes, to their values.
///
/// ```yaml
/// registry-addr: ":5000"
/// mirrored-registries:
///   - https://docker.io
/// resolve-tags: true
/// ```
struct ConfigurationFile {
    /// The maximum size of the file, in bytes.
    static let maximumSize = 1 << 20

    /// An error in a file, with advice.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// The path of the file.
    let path: String
    /// The values of each setting in the file; a list has any number of them.
    let values: [String: [String]]

    /// Reads a file.
    ///
    /// - Parameter known: the settings that the file may contain.
    static func read(_ path: String, known: Set<String>) throws(Failure) -> ConfigurationFile {
        let bytes: [UInt8]?
        do {
            bytes = try Files.read(path, limit: maximumSize)
        } catch {
            throw Failure(description: "--config: \(error)")
        }
        guard let bytes else { throw Failure(description: "--config: no such file: \(path)") }
        return try ConfigurationFile(path: path, text: bytes, known: known)
    }

    init(path: String, text: [UInt8], known: Set<String>) throws(Failure) {
        self.path = path
        let document: JSONValue
        do {
            document = try YAMLParser.parse(text, keepsNumbers: true)
        } catch {
            throw Failure(description: "\(path), \(error)")
        }
        var values: [String: [String]] = [:]
        switch document {
        case .null: break
        case .object(let members):
            for (name, value) in members.sorted(by: { $0.key < $1.key }) {
                guard known.contains(name) else { throw Self.unknown(name, path: path, known: known) }
                values[name] = try Self.texts(value, name: name, path: path)
            }
        default: throw Failure(description: "\(path): expected lines such as 'registry-addr: \":5000\"'")
        }
        self.values = values
    }

    private static func unknown(_ name: String, path: String, known: Set<String>) -> Failure {
        let name = String(name.prefix(64))
        guard let nearest = nearestName(to: name, among: known) else {
            return Failure(description: "\(path): unknown setting '\(name)'; settings have the names of the flags")
        }
        return Failure(description: "\(path): unknown setting '\(name)'; did you mean '\(nearest)'?")
    }

    /// The values for the flag; `nil` for null, which means the default.
    private static func texts(_ value: JSONValue, name: String, path: String) throws(Failure) -> [String]? {
        switch value {
        case .null: return nil
        case .bool(let value): return [value ? "true" : "false"]
        case .integer(let value): return [String(value)]
        case .number(let value): return [String(value)]
        case .string(let value): return [value]
        case .array(let items):
            var all: [String] = []
            for item in items {
                guard let texts = try Self.texts(item, name: name, path: path), texts.count == 1 else {
                    throw Failure(description: "\(path): expected simple values in the list '\(name)'")
                }
                all += texts
            }
            return all
        case .object:
            throw Failure(description: "\(path): expected a value or a list for '\(name)', got a mapping")
        }
    }
}

/// The most similar name, if any is similar enough.
func nearestName(to name: String, among names: some Sequence<String>) -> String? {
    let ranked = names.map { (name: $0, distance: editDistance(name, $0)) }
        .min { ($0.distance, $0.name) < ($1.distance, $1.name) }
    guard let ranked, ranked.distance <= max(1, name.count / 3) else { return nil }
    return ranked.name
}

/// The number of letters to change, add, remove or swap with their neighbour to turn one word into the other.
private func editDistance(_ first: String, _ second: String) -> Int {
    let a = Array(first.lowercased())
    let b = Array(second.lowercased())
    guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in 1...a.count {
        var row = [i]
        for j in 1...b.count {
            var best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
            if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { best = min(best, beforeLast[j - 2] + 1) }
            row.append(best)
        }
        beforeLast = last
        last = row
    }
    return last[b.count]
}
