import ArgumentParser
import Membership

/// `spegel key`
struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Print a new cluster key.",
        discussion: "Example: spegel key > /etc/spegel/cluster-key"
    )

    func run() {
        print(ClusterKey.makeLine())
    }
}
