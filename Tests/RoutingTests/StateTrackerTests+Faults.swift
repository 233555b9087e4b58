import ContentStore
import OCI
import RoutingTestSupport
import Testing

@testable import Routing

/// Requests that hang, stores that are unavailable, and the reports about them.
extension StateTrackerTests {
    @Test func hangingDocumentDelaysNoOther() async throws {
        let (slow, good) = (try digest("1"), try digest("2"))
        let (one, two, three) = (try digest("3"), try digest("4"), try digest("5"))
        addImage("docker.io/library/slow:1", manifest: slow, config: one, layers: [two])
        addImage("docker.io/library/good:1", manifest: good, config: three, layers: [])
        store.setHanging(slow.text)
        let keys: Set = ["docker.io/library/slow:1", "docker.io/library/good:1"]
        let digests = Set([slow, good, one, two, three].map(\.text))
        try await tracking { _ in
            try await expectAdvertised(keys.union(digests))
            #expect(content.entry(three)?.mediaType == .ociConfig)
            #expect(content.entry(one)?.mediaType == nil)
            // It is read when the store responds again.
            store.setHanging(slow.text, false)
            store.tell(.unknown)
            for _ in 0..<1000 where content.entry(one)?.mediaType == nil {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(content.entry(one)?.mediaType == .ociConfig)
        }
    }

    @Test func hangingChangeDelaysNoOther() async throws {
        try await tracking { tracker in
            while true {
                if case .ready = tracker.readiness { break }
                try await Task.sleep(for: .milliseconds(2))
            }
            let (m, config, blob) = (try digest("1"), try digest("2"), try digest("3"))
            addImage("docker.io/library/good:1", manifest: m, config: config, layers: [])
            addImage("docker.io/library/slow:1", manifest: m, config: config, layers: [])
            store.add(blob, size: 1)
            store.setHanging("docker.io/library/slow:1")
            store.setHanging(blob.text)
            store.tell(.contentAdded(blob))
            for name in ["slow", "good"] { store.tell(.imageUpdated(name: "docker.io/library/\(name):1")) }
            try await expectAdvertised(["docker.io/library/good:1", m.text, config.text])
            // The next full reading finds the rest.
            store.setHanging("docker.io/library/slow:1", false)
            store.setHanging(blob.text, false)
            try await expectAdvertised([
                "docker.io/library/good:1", "docker.io/library/slow:1", m.text, config.text, blob.text,
            ])
        }
    }

    @Test func limitsDocumentsReadWithoutFiles() async throws {
        var keys: Set<String> = []
        for number in 1...150 {
            let (manifest, config) = (try number.digest, try (1000 + number).digest)
            addImage("docker.io/library/x:\(number)", manifest: manifest, config: config, layers: [])
            keys.formUnion(["docker.io/library/x:\(number)", manifest.text, config.text])
        }
        try await tracking { _ in
            try await expectAdvertised(keys)
            let configs = try (1...150).count { content.entry(try (1000 + $0).digest)?.mediaType == .ociConfig }
            #expect((1...100).contains(configs), "\(configs) were read")
        }
    }

    @Test func fullReadingFindsUnreportedChanges() async throws {
        let (old, new) = (try digest("1"), try digest("2"))
        store.add(old, size: 1)
        try await tracking(fullInterval: .milliseconds(10)) { _ in
            try await expectAdvertised([old.text])
            store.remove(old)
            store.add(new, size: 1)
            try await expectAdvertised([new.text])
        }
    }

    @Test func detectsCollectionAfterBurst() async throws {
        let (m, config) = (try digest("1"), try digest("2"))
        addImage("docker.io/library/x:1", manifest: m, config: config, layers: [])
        try await tracking { _ in
            try await expectAdvertised(["docker.io/library/x:1", m.text, config.text])
            store.set(image: "docker.io/library/x:1", to: nil)
            store.tell(.imageDeleted(name: "docker.io/library/x:1"))
            for number in 0..<5000 { store.tell(.imageUpdated(name: "docker.io/library/other:\(number)")) }
            try await expectAdvertised([m.text, config.text])
            for digest in [m, config] { store.remove(digest) }
            try await expectAdvertised([])
        }
    }

    @Test func keepsImageThatWasPulledAgain() async throws {
        let (m, config) = (try digest("1"), try digest("2"))
        addImage("docker.io/library/x:1", manifest: m, config: config, layers: [])
        let keys: Set = ["docker.io/library/x:1", m.text, config.text]
        try await tracking { _ in
            try await expectAdvertised(keys)
            // Deleted and pulled again before the tracker has looked.
            let (blob, marker) = (try digest("3"), try digest("4"))
            store.add(blob, size: 1)
            store.tell(.imageDeleted(name: "docker.io/library/x:1"))
            store.tell(.contentAdded(blob))
            try await expectAdvertised(keys.union([blob.text]))
            store.add(marker, size: 1)
            store.tell(.contentAdded(marker))
            try await expectAdvertised(keys.union([blob.text, marker.text]))
        }
    }

    @Test func walksUnknownMediaTypes() async throws {
        let (list, artifact) = (try digest("1"), try digest("2"))
        let (config, layer, blob) = (try digest("3"), try digest("4"), try digest("5"))
        let docker = "application/vnd.docker.distribution.manifest.v2+json"
        let image = try digest("6")
        store.add(list, document: index(manifests: [image], mediaType: docker))
        store.add(
            image,
            document: manifest(
                config: config,
                layers: [layer],
                layerType: "application/vnd.docker.image.rootfs.diff.tar.gzip"
            )
        )
        let artifactJSON =
            #"{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":["#
            + #"{"mediaType":"application/vnd.example.wasm","digest":"\#(blob)","size":1}]}"#
        store.add(artifact, document: artifactJSON)
        for digest in [config, layer, blob] { store.add(digest, size: 1) }
        store.set(
            image: "docker.io/library/x:1",
            to: Descriptor(mediaType: .dockerManifestList, digest: list, size: 1)
        )
        let type = MediaType("application/vnd.oci.artifact.manifest.v1+json")
        store.set(image: "docker.io/library/wasm:1", to: Descriptor(mediaType: type, digest: artifact, size: 1))
        let digests = Set([list, artifact, image, config, layer, blob].map(\.text))
        try await tracking { tracker in
            try await expectAdvertised(digests.union(["docker.io/library/x:1", "docker.io/library/wasm:1"]))
            #expect(content.entry(image)?.mediaType == .dockerManifest)
            #expect(content.entry(blob)?.mediaType == MediaType("application/vnd.example.wasm"))
            #expect(content.entry(artifact)?.mediaType == type)
            #expect(tracker.snapshot.imagesWithoutLayers == 0)
        }
    }

    @Test func sharesContentOnDiskBeforeFirstReading() async throws {
        let (blob, m, config) = (try digest("1"), try digest("2"), try digest("3"))
        store.setAway(true)
        store.setAtHand([StoredContent(digest: blob, size: 5)])
        try await tracking { tracker in
            try await expectAdvertised([blob.text])
            #expect(content.entry(blob)?.size == 5)
            guard case .notReady(let reason) = tracker.readiness, case .away = tracker.snapshot.store else {
                Issue.record("ready without a store: \(tracker.readiness)")
                return
            }
            #expect(reason.contains("1 pieces"), "\(reason)")
            try await Task.sleep(for: .milliseconds(100))
            #expect(log.warnings.count == 1, "expected one warning per outage: \(log.warnings)")
            // Content that is not the store's is withdrawn when the store is available.
            addImage("docker.io/library/x:1", manifest: m, config: config, layers: [])
            store.setAway(false)
            try await expectAdvertised(["docker.io/library/x:1", m.text, config.text])
            #expect(tracker.snapshot.store == .followed && tracker.snapshot.outages == 1)
        }
    }

    @Test func withdrawsAllAndIsNotReadyWhileContentIsGone() async throws {
        let (a, b) = (try digest("a"), try digest("b"))
        addImage("docker.io/library/x:1", manifest: a, config: b, layers: [])
        let keys: Set = ["docker.io/library/x:1", a.text, b.text]
        try await tracking { tracker in
            for _ in 0..<2 {
                try await expectAdvertised(keys)
                while tracker.readiness != .ready("3 keys advertised") { try await Task.sleep(for: .milliseconds(2)) }
                store.setLost(true)
                try await expectAdvertised([])
                guard case .notReady(let reason) = tracker.readiness else {
                    Issue.record("ready without content: \(tracker.readiness)")
                    return
                }
                #expect(reason.contains("content store unavailable"), "\(reason)")
                #expect(content.entry(a) == nil && content.resolve(tagName: "docker.io/library/x:1") == nil)
                store.setLost(false)
            }
            try await expectAdvertised(keys)
            #expect(log.warnings.count == 2, "expected one warning per outage: \(log.warnings)")
        }
    }

    @Test func keepsAllAndStaysReadyWhileStoreDoesNotAnswer() async throws {
        let (a, b) = (try digest("a"), try digest("b"))
        addImage("docker.io/library/x:1", manifest: a, config: b, layers: [])
        let keys: Set = ["docker.io/library/x:1", a.text, b.text]
        try await tracking { tracker in
            try await expectAdvertised(keys)
            store.setAway(true)
            while log.warnings.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
            #expect(router.advertised == keys && content.entry(a) != nil)
            #expect(tracker.readiness == .ready("3 keys advertised"))
        }
    }

    @Test func snapshotCountsAdvertisedContent() async throws {
        let (a, b, c) = (try digest("a"), try digest("b"), try digest("c"))
        addImage("docker.io/library/x:1", manifest: a, config: b, layers: [c])
        addImage("docker.io/library/x:2", manifest: a, config: b, layers: [c])
        addImage("docker.io/library/x@\(a)", manifest: a, config: b, layers: [c])
        store.add(try digest("d"), size: 1)
        try await tracking { tracker in
            #expect(tracker.snapshot.lastComparison == nil && tracker.snapshot.store == .starting)
            while tracker.snapshot.lastComparison == nil { try await Task.sleep(for: .milliseconds(2)) }
            let docker = TrackerSnapshot.Advertised(tags: 2, digests: 1, contents: 3)
            let unknown = TrackerSnapshot.Advertised(contents: 1)
            #expect(tracker.snapshot.registries == ["docker.io": docker, "unknown": unknown])
            #expect(docker.images == 3)
            #expect(tracker.snapshot.keys == 6)
            #expect((tracker.snapshot.lastComparison?.endTime ?? 0) > 1_700_000_000)
            store.set(image: "docker.io/library/x:2", to: nil)
            store.tell(.imageDeleted(name: "docker.io/library/x:2"))
            for _ in 0..<1000 where tracker.snapshot.registries["docker.io"]?.tags == 2 {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(tracker.snapshot.registries["docker.io"]?.tags == 1)
        }
    }

    @Test func limitsRegistries() throws {
        var images: [String] = []
        for number in 0..<200 { images += (0...number).map { "r\(number).example/x:\($0)" } }
        let registries = TrackerSnapshot.registries(images: images, contents: [nil: 7])
        #expect(registries.count == TrackerSnapshot.maximumRegistries + 1)
        #expect(registries.values.map(\.tags).reduce(0, +) == images.count)
        #expect(registries.values.map(\.contents).reduce(0, +) == 7)
        #expect(registries["r199.example"]?.tags == 200)
        #expect((registries["other"]?.tags ?? 0) > 0)
    }

    @Test func findsImagesWithoutLayers() async throws {
        let (m, config) = (try digest("1"), try digest("2"))
        let (whole, other, layer) = (try digest("3"), try digest("4"), try digest("5"))
        addImage("docker.io/library/discarded:1", manifest: m, config: config, layers: [])
        store.add(m, document: manifest(config: config, layers: [try digest("9")]))
        addImage("docker.io/library/whole:1", manifest: whole, config: other, layers: [layer])
        // Another platform's manifest without its layers next to a complete one is normal.
        let list = try digest("6")
        store.add(list, document: index(manifests: [m, whole]))
        store.set(image: "docker.io/library/list:1", to: Descriptor(mediaType: .ociIndex, digest: list, size: 1))
        try await tracking { tracker in
            while tracker.snapshot.lastComparison == nil { try await Task.sleep(for: .milliseconds(2)) }
            #expect(tracker.snapshot.imagesWithoutLayers == 1)
        }
    }
}
