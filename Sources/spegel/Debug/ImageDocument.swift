import FoundationEssentials
import OCI

/// A manifest, or an index with the platforms of its manifests.
struct ImageDocument: Sendable {
    /// Content that the document refers to.
    struct Child: Hashable, Sendable {
        var descriptor: Descriptor
        /// `linux/arm64` or `linux/arm/v7`.
        var platform: String?
        /// Whether it is the configuration of a manifest.
        var isConfig = false
    }

    let isIndex: Bool
    let mediaType: MediaType
    let children: [Child]

    init(_ bytes: [UInt8]) throws(Manifest.ParseError) {
        let manifest = try Manifest(json: bytes)
        isIndex = manifest.isIndex
        mediaType = manifest.mediaType
        let platforms = manifest.isIndex ? (try? JSONDecoder().decode(Platforms.self, from: Data(bytes))) : nil
        let config = manifest.isIndex ? nil : (try? JSONDecoder().decode(Config.self, from: Data(bytes)))?.config
        children = manifest.children.enumerated().map { index, descriptor in
            let platform = platforms.flatMap { index < $0.manifests.count ? $0.manifests[index].platform : nil }
            return Child(
                descriptor: descriptor,
                platform: platform?.text,
                isConfig: index == 0 && config?.digest == descriptor.digest
            )
        }
    }

    /// The platform of this machine in the words of images.
    static var ownPlatform: String {
        #if arch(arm64)
            "linux/arm64"
        #elseif arch(x86_64)
            "linux/amd64"
        #else
            "linux/unknown"
        #endif
    }

    /// The manifest for this machine, or else the first without a platform.
    var ownChild: Child? {
        children.first { $0.platform.map { ($0 + "/").hasPrefix(Self.ownPlatform + "/") } ?? false }
            ?? children.first { $0.platform == nil }
    }

    private struct Platforms: Decodable {
        struct Manifest: Decodable {
            var platform: Platform?
        }

        struct Platform: Decodable {
            var os: String?
            var architecture: String?
            var variant: String?

            var text: String? {
                guard let os, let architecture else { return nil }
                return ([os, architecture] + (variant.map { [$0] } ?? [])).joined(separator: "/")
            }
        }

        var manifests: [Manifest]
    }

    private struct Config: Decodable {
        var config: Descriptor?
    }
}
