import ArgumentParser

/// The command line that the parser gets. Flags before the command move behind it, and a switch without a value gets
/// one. Settings that are not on the line come from the environment, else from the configuration file.
///
/// So `spegel --log-level debug registry --resolve-tags` works, and the parser checks each setting whatever its source.
struct PreparedArguments {
    /// The arguments for the parser.
    private(set) var arguments: [String]
    /// The command, for messages: `spegel registry`.
    let commandPath: String
    /// The sources of the settings; a setting without one has its default.
    private(set) var sources: [String: SettingSource] = [:]

    /// Switches that mean true without a value.
    private static let switches: Set<String> = [
        "--resolve-tags", "--prepend-existing", "--strict", "--debug-web-enabled",
    ]

    /// - Throws: ``ConfigurationFile/Failure``.
    init(arguments: [String], environment: [String: String], root: any ParsableCommand.Type) throws {
        let commands = root.configuration.subcommands
        guard let position = Self.position(in: arguments, commands) else {
            self.arguments = arguments
            commandPath = "spegel"
            return
        }
        guard let command = commands.first(where: { $0.configuration.commandName == arguments[position] }) else {
            // The parser explains a command itself: `spegel help pull`.
            guard arguments[position] == "help" else { throw Self.unknown(arguments[position], commands) }
            self.arguments = Array(arguments[position...])
            commandPath = "spegel"
            return
        }
        commandPath = "spegel " + arguments[position]
        var before = Array(arguments[..<position])
        if !Self.settings(of: command).contains("log-level") { before = Self.withoutCommonFlags(before) }
        var line = Self.withSwitchValues(before + Array(arguments[(position + 1)...]))
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
        // One file can serve all commands: each ignores the settings of the others.
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

    /// The position of the command: the first command among the words that are neither flags nor their values, else the
    /// first of these words.
    private static func position(in arguments: [String], _ commands: [any ParsableCommand.Type]) -> Int? {
        // The parser's own flags end here.
        guard !arguments.contains(where: { $0.hasPrefix("--generate-") || $0.hasPrefix("--experimental-") }) else {
            return nil
        }
        let names = Set(commands.compactMap { $0.configuration.commandName })
        let flags = Set(commands.flatMap { Self.settings(of: $0) }.map { "--" + $0 }).subtracting(switches)
        var first: Int?
        for (index, argument) in arguments.enumerated() where !argument.hasPrefix("-") {
            let previous = index > 0 ? arguments[index - 1] : ""
            let isValue =
                flags.contains(previous)
                || (switches.contains(previous) && ["true", "false"].contains(argument.lowercased()))
            if isValue { continue }
            if names.contains(argument) || (first == nil && argument == "help") { return index }
            first = first ?? index
        }
        return first
    }

    private static func unknown(_ word: String, _ commands: [any ParsableCommand.Type]) -> UnknownCommand {
        let names = commands.compactMap { $0.configuration.commandName }
        let word = String(word.prefix(64))
        let advice = nearestName(to: word, among: names).map { "did you mean '\($0)'?" }
        return UnknownCommand(
            description: "unknown command '\(word)'; \(advice ?? "expected one of \(names.joined(separator: ", "))")"
        )
    }

    /// The first word of the command line is no command.
    struct UnknownCommand: Error, CustomStringConvertible {
        let description: String
    }

    /// The source of the value that a message is about, unless it is the command line.
    func note(onMessage message: String) -> String? {
        for (name, source) in sources.sorted(by: { $0.key < $1.key }) where source != .flag {
            if message.contains("'--\(name)") || message.contains(" --\(name) ") || message.hasPrefix("--\(name)") {
                return "set by the \(source)"
            }
        }
        return nil
    }

    /// The flags before a command, without those that all commands with settings have and this one does not.
    private static func withoutCommonFlags(_ flags: [String]) -> [String] {
        let names = Set(CommonOptions.settingNames.map { "--" + $0 })
        var rest: [String] = []
        var isValue = false
        for flag in flags {
            if isValue {
                isValue = false
            } else if names.contains(flag) {
                isValue = true
            } else if !names.contains(String(flag.prefix { $0 != "=" })) {
                rest.append(flag)
            }
        }
        return rest
    }

    private static func withSwitchValues(_ line: [String]) -> [String] {
        line.enumerated().map { index, argument in
            guard switches.contains(argument) else { return argument }
            let next = index + 1 < line.count ? line[index + 1].lowercased() : ""
            // `--resolve-tags false` has a value; any other word belongs to the rest of the line.
            return ["true", "false"].contains(next) ? argument : argument + "=true"
        }
    }

    /// The value of the last occurrence of a flag.
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
