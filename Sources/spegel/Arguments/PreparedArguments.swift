import ArgumentParser

/// The command line as the parser gets it: flags that come before the command are moved behind it, a switch without
/// a value is given one, and what is not on the line is taken from the environment, and else from the configuration
/// file.
///
/// So `spegel --log-level debug registry --resolve-tags` means what it means elsewhere, and each setting is parsed
/// and checked in one place, wherever it comes from.
struct PreparedArguments {
    /// What to parse.
    private(set) var arguments: [String]
    /// The command in use, for messages: `spegel registry`.
    let commandPath: String
    /// Where the settings of the command come from; those that are not among them have their default.
    private(set) var sources: [String: SettingSource] = [:]

    /// Switches that may be written without a value, meaning true.
    private static let switches: Set<String> = [
        "--resolve-tags", "--prepend-existing", "--strict", "--debug-web-enabled",
    ]

    /// - Throws: ``ConfigurationFile/Failure``.
    init(arguments: [String], environment: [String: String], root: any ParsableCommand.Type) throws {
        let commands = root.configuration.subcommands
        let position = arguments.firstIndex { argument in
            commands.contains { $0.configuration.commandName == argument }
        }
        guard let position, let command = commands.first(where: { $0.configuration.commandName == arguments[position] })
        else {
            self.arguments = arguments
            commandPath = "spegel"
            return
        }
        commandPath = "spegel " + arguments[position]
        var line = Self.withSwitchValues(Array(arguments[..<position] + arguments[(position + 1)...]))
        let given = Set(line.compactMap { $0.hasPrefix("--") ? String($0.prefix { $0 != "=" }) : nil })
        let settings = Self.settings(of: command)
        for name in settings {
            let variable = name.uppercased().replacing("-", with: "_")
            if given.contains("--" + name) {
                sources[name] = .flag
            } else if let value = environment[variable], !value.isEmpty {
                line.append("--\(name)=\(value)")
                sources[name] = .variable(variable)
            }
        }
        // One file may serve all commands, so each takes from it what it knows.
        if let path = Self.value(of: "--config", in: line) {
            let known = Set(commands.flatMap { Self.settings(of: $0) }).subtracting(["config"])
            let file = try ConfigurationFile.read(path, known: known)
            for name in settings where sources[name] == nil {
                guard let values = file.values[name] else { continue }
                line += values.map { "--\(name)=\($0)" }
                sources[name] = .file(path)
            }
        }
        self.arguments = [arguments[position]] + line
    }

    /// Says that a message is about a value that does not come from the command line, where it does not.
    func note(onMessage message: String) -> String? {
        for (name, source) in sources.sorted(by: { $0.key < $1.key }) where source != .flag {
            if message.contains("'--\(name)") || message.contains(" --\(name) ") || message.hasPrefix("--\(name)") {
                return "set by the \(source)"
            }
        }
        return nil
    }

    private static func withSwitchValues(_ line: [String]) -> [String] {
        line.enumerated().map { index, argument in
            guard switches.contains(argument) else { return argument }
            let next = index + 1 < line.count ? line[index + 1].lowercased() : ""
            // `--resolve-tags false` is a value of its own; anything else leaves the switch alone.
            return ["true", "false"].contains(next) ? argument : argument + "=true"
        }
    }

    /// The value of the last such flag of a line.
    private static func value(of flag: String, in line: [String]) -> String? {
        var value: String?
        for (index, argument) in line.enumerated() {
            if argument.hasPrefix(flag + "=") {
                value = String(argument.dropFirst(flag.count + 1))
            } else if argument == flag, index + 1 < line.count {
                value = line[index + 1]
            }
        }
        return value
    }

    private static func settings(of command: any ParsableCommand.Type) -> [String] {
        (command as? any SettableCommand.Type)?.settingNames ?? []
    }
}
