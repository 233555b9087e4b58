import ArgumentParser
import HTTPClient
import Logging
import Membership
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
        return Set(registries.urls.flatMap(\.names))
    }

    /// The registry of requests that name none.
    func defaultRegistryName() throws -> RegistryName? {
        guard let text = defaultRegistry, !text.isEmpty else { return nil }
        guard let url = try? RegistryURL("https://" + text) else {
            throw ValidationError(
                "--default-registry: expected the name of a registry, such as docker.io, got '\(text.prefix(64))'."
            )
        }
        // Docker Hub has other names, which no image is kept under.
        let name = url.names.first { $0.text == "docker.io" } ?? url.written
        if let mirrored = try registryNames(), !mirrored.contains(name) {
            throw ValidationError("--default-registry: expected one of --mirrored-registries, got '\(name)'.")
        }
        return name
    }

    /// The plain-text addresses where containerd is to reach this node.
    func ownTargets() throws -> [HTTPURL] {
        try urls(mirrorTargets, flag: "--mirror-targets").compactMap { HTTPURL("\($0)") }.filter { !$0.isSecure }
    }

    /// The zone of the node, or `nil` if it is unknown.
    func ownZone() throws -> Zone? {
        guard let zone, !zone.isEmpty else { return nil }
        guard let name = Zone(zone) else {
            throw ValidationError(
                "--zone: expected at most \(Zone.maximumLength) letters, digits, '-', '_' and '.', the first and the last "
                    + "a letter or digit, as in the label topology.kubernetes.io/zone, got '\(zone.prefix(80))'."
            )
        }
        return name
    }

    /// The credentials that clients and peers must send, or `nil` if there are none.
    ///
    /// - Throws: a ``CredentialFolder/Failure`` if the folder exists, or was named, and is faulty.
    func authentication(logger: Logger) throws -> BasicAuthentication? {
        let folder = CredentialFolder(basicAuthDir ?? CredentialFolder.standardPath)
        guard basicAuthDir != nil || folder.exists else { return nil }
        return try BasicAuthentication(folder: folder, logger: logger)
    }

    /// The cluster keys, or `nil` if there is no file of them.
    ///
    /// - Throws: a ``ClusterKeyService/Failure`` if the file is faulty.
    func clusterKey(logger: Logger) throws -> ClusterKeyService? {
        guard let clusterKeyFile, !clusterKeyFile.isEmpty else {
            logger.info("no cluster key: any program that reaches the ports can read what this node shares")
            return nil
        }
        return try ClusterKeyService(path: clusterKeyFile, logger: logger)
    }

    /// The clients that may ask for content without a proof, or `nil` for all.
    ///
    /// With a cluster key and no password these are the node's own ones, and those that are named.
    func clientAccess(hasKey: Bool, hasPassword: Bool) throws -> ClientAccess? {
        let ranges = try allowedRanges()
        guard ranges != nil || (hasKey && !hasPassword) else { return nil }
        let own = OwnAddresses(includesGateway: listItems(allowFrom).contains(Self.gateway))
        return ClientAccess(ranges: ranges ?? []) { own.contains($0) }
    }

    /// The word for the default gateway among the ranges of addresses.
    private static let gateway = "gateway"

    /// The ranges of addresses of clients that may ask for content, or `nil` if none are named.
    func allowedRanges() throws -> [IPRange]? {
        let named = listItems(allowFrom)
        guard !named.isEmpty else { return nil }
        let items = named.filter { $0 != Self.gateway }
        guard items.count <= 1000 else {
            throw ValidationError("--allow-from: expected at most 1000 ranges, got \(items.count).")
        }
        return try items.map { text in
            guard let range = IPRange(text) else {
                throw ValidationError(
                    "--allow-from: expected gateway, or ranges such as 10.0.0.0/8 or fd00::/8, with no bit set after the "
                        + "prefix, "
                        + "got '\(text.prefix(64))'."
                )
            }
            return range
        }
    }

    /// The names of this node in URLs of `/debug/`, in lower case.
    func debugHostNames() throws -> Set<String> {
        let items = listItems(debugWebHosts)
        guard items.count <= 100 else {
            throw ValidationError("--debug-web-hosts: expected at most 100 names, got \(items.count).")
        }
        for item in items where item.contains(":") || RegistryName(item) == nil {
            throw ValidationError(
                "--debug-web-hosts: expected names without a port, such as node1.lab, got '\(item.prefix(64))'."
            )
        }
        return Set(items.map { $0.lowercased() })
    }

    /// The images that the node shares.
    func contentFilter() throws -> ContentFilter {
        let patterns = registryFilters.flatMap(patternItems)
        guard patterns.count <= 100 else {
            throw ValidationError(
                "--registry-filters: expected at most 100 regular expressions, got \(patterns.count)."
            )
        }
        let excluded = try patterns.map { text in
            do {
                return try ReferencePattern(text)
            } catch {
                throw ValidationError(
                    "--registry-filters: expected a regular expression, got '\(text.prefix(256))': \(error)."
                )
            }
        }
        return ContentFilter(registries: try registryNames(), excluded: excluded, sharesTags: resolveTags.isOn)
    }
}
