/// Finds what in a containerd's set-up keeps images from being shared, and says how to change it.
public struct SetupCheck: Hashable, Sendable {
    /// What is wrong.
    public enum Problem: Hashable, Sendable {
        /// containerd looks nowhere for registry configuration, so it never asks the mirror.
        case registryConfigPathMissing
        /// It looks elsewhere than where this program's configuration is written.
        case registryConfigPathDiffers(found: String)
        /// It throws away layers once they are unpacked.
        case layersAreDiscarded
        /// It holds this many images without any of their layers.
        case layersAreMissing(images: Int)
        /// The content folder is not there, or is not that of this containerd; what to do about it.
        case contentFolder(String)
    }

    /// The set-up that was looked at.
    public let setup: ContainerdSetup
    /// Where the registry configuration of this node is written.
    public let registryConfigPath: String
    /// What is wrong, the most important first; empty when nothing is.
    public private(set) var problems: [Problem] = []

    /// Looks for problems.
    ///
    /// - Parameters:
    ///   - setup: how containerd is set up, as far as it tells.
    ///   - registryConfigPath: the folder of the registry configuration, as containerd sees it.
    ///   - folderProblem: what is wrong with the content folder.
    ///   - imagesWithoutLayers: how many images have been found without any layer, which says something where
    ///     containerd does not tell whether it discards them.
    public init(
        _ setup: ContainerdSetup,
        registryConfigPath: String,
        folderProblem: String?,
        imagesWithoutLayers: Int
    ) {
        self.setup = setup
        self.registryConfigPath = registryConfigPath
        if let found = setup.registryConfigPath {
            let folders = found.split(separator: ":").map(Self.normalised)
            if folders.isEmpty {
                problems.append(.registryConfigPathMissing)
            } else if !folders.contains(Self.normalised(registryConfigPath[...])) {
                problems.append(.registryConfigPathDiffers(found: found))
            }
        }
        if setup.discardsUnpackedLayers == true {
            problems.append(.layersAreDiscarded)
        } else if setup.discardsUnpackedLayers == nil, imagesWithoutLayers > 0 {
            problems.append(.layersAreMissing(images: imagesWithoutLayers))
        }
        if let folderProblem {
            let place = setup.contentPath.map { "; containerd itself keeps it in \($0)" } ?? ""
            problems.append(.contentFolder(folderProblem + place))
        }
    }

    /// All problems with the lines that have to change, as one line of text; `nil` when there are none.
    public var advice: String? {
        guard !problems.isEmpty else { return nil }
        let lines = problems.flatMap(lines)
        var text = problems.map(description).joined(separator: "; ")
        if !lines.isEmpty {
            text += ". In containerd's config.toml set: " + lines.joined(separator: ", and ")
            if setup.versionNumbers.major >= 2, setup.configurationVersion == nil {
                text += " (with version = 2 at the top of that file: "
                text += problems.flatMap { self.lines($0, version: 2) }.joined(separator: ", and ") + ")"
            }
            text += ", and restart containerd"
        }
        return text
    }

    /// What a problem is, in words.
    public func description(_ problem: Problem) -> String {
        switch problem {
        case .registryConfigPathMissing:
            return
                "containerd never asks the mirror: its config_path, the folder of its registry configuration, is not set"
        case .registryConfigPathDiffers(let found):
            return "containerd looks for its registry configuration in \(found) and not in \(registryConfigPath), "
                + "so it may never ask the mirror: give --containerd-registry-config-path, or change containerd"
        case .layersAreDiscarded:
            return "containerd throws away layers once they are unpacked (discard_unpacked_layers), "
                + "so that they cannot be shared"
        case .layersAreMissing(let images):
            return
                "containerd holds \(images) image\(images == 1 ? "" : "s") without any layer, which cannot be shared: "
                + "it seems to throw away layers once they are unpacked (discard_unpacked_layers)"
        case .contentFolder(let text):
            return "content is read through containerd's socket, which is slower: \(text)"
        }
    }

    /// What has to stand in containerd's configuration file instead, each a table and a line of it.
    public func lines(_ problem: Problem) -> [String] {
        lines(problem, version: setup.configurationVersion ?? (setup.versionNumbers.major >= 2 ? 3 : 2))
    }

    /// The names of the tables differ between the versions of the file.
    private func lines(_ problem: Problem, version: Int) -> [String] {
        let isNew = version >= 3
        let old = version == 1 ? "cri" : "io.containerd.grpc.v1.cri"
        switch problem {
        case .registryConfigPathMissing, .registryConfigPathDiffers:
            let table = isNew ? "io.containerd.cri.v1.images" : old
            return [#"[plugins."\#(table)".registry] config_path = "\#(registryConfigPath)""#]
        case .layersAreDiscarded, .layersAreMissing:
            let table = isNew ? #""io.containerd.cri.v1.images""# : #""\#(old)".containerd"#
            return ["[plugins.\(table)] discard_unpacked_layers = false"]
        case .contentFolder:
            return []
        }
    }

    private static func normalised(_ path: Substring) -> Substring {
        var path = path
        while path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
        return path
    }
}
