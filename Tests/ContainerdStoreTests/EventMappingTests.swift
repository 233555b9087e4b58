import ContentStore
import OCI
import SwiftProtobuf
import TestSupport
import Testing

@testable import ContainerdStore

@Suite struct EventMappingTests {
    private let digest = "sha256:" + String(repeating: "a1", count: 32)

    @Test func mapsImageEvents() throws {
        let name = "docker.io/library/alpine:3"
        let create = try Containerd_Events_ImageCreate.with { $0.name = name }.serializedBytes() as [UInt8]
        let update = try Containerd_Events_ImageUpdate.with { $0.name = name }.serializedBytes() as [UInt8]
        let delete = try Containerd_Events_ImageDelete.with { $0.name = name }.serializedBytes() as [UInt8]
        #expect(change("/images/create", create) == .imageUpdated(name: name))
        #expect(change("/images/update", update) == .imageUpdated(name: name))
        #expect(change("/images/delete", delete) == .imageDeleted(name: name))
    }

    @Test func mapsContentEvents() throws {
        let create = Containerd_Events_ContentCreate.with {
            $0.digest = digest
            $0.size = 7
        }
        let payload = try create.serializedBytes() as [UInt8]
        #expect(change("/content/create", payload) == .contentAdded(try Digest(digest)))
        #expect(change("/content/delete", payload) == .unknown)
    }

    @Test func ignoresContentUnderUnsupportedDigests() throws {
        let create = try Containerd_Events_ContentCreate.with { $0.digest = "md5:00" }.serializedBytes() as [UInt8]
        #expect(change("/content/create", create) == nil)
    }

    @Test func ignoresOtherNamespacesAndTopics() throws {
        let create = try Containerd_Events_ImageCreate.with { $0.name = "a" }.serializedBytes() as [UInt8]
        #expect(change("/images/create", create, namespace: "other") == nil)
        #expect(change("/tasks/create", create) == nil)
        #expect(change("", []) == nil)
    }

    @Test(arguments: ["/images/create", "/images/update", "/images/delete", "/content/create", "/images/new"])
    func mapsMalformedEventToUnknown(topic: String) {
        #expect(change(topic, [0xff, 0xff, 0xff]) == .unknown)
    }

    @Test func mapsImageWithoutNameToUnknown() {
        #expect(change("/images/create", []) == .unknown)
    }

    @Test(arguments: UInt64(1)...200)
    func neverTrapsOnRandomPayload(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let payload = (0..<Int.random(in: 0..<40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random)
        }
        for topic in ["/images/create", "/images/update", "/images/delete", "/content/create"] {
            // Must neither trap nor invent content.
            if case .contentAdded = change(topic, payload) {
                Issue.record("seed \(seed): random bytes parsed as a digest")
            }
        }
    }

    @Test func filtersQuoteTheNamespace() {
        #expect(
            EventMapping.filters(namespace: "k8s.io") == [
                #"namespace=="k8s.io",topic~="^/images/""#, #"namespace=="k8s.io",topic~="^/content/""#,
            ]
        )
        #expect(EventMapping.filters(namespace: #"a"\"#).first == #"namespace=="a\"\\",topic~="^/images/""#)
    }

    private func change(_ topic: String, _ payload: [UInt8], namespace: String = "k8s.io") -> StoreChange? {
        let envelope = Containerd_Services_Events_V1_Envelope.with {
            $0.namespace = namespace
            $0.topic = topic
            $0.event.value.append(contentsOf: payload)
        }
        return EventMapping.change(for: envelope, namespace: "k8s.io")
    }
}
