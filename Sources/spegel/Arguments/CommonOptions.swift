import ArgumentParser
import Logging
import Monitoring

/// The options that every command has.
struct CommonOptions: SettableOptions {
    @Option(help: ArgumentHelp("Lowest level to log.", valueName: "level"))
    var logLevel: Logger.Level = .info

    @Option(help: ArgumentHelp("Text on a terminal, else json.", valueName: "format"))
    var logFormat: LogFormat?

    @Option(
        help: ArgumentHelp("YAML file with settings; flags and variables win.", valueName: "path")
    )
    var config: String?

    @Flag(help: "Only print all settings and their sources.")
    var printConfig = false

    static let settings: [Setting<Self>] = [
        Setting("log-level", \.logLevel),
        Setting("log-format", optional: \.logFormat),
        Setting("config", optional: \.config),
    ]

    /// The output of log lines.
    func logOutput() -> LogOutput {
        LogOutput(format: logFormat ?? .automatic)
    }
}

extension LogFormat: ExpressibleByArgument {}
