import ArgumentParser

@testable import spegel

/// The text of docs/configuration.md: every flag with its variable, its key in a file and its default.
enum ConfigurationReference {
    static func text(_ program: CommandInfo) -> String {
        var text = """
            # Configuration reference

            Made from the program's own help by `make docs`: do not edit.

            Spegel takes a setting from its flag, else from its environment variable, else from the YAML file that
            `--config` names; otherwise it has its default. In the file a setting has the name of the flag without
            leading dashes. One file can serve all commands:

            ```yaml
            registry-addr: ":5000"
            mirrored-registries:
              - https://docker.io
            resolve-tags: true
            ```

            `--print-config` prints all settings of a command with their sources, in the form of such a file.

            | value | form |
            |---|---|
            | list | items separated by blanks or commas, or a repeated flag |
            | time | `20ms`, `1.5s`, `1m30s` |
            | rate | `100MB`, `100MiB`, `1Gbit`: [access.md](access.md#limit-transfers) |
            | regex | RE2; it matches anywhere in the text: `:latest$` |
            | bool | `true` or `false` |

            A flag without a variable below is for the command line only. `spegel completions` makes a shell complete
            commands and flags, and docs/spegel.1 has this reference as a manual page (`man docs/spegel.1`).

            | command | what it does |
            |---|---|

            """
        let commands = program.subcommands ?? []
        for command in commands {
            text +=
                "| [`spegel \(command.commandName)`](#spegel-\(command.commandName)) | \(escaped(command.abstract ?? "")) |\n"
        }
        text += """

            `--help` of each command fits a screen; `spegel registry --help-hidden` lists its rare flags too.

            Exit codes: 0 for success, 64 for a wrong command line, 1 for everything else.

            """
        for command in commands { text += section(command) }
        return text
    }

    private static func section(_ command: CommandInfo) -> String {
        let (discussion, examples) = command.parts
        var text = "\n## spegel \(command.commandName)\n\n\(escaped(command.abstract ?? ""))"
        if !discussion.isEmpty { text += " " + escaped(discussion) }
        text += "\n"
        for example in examples { text += "\n```\n\(example)\n```\n" }
        guard !command.shown.isEmpty else { return text }
        let type = Spegel.configuration.subcommands.first { $0.configuration.commandName == command.commandName }
        let settings = Set((type as? any SettableCommand.Type)?.settingNames ?? [])
        text += "\n| flag | variable | in a file | default | meaning |\n|---|---|---|---|---|\n"
        for argument in command.shown {
            let name = argument.longName
            let isSetting = name.map { settings.contains($0) } ?? false
            let cells = [
                flag(argument),
                isSetting ? "`\((name ?? "").uppercased().replacing("-", with: "_"))`" : "",
                isSetting && name != "config" ? "`\(name ?? "")`" : "",
                argument.defaultValue.flatMap { $0.isEmpty ? nil : "`\($0)`" }
                    ?? (isRequired(argument) ? "required" : ""),
                escaped(argument.meaning),
            ]
            text += "| " + cells.joined(separator: " | ") + " |\n"
        }
        return text
    }

    private static func isRequired(_ argument: CommandInfo.Argument) -> Bool {
        !argument.isOptional && argument.kind != "flag"
    }

    private static func flag(_ argument: CommandInfo.Argument) -> String {
        let value = "<\(argument.valueName ?? "value")>"
        let more = argument.isRepeating ? " …" : ""
        switch argument.kind {
        case "positional": return "`\(value)\(more)`"
        case "flag": return "`--\(argument.longName ?? "")`"
        default: return "`--\(argument.longName ?? "") \(value)\(more)`"
        }
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\n", with: " ").replacing("|", with: "\\|").replacing("*", with: "\\*")
            .replacing("_default", with: "`_default`").replacing("_backup", with: "`_backup`")
    }
}
