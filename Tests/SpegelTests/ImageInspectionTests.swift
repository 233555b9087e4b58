import ContentStore
import DebugAPI
import OCI
import Synchronization
import Testing
import Time

@testable import spegel

/// Lookups and test pulls of images, against a registry in memory.
struct ImageInspectionTests {
    /// An image of an index, two manifests, a configuration and two layers.
    private struct Image: Sendable {
        let reference: Reference
        var contents: [String: [UInt8]] = [:]
        let index: String
        let own: String
        let foreign: String
        let config: String
        let layers: [String]

        init() throws {
            func digest(_ bytes: [UInt8]) -> String {
                var hasher = DigestHasher(.sha256)
                bytes.withUnsafeBytes { hasher.update($0) }
                return hasher.finish().text
            }
            var contents: [String: [UInt8]] = [:]
            func add(_ bytes: [UInt8]) -> String {
                contents[digest(bytes)] = bytes
                return digest(bytes)
            }
            config = add(Array("{}".utf8))
            layers = [add([1, 2, 3]), add([4, 5])]
            let layerTexts = layers.map { #"{"digest":"\#($0)","size":\#(contents[$0]?.count ?? 0)}"# }
            let manifest = Array(
                #"{"config":{"digest":"\#(config)","size":2},"layers":[\#(layerTexts.joined(separator: ","))]}"#.utf8
            )
            own = add(manifest)
            foreign = "sha256:" + String(repeating: "0", count: 64)
            let platform = ImageDocument.ownPlatform.dropFirst(6)
            index = add(
                Array(
                    """
                    {"manifests":[{"digest":"\(foreign)","size":9,"platform":{"os":"plan9","architecture":"mips"}},
                    {"digest":"\(own)","size":\(manifest.count),"platform":{"os":"linux","architecture":"\(platform)"}}]}
                    """.utf8
                )
            )
            reference = try Reference("docker.io/library/test:1")
            contents["docker.io/library/test:1"] = contents[index]
            self.contents = contents
        }

        func key(_ request: DistributionRequest) -> String {
            switch request.target {
            case .digest(let digest): digest.text
            case .tag(let tag): "docker.io/library/test:\(tag.text)"
            }
        }
    }

    private func resolver(_ image: Image, hidden: Set<String> = [], here: Set<String> = []) -> ImageResolver {
        ImageResolver(
            lookUp: { key in
                let isThere = image.contents[key] != nil && !hidden.contains(key)
                return (
                    ImageReport.Lookup(outcome: isThere ? "found" : "missed", duration: .milliseconds(1)),
                    isThere ? [ImageReport.Holder(peerID: "one", registries: ["10.0.0.2:5000"])] : []
                )
            },
            held: { ImageResolver.Held(isHeld: here.contains($0), isAdvertised: false) },
            read: { name, target in
                let key = if case .digest(let digest) = target { digest.text } else { "\(name)" }
                guard let bytes = image.contents[key] else { throw ImageResolver.Unreadable(description: "absent") }
                var hasher = DigestHasher(.sha256)
                bytes.withUnsafeBytes { hasher.update($0) }
                return (bytes, hasher.finish())
            }
        )
    }

    @Test func anImageIsFollowedToItsLayers() async throws {
        let image = try Image()
        let report = await resolver(image).resolve(.image(image.reference), as: "test:1")
        #expect(report.error == nil && report.reference == "test:1" && report.name == "docker.io/library/test:1")
        #expect(report.contents.map(\.kind) == [.tag, .index, .manifest, .manifest, .config, .layer, .layer])
        #expect(report.contents.map(\.depth) == [0, 0, 1, 1, 2, 2, 2])
        #expect(
            report.contents.map(\.key)
                == ["docker.io/library/test:1", image.index, image.foreign, image.own, image.config] + image.layers
        )
        #expect(report.contents[0].digest == image.index)
        #expect(report.contents.map { $0.holders.count } == [1, 1, 0, 1, 1, 1, 1])
        #expect(report.contents[3].platform == ImageDocument.ownPlatform && report.contents[5].size == 3)
    }

    @Test func indexOfIndexesIsFollowed() async throws {
        var image = try Image()
        func add(_ text: String) throws -> String {
            var hasher = DigestHasher(.sha512)
            Array(text.utf8).withUnsafeBytes { hasher.update($0) }
            let digest = hasher.finish().text
            image.contents[digest] = Array(text.utf8)
            return digest
        }
        let type = MediaType.ociIndex
        let size = image.contents[image.index]?.count ?? 0
        let outer = try add(#"{"manifests":[{"mediaType":"\#(type)","digest":"\#(image.index)","size":\#(size)}]}"#)
        image.contents["docker.io/library/test:1"] = image.contents[outer]
        let report = await resolver(image).resolve(.image(image.reference), as: "test:1")
        #expect(report.error == nil)
        #expect(
            report.contents.map(\.kind) == [.tag, .index, .index, .manifest, .manifest, .config, .layer, .layer]
        )
        #expect(report.contents.map(\.depth) == [0, 0, 1, 2, 2, 3, 3, 3])
        #expect(ResolveText(report).isComplete == false, "the manifest's own digest is not that of the registry")
        let pulled = await pull(image).pull(image.reference, as: "test:1")
        #expect(pulled.error == nil && pulled.isComplete, "\(pulled.error ?? "")")
    }

