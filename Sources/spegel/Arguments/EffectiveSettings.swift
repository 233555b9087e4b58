/// The settings of a command as they are in force, for `--print-config`.
struct EffectiveSettings {
    /// What is shown instead of a secret.
    static let hidden = "(secret)"

    /// The settings in the order of the command.
    private let settings: [(name: String, value: SettingValue)]

    /// Reads the values of a parsed command.
    init<Command: SettableCommand>(of command: Command) {
        settings = Command.settings.map { ($0.name, $0.value(in: command)) }
    }

    subscript(_ name: String) -> SettingValue? { settings.first { $0.name == name }?.value }

    /// A configuration file that sets everything as it is, with the source of each value behind it.
    func yaml(secrets: Set<String>, sources: [String: SettingSource]) -> String {
        settings.map { name, value in
            guard name != "config" else { return "" }
            let shown = secrets.contains(name) && value != .none ? .one(Self.hidden) : value
            return "\(name): \(Self.yaml(shown))  # \(sources[name] ?? .standard)\n"
        }.joined()
    }

    private static func yaml(_ value: SettingValue) -> String {
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
}
