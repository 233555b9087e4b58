/// Finds settings of containerd that prevent sharing of images, with the lines to change.
public struct SetupCheck: Hashable, Sendable {
    /// The kinds of problems.
    public enum Problem: Hashable, Sendable {
        /// containerd has no folder for registry configuration, so it never asks the mirror.
        case registryConfigPathMissing
        /// containerd reads its registry configuration from another folder than this program writes.
        case registryConfigPathDiffers(found: String)
        /// containerd discards layers after unpacking.
        case layersAreDiscarded
        /// containerd has this many images without any of their layers.
        case layersAreMissing(images: Int)
        /// The content folder is missing or of another containerd, with what to do.
        case contentFolder(String)
    }

    /// The checked set-up.
    public let setup: ContainerdSetup
    /// The folder of this node's registry configuration.
    public let registryConfigPath: String
    /// The problems, the most important first.
    public private(set) var problems: [Problem] = []

    /// Checks a set-up.
    ///
    /// - Parameters:
    ///   - setup: the configuration of containerd, as far as it is known.
    ///   - registryConfigPath: the folder of the registry configuration, as containerd sees it.
    ///   - folderProblem: the problem of the content folder.
    ///   - imagesWithoutLayers: the number of images without any layer, a hint for a containerd that does not report
    ///     whether it discards layers.
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
            let place = setup.contentPath.map { "; containerd's own path is \($0)" } ?? ""
            problems.append(.contentFolder(folderProblem + place))
        }
    }

    /// All problems and the lines to change, as one line of text; `nil` without problems.
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

    /// A problem in words.
    public func description(_ problem: Problem) -> String {
        switch problem {
        case .registryConfigPathMissing:
            return
                "containerd never asks the mirror: its config_path (the folder of its registry configuration) is not set"
        case .registryConfigPathDiffers(let found):
            return "containerd reads its registry configuration from \(found), expected \(registryConfigPath), "
                + "so it may never ask the mirror: set --containerd-registry-config-path, or change containerd"
        case .layersAreDiscarded:
            return "containerd discards layers after unpacking (discard_unpacked_layers), "
                + "so they cannot be shared"
        case .layersAreMissing(let images):
            return
                "containerd has \(images) image\(images == 1 ? "" : "s") without any layer, which cannot be shared: "
                + "it probably discards layers after unpacking (discard_unpacked_layers)"
        case .contentFolder(let text):
            return "content is read through containerd's socket, which is slower: \(text)"
        }
    }

    /// The lines to set in containerd's configuration file, each with its table.
    public func lines(_ problem: Problem) -> [String] {
        lines(problem, version: setup.configurationVersion ?? (setup.versionNumbers.major >= 2 ? 3 : 2))
    }

    /// The names of the tables depend on the version of the file.
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
