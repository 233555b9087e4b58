import ArgumentParser

/// The command line as the parser gets it: flags that come before the command are moved behind it, a switch without
/// a value is given one, and what is not on the line is taken from the environment.
///
/// So `spegel --log-level debug registry --resolve-tags` means what it means elsewhere, and each setting is parsed
/// and checked in one place, wherever it comes from.
struct PreparedArguments {
    /// What to parse.
    private(set) var arguments: [String]
    /// The command in use, for messages: `spegel registry`.
    let commandPath: String
    /// The variables that were used, by their flags.
    private var variables: [String: String] = [:]

    /// Switches that may be written without a value, meaning true.
    private static let switches: Set<String> = ["--resolve-tags", "--prepend-existing", "--strict"]

    init(arguments: [String], environment: [String: String], root: any ParsableCommand.Type) {
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
        let before = arguments[..<position]
        let after = arguments[(position + 1)...]
        var line = Self.withSwitchValues(Array(before + after))
        let given = Set(line.compactMap { $0.hasPrefix("--") ? String($0.prefix { $0 != "=" }) : nil })
        for name in Self.settings(of: command) {
            let variable = name.uppercased().replacing("-", with: "_")
            let flag = "--" + name
            guard !given.contains(flag), let value = environment[variable], !value.isEmpty else { continue }
            line.append("\(flag)=\(value)")
            variables[flag] = variable
        }
        self.arguments = [arguments[position]] + line
        commandPath = "spegel " + arguments[position]
    }

    /// Says that a message is about a value that came from the environment, where it does.
    func note(onMessage message: String) -> String? {
        for (flag, variable) in variables where message.contains("'\(flag)") || message.contains(" \(flag) ") {
            return "set by the environment variable \(variable)"
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

    private static func settings(of command: any ParsableCommand.Type) -> [String] {
        (command as? any SettableCommand.Type)?.settings ?? []
    }
}

/// A command whose flags can be set by environment variables.
protocol SettableCommand: ParsableCommand {
    /// The long names of these flags, without dashes.
    static var settings: [String] { get }
}
