import ArgumentParser
import Logging
import Multiformats
import NodeConfiguration
import OCI
import Registry
import Routing

extension RegistryCommand {
    /// The names of the mirrored registries, or `nil` for all.
    func registryNames() throws -> Set<RegistryName>? {
        let registries = try MirroredRegistries(mirroredRegistries)
        guard !registries.urls.isEmpty, !registries.includesOthers else { return nil }
        return Set(registries.urls.map(\.host))
    }

    /// The zone of the node, or `nil` when it is not known.
    func ownZone() throws -> Zone? {
        guard let zone, !zone.isEmpty else { return nil }
        guard let name = Zone(zone) else {
            throw ValidationError(
                "--zone takes at most \(Zone.maximumLength) letters, digits, '-', '_' and '.', the first and the last a "
                    + "letter or digit, as the label topology.kubernetes.io/zone has them, not '\(zone.prefix(80))'."
            )
        }
        return name
    }

    /// The credentials that clients and other nodes must know, or `nil` when there are none.
    ///
    /// - Throws: a ``CredentialFolder/Failure`` when the folder is there, or was named, and is not as it should be.
    func authentication(logger: Logger) throws -> BasicAuthentication? {
        let folder = CredentialFolder(basicAuthDir ?? CredentialFolder.standardPath)
        guard basicAuthDir != nil || folder.exists else { return nil }
        return try BasicAuthentication(folder: folder, logger: logger)
    }

    /// The ranges of addresses that may ask for content, or `nil` for all.
    func allowedRanges() throws -> [IPRange]? {
        let items = listItems(allowFrom)
        guard !items.isEmpty else { return nil }
        guard items.count <= 1000 else {
            throw ValidationError("--allow-from takes at most 1000 ranges, there are \(items.count).")
        }
        return try items.map { text in
            guard let range = IPRange(text) else {
                throw ValidationError(
                    "--allow-from takes ranges like 10.0.0.0/8 or fd00::/8 with no bit set behind the prefix, "
                        + "not '\(text.prefix(64))'."
                )
            }
            return range
        }
    }

    /// The images that the node shares.
    func contentFilter() throws -> ContentFilter {
        let patterns = registryFilters.flatMap(patternItems)
        guard patterns.count <= 100 else {
            throw ValidationError(
                "--registry-filters takes at most 100 regular expressions, there are \(patterns.count)."
            )
        }
        let excluded = try patterns.map { text in
            do {
                return try ReferencePattern(text)
            } catch {
                throw ValidationError("--registry-filters: '\(text.prefix(256))' is no regular expression: \(error).")
            }
        }
        return ContentFilter(registries: try registryNames(), excluded: excluded, sharesTags: resolveTags.isOn)
    }
}
