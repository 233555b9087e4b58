import ContentStore
import OCI
import RoutingTestSupport
import Testing

@testable import Routing

/// The content that a filter withholds, in all the ways that the tracker learns of it.
extension StateTrackerTests {
    /// The names that a kubelet's pull gives to an image, in order.
    private func names(_ repository: String, _ manifest: Digest, config: Digest) -> [String] {
        ["\(repository):1", config.text, "\(repository)@\(manifest)"]
    }

    private func pull(_ repository: String, manifest: Digest, config: Digest, layers: [Digest]) {
        for name in names(repository, manifest, config: config) {
            addImage(name, manifest: manifest, config: config, layers: layers)
        }
        for digest in [manifest, config] + layers { store.setSources(of: digest, repository) }
    }

    private func docker() throws -> ContentFilter {
        ContentFilter(registries: [try #require(RegistryName("docker.io"))])
    }

    private func becameReady(_ tracker: StateTracker) async throws {
        while true {
            if case .ready = tracker.readiness { return }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    @Test func withholdsKubeletPullOfOtherRegistry() async throws {
        let (a, b, c) = (try digest("a"), try digest("b"), try digest("c"))
        let (d, e, f) = (try digest("d"), try digest("e"), try digest("f"))
        pull("docker.io/library/x", manifest: a, config: b, layers: [c])
        pull("quay.io/y", manifest: d, config: e, layers: [f])
        try await tracking(try docker()) { tracker in
            try await expectAdvertised(["docker.io/library/x:1", a.text, b.text, c.text])
            #expect(tracker.snapshot.withheldContents == 3)
            #expect(content.entry(f) != nil, "withheld content stays in the index")
        }
    }

    @Test func neverAdvertisesBlobOfOtherRegistry() async throws {
        try await tracking(try docker()) { tracker in
            try await becameReady(tracker)
            let (theirs, config, layer) = (try digest("1"), try digest("2"), try digest("3"))
            let (mine, unlabelled) = (try digest("4"), try digest("5"))
            for digest in [theirs, config, layer] { store.add(digest, size: 7) }
            store.add(mine, size: 7)
            store.setSources(of: mine, "docker.io/library/x")
            store.add(unlabelled, size: 7)
            for digest in [theirs, config, layer, mine, unlabelled] { store.tell(.contentAdded(digest)) }
            try await expectAdvertised([mine.text])
            // The label comes after the commit. Until then the origin is unknown.
            store.setSources(of: layer, "quay.io/y")
            store.setSources(of: unlabelled, "docker.io/library/z")
            try await expectAdvertised([mine.text, unlabelled.text])
            // Then the image, in a kubelet's order.
            pull("quay.io/y", manifest: theirs, config: config, layers: [layer])
            for name in names("quay.io/y", theirs, config: config).reversed() {
                store.tell(.imageUpdated(name: name))
                try await Task.sleep(for: .milliseconds(20))
            }
            // Handled after all of these.
            let last = try digest("9")
            store.add(last, size: 1)
            store.setSources(of: last, "docker.io/library/z")
            store.tell(.contentAdded(last))
            try await expectAdvertised([mine.text, unlabelled.text, last.text])
            // A full reading has the same result.
            store.tell(.unknown)
            try await Task.sleep(for: .milliseconds(100))
            try await expectAdvertised([mine.text, unlabelled.text, last.text])
        }
    }

    @Test func sharesContentOfTwoRegistries() async throws {
        let (m, n, config, layer) = (try digest("1"), try digest("2"), try digest("3"), try digest("4"))
        try await tracking(try docker()) { tracker in
            try await becameReady(tracker)
            pull("quay.io/y", manifest: m, config: config, layers: [layer])
            store.tell(.imageUpdated(name: "quay.io/y:1"))
            try await Task.sleep(for: .milliseconds(50))
            #expect(router.advertised.isEmpty)
            addImage("docker.io/library/x:1", manifest: n, config: config, layers: [layer])
            store.tell(.imageUpdated(name: "docker.io/library/x:1"))
            try await expectAdvertised(["docker.io/library/x:1", n.text, config.text, layer.text])
        }
    }

    @Test func sharesImportedContentWithoutLabels() async throws {
        let (m, config, layer) = (try digest("1"), try digest("2"), try digest("3"))
        let keys: Set = [m.text, config.text, layer.text]
        addImage("imported", manifest: m, config: config, layers: [layer])
        try await tracking { _ in try await expectAdvertised(keys) }
        await router.withdraw(Array(keys))
        // Also with a filter of registries: nothing says that it comes from another.
        try await tracking(try docker()) { _ in try await expectAdvertised(keys) }
    }

    @Test func patternWithholdsTags() async throws {
        let (m, config) = (try digest("1"), try digest("2"))
        addImage("docker.io/library/x:latest", manifest: m, config: config, layers: [])
        addImage("docker.io/library/x:1", manifest: m, config: config, layers: [])
        let filter = ContentFilter(excluded: [try ReferencePattern(":latest$")])
        try await tracking(filter) { tracker in
            try await expectAdvertised(["docker.io/library/x:1", m.text, config.text])
            store.set(image: "docker.io/library/x:1", to: nil)
            store.tell(.imageDeleted(name: "docker.io/library/x:1"))
            // Now only a withheld name references it.
            try await expectAdvertised([])
            #expect(content.resolve(tagName: "docker.io/library/x:latest") == nil)
        }
    }
}
