import FoundationEssentials
import OCI
import StructuredText

/// The parts of a manifest or an index that a pull needs. OCI image-spec, "Image Manifest" and "Image Index".
struct PulledDocument {
    /// A manifest of an index, with its platform.
    struct Choice: Hashable {
        var descriptor: Descriptor
        var platform: Platform?
    }

    let manifest: Manifest
    /// The manifests of an index; empty for a manifest.
    let choices: [Choice]

    init(json: [UInt8]) throws(Manifest.ParseError) {
        manifest = try Manifest(json: json)
        var platforms: [Platform?] = []
        if manifest.isIndex {
            let document = try? JSONDecoder().decode(JSONValue.self, from: Data(json))
            platforms = (document?["manifests"]?.items ?? []).map { Platform(json: $0["platform"]) }
        }
        choices = zip(manifest.isIndex ? manifest.children : [], platforms).map {
            Choice(descriptor: $0, platform: $1)
        }
    }

    /// No manifest of an index fits.
    struct NoSuchPlatform: Error, Hashable, CustomStringConvertible {
        var expected: Platform
        var found: [String]

        var description: String {
            "expected an image for \(expected), found \(found.isEmpty ? "no platform" : found.joined(separator: ", "))"
        }
    }

    /// The entries of an index that may lead to the manifest for a platform, the likeliest first: those for it, then
    /// indexes without a platform, then the only manifest of an index without platforms.
    func candidates(for platform: Platform) -> [Choice] {
        let fitting = choices.filter { $0.platform.map(platform.accepts) == true }
        let indexes = choices.filter { $0.platform == nil && $0.descriptor.mediaType.isIndex }
        let all = fitting + indexes
        guard all.isEmpty, choices.count == 1, let only = choices.first, only.platform == nil else { return all }
        return [only]
    }

    /// The platforms of an index. Attestations are manifests for unknown/unknown.
    var platforms: [String] {
        choices.compactMap(\.platform).filter { $0.os != "unknown" }.map(\.description)
    }
}

/// An operating system and an architecture, with Go's names.
struct Platform: Hashable, CustomStringConvertible {
    var os: String
    var architecture: String
    var variant: String?

    /// Reads `linux/arm64` or `linux/arm/v7`.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (2...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 64 }) else {
            return nil
        }
        os = parts[0]
        architecture = parts[1]
        variant = parts.count > 2 ? parts[2] : nil
    }

    init?(json: JSONValue?) {
        guard let os = json?["os"]?.text, let architecture = json?["architecture"]?.text else { return nil }
        self.os = os
        self.architecture = architecture
        variant = json?["variant"]?.text
    }

    /// The platform of this machine.
    static var native: Platform? {
        #if arch(arm64)
            Platform("linux/arm64")
        #else
            Platform("linux/amd64")
        #endif
    }

    /// Whether content for another platform fits; a variant counts if this platform has one.
    func accepts(_ other: Platform) -> Bool {
        os == other.os && architecture == other.architecture && (variant == nil || variant == other.variant)
    }

    var description: String { [os, architecture].joined(separator: "/") + (variant.map { "/" + $0 } ?? "") }
}
