import ArgumentParser
import Logging

/// What every command takes.
struct CommonOptions: ParsableArguments {
    @Option(help: "How much to log: trace, debug, info, notice, warning, error or critical.")
    var logLevel: Logger.Level = .info

    static let settings = ["log-level"]

    /// A logger that writes lines of text to standard error.
    func logger() -> Logger {
        var logger = Logger(label: "spegel") { _ in TextLogHandler() }
        logger.logLevel = logLevel
        return logger
    }
}