    @Test func foreignLayerOnNoNodeIsComplete() async throws {
        func content(_ type: String) -> ImageReport.Content {
            var content = ImageReport.Content(
                kind: .layer,
                depth: 1,
                key: "sha256:" + String(repeating: "1", count: 64),
                digest: nil,
                mediaType: type,
                size: 1,
                isHeldHere: false,
                isAdvertised: false,
                lookup: ImageReport.Lookup(outcome: "missed", duration: .zero),
                holders: []
            )
            content.depth = 1
            return content
        }
        var report = ImageReport(reference: "x", name: "x")
        report.contents = [content("application/vnd.oci.image.layer.nondistributable.v1.tar")]
        #expect(ResolveText(report).isComplete && ResolveText(report).lines.joined().contains("foreign"))
        report.contents = [content("application/vnd.oci.image.layer.v1.tar")]
        #expect(!ResolveText(report).isComplete)
    }

    @Test func aDigestIsFollowedToo() async throws {
        let image = try Image()
        let manifest = await resolver(image).resolve(.digest(try Digest(image.own)), as: image.own)
        #expect(manifest.contents.map(\.kind) == [.manifest, .config, .layer, .layer])
        #expect(manifest.contents.map(\.depth) == [0, 1, 1, 1])
        // A layer refers to nothing.
        let layer = await resolver(image).resolve(.digest(try Digest(image.layers[0])), as: "x")
        #expect(layer.contents.map(\.kind) == [.content] && layer.error == nil)
    }

    @Test func withoutFollowingNothingIsRead() async throws {
        let image = try Image()
        let lookups = Mutex<[String]>([])
        let resolver = ImageResolver(
            lookUp: { key in
                lookups.withLock { $0.append(key) }
                let holder = ImageReport.Holder(peerID: "one", registries: [])
                return (ImageReport.Lookup(outcome: "found", duration: .milliseconds(1)), [holder])
            },
            held: { _ in ImageResolver.Held(isHeld: false, isAdvertised: false) },
            read: { _, _ in
                Issue.record("a document is read")
                throw ImageResolver.Unreadable(description: "absent")
            }
        )
        let tag = await resolver.resolve(.image(image.reference), as: "test:1", follows: false)
        #expect(tag.contents.map(\.kind) == [.tag] && tag.contents[0].holders.map(\.peerID) == ["one"])
        let digest = await resolver.resolve(.digest(try Digest(image.own)), as: image.own, follows: false)
        #expect(digest.contents.map(\.kind) == [.content] && digest.error == nil)
        #expect(lookups.withLock { $0 } == ["docker.io/library/test:1", image.own])
    }

    @Test func contentWithoutAHolderEndsTheReport() async throws {
        let image = try Image()
        let missing = await resolver(image, hidden: ["docker.io/library/test:1"]).resolve(
            .image(image.reference),
            as: "x"
        )
        #expect(missing.contents.map(\.kind) == [.tag] && missing.error == nil)
        let half = await resolver(image, hidden: [image.own]).resolve(.image(image.reference), as: "x")
        #expect(half.contents.map(\.kind) == [.tag, .index, .manifest, .manifest])
        #expect(half.error?.contains("no node has any of the manifests") == true)
        let here = await resolver(image, hidden: [image.own], here: [image.own]).resolve(
            .image(image.reference),
            as: "x"
        )
        #expect(here.error == nil && here.contents.count == 7)
    }

    private func pull(
        _ image: Image,
        change: @escaping @Sendable (inout RegistryFetch.Answer, String) -> Void = { _, _ in }
    ) -> TestPull {
        TestPull(
            fetch: { request, algorithm, limit, keep in
                let key = image.key(request)
                var hasher = DigestHasher(algorithm)
                let bytes = image.contents[key]
                (bytes ?? []).withUnsafeBytes { hasher.update($0) }
                var answer = RegistryFetch.Answer(
                    status: bytes == nil ? 404 : 200,
                    source: "10.0.0.2:5000",
                    digest: hasher.finish(),
                    size: Int64(bytes?.count ?? 0),
                    body: keep ? bytes ?? [] : [],
                    firstByte: .now
                )
                #expect(answer.size <= limit)
                change(&answer, key)
                return answer
            },
            isHeld: { $0 == image.config },
            find: { image.contents[$0] != nil }
        )
    }

    @Test func aPullFetchesWhatContainerdWould() async throws {
        let image = try Image()
        let report = await pull(image).pull(image.reference, as: "test:1")
        #expect(report.error == nil && report.isComplete)
        #expect(report.steps.map(\.kind).prefix(2) == [.tag, .manifest])
        #expect(
            Set(report.steps.map(\.key)) == Set(["docker.io/library/test:1", image.own, image.config] + image.layers)
        )
        #expect(report.bytes == Int64(report.steps.reduce(0) { $0 + (image.contents[$1.key]?.count ?? 0) }))
        for step in report.steps {
            #expect(step.isVerified == (step.kind != .tag) && step.status == 200 && step.end >= step.start)
            #expect((step.lookup == nil) == (step.key == image.config))
        }
    }

    @Test func aPullSaysWhatWentWrong() async throws {
        let image = try Image()
        let wrong = await pull(image) { answer, key in
            if key == image.layers[1] { answer.size = 77 }
        }.pull(image.reference, as: "x")
        #expect(
            wrong.error == "size mismatch" && wrong.steps.contains { $0.key == image.layers[1] && $0.error != nil }
        )
        let corrupt = await pull(image) { answer, key in
            guard key == image.layers[1], let other = try? Digest(image.layers[0]) else { return }
            answer.digest = other
        }.pull(image.reference, as: "x")
        #expect(corrupt.error == "digest mismatch" && !corrupt.isComplete)
        let absent = await pull(image).pull(try Reference("docker.io/library/test:2"), as: "x")
        #expect(absent.error?.contains("404") == true && absent.steps.count == 1)
    }
}
