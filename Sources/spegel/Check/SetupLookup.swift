import ContainerdStore
import NodeConfiguration

/// Adds to what a containerd tells of itself what its configuration file says: from 2.0 on containerd tells nothing of
/// how it pulls images.
enum SetupLookup {
    /// Where a containerd's configuration file is.
    struct Place: Hashable {
        /// The path as containerd sees it.
        var path: String
        /// What stands before all paths here.
        var root = ""
    }

    /// Where the file of a containerd is, as far as it can be found out.
    static func place(_ setup: ContainerdSetup, socket: String) -> Place? {
        if let processID = setup.processID, let path = ContainerdConfigurationFile.path(ofProcess: processID) {
            return Place(path: path, root: "/proc/\(processID)/root")
        }
        return socket == ContainerdStore.Defaults.socketPath ? Place(path: usualPath) : nil
    }

    static let usualPath = "/etc/containerd/config.toml"

    /// Fills in what is not known yet.
    static func add(_ file: ContainerdConfigurationFile, to setup: inout ContainerdSetup) {
        setup.configurationVersion = file.version
        if setup.registryConfigPath == nil {
            // From 2.2 on the usual folders are the default, unless the old tables are in use.
            let hasDefault = setup.versionNumbers >= (2, 2) && !file.hasOldMirrors
            setup.registryConfigPath = file.registryConfigPath ?? (hasDefault ? nil : "")
        }
        setup.discardsUnpackedLayers = setup.discardsUnpackedLayers ?? file.discardsUnpackedLayers ?? false
    }
}
