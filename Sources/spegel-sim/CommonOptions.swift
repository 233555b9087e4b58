import ArgumentParser
import Glibc
import Simulation

/// The options of all reports.
struct CommonOptions: ParsableArguments {
    @Option(help: "The seed of all randomness.")
    var seed: UInt64 = 1
    @Option(help: "The folder for the CSV file and the plot. Without it none are written.")
    var output: String?
    @Option(help: "The median one-way latency of a message, in microseconds.")
    var latency = 250
    @Option(help: "The percentage of messages that are lost and resent.")
    var loss = 0.1
    @Option(help: "The uplink bandwidth of a node, in Mbit/s.")
    var bandwidth = 1000.0
    @Flag(help: "Print no progress.")
    var quiet = false

    func validate() throws {
        try require(latency >= 0 && (0...50).contains(loss) && bandwidth > 0, "--latency, --loss and --bandwidth")
    }

    /// The settings of the network.
    func settings() throws -> SimulatedNetwork.Settings {
        var settings = SimulatedNetwork.Settings()
        settings.seed = seed
        settings.model.medianLatency = .microseconds(latency)
        settings.model.loss = loss / 100
        settings.model.bandwidth = bandwidth * 1e6
        return settings
    }

    /// Runs a scenario, prints its report, and writes it to the folder if one is set.
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
            throw ValidationError("cannot create \(output): \(String(cString: strerror(errno))).")
        }
        try write(report.csv, to: "\(output)/\(report.name).csv")
        if let svg = report.svg { try write(svg, to: "\(output)/\(report.name).svg") }
    }

    private func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else {
            throw ValidationError("cannot write \(path): \(String(cString: strerror(errno))).")
        }
        let isWritten = fputs(text, file) >= 0
        guard fclose(file) == 0, isWritten else { throw ValidationError("cannot write \(path) in full.") }
    }
}

/// Parses comma-separated numbers.
func numbers(_ text: String) throws -> [Int] {
    try text.split(separator: ",").map { part in
        guard let number = Int(part) else {
            throw ValidationError("expected comma-separated whole numbers, got '\(text)'.")
        }
        return number
    }
}

/// Rejects a command line with invalid numbers.
func require(_ condition: Bool, _ options: String) throws {
    guard condition else { throw ValidationError("expected positive numbers in a sensible range for \(options).") }
}

/// Writes a line to standard error.
func printError(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = Glibc.write(STDERR_FILENO, line, line.count)
}
