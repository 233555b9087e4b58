import Files

/// What the administrator configured: all in a configuration folder that this program did not write, with the backup in
/// the place of what it replaced. Pure.
///
/// | a path | belongs to it |
/// |---|---|
/// | a file with a digest of the manifest | no; the file of the backup does, if there is one |
/// | a file of the manifest with another digest | as edited, without the mirrors |
/// | any other entry of the folder | yes, added or changed since the last run or not |
/// | an entry of the backup only | no, it was removed since; yes if this program's file was, or without a manifest |
struct PreviousConfiguration: Hashable {
    /// The origin of an entry's content.
    enum Origin: Hashable {
        /// The same path in the configuration folder.
        case live
        /// The same path in the backup.
        case backup
        /// Text that is only here: an edited file without the mirrors.
        case edited
    }

    private(set) var tree = ConfigurationTree()
    private(set) var origins: [String: Origin] = [:]
    /// The paths that were added or edited since the last run.
    private(set) var takenOver: [String] = []

    /// Finds the administrator's entries.
    ///
    /// - Parameters:
    ///   - live: the configuration folder.
    ///   - backup: the backup; `nil` before the first run.
    ///   - manifest: the manifest; `nil` before the first run, and after one of a version that writes none.
    ///   - mirrors: the mirrors of this run, by which files of such a version are known.
    init(live: ConfigurationTree, backup: ConfigurationTree?, manifest: Manifest?, mirrors: [String]) {
        let saved = backup ?? ConfigurationTree()
        for (path, entry) in live.entries {
            if let manifest, manifest.files[path] != nil {
                add(path, entry, live: live, saved: saved, manifest: manifest)
            } else if let manifest, manifest.folders.contains(path), entry.kind == .folder {
                // Its folder is needed for what was added in it.
                guard live.entries.keys.contains(where: { $0.hasPrefix(path + "/") && manifest.files[$0] == nil })
                else { continue }
                set(path, entry, .live, from: live)
            } else if manifest == nil, backup != nil,
                LegacyFiles.contains(path, entry, live: live, backup: saved, mirrors: mirrors)
            {
                continue
            } else {
                set(path, entry, .live, from: live)
                let isNew = backup != nil && entry.kind != .folder && !entry.isSame(saved.entries[path])
                if isNew { takenOver.append(path) }
            }
        }
        for (path, entry) in saved.entries where origins[path] == nil {
            let folder = path.prefix { $0 != "/" }
            let wasRemoved =
                manifest.map { manifest in
                    let isOurs = manifest.files[path] != nil || manifest.hasFiles(in: path)
                    return !isOurs && (live.entries[String(folder)] != nil || !manifest.hasFiles(in: String(folder)))
                } ?? false
            if !wasRemoved { set(path, entry, .backup, from: saved) }
        }
        for path in Array(tree.entries.keys) { addParents(of: path, live: live, saved: saved) }
        takenOver.sort()
        keepTimes(saved: saved, manifest: manifest)
    }

    private mutating func add(
        _ path: String,
        _ entry: ConfigurationTree.Entry,
        live: ConfigurationTree,
        saved: ConfigurationTree,
        manifest: Manifest
    ) {
        if manifest.owns(path, entry) {
            if let earlier = saved.entries[path] { set(path, earlier, .backup, from: saved) }
            return
        }
        // It is still as it was before the first run.
        if entry.isSame(saved.entries[path]) { return set(path, entry, .live, from: live) }
        takenOver.append(path)
        guard let content = entry.content, entry.kind == .file, path.hasSuffix("/" + RegistryFolders.hostsFile) else {
            return set(path, entry, .live, from: live)
        }
        let text = ExistingHosts.text(content, without: manifest.mirrors)
        guard text != content else { return set(path, entry, .live, from: live) }
        set(path, .file(text, mode: entry.mode), .edited, from: live)
    }

    private mutating func set(
        _ path: String,
        _ entry: ConfigurationTree.Entry,
        _ origin: Origin,
        from other: ConfigurationTree
    ) {
        tree.set(path, to: entry)
        origins[path] = origin
        if entry.kind == .link { tree.addBehindLink(path, from: other) }
    }

    /// A folder belongs to the administrator if something in it does.
    private mutating func addParents(of path: String, live: ConfigurationTree, saved: ConfigurationTree) {
        var path = path
        while let parent = Files.parent(of: path), origins[parent] == nil {
            if let entry = saved.entries[parent] {
                set(parent, entry, .backup, from: saved)
            } else if let entry = live.entries[parent] {
                set(parent, entry, .live, from: live)
            } else {
                set(parent, ConfigurationTree.Entry(kind: .folder, mode: 0o755, size: 0), .edited, from: live)
            }
            path = parent
        }
    }

    /// A folder in which this program wrote has its earlier mode and time.
    private mutating func keepTimes(saved: ConfigurationTree, manifest: Manifest?) {
        for (path, entry) in tree.entries where entry.kind == .folder {
            guard manifest?.hasFiles(in: path) ?? true, let earlier = saved.entries[path], earlier.kind == .folder
            else { continue }
            tree.set(path, to: earlier)
        }
    }
}
