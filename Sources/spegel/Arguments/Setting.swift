import ArgumentParser

/// A flag that a variable and the configuration file can set too: its name, and where a parsed command keeps its value.
struct Setting<Options: ParsableArguments>: Sendable {
    /// The long name of the flag, without dashes.
    let name: String
    private let read: @Sendable (Options) -> SettingValue

    /// A flag that always has a value.
    init(_ name: String, _ value: any KeyPath<Options, some ExpressibleByArgument> & Sendable) {
        self.name = name
        read = { .one($0[keyPath: value].defaultValueDescription) }
    }

    /// A flag that may have no value.
    init(_ name: String, optional value: any KeyPath<Options, (some ExpressibleByArgument)?> & Sendable) {
        self.name = name
        read = { $0[keyPath: value].map { .one($0.defaultValueDescription) } ?? .none }
    }

    /// A flag that takes a list.
    init(_ name: String, list value: any KeyPath<Options, [String]> & Sendable) {
        self.name = name
        read = { .list($0[keyPath: value]) }
    }

    /// The flags of a group of options.
    static func group<Group: SettableOptions>(_ group: any KeyPath<Options, Group> & Sendable) -> [Setting] {
        Group.settings.map { setting in
            Setting(name: setting.name) { setting.value(in: $0[keyPath: group]) }
        }
    }

    private init(name: String, read: @escaping @Sendable (Options) -> SettingValue) {
        self.name = name
        self.read = read
    }

    /// The value that a parsed command has.
    func value(in options: Options) -> SettingValue { read(options) }
}

/// The value of a setting: one text, several, or none at all.
enum SettingValue: Hashable {
    case none
    case one(String)
    case list([String])
}

/// Options with settings among them. A test holds the settings against the flags that the parser knows, so that a new
/// flag cannot be left out.
protocol SettableOptions: ParsableArguments {
    /// The settings, in the order in which they are printed.
    static var settings: [Setting<Self>] { get }
}

/// A command whose flags can be set by environment variables and in the configuration file.
protocol SettableCommand: ParsableCommand, SettableOptions {
    /// The settings whose values must not be shown.
    static var secretSettings: Set<String> { get }
    /// What every command takes.
    var common: CommonOptions { get }
}

extension SettableCommand {
    static var secretSettings: Set<String> { [] }
}

extension SettableOptions {
    /// The long names of the settings, without dashes.
    static var settingNames: [String] { settings.map(\.name) }
}
