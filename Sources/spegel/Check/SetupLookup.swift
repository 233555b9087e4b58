import ContainerdStore
import NodeConfiguration

/// Completes containerd's own answers with its configuration file: from 2.0 on containerd does not report how it pulls
/// images.
enum SetupLookup {
    /// The place of a containerd's configuration file.
    struct Place: Hashable {
        /// The path in containerd's own file system.
        var path: String
        /// The prefix of containerd's file system here.
        var root = ""
    }

    /// The place of the file; `nil` if it is unknown.
    static func place(_ setup: ContainerdSetup, socket: String) -> Place? {
        if let processID = setup.processID, let path = ContainerdConfigurationFile.path(ofProcess: processID) {
            return Place(path: path, root: "/proc/\(processID)/root")
        }
        return socket == ContainerdStore.Defaults.socketPath ? Place(path: usualPath) : nil
    }

    static let usualPath = "/etc/containerd/config.toml"

    /// Adds the file's values where containerd reported none.
    static func add(_ file: ContainerdConfigurationFile, to setup: inout ContainerdSetup) {
        setup.configurationVersion = file.version
        if setup.registryConfigPath == nil {
            // From 2.2 on there is a default, unless the file has the old tables.
            let hasDefault = setup.versionNumbers >= (2, 2) && !file.hasOldMirrors
            setup.registryConfigPath = file.registryConfigPath ?? (hasDefault ? nil : "")
        }
        setup.snapshotter = setup.snapshotter ?? file.snapshotter
        setup.discardsUnpackedLayers = setup.discardsUnpackedLayers ?? file.discardsUnpackedLayers ?? false
    }
}

extension ContainerdSetup {
    /// How this containerd reads hosts.toml files.
    var hostsReader: HostsReader {
        switch versionNumbers.major {
        case 1: .version1
        case 2...: .version2
        default: .any
        }
    }
}
