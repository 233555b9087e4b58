import ArgumentParser
import FoundationEssentials
import Glibc

/// Feeds parsers of untrusted input with mutations.
#if !LIBFUZZER
    @main
#endif
struct SpegelFuzz: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spegel-fuzz",
        abstract: "Feed parsers with seeded mutations of valid inputs.",
        discussion: """
            When a parser traps, hangs or breaks a promise, the input is kept in a file, and the command to repeat it \
            is printed.
            """
    )

    @Option(help: "The number of inputs of each target. Expensive targets get a stated part of them.")
    var inputs = 100_000

    @Option(help: "The seed of the inputs, random by default. It is printed.")
    var seed: UInt64?

    @Option(help: ArgumentHelp("The folder of valid inputs.", valueName: "dir"))
    var corpus = "Fuzz/Corpus"

    @Option(help: ArgumentHelp("The folder for an input that a parser fails on.", valueName: "dir"))
    var failures = ".cache/fuzz"

    @Option(help: ArgumentHelp("Write the valid inputs to a folder without fuzzing.", valueName: "dir"))
    var writeCorpus: String?

    @Option(help: ArgumentHelp("Feed an input from a file to one target.", valueName: "file"))
    var replay: String?

    @Flag(help: "List the targets.")
    var list = false

    @Argument(help: "The targets; all by default.")
    var targets: [String] = []

    func validate() throws {
        guard inputs > 0 else { throw ValidationError("expected a positive number of inputs") }
        for name in targets where !FuzzTarget.all.contains(where: { $0.name == name }) {
            throw ValidationError("unknown target \(name); see --list")
        }
        if replay != nil, targets.count != 1 { throw ValidationError("expected exactly one target with --replay") }
    }

    func run() throws {
        let chosen = FuzzTarget.all.filter { targets.isEmpty || targets.contains($0.name) }
        if list {
            for target in chosen { print(target.name) }
        } else if let writeCorpus {
            for target in chosen { try Corpus(folder: writeCorpus).write(target) }
        } else if let replay, let target = chosen.first {
            let input = Array(try Data(contentsOf: URL(filePath: replay)))
            print("\(target.name): \(target.run(input) ? "valid" : "rejected")")
        } else {
            try fuzz(chosen)
        }
    }

    private func fuzz(_ chosen: [FuzzTarget]) throws {
        let seed = seed ?? UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        MemoryGauge.limitAddressSpace(to: 2 << 30)
        try FileManager.default.createDirectory(atPath: failures, withIntermediateDirectories: true)
        for target in chosen {
            let run = FuzzRun(
                target: target,
                corpus: try Corpus(folder: corpus).inputs(of: target),
                seed: seed,
                count: max(1, inputs / target.divisor),
                recordPath: "\(failures)/\(target.name)-\(getpid()).input"
            )
            print(try run.run())
            // Flush now, because the next target may end the program.
            fflush(nil)
        }
    }
}

extension FuzzTarget {
    /// All targets, in the order of the layers.
    static let all =
        multiformats + identity + membership + negotiation + noise + tls + yamux + kademlia + swarm + oci + documents
        + http
}
