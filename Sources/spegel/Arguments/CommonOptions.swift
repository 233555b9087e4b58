import ArgumentParser
import Logging
import Monitoring

/// What every command takes.
struct CommonOptions: ParsableArguments {
    @Option(help: "How much to log: trace, debug, info, notice, warning, error or critical.")
    var logLevel: Logger.Level = .info

    @Option(help: "How log lines look: text or json; by default text on a terminal, json elsewhere.")
    var logFormat: LogFormat?

    @Option(
        help: ArgumentHelp("A YAML file with settings; flags and environment variables win.", valueName: "path")
    )
    var config: String?

    @Flag(help: "Print all settings and where each comes from, and do nothing else.")
    var printConfig = false

    static let settings = ["log-level", "log-format", "config"]

    /// Where log lines go.
    func logOutput() -> LogOutput {
        LogOutput(format: logFormat ?? .automatic)
    }
}

extension LogFormat: ExpressibleByArgument {}
