import ContentStore
import Logging
import OCI
import RoutingTestSupport
import Synchronization
import Testing

@testable import Routing

@Suite(.timeLimit(.minutes(1)))
struct StateTrackerTests {
    let store = FakeStore()
    let content = ContentIndex()
    let router = MemoryRouter()
    let log = RecordingLog()

    /// Runs a tracker during the body.
    func tracking(
        _ filter: ContentFilter = ContentFilter(),
        fullInterval: Duration = .seconds(300),
        _ body: (StateTracker) async throws -> Void
    ) async throws {
        var configuration = StateTracker.Configuration()
        configuration.coalescingDelay = .milliseconds(1)
        configuration.fullInterval = fullInterval
        configuration.collectionDelay = .milliseconds(50)
        configuration.retryDelay = (.milliseconds(5), .milliseconds(20))
        configuration.itemDeadline = .milliseconds(300)
        let tracker = StateTracker(
            store: store,
            index: content,
            router: router,
            filter: filter,
            configuration: configuration,
            logger: Logger(label: "test") { [log] _ in log }
        )
        let task = Task { try await tracker.run() }
        defer { task.cancel() }
        try await body(tracker)
        task.cancel()
        try await task.value
    }

    /// Garbage collection sends no event, but the content folder tells.
    @Test func removedContentIsWithdrawnAtOnce() async throws {
        let digest = try digest("a")
        try await tracking { _ in
            store.add(digest, size: 3)
            store.tell(.contentAdded(digest))
            try await expectAdvertised([digest.text])
            store.remove(digest)
            store.tell(.contentRemoved(digest))
            try await expectAdvertised([])
            #expect(content.entry(digest) == nil && store.readings == 1)
            // It may come back before that is looked at.
            store.add(digest, size: 3)
            store.tell(.contentRemoved(digest))
            try await expectAdvertised([digest.text])
        }
    }

    /// The file appears in the folder before containerd knows of it.
    @Test func contentIsLookedForAgainIfTheStoreDoesNotKnowItYet() async throws {
        let digest = try digest("b")
        try await tracking { _ in
            try await Task.sleep(for: .milliseconds(100))
            store.tell(.contentAdded(digest))
            try await Task.sleep(for: .milliseconds(50))
            store.add(digest, size: 3)
            try await expectAdvertised([digest.text])
            #expect(store.readings == 1)
        }
    }

    @Test func registriesAreLearntWithTheirContent() async throws {
        let names = Mutex<Set<String>>([])
        let digest = try digest("c")
        let tracker = StateTracker(
            store: store,
            index: content,
            router: router,
            filter: ContentFilter(),
            logger: Logger(label: "test") { [log] _ in log },
            onRegistries: { new in names.withLock { $0.formUnion(new) } }
        )
        let task = Task { try await tracker.run() }
        try await Task.sleep(for: .milliseconds(100))
        store.add(digest, size: 3)
        store.setSources(of: digest, "registry.example/a")
        store.tell(.contentAdded(digest))
        try await expectAdvertised([digest.text])
        #expect(names.withLock { $0 } == ["registry.example"])
        task.cancel()
        try await task.value
    }

