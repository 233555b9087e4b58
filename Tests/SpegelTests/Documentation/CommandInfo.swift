import ArgumentParser
import FoundationEssentials

@testable import spegel

/// A command as the argument parser describes it.
struct CommandInfo: Decodable {
    struct Argument: Decodable {
        struct Name: Decodable {
            var kind: String
            var name: String
        }

        var kind: String
        var isOptional: Bool
        var isRepeating: Bool
        var names: [Name]?
        var valueName: String?
        var defaultValue: String?
        var allValues: [String]?
        var abstract: String?

        /// What it is for, and the values that it takes where they are few.
        var meaning: String {
            guard let allValues, !allValues.isEmpty else { return abstract ?? "" }
            return "\(abstract ?? "") One of \(allValues.joined(separator: ", "))."
        }

        /// The long name without dashes; `nil` for what has none.
        var longName: String? { names?.first { $0.kind == "long" }?.name }
    }

    var commandName: String
    var abstract: String?
    var discussion: String?
    var subcommands: [CommandInfo]?
    var arguments: [Argument]?

    /// The program, with all its commands but the parser's own.
    static func spegel() throws -> CommandInfo {
        struct Tool: Decodable {
            var command: CommandInfo
        }
        var request: (any Error)?
        do { _ = try Spegel.parseAsRoot(["--experimental-dump-help"]) } catch { request = error }
        let text = request.map { Spegel.fullMessage(for: $0) } ?? ""
        var command = try JSONDecoder().decode(Tool.self, from: Data(text.utf8)).command
        command.subcommands?.removeAll { $0.commandName == "help" }
        return command
    }

    /// What a person may write behind the command, in the order of `--help-hidden`.
    var shown: [Argument] {
        (arguments ?? []).filter { $0.longName != "help" && $0.longName != "version" }
    }

    /// The discussion without its examples, and these.
    var parts: (text: String, examples: [String]) {
        var text: [String] = []
        var examples: [String] = []
        for paragraph in (discussion ?? "").components(separatedBy: "\n\n") {
            if paragraph.hasPrefix("Example: ") {
                examples.append(String(paragraph.dropFirst(9)))
            } else if !paragraph.isEmpty {
                text.append(paragraph)
            }
        }
        return (text.joined(separator: "\n\n"), examples)
    }
}

extension String {
    fileprivate func components(separatedBy separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: separator) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}
