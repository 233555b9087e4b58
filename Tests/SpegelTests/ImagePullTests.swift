import ContentStore
import Files
import Glibc
import HTTPClient
import HTTPServer
import Logging
import NIOCore
import NIOPosix
import OCI
import TestSupport
import Testing

@testable import spegel

/// Pulls from a registry in memory. All content is text.
@Suite(.timeLimit(.minutes(1)))
struct ImagePullTests {
    /// A registry with content by path.
    private final class Content {
        var routes: [String: (text: String, type: String, digest: Digest)] = [:]
        let repository = "library/test"

        func digest(_ text: String, _ algorithm: Digest.Algorithm = .sha256) -> Digest {
            var hasher = DigestHasher(algorithm)
            Array(text.utf8).withUnsafeBytes { hasher.update($0) }
            return hasher.finish()
        }

        func blob(_ text: String, type: String = "application/vnd.oci.image.layer.v1.tar") -> String {
            let digest = digest(text)
            routes["/v2/\(repository)/blobs/\(digest)"] = (text, type, digest)
            return descriptor(digest, text.utf8.count, type)
        }

        func descriptor(_ digest: Digest, _ size: Int, _ type: String) -> String {
            #"{"mediaType":"\#(type)","digest":"\#(digest)","size":\#(size)}"#
        }

