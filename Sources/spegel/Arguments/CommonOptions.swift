import ArgumentParser
import Logging
import Monitoring

/// What every command takes.
struct CommonOptions: SettableOptions {
    @Option(help: ArgumentHelp("How much to log.", valueName: "level"))
    var logLevel: Logger.Level = .info

    @Option(help: ArgumentHelp("Text on a terminal, else json.", valueName: "format"))
    var logFormat: LogFormat?

    @Option(
        help: ArgumentHelp("A YAML file; flags and variables win.", valueName: "path")
    )
    var config: String?

    @Flag(help: "Only print all settings and where each comes from.")
    var printConfig = false

    static let settings: [Setting<Self>] = [
        Setting("log-level", \.logLevel),
        Setting("log-format", optional: \.logFormat),
        Setting("config", optional: \.config),
    ]

    /// Where log lines go.
    func logOutput() -> LogOutput {
        LogOutput(format: logFormat ?? .automatic)
    }
}

extension LogFormat: ExpressibleByArgument {}
