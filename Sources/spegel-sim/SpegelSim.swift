import ArgumentParser
import Simulation

/// Runs many nodes in virtual time and reports the cost and success of discovery, and the speed of crowds.
@main
struct SpegelSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spegel-sim",
        abstract: "Run the discovery of up to ten thousand nodes in virtual time, and report its cost and success.",
        discussion: """
            Each report prints a table, and writes it as NAME.csv beside a plot, NAME.svg. The nodes run the same code \
            as real ones. The same seed gives the same report.

            Example: spegel-sim churn --nodes 1000 --replaced 10 --output docs/scale
            """,
        subcommands: [
            SizeCommand.self, KeysCommand.self, ChurnCommand.self, PartitionCommand.self, MaliciousCommand.self,
            SwarmCommand.self,
        ]
    )
}

struct SizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "size",
        abstract: "Lookups and upkeep in networks of different sizes."
    )

    @Option(help: "The sizes, in nodes.", transform: numbers)
    var nodes = [10, 100, 1000]
    @Option(help: "The keys that each node provides.")
    var keys = 10
    @Option(help: "The lookups at each size.")
    var lookups = 5000
    @OptionGroup var common: CommonOptions

    func run() throws {
        var scenario = SizeScenario(settings: try common.settings())
        (scenario.sizes, scenario.keysPerNode, scenario.lookups) = (nodes, keys, lookups)
        try common.run(scenario)
    }

    func validate() throws {
        try require(nodes.allSatisfy { $0 > 1 } && keys > 0 && lookups > 0, "--nodes, --keys and --lookups")
    }
}

struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "The cost of advertising many keys, compared with one lookup for each key."
    )

    @Option(help: "The size of the network.")
    var nodes = 1000
    @Option(help: "The number of keys of each provider.", transform: numbers)
    var keys = [100, 1000, 10_000]
    @Option(help: "The number of providers. A record takes about 70 bytes, and each key has 20.")
    var providers = 20
    @OptionGroup var common: CommonOptions

    func run() throws {
        var scenario = KeysScenario(settings: try common.settings())
        (scenario.nodes, scenario.keysPerNode, scenario.providers) = (nodes, keys, providers)
        try common.run(scenario)
    }

    func validate() throws {
        try require(nodes > 1 && keys.allSatisfy { $0 > 0 } && providers > 0, "--nodes, --keys and --providers")
    }
}

struct ChurnCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "churn",
        abstract: "Lookups while nodes vanish and new ones join."
    )

    @Option(help: "The size of the network.")
    var nodes = 1000
    @Option(help: "The percentages of nodes that are replaced per minute.", transform: numbers)
    var replaced = [0, 1, 10]
    @Option(help: "The keys that each node provides.")
    var keys = 3
    @Option(help: "The duration in minutes.")
    var minutes = 15
    @Option(help: "The lookups per minute.")
    var lookups = 500
    @Flag(help: "Nodes withdraw their records before they leave.")
    var clean = false
    @OptionGroup var common: CommonOptions

    func run() throws {
        var scenario = ChurnScenario(settings: try common.settings())
        (scenario.nodes, scenario.keysPerNode, scenario.minutes) = (nodes, keys, minutes)
        scenario.shares = replaced.map { Double($0) / 100 }
        scenario.lookupsPerMinute = lookups
        scenario.departure = clean ? .clean : .vanishing
        try common.run(scenario)
    }

    func validate() throws {
        try require(
            nodes > 1 && replaced.allSatisfy { (0...100).contains($0) } && keys > 0 && minutes > 0 && lookups > 0,
            "--nodes, --replaced, --keys, --minutes and --lookups"
        )
    }
}

struct PartitionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "partition",
        abstract: "Lookups while the network is cut in two, and afterwards."
    )

    @Option(help: "The size of the network.")
    var nodes = 1000
    @Option(help: "The keys that each node provides.")
    var keys = 3
    @Option(help: "The duration of the cut in minutes.")
    var minutes = 5
    @OptionGroup var common: CommonOptions

    func run() throws {
        var scenario = PartitionScenario(settings: try common.settings())
        (scenario.nodes, scenario.keysPerNode, scenario.minutes) = (nodes, keys, minutes)
        try common.run(scenario)
    }

    func validate() throws {
        try require(nodes > 1 && keys > 0 && minutes > 0, "--nodes, --keys and --minutes")
    }
}

struct MaliciousCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "malicious",
        abstract: "Lookups while a share of the nodes attacks."
    )

    @Option(help: "The size of the network.")
    var nodes = 1000
    @Option(help: "The percentage of attackers.")
    var attackers = 30
    @Option(help: "The keys that each node provides.")
    var keys = 3
    @OptionGroup var common: CommonOptions

    func run() throws {
        var scenario = MaliciousScenario(settings: try common.settings())
        (scenario.nodes, scenario.keysPerNode) = (nodes, keys)
        scenario.share = Double(attackers) / 100
        try common.run(scenario)
    }

    func validate() throws {
        try require(nodes > 1 && keys > 0 && (0...90).contains(attackers), "--nodes, --keys and --attackers (to 90)")
    }
}

struct SwarmCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swarm",
        abstract: "Crowds that pull the same content, beside a star, a chain and a tree."
    )

    @Option(help: "The sizes of the crowds.", transform: numbers)
    var nodes = [10, 50, 200, 1000]
    @Flag(help: "Run the cases with faults, with the first of the sizes, instead of those without.")
    var faults = false
    @Option(help: "The bytes that a source gets before it hands on the first of them.")
    var hop = 262_144
    @OptionGroup var common: CommonOptions

    func run() throws {
        var scenario = SwarmScenario(settings: try common.settings())
        (scenario.sizes, scenario.nodes, scenario.hop) = (nodes, nodes.first ?? 50, Int64(hop))
        scenario.cases = faults ? .faults : .sizes
        try common.run(scenario)
    }

    func validate() throws {
        try require(
            !nodes.isEmpty && nodes.allSatisfy { (2...20_000).contains($0) } && (4096...(64 << 20)).contains(hop),
            "--nodes (to 20000) and --hop"
        )
    }
}
