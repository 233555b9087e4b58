import FoundationEssentials
import OCI

/// The images in the `index.json` of an image layout.
package struct ImageLayoutIndex: Hashable, Sendable {
    /// The images by name. The last entry of a name wins.
    package private(set) var images: [String: Descriptor] = [:]
    /// Names that are no full reference, the first few of them.
    private(set) var otherNames: [String] = []
    private static let maximumOtherNames = 3

    /// An index without images.
    init() {}

    /// Parses an index.
    ///
    /// Ignores entries that are malformed, unnamed, or whose name is not a full reference.
    ///
    /// - Parameter defaultRepository: the repository of names that are only a tag.
    /// - Throws: the reason why the document is not an index.
    package init(json: [UInt8], defaultRepository: ImageLayoutStore.Repository?) throws(MalformedIndex) {
        let document: Document
        do {
            document = try JSONDecoder().decode(Document.self, from: Data(json))
        } catch {
            throw MalformedIndex(reason: "expected a JSON object with the array manifests")
        }
        for entry in document.manifests ?? [] {
            guard let descriptor = entry.descriptor else { continue }
            let names = entry.names(defaultRepository: defaultRepository)
            for name in names { images[name] = descriptor }
            if names.isEmpty, otherNames.count < Self.maximumOtherNames {
                otherNames += entry.annotatedNames.prefix(1)
            }
        }
    }

    /// An error from parsing an index.
    package struct MalformedIndex: Error {
        var reason: String
    }

    /// The changes from another state of the index to this one.
    func changes(since old: ImageLayoutIndex) -> [StoreChange] {
        let gone = old.images.keys.filter { images[$0] == nil }.sorted()
        let updated = images.filter { old.images[$0.key] != $0.value }.keys.sorted()
        return updated.map { .imageUpdated(name: $0) } + gone.map { .imageDeleted(name: $0) }
    }

    private struct Document: Decodable {
        var manifests: [Entry]?
    }

    /// An entry of the index. Malformed fields are `nil`.
    private struct Entry: Decodable {
        var descriptor: Descriptor?
        var annotations: [String: String] = [:]

        private enum CodingKeys: String, CodingKey {
            case annotations
        }

        init(from decoder: any Decoder) throws {
            descriptor = try? Descriptor(from: decoder)
            let container = try? decoder.container(keyedBy: CodingKeys.self)
            annotations = (try? container?.decodeIfPresent([String: String].self, forKey: .annotations)) ?? [:]
        }

        /// The names in the annotations, whatever they are.
        var annotatedNames: [String] {
            [ImageLayout.containerdNameAnnotation, ImageLayout.refNameAnnotation].compactMap { annotations[$0] }
        }

        func names(defaultRepository: ImageLayoutStore.Repository?) -> [String] {
            let full = annotatedNames.filter(Self.isFull)
            if !full.isEmpty { return full }
            guard let defaultRepository else { return [] }
            return annotatedNames.compactMap(Tag.init).map {
                "\(defaultRepository.registry)/\(defaultRepository.repository):\($0)"
            }
        }

        /// Whether a name is a full reference. `foo/bar:1` is not: docker completes it, and some tools use it as a label.
        private static func isFull(_ name: String) -> Bool {
            guard let reference = try? Reference(name) else { return false }
            return RegistryName.isTypedAsRegistry(reference.registry.text)
        }
    }
}