        /// Adds a document, and returns its descriptor with a platform.
        func document(
            _ text: String,
            _ type: MediaType,
            tag: String? = nil,
            algorithm: Digest.Algorithm = .sha256,
            platform: String? = nil
        ) -> String {
            let digest = digest(text, algorithm)
            for name in [digest.text, tag].compactMap({ $0 }) {
                routes["/v2/\(repository)/manifests/\(name)"] = (text, type.text, digest)
            }
            let parts = platform.map { $0.split(separator: "/") }
            let shown = parts.map { #","platform":{"os":"\#($0[0])","architecture":"\#($0[1])"}"# } ?? ""
            return String(descriptor(digest, text.utf8.count, type.text).dropLast()) + shown + "}"
        }

        func manifest(
            _ layers: [String],
            architecture: String = "amd64",
            tag: String? = nil,
            algorithm: Digest.Algorithm = .sha256,
            platform: String? = nil
        ) -> String {
            let config = blob(#"{"os":"linux","architecture":"\#(architecture)"}"#, type: MediaType.ociConfig.text)
            let text = #"{"schemaVersion":2,"config":\#(config),"layers":[\#(layers.joined(separator: ","))]}"#
            return document(text, .ociManifest, tag: tag, algorithm: algorithm, platform: platform)
        }

        func index(_ manifests: [String], tag: String? = nil, platform: String? = nil) -> String {
            let text = #"{"schemaVersion":2,"manifests":[\#(manifests.joined(separator: ","))]}"#
            return document(text, .ociIndex, tag: tag, platform: platform)
        }
    }

    private func pull(
        _ content: Content,
        platform: String? = nil,
        to folder: String? = nil,
        _ name: String = "docker.io/library/test:1"
    ) async throws -> ImagePull.Outcome {
        var reads: [String: HTTPServer.Handler] = ["/v2/": { _ in .text("") }]
        for (path, entry) in content.routes {
            reads[path] = { _ in
                ServerResponse(
                    contentType: entry.type,
                    fields: [(name: "Docker-Content-Digest", value: entry.digest.text)],
                    body: .text(entry.text)
                )
            }
        }
        let server = HTTPServer(
            configuration: HTTPServer.Configuration(host: "127.0.0.1", port: 0),
            routes: HTTPServer.Routes(reads: reads),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let port = try #require(try await server.start()?.port.flatMap { UInt16(exactly: $0) })
        let pull = ImagePull(
            url: HTTPURL(isSecure: false, host: "127.0.0.1", port: port),
            reference: try Reference(name),
            platform: try #require(Platform(platform ?? "linux/amd64")),
            isPlatformGiven: platform != nil,
            authorization: nil,
            writer: try folder.map { try ImageLayoutWriter(path: $0) },
            display: PullDisplay(isShown: false, hasBars: false)
        )
        do {
            let outcome = try await pull.run()
            await server.shutdown()
            return outcome
        } catch {
            await server.shutdown()
            throw error
        }
    }

    @Test(arguments: [false, true])
    func corruptFileOfTheRightSizeIsPulledAnew(isLink: Bool) async throws {
        let folder = try TemporaryFolder()
        let content = Content()
        _ = content.manifest([content.blob("layer")], tag: "1")
        let layer = content.digest("layer")
        let config = content.digest(#"{"os":"linux","architecture":"amd64"}"#)
        #expect(try await pull(content, to: folder.path + "/a").pieces.count == 3)
        for digest in [layer, config] {
            let place = folder.path + "/a/blobs/sha256/\(digest.hex)"
            let size = try #require(try Files.status(place)?.size)
            let wrong = [UInt8](repeating: 120, count: Int(size))
            try Files.remove(place)
            try Files.replace(isLink ? folder.path + "/wrong" : place, with: wrong)
            if isLink { #expect(symlink(folder.path + "/wrong", place) == 0) }
            let outcome = try await pull(content, to: folder.path + "/a")
            #expect(outcome.pieces.first { $0.digest == digest }?.shares.isEmpty == false)
            let now = try Files.read(place, limit: 100)
            #expect(now != wrong)
        }
        // What is there and right is not pulled again.
        let again = try await pull(content, to: folder.path + "/a")
        #expect(again.pieces.filter { $0.kind != "manifest" && !$0.shares.isEmpty }.isEmpty)
    }

    @Test func digestOfATagIsTheOneOfTheRegistry() async throws {
        let content = Content()
        _ = content.manifest([content.blob("layer")], tag: "1", algorithm: .sha512)
        let outcome = try await pull(content)
        #expect(outcome.digest.algorithm == .sha512)
    }

    @Test(arguments: [nil, "linux/amd64"])
    func indexOfIndexesLeadsToThePlatform(platform: String?) async throws {
        let content = Content()
        let other = content.index([
            content.manifest([content.blob("a")], architecture: "arm64", platform: "linux/arm64")
        ])
        let own = content.index([content.manifest([content.blob("b")], platform: "linux/amd64")], platform: platform)
        _ = content.index([content.index([other]), own], tag: "1")
        let outcome = try await pull(content, platform: "linux/amd64")
        #expect(outcome.pieces.contains { $0.digest == content.digest("b") })
        #expect(!outcome.pieces.contains { $0.digest == content.digest("a") })
        #expect(outcome.pieces.last?.kind == "layer")
    }

    @Test func indexThatRefersToItselfEnds() async throws {
        let content = Content()
        var inner = content.index([])
        for _ in 0..<40 { inner = content.index([inner]) }
        _ = content.index([inner], tag: "1")
        let error = await #expect(throws: ImagePull.Failure.self) { try await pull(content) }
        #expect(error?.description.contains("at most") == true)
    }

    @Test func singleManifestOfAnotherPlatformIsAnErrorIfThePlatformIsGiven() async throws {
        let content = Content()
        _ = content.manifest([content.blob("layer")], architecture: "arm64", tag: "1")
        let error = await #expect(throws: ImagePull.Failure.self) { try await pull(content, platform: "linux/amd64") }
        #expect(error?.description.contains("expected an image for linux/amd64, found linux/arm64") == true)
        #expect(try await pull(content, platform: "linux/arm64").pieces.count == 3)
        #expect(try await pull(content).pieces.count == 3)
        // Also as the only manifest of an index that does not say its platform, and with a layout that has the content.
        _ = content.index([content.manifest([content.blob("layer")], architecture: "arm64")], tag: "2")
        let folder = try TemporaryFolder()
        let name = "docker.io/library/test:2"
        for platform in ["linux/arm64", "linux/arm64"] {
            #expect(try await pull(content, platform: platform, to: folder.path + "/a", name).pieces.count == 4)
        }
        await #expect(throws: ImagePull.Failure.self) {
            try await pull(content, platform: "linux/amd64", to: folder.path + "/a", name)
        }
    }

    @Test(arguments: [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ])
    func foreignLayerThatNoNodeHasIsSkipped(type: String) async throws {
        let content = Content()
        let foreign = content.descriptor(content.digest("far"), 3, type)
        _ = content.manifest([foreign, content.blob("near")], tag: "1")
        let outcome = try await pull(content)
        #expect(outcome.skipped.map(\.digest) == [content.digest("far")])
        #expect(outcome.pieces.map(\.kind) == ["manifest", "config", "layer"])
        // A node may have pulled it from its URLs.
        _ = content.blob("far")
        #expect(try await pull(content).skipped == [])
    }

    @Test func ordinaryLayerThatNoNodeHasIsAnError() async throws {
        let content = Content()
        let far = content.descriptor(content.digest("far"), 3, "application/vnd.oci.image.layer.v1.tar")
        _ = content.manifest([far], tag: "1")
        await #expect(throws: ImagePull.Failure.self) { try await pull(content) }
    }
}
