internal import FoundationEssentials

/// How a containerd is set up, as far as it can be told: `nil` for what is not known.
public struct ContainerdSetup: Hashable, Sendable {
    /// The version as containerd writes it, such as `1.6.20` or `v2.1.4`.
    public var version: String
    /// Whether it pulls images for a kubelet at all (its CRI plugin runs).
    public var hasCRI: Bool
    /// The folders in which it looks for registry configuration; an empty text when none is set.
    public var registryConfigPath: String?
    /// Whether it throws away layers once they are unpacked, which then cannot be shared.
    public var discardsUnpackedLayers: Bool?
    /// The version of the format of its configuration file, where that has been read.
    public var configurationVersion: Int?
    /// Its content folder, as containerd itself sees the path.
    public var contentPath: String?
    /// The process, where it can be looked up from here: containerd and this program are in one pid namespace.
    public var processID: Int32?

    /// Makes a set-up of which only the version is known.
    public init(version: String) {
        self.version = version
        hasCRI = false
    }

    /// The first numbers of the version; 0 where there are none.
    public var versionNumbers: (major: Int, minor: Int) {
        let numbers = version.drop { !$0.isNumber }.split { !$0.isNumber }.prefix(2).map { Int($0) ?? 0 }
        return (numbers.first ?? 0, numbers.count > 1 ? numbers[1] : 0)
    }

    /// Adds what the CRI plugin tells of its configuration: JSON under `config`, which up to containerd 1.7 holds
    /// everything, and from 2.0 on only what concerns running containers; under `imageconfig` the rest, where a
    /// containerd tells it.
    mutating func add(criInfo info: [String: String]) {
        for key in ["config", "imageconfig"] {
            guard let json = info[key], let told = try? JSONDecoder().decode(Told.self, from: Data(json.utf8)) else {
                continue
            }
            registryConfigPath = told.registry?.configPath ?? registryConfigPath
            discardsUnpackedLayers =
                told.containerd?.discardUnpackedLayers ?? told.discardUnpackedLayers ?? discardsUnpackedLayers
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
        }

        var registry: Registry?
        var containerd: Containerd?
        var discardUnpackedLayers: Bool?
        var containerdRootDir: String?
    }
}
