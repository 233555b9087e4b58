import ArgumentParser
import Membership

/// `spegel key`
struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Print a new cluster key.",
        discussion: "Example: spegel key > /etc/spegel/cluster-key, and that file on all nodes"
    )

    func run() {
        print(ClusterKey.makeLine())
    }
}
