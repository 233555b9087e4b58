import OCI
import StructuredText
import Testing

@testable import spegel

struct PullTests {
    private func digest(_ digit: Character) throws -> Digest {
        try Digest("sha256:" + String(repeating: digit, count: 64))
    }

    private func index(_ platforms: [String?]) throws -> PulledDocument {
        let manifests = try platforms.enumerated().map { number, platform in
            let digest = try digest(Character(String(number + 1, radix: 16)))
            let shown = platform.map { ",\"platform\":\($0)" } ?? ""
            return "{\"mediaType\":\"\(MediaType.ociManifest)\",\"digest\":\"\(digest)\",\"size\":1\(shown)}"
        }
        return try PulledDocument(json: Array("{\"manifests\":[\(manifests.joined(separator: ","))]}".utf8))
    }

    private static let amd64 = #"{"os":"linux","architecture":"amd64"}"#
    private static let armv7 = #"{"os":"linux","architecture":"arm","variant":"v7"}"#
    private static let unknown = #"{"os":"unknown","architecture":"unknown"}"#

    @Test func theManifestOfThePlatformIsTaken() throws {
        let index = try index([Self.unknown, Self.armv7, Self.amd64])
        func digests(_ index: PulledDocument, _ platform: String) throws -> [Digest] {
            index.candidates(for: try #require(Platform(platform))).map(\.descriptor.digest)
        }
        #expect(try digests(index, "linux/amd64") == [digest("3")])
        #expect(try digests(index, "linux/arm") == [digest("2")])
        #expect(try digests(index, "linux/arm/v7") == [digest("2")])
        #expect(try digests(index, "linux/arm/v6") == [])
        #expect(index.platforms == ["linux/arm/v7", "linux/amd64"])
        #expect(try digests(self.index([nil]), "linux/amd64") == [digest("1")])
        #expect(try digests(self.index([nil, nil]), "linux/amd64") == [])
    }

    @Test(
        arguments: [
            ("alpine", "docker.io/library/alpine:latest"), ("alpine:3", "docker.io/library/alpine:3"),
            ("grafana/grafana", "docker.io/grafana/grafana:latest"), ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
            ("localhost/a", "localhost/a:latest"), ("registry.lab:5000/a/b", "registry.lab:5000/a/b:latest"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"), ("docker.io/alpine:3", "docker.io/library/alpine:3"),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
            ("index.docker.io/a/b:1", "docker.io/a/b:1"), ("docker.io/library/a:1", "docker.io/library/a:1"),
            ("index.docker.io/", nil),
            ("Alpine", nil), ("", nil), ("a:b:c", nil), ("docker.io/", nil), ("alpine@sha256:12", nil),
        ] as [(String, String?)]
    )
    func namesAreCompletedAsDockerDoes(_ text: String, _ expected: String?) {
        #expect(ImageArgument(argument: text)?.description == expected)
    }

    @Test func aDigestNeedsNoTag() throws {
        let digest = try digest("a")
        #expect(ImageArgument(argument: "alpine@\(digest)")?.reference.tag == nil)
        #expect(ImageArgument(argument: "alpine:3@\(digest)")?.reference.digest == digest)
    }

    @Test(
        arguments: [
            ("127.0.0.1:9090", "http://127.0.0.1:9090"), ("http://[fd00::1]:9090", "http://[fd00::1]:9090"),
            ("http://h/", "http://h"), ("https://h", nil), ("http://h/path", nil), ("", nil), (":9090", nil),
        ] as [(String, String?)]
    )
    func addressesOfNodes(_ text: String, _ expected: String?) {
        #expect(NodeAddress(argument: text)?.description == expected)
    }

    @Test func barsShowHowFarItIs() throws {
        var board = PullBoard()
        board.announce(4_000_000)
        board.begin(.init(kind: "layer", digest: try digest("b"), size: 4_000_000))
        board.advance(try digest("b"), to: 1_000_000, source: "10.0.0.2:5000")
        let bars = board.bars(width: 110, elapsed: .seconds(1))
        #expect(bars.count == 2)
        #expect(bars[0].hasPrefix("layer     sha256:bbbbbbbbbbbb…  [#########"))
        #expect(bars[0].hasSuffix("]  25%   4.00 MB  from 10.0.0.2:5000"))
        #expect(bars[1].hasSuffix("]  25%   4.00 MB  1.00 MB/s"))
        for width in 0...120 {
            #expect(board.bars(width: width, elapsed: .zero).allSatisfy { $0.count <= width })
        }
        board.end(try digest("b"), size: 4_000_000)
        #expect(board.bars(width: 80, elapsed: .seconds(2)).count == 1)
        // Sizes are what a document claims.
        board.announce(.max)
        board.announce(.max)
        #expect(board.bars(width: 80, elapsed: .seconds(2)).count == 1)
    }

    @Test(
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (12_345, "12.3 kB"), (999_999, "1000 kB"),
            (64_000_000, "64.0 MB"), (1_500_000_000, "1.50 GB"), (Int64.max, "9223372037 GB"),
        ] as [(Int64, String)]
    )
    func bytesInWords(_ count: Int64, _ text: String) {
        #expect(Human.bytes(count) == text)
    }

    @Test(
        arguments: [
            (Duration.zero, "0.00 ms"), (.microseconds(150), "0.15 ms"), (.milliseconds(20), "20.0 ms"),
            (.milliseconds(1500), "1.50 s"), (.seconds(90), "1m30s"), (.seconds(4711), "1h18m"),
            (.seconds(200_000), "2d7h"), (.seconds(Int64(1e12)), "11574074d1h"),
        ] as [(Duration, String)]
    )
    func timesInWords(_ duration: Duration, _ text: String) {
        #expect(Human.time(duration) == text)
    }

    @Test func ratesInWords() {
        #expect(Human.rate(1_000_000, .milliseconds(500)) == "2.00 MB/s")
        #expect(Human.rate(1, .zero) == "-")
        #expect(Human.rate(.max, .nanoseconds(1)) == "1000000 GB/s")
    }
}
