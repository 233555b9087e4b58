import ArgumentParser
import Testing

@testable import spegel

/// The settings that each command declares, held against the flags that the parser knows.
struct SettingTests {
    /// Flags that make sense on the command line alone.
    static let lineOnly: [String: Set<String>] = [
        "registry": ["print-config"], "cleanup": ["print-config"], "cleanup-wait": ["print-config"],
        "configuration": ["print-config", "check", "dry-run", "format", "output", "address"],
    ]

    /// What a command does not work without.
    static let required = [
        "cleanup": ["addr": ":1"], "cleanup-wait": ["probe-endpoint": "h:1"],
        "configuration": ["mirror-targets": "http://h:1"],
    ]

    /// A value that is not the default, by the name of the setting or of its value.
    static let samples = [
        "static-bootstrap-peers": "/ip4/10.0.0.7/tcp/77", "provider-ttl": "11m",
        "addr": ":77", "address": ":77", "host:port": "h:77", "time": "7s", "count": "7", "dir": "/x", "path": "/x",
        "name": "x", "prefix": "/x", "url": "http://h:77", "regex": "x", "range": "10.0.0.0/8", "rate": "7MB",
        "ip": "10.0.0.7", "kind": "kubernetes", "level": "debug", "format": "json", "when": "always",
        "order": "fresh", "file": "/x", "form": "plain",
    ]

    @Test func everyFlagIsASetting() throws {
        for command in try CommandInfo.spegel().subcommands ?? [] {
            let type = Spegel.configuration.subcommands.first { $0.configuration.commandName == command.commandName }
            guard let settable = type as? any SettableCommand.Type else { continue }
            let lineOnly = Self.lineOnly[command.commandName] ?? []
            #expect(Set(command.shown.compactMap(\.longName)) == lineOnly.union(settable.settingNames))
            #expect(Set(settable.settingNames).count == settable.settingNames.count)
        }
    }

    @Test func eachSettingShowsTheValueOfItsOwnFlag() throws {
        for command in try CommandInfo.spegel().subcommands ?? [] where Self.lineOnly[command.commandName] != nil {
            let standard = try settings(of: command.commandName, [:])
            for argument in command.shown {
                guard let name = argument.longName, standard[name] != nil else { continue }
                let sample =
                    argument.valueName == "bool"
                    ? (argument.defaultValue == "true" ? "false" : "true")
                    : try #require(Self.samples[name] ?? Self.samples[argument.valueName ?? ""], "\(name)")
                var expected = standard
                expected[name] = argument.isRepeating ? .list([sample]) : .one(sample)
                #expect(expected != standard, "\(name)")
                #expect(try settings(of: command.commandName, [name: sample]) == expected, "\(name)")
            }
        }
    }

    /// What the parser cannot read, it explains with the form that it expects.
    @Test func invalidValuesAreExplained() throws {
        var explained: Set<String> = []
        for command in try CommandInfo.spegel().subcommands ?? [] {
            for argument in command.shown where argument.kind == "option" {
                guard let name = argument.longName, let value = argument.valueName else { continue }
                var line = [command.commandName, "--\(name)=! !"]
                if command.commandName == "pull" || command.commandName == "resolve" { line.append("a/b:c") }
                for (flag, sample) in Self.required[command.commandName] ?? [:] where flag != name {
                    line.append("--\(flag)=\(sample)")
                }
                do {
                    _ = try Spegel.parseAsRoot(line)
                } catch {
                    let message = ExpectedValue.message(for: error)
                    guard message.contains("is invalid for") else { continue }
                    #expect(
                        message.contains(": expected ") || message.contains(". Please provide one of "),
                        "\(message)"
                    )
                    explained.insert(value)
                }
            }
        }
        #expect(explained.isSuperset(of: ["addr", "address", "bool", "count", "host:port", "rate", "time", "url"]))
    }

    /// The settings of a command with these flags.
    private func settings(of name: String, _ flags: [String: String]) throws -> [String: SettingValue] {
        let all = (Self.required[name] ?? [:]).merging(flags) { $1 }
        let command = try Spegel.parseAsRoot([name] + all.map { "--\($0)=\($1)" })
        let settable = try #require(command as? any SettableCommand)
        return values(of: settable)
    }

    private func values<Command: SettableCommand>(of command: Command) -> [String: SettingValue] {
        let settings = EffectiveSettings(of: command)
        return Dictionary(uniqueKeysWithValues: Command.settingNames.map { ($0, settings[$0] ?? .none) })
    }
}
