import ArgumentParser

/// The settings of a command as they are in force, for `--print-config`.
struct EffectiveSettings {
    /// What stands in the place of a secret.
    static let hidden = "(secret)"

    /// A value as one text, several, or none at all.
    enum Value: Hashable {
        case none
        case one(String)
        case list([String])
    }

    /// The values by the names of the settings.
    private let values: [String: Value]

    /// Reads the values of a command that was parsed.
    init(of command: some SettableCommand) {
        values = Self.read(command)
    }

    subscript(_ name: String) -> Value? { values[name] }

    /// A configuration file that sets everything as it is, with the source of each value behind it.
    func yaml(settings: [String], secrets: Set<String>, sources: [String: SettingSource]) -> String {
        settings.compactMap { name in
            guard name != "config", let value = values[name] else { return nil }
            let shown = secrets.contains(name) && value != .none ? .one(Self.hidden) : value
            return "\(name): \(Self.yaml(shown))  # \(sources[name] ?? .standard)\n"
        }.joined()
    }

    private static func yaml(_ value: Value) -> String {
        switch value {
        case .none: "null"
        case .one(let text): quoted(text)
        case .list(let items): "[" + items.map(quoted).joined(separator: ", ") + "]"
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                result += "\\x" + (digits.count < 2 ? "0" : "") + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// Every option is a property whose wrapper holds the parsed value; a group of options holds options in turn.
    private static func read(_ options: Any) -> [String: Value] {
        var values: [String: Value] = [:]
        for child in Mirror(reflecting: options).children {
            guard let label = child.label, label.hasPrefix("_"), let parsed = parsedValue(child.value) else { continue }
            if parsed is any ParsableArguments {
                values.merge(read(parsed)) { $1 }
            } else {
                values[settingName(label.dropFirst())] = value(parsed)
            }
        }
        return values
    }

    /// What a property wrapper of the argument parser has found: `_parsedValue` is an enum with the value inside.
    private static func parsedValue(_ wrapper: Any) -> Any? {
        guard let parsed = Mirror(reflecting: wrapper).children.first(where: { $0.label == "_parsedValue" })?.value
        else { return nil }
        return Mirror(reflecting: parsed).children.first { $0.label == "value" }?.value
    }

    private static func value(_ value: Any) -> Value {
        let mirror = Mirror(reflecting: value)
        switch mirror.displayStyle {
        case .optional: return mirror.children.first.map { self.value($0.value) } ?? .none
        case .collection: return .list(mirror.children.map { "\($0.value)" })
        default: return .one("\(value)")
        }
    }

    /// `registryAddr` is the flag `--registry-addr`.
    private static func settingName(_ property: Substring) -> String {
        var name = ""
        for letter in property {
            if letter.isUppercase { name += "-" }
            name += letter.lowercased()
        }
        return name
    }
}
