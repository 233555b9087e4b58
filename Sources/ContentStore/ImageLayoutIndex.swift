import FoundationEssentials
import OCI

/// The images that the `index.json` of an image layout names.
package struct ImageLayoutIndex: Hashable, Sendable {
    /// The images by name. Where several entries have one name, the last one counts.
    package private(set) var images: [String: Descriptor] = [:]

    /// No images.
    init() {}

    /// Reads an index.
    ///
    /// Entries that are malformed, unnamed, or have a name that is no full reference are passed over.
    ///
    /// - Parameter defaultRepository: what names that are only a tag belong to.
    /// - Throws: a text that says why the document is no index.
    package init(json: [UInt8], defaultRepository: ImageLayoutStore.Repository?) throws(MalformedIndex) {
        let document: Document
        do {
            document = try JSONDecoder().decode(Document.self, from: Data(json))
        } catch {
            throw MalformedIndex(reason: "expected a JSON object with the array manifests")
        }
        for entry in document.manifests ?? [] {
            guard let descriptor = entry.descriptor else { continue }
            for name in entry.names(defaultRepository: defaultRepository) {
                images[name] = descriptor
            }
        }
    }

    /// Why a document is no index.
    package struct MalformedIndex: Error {
        var reason: String
    }

    /// What has to be told to somebody who knew another state of the index.
    func changes(since old: ImageLayoutIndex) -> [StoreChange] {
        let gone = old.images.keys.filter { images[$0] == nil }.sorted()
        let updated = images.filter { old.images[$0.key] != $0.value }.keys.sorted()
        return updated.map { .imageUpdated(name: $0) } + gone.map { .imageDeleted(name: $0) }
    }

    private struct Document: Decodable {
        var manifests: [Entry]?
    }

    /// An entry of the index, or what is left of it when it is malformed.
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

        func names(defaultRepository: ImageLayoutStore.Repository?) -> [String] {
            let found = [ImageLayout.containerdNameAnnotation, ImageLayout.refNameAnnotation].compactMap {
                annotations[$0]
            }
            let full = found.filter { (try? Reference($0)) != nil }
            if !full.isEmpty { return full }
            guard let defaultRepository else { return [] }
            return found.compactMap(Tag.init).map {
                "\(defaultRepository.registry)/\(defaultRepository.repository):\($0)"
            }
        }
    }
}
