import ArgumentParser
import Glibc
import Simulation

/// What all reports have in common.
struct CommonOptions: ParsableArguments {
    @Option(help: "What everything random follows from.")
    var seed: UInt64 = 1
    @Option(help: "The folder for the CSV file and the plot; none are written without.")
    var output: String?
    @Option(help: "The median time of a message on its way, in microseconds.")
    var latency = 250
    @Option(help: "The percentage of messages that are lost and sent again.")
    var loss = 0.1
    @Option(help: "What a node can send, in Mbit/s.")
    var bandwidth = 1000.0
    @Flag(help: "Say nothing about the progress.")
    var quiet = false

    func validate() throws {
        try require(latency >= 0 && (0...50).contains(loss) && bandwidth > 0, "--latency, --loss and --bandwidth")
    }

    /// The network that was asked for.
    func settings() throws -> SimulatedNetwork.Settings {
        var settings = SimulatedNetwork.Settings()
        settings.seed = seed
        settings.model.medianLatency = .microseconds(latency)
        settings.model.loss = loss / 100
        settings.model.bandwidth = bandwidth * 1e6
        return settings
    }

    /// Runs a scenario; prints its report, and writes it if that was asked for.
    func run(_ scenario: some Scenario) throws {
        let start = ContinuousClock.now
        let report = scenario.run { text in
            guard !quiet else { return }
            let seconds = Int((ContinuousClock.now - start).components.seconds)
            printError("[\(seconds) s] \(text)")
        }
        print(report.title + "\n\n" + report.text, terminator: "")
        guard let output else { return }
        guard mkdir(output, 0o777) == 0 || errno == EEXIST else {
            throw ValidationError("\(output) could not be made: \(String(cString: strerror(errno))).")
        }
        try write(report.csv, to: "\(output)/\(report.name).csv")
        if let svg = report.svg { try write(svg, to: "\(output)/\(report.name).svg") }
    }

    private func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else {
            throw ValidationError("\(path) could not be written: \(String(cString: strerror(errno))).")
        }
        let isWritten = fputs(text, file) >= 0
        guard fclose(file) == 0, isWritten else { throw ValidationError("\(path) could not be written in full.") }
    }
}

/// Reads numbers with commas between them.
func numbers(_ text: String) throws -> [Int] {
    try text.split(separator: ",").map { part in
        guard let number = Int(part) else {
            throw ValidationError("expected whole numbers with commas between them, got '\(text)'.")
        }
        return number
    }
}

/// Refuses a command line whose numbers make no sense.
func require(_ condition: Bool, _ options: String) throws {
    guard condition else { throw ValidationError("\(options) must be positive and within reason.") }
}

/// Writes a line to standard error.
func printError(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = Glibc.write(STDERR_FILENO, line, line.count)
}
