internal import FoundationEssentials

/// The configuration of a containerd, with `nil` for unknown values.
public struct ContainerdSetup: Hashable, Sendable {
    /// The version in containerd's own form, such as `1.6.20` or `v2.1.4`.
    public var version: String
    /// Whether it pulls images for a kubelet: its CRI plugin runs.
    public var hasCRI: Bool
    /// The folders of its registry configuration; empty when none is set.
    public var registryConfigPath: String?
    /// Whether it discards layers after unpacking. Discarded layers cannot be shared.
    public var discardsUnpackedLayers: Bool?
    /// The snapshotter for pulled images.
    public var snapshotter: String?
    /// The version of its configuration file's format.
    public var configurationVersion: Int?
    /// Its content folder, as containerd sees the path.
    public var contentPath: String?
    /// Its process id, known if containerd and this program share a pid namespace.
    public var processID: Int32?

    /// Creates a set-up with a known version only.
    public init(version: String) {
        self.version = version
        hasCRI = false
    }

    /// The major and minor version; 0 for a missing number.
    public var versionNumbers: (major: Int, minor: Int) {
        let numbers = version.drop { !$0.isNumber }.split { !$0.isNumber }.prefix(2).map { Int($0) ?? 0 }
        return (numbers.first ?? 0, numbers.count > 1 ? numbers[1] : 0)
    }

    /// Adds the CRI plugin's configuration: JSON under `config` and `imageconfig`. Up to containerd 1.7 `config` has
    /// everything; from 2.0 on it has only the settings of running containers.
    mutating func add(criInfo info: [String: String]) {
        for key in ["config", "imageconfig"] {
            guard let json = info[key], let told = try? JSONDecoder().decode(Told.self, from: Data(json.utf8)) else {
                continue
            }
            registryConfigPath = told.registry?.configPath ?? registryConfigPath
            discardsUnpackedLayers =
                told.containerd?.discardUnpackedLayers ?? told.discardUnpackedLayers ?? discardsUnpackedLayers
            snapshotter = told.containerd?.snapshotter ?? told.snapshotter ?? snapshotter
            if contentPath == nil, let root = told.containerdRootDir, !root.isEmpty {
                contentPath = root + "/io.containerd.content.v1.content"
            }
        }
    }

    private struct Told: Decodable {
        struct Registry: Decodable {
            var configPath: String?
        }

        struct Containerd: Decodable {
            var discardUnpackedLayers: Bool?
            var snapshotter: String?
        }

        var registry: Registry?
        var containerd: Containerd?
        var discardUnpackedLayers: Bool?
        var snapshotter: String?
        var containerdRootDir: String?
    }
}