    /// Waits until the router has exactly these keys.
    func expectAdvertised(_ keys: Set<String>, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        for _ in 0..<2000 {
            if router.advertised == keys { return try expectServed(keys, sourceLocation) }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("expected \(keys.sorted()), found \(router.advertised.sorted())", sourceLocation: sourceLocation)
    }

    /// Checks that what is not advertised is withheld from requests too, where a filter withholds anything.
    private func expectServed(_ keys: Set<String>, _ sourceLocation: SourceLocation) throws {
        // Without a filter even content that is not here would be shared.
        guard try !content.find(digest("0")).isShared else { return }
        for digest in store.digests {
            let (isShared, isAdvertised) = (content.find(digest).isShared, keys.contains(digest.text))
            #expect(isShared == isAdvertised, "\(digest)", sourceLocation: sourceLocation)
        }
    }

    func addImage(_ name: String, manifest manifestDigest: Digest, config: Digest, layers: [Digest]) {
        store.add(manifestDigest, document: manifest(config: config, layers: layers))
        store.add(config, size: 3)
        for layer in layers { store.add(layer, size: 7) }
        store.set(image: name, to: Descriptor(mediaType: .ociManifest, digest: manifestDigest, size: 9))
    }

    @Test func advertisesTagsAndDigests() async throws {
        let (a, b, c) = (try digest("a"), try digest("b"), try digest("c"))
        addImage("docker.io/library/x:1", manifest: a, config: b, layers: [c])
        try await tracking { tracker in
            try await expectAdvertised(["docker.io/library/x:1", a.text, b.text, c.text])
            #expect(content.resolve(tagName: "docker.io/library/x:1")?.digest == a)
            #expect(content.entry(a)?.mediaType == .ociManifest)
            #expect(content.entry(b)?.mediaType == .ociConfig)
            guard case .ready = tracker.readiness else {
                Issue.record("not ready: \(tracker.readiness)")
                return
            }
        }
    }

    @Test(arguments: [
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", #"{"schemaVersion":1,"fsLayers":[]}"#, false),
        ("application/vnd.docker.distribution.manifest.v1+json", #"{"schemaVersion":1,"fsLayers":[]}"#, false),
        ("application/octet-stream", "no JSON", false),
        ("application/vnd.example.odd", #"{"manifests":[]}"#, true),
    ])
    func advertisesTagsOfManifestsOnly(_ type: String, _ document: String, _ isAdvertised: Bool) async throws {
        let name = "docker.io/library/x:1"
        let a = try digest("a")
        store.add(a, document: document)
        store.set(image: name, to: Descriptor(mediaType: MediaType(type), digest: a, size: 9))
        let keys: Set = isAdvertised ? [name, a.text] : [a.text]
        try await tracking { _ in
            try await expectAdvertised(keys)
            store.set(image: "docker.io/library/x:2", to: Descriptor(mediaType: MediaType(type), digest: a, size: 9))
            store.tell(.imageUpdated(name: "docker.io/library/x:2"))
            store.add(try digest("b"), size: 1)
            store.tell(.contentAdded(try digest("b")))
            let more: Set = isAdvertised ? [try digest("b").text, "docker.io/library/x:2"] : [try digest("b").text]
            try await expectAdvertised(keys.union(more))
            #expect((content.resolve(tagName: name) != nil) == isAdvertised)
        }
    }

    @Test func walksIndexesWithAbsentPlatformsAndOddTypes() async throws {
        let (i, present, absent) = (try digest("1"), try digest("2"), try digest("3"))
        let (config, layer) = (try digest("4"), try digest("5"))
        store.add(i, document: index(manifests: [present, absent]))
        addImage("docker.io/library/y@\(present)", manifest: present, config: config, layers: [layer])
        store.set(image: "docker.io/library/y:2", to: Descriptor(mediaType: .ociIndex, digest: i, size: 9))
        try await tracking { _ in
            try await expectAdvertised(["docker.io/library/y:2", i.text, present.text, config.text, layer.text])
            #expect(content.entry(layer)?.mediaType != nil)
        }
    }

    @Test func advertisesContentWithoutImage() async throws {
        store.add(try digest("e"), size: 1)
        let key = try digest("e").text
        try await tracking { _ in try await expectAdvertised([key]) }
    }

    @Test func malformedManifestDoesNotAffectOthers() async throws {
        let (bad, good) = (try digest("6"), try digest("7"))
        store.add(bad, document: "{]")
        store.set(image: "docker.io/library/bad:1", to: Descriptor(mediaType: .ociManifest, digest: bad, size: 2))
        addImage("docker.io/library/good:1", manifest: good, config: try digest("8"), layers: [])
        let keys: Set = [
            "docker.io/library/bad:1", "docker.io/library/good:1", bad.text, good.text, try digest("8").text,
        ]
        try await tracking { _ in try await expectAdvertised(keys) }
    }

    @Test func appliesFilter() async throws {
        let (mine, theirs, shared) = (try digest("a"), try digest("b"), try digest("c"))
        let (config, other) = (try digest("d"), try digest("e"))
        addImage("docker.io/library/mine:1", manifest: mine, config: config, layers: [shared])
        addImage("quay.io/theirs/x:1", manifest: theirs, config: other, layers: [shared])
        let registries: Set = [try #require(RegistryName("docker.io"))]
        try await tracking(ContentFilter(registries: registries)) { _ in
            try await expectAdvertised(["docker.io/library/mine:1", mine.text, config.text, shared.text])
        }
        await router.withdraw(Array(router.advertised))
        try await tracking(ContentFilter(registries: registries, sharesTags: false)) { _ in
            try await expectAdvertised([mine.text, config.text, shared.text])
        }
    }

    @Test func followsNewImagesAndContent() async throws {
        try await tracking { tracker in
            while true {
                if case .ready = tracker.readiness { break }
                try await Task.sleep(for: .milliseconds(2))
            }
            let (blob, m, config) = (try digest("1"), try digest("2"), try digest("3"))
            store.add(blob, size: 5)
            store.tell(.contentAdded(blob))
            try await expectAdvertised([blob.text])
            addImage("docker.io/library/new:1", manifest: m, config: config, layers: [blob])
            store.tell(.imageUpdated(name: "docker.io/library/new:1"))
            try await expectAdvertised(["docker.io/library/new:1", blob.text, m.text, config.text])
            #expect(content.entry(blob)?.mediaType != nil)
            store.set(image: "docker.io/library/new:1", to: nil)
            store.tell(.imageDeleted(name: "docker.io/library/new:1"))
            try await expectAdvertised([blob.text, m.text, config.text])
            // Garbage-collected later, without an event.
            for digest in [m, config, blob] { store.remove(digest) }
            store.tell(.imageDeleted(name: "docker.io/library/new:1"))
            try await expectAdvertised([])
            #expect(content.counts.contents == 0)
        }
    }

    @Test func waitsForUnavailableStore() async throws {
        let m = try digest("a")
        addImage("docker.io/library/x:1", manifest: m, config: try digest("b"), layers: [])
        let keys: Set = ["docker.io/library/x:1", m.text, try digest("b").text]
        store.setAway(true)
        try await tracking { tracker in
            try await Task.sleep(for: .milliseconds(30))
            guard case .notReady = tracker.readiness else {
                Issue.record("ready without a store")
                return
            }
            store.setAway(false)
            try await expectAdvertised(keys)
            // Unavailable again: known content stays advertised, and later changes are found.
            store.setAway(true)
            try await Task.sleep(for: .milliseconds(30))
            #expect(router.advertised == keys)
            store.add(try digest("c"), size: 1)
            store.setAway(false)
            try await expectAdvertised(keys.union([try digest("c").text]))
        }
    }

    @Test func coalescesBursts() async throws {
        try await tracking { tracker in
            while true {
                if case .ready = tracker.readiness { break }
                try await Task.sleep(for: .milliseconds(2))
            }
            let before = store.readings
            for _ in 0..<5000 { store.tell(.unknown) }
            store.add(try digest("f"), size: 1)
            store.tell(.unknown)
            try await expectAdvertised([try digest("f").text])
            #expect(store.readings - before < 100)
        }
    }
}
